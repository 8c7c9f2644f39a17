"""The common part of all file formats: cut a file into blocks of whole records, and answer each block.

A record's answer depends only on the record. So a file may be cut into blocks of any size, anywhere between
records, and the answers are put together in order.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import NamedTuple, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from thimble.drift import counting
from thimble.errors import InvalidFile
from thimble.inference.batch import Batch, Fault, Flags
from thimble.inference.classifier import Classifier
from thimble.inference.predictions import Predictions
from thimble.inference.reference import Counts
from thimble.tables.answers import abstained, counts
from thimble.threads import ahead

Positions = NDArray[np.intp]

BOM = b"\xef\xbb\xbf"
BLOCK_BYTES = 4 << 20  # read at once; even of a wide table these are enough records to read by column
BLOCK_RECORDS = 25_000  # in a block at most; a narrow table's and their answers fit in a processor's cache
MAX_RECORD_BYTES = 1 << 20  # of one record, and of one quoted field
HEAD_BYTES = 2 * MAX_RECORD_BYTES  # enough to hold the first record, or to tell that it is too long
LOOK_BYTES = 64 << 10  # searched first for the start of a record
MOST_RANGES = 9000  # an S3 upload has 10,000 parts


@dataclass(frozen=True)
class Block:
    """Whole records, each with the newline that ends it."""

    data: bytes
    ends: Positions  # the position of each record's newline; the last one ends the data
    first_line: int  # the physical line, from 1, on which the data begin
    end: int = field(default=0, kw_only=True)  # the offset in the file of the record after these

    @cached_property
    def starts(self) -> Positions:
        starts = np.empty_like(self.ends)
        starts[:1] = 0
        starts[1:] = self.ends[:-1] + 1
        return starts

    @cached_property
    def lines(self) -> int:
        """The number of physical lines: more than of records if quoted fields hold newlines."""
        return int(np.count_nonzero(np.frombuffer(self.data, np.uint8) == ord("\n")))

    def line(self, i: int) -> int:
        """Return the physical line on which record `i` begins."""
        return self.line_at(self.starts[i])

    def line_at(self, position: int) -> int:
        return self.first_line + int(np.searchsorted(self._newlines, position))

    def record(self, i: int) -> bytes:
        """Return record `i` without its line ending."""
        return self.data[self.starts[i] : self.ends[i]].removesuffix(b"\r")

    def sent(self, i: int) -> bytes:
        """Return record `i` as the sender wrote it."""
        return self.record(i)

    @cached_property
    def returns(self) -> Flags:
        """A mask of the records that end with \\r\\n."""
        if b"\r" not in self.data:
            return np.zeros(len(self.ends), np.bool_)
        before = np.frombuffer(self.data, np.uint8)[self.ends - 1]  # for an empty first line some other byte
        returns: Flags = (before == ord("\r")) & (self.ends > self.starts)
        return returns

    @property
    def blank(self) -> Flags:
        """A mask of the records that are empty lines."""
        blank: Flags = self.ends - self.starts == self.returns
        return blank

    def only(self, chosen: Flags) -> Block:
        """Return a block of the chosen records only; their line numbers are lost."""
        if chosen.all():
            return self
        edges = np.flatnonzero(np.diff(chosen, prepend=False, append=False))
        starts, ends = self.starts[edges[0::2]], self.ends[edges[1::2] - 1] + 1
        data = b"".join([self.data[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)])
        lengths = (self.ends - self.starts + 1)[chosen]
        return Block(data, np.cumsum(lengths) - 1, 0)

    @cached_property
    def _newlines(self) -> Positions:
        return np.flatnonzero(np.frombuffer(self.data, np.uint8) == ord("\n"))


def is_utf8(data: bytes) -> bool:
    if data.isascii():  # a much faster check
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class Settled(NamedTuple):
    """The outcome of a batch's records; those that are neither answered nor rejected are blank lines."""

    classifier: Classifier
    answered: Flags
    batch: Batch  # of the answered records
    predictions: Predictions  # of the answered records
    rejected: Mapping[int, str]  # the reasons by record, in order


def settle(
    batch: Batch,
    predict: Callable[[Batch], tuple[Classifier, Predictions]],
    reason: Callable[[Fault], str],
) -> Settled:
    """Answer the records that can be answered, and reject the others; `reason` gives a fault's reason."""
    rejected = {row: reason(fault) for row, fault in batch.faults.items()}
    answered = batch.readable
    found = batch if answered.all() else batch.take(answered)
    classifier, predictions = predict(found)
    if predictions.rejected:
        rows, kept = np.flatnonzero(answered), np.ones(found.rows, np.bool_)
        kept[[*predictions.rejected]] = False
        rejected |= {int(rows[k]): why for k, why in predictions.rejected.items()}
        answered[rows] = kept
        found, predictions = found.take(kept), predictions.take(kept)
    return Settled(classifier, answered, found, predictions, dict(sorted(rejected.items())))


class Outcome(NamedTuple):
    """The outcome of a block's records."""

    answered: Flags
    predictions: Predictions  # of the answered records
    rejected: Mapping[int, str]  # the reasons by record, in order
    observed: Counts  # of the answered records, for drift


def answer(classifier: Classifier, batch: Batch) -> Outcome:
    found = settle(batch, lambda read: (classifier, classifier.predict(read)), attrgetter("quoting"))
    observed = counting.count(classifier.reference, found.batch, found.predictions)
    return Outcome(found.answered, found.predictions, found.rejected, observed)


NONE: Counts = np.zeros(1, np.int64)  # no counts: can be added to counts of any length


class Answered(NamedTuple):
    """The outcome of a block."""

    result: bytes  # the answered records in the input's format
    rejected: bytes = b""  # the rejected records, as lines of JSON
    predictions: int = 0
    rejections: int = 0
    blank: int = 0  # blank lines, which are no records
    classes: Counts = NONE  # how often each class was the label
    observed: Counts = NONE  # of the answered rows, for drift
    abstained: int = 0  # number of predictions without a label


def counted(
    classifier: Classifier, outcome: Outcome, rejected: Sequence[bytes], result: bytes, blank: int = 0
) -> Answered:
    return Answered(
        result=result,
        rejected=b"".join(rejected),
        predictions=outcome.predictions.n_rows,
        rejections=len(rejected),
        blank=blank,
        classes=counts(classifier, outcome.predictions),
        observed=outcome.observed,
        abstained=abstained(outcome.predictions),
    )


@dataclass(frozen=True)
class Part:
    """Some of an input's records: their number as they were read, and their outcome."""

    records: int
    lines: int
    answered: Answered
    end: int  # the offset in the file of the record after these; in Parquet, the number of the next row group


class Result(Protocol):
    """The form of a result: a prefix of the input, the opening, the parts with a joint between two, the
    closing.
    """

    @property
    def name(self) -> str: ...

    @property
    def prefix(self) -> int:
        """The number of the input's first bytes with which the result begins."""

    @property
    def opening(self) -> bytes: ...

    @property
    def joint(self) -> bytes: ...

    @property
    def closing(self) -> bytes:
        """The end of the result; it is known only after the last part."""


class Reader(Result, Protocol):
    """An open file, which is classified in parts, as a whole or by range.

    A position is the offset of a byte in text, or the number of a row group in Parquet.
    """

    @property
    def body(self) -> int:
        """The position of the first record."""

    @property
    def first_line(self) -> int:
        """The physical line, from 1, on which the records begin."""

    def bounds(self, size: int) -> list[int]:
        """Return where ranges of about `size` bytes begin, and where the last one ends."""

    def first_record(self, start: int, stop: int) -> int:
        """Return where the first record of a range most likely begins."""

    def parts(self, start: int, stop: int, first_line: int, workers: int) -> Iterator[Part]:
        """Classify the records that begin in [start, stop), where one begins at start.

        Lines are counted from `first_line` on; the rows of Parquet keep their numbers.
        """

    @property
    def trail(self) -> bytes:
        """The state that the reader of the next range needs from this one."""

    def follow(self, trail: bytes) -> None:
        """Continue after the parts of a reader with this trail."""


class Source(Protocol):
    """The bytes of a file, to be read in any order, or only from start to end."""

    @property
    def size(self) -> int: ...

    @property
    def on_read(self) -> Callable[[int], object]:
        """A function that is called with the number of bytes after each read of the table."""

    def head(self, size: int) -> tuple[bytes, bool]:
        """Return the first `size` bytes or more, and whether they are all."""

    def read(self, start: int, stop: int) -> bytes: ...

    def stream(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from start to stop, then those after stop, for as long as the caller reads."""


class Format(Result, Protocol):
    """The rules of a text format; `TextReader` makes a reader of them."""

    @property
    def source(self) -> Source: ...

    @property
    def body(self) -> int: ...

    @property
    def first_line(self) -> int: ...

    def plain(self, data: bytes) -> bytes:
        """Return the file's bytes with \\n as line ending, byte for byte; the methods below take these."""

    def cut(self, data: bytes, final: bool) -> Positions:
        """Return the position of each whole record's newline. The data begin with a record."""

    def complete(self, data: bytes) -> bytes:
        """Return data that end the file without a newline, with one."""

    def second_record(self, look: bytes, final: bool) -> int | None:
        """Return where a record most likely begins in bytes from the middle of a file; None if unknown.

        A record that begins with their first byte does not count.
        """

    @property
    def classifier(self) -> Classifier: ...

    def batch(self, block: Block) -> Batch:
        """Return the records as the model takes them."""

    def append(self, block: Block, predictions: Predictions) -> bytes:
        """Return the records with their answers; all of them have one."""

    def classify(self, block: Block) -> Answered:
        """Answer or reject every record."""


class Once:
    """The source of a file that is read only once, from start to end, such as a compressed one."""

    size = 0  # unknown
    on_read = int  # does nothing: the source of the compressed bytes reports its reads

    def __init__(self, pieces: Iterable[bytes] = ()) -> None:
        self._pieces = iter(pieces)

    def head(self, size: int) -> tuple[bytes, bool]:
        held, length = [], 0
        for piece in self._pieces:
            held.append(piece)
            length += len(piece)
            if length >= size:
                break
        whole = length < size
        self._pieces = chain(held, self._pieces)
        return b"".join(held), whole

    def read(self, start: int, stop: int) -> bytes:
        raise NotImplementedError("a stream is not read out of order")

    def stream(self, start: int, stop: int) -> Iterator[bytes]:
        for piece in self._pieces:
            if start < len(piece):
                yield piece[start:]
            start = max(start - len(piece), 0)


class TextReader:
    """Makes a reader of a text format: a range of the file is a stream that begins at an offset."""

    prefix = 0
    trail = b""

    def bounds(self: Format, size: int) -> list[int]:
        start, stop = self.body, self.source.size
        size = max(size, -((start - stop) // MOST_RANGES))
        return [*(range(start, stop, size) or [start]), max(stop, start)]

    def first_record(self: Format, start: int, stop: int) -> int:
        at = start - 1
        for size in (LOOK_BYTES, 8 * LOOK_BYTES, HEAD_BYTES):
            look = self.plain(self.source.read(at, at + size))
            found = self.second_record(look, final=at + size >= self.source.size)
            if found is not None:
                return at + found
        return min(stop, self.source.size)  # the range lies in a record that is too long

    def second_record(self, look: bytes, final: bool) -> int | None:
        newline = look.find(b"\n")
        return newline + 1 if newline >= 0 else None

    def parts(self: Format, start: int, stop: int, first_line: int, workers: int) -> Iterator[Part]:
        if start >= stop:
            return iter(())
        return parts(self, self.source.stream(start, stop), start, stop, first_line, workers)

    def classify(self: Format, block: Block) -> Answered:
        batch = self.batch(block)
        outcome = answer(self.classifier, batch)
        rejected = [_rejection(block, row, reason) for row, reason in outcome.rejected.items()]
        result = self.append(block.only(outcome.answered), outcome.predictions)
        return counted(self.classifier, outcome, rejected, result, len(batch.blank))

    def follow(self, trail: bytes) -> None:
        """Do nothing: text needs no state from the ranges before."""


def _rejection(block: Block, row: int, reason: str) -> bytes:
    return rejection(block.line(row), reason, block.sent(row).decode("utf-8", "backslashreplace"))


def rejection(line: int, reason: str, record: str) -> bytes:
    """Return a line of the file of rejections."""
    found = {"line": line, "reason": reason, "record": record}
    return orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE)


class LongRecord(InvalidFile):
    """Raised for a record that is too long; it begins on `line`."""

    def __init__(self, line: int) -> None:
        super().__init__(f"the record that begins on line {line} is longer than {MAX_RECORD_BYTES} bytes")
        self.line = line


def parts(
    form: Format, pieces: Iterable[bytes], start: int, stop: int, first_line: int, workers: int = 1
) -> Iterator[Part]:
    """Classify the records of a stream; several `workers` classify blocks in parallel."""

    def part(block: Block) -> Part:
        return Part(len(block.ends), block.lines, form.classify(block), block.end)

    blocks = in_blocks(form, pieces, start, stop, first_line)
    return ahead(part, blocks, workers)


def in_blocks(
    form: Format, pieces: Iterable[bytes], start: int, stop: int, first_line: int
) -> Iterator[Block]:
    """Yield blocks of the records that begin in [start, stop); one begins at start."""
    rest, at, line = b"", start, first_line
    for piece, final in _with_last(map(form.plain, pieces)):
        data = rest + piece
        size = at + len(data)
        if final and data and not data.endswith(b"\n"):
            data = form.complete(data)
        ends = form.cut(data, final)
        ends = ends[: int(np.searchsorted(ends, stop - at - 1)) + 1]
        used = int(ends[-1]) + 1 if len(ends) else 0
        _check_lengths(data, ends, len(data) if at + used < stop else used, line)
        line = yield from _of_records(data, ends, line, at, size)
        rest, at = data[used:], at + used
        if at >= stop:
            break


def _of_records(data: bytes, ends: Positions, line: int, at: int, size: int) -> Generator[Block, None, int]:
    """Yield the records that end at `ends` in blocks of BLOCK_RECORDS, and return the line after them.

    `at` is the offset of the data in the file, and `size` the number of the file's bytes that were read.
    """
    begin = 0
    for i in range(0, len(ends), BLOCK_RECORDS):
        own = ends[i : i + BLOCK_RECORDS]
        stop = int(own[-1]) + 1
        block = Block(data[begin:stop], own - begin, line, end=min(at + stop, size))
        yield block
        begin, line = stop, line + block.lines
    return line


def _check_lengths(data: bytes, ends: Positions, seen: int, line: int) -> None:
    """Raise LongRecord for the first record that is too long.

    The data after the whole records begin another one. It is certainly too long if no quoted field within the
    limit can still be open in it.
    """
    long = np.diff(ends, prepend=-1, append=seen - 1 - MAX_RECORD_BYTES) > MAX_RECORD_BYTES
    if long.any():
        begin = 0 if long[0] else int(ends[np.argmax(long) - 1]) + 1
        raise LongRecord(line + data.count(b"\n", 0, begin))


def _with_last(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each piece with a flag: whether it is the last."""
    waiting: bytes | None = None
    for piece in pieces:
        if waiting is not None:
            yield waiting, False
        waiting = piece
    yield waiting or b"", True
