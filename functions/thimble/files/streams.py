"""One version of one object as a stream of answered blocks.

Nothing here knows what a whole file is: a range of it goes the same way, and gives the same bytes.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import obstore
from numpy.typing import NDArray
from obstore.exceptions import PreconditionError
from obstore.store import ObjectStore

from thimble.errors import InvalidFile, ThimbleError
from thimble.inference.reference import Counts
from thimble.tables.blocks import MAX_RECORD_BYTES, Block, Format, Part, Result

if TYPE_CHECKING:
    from obstore import GetOptions

BLOCK_BYTES = 1 << 20  # and what is made of them: as much as stays in a processor's cache
READ_BLOCKS = 4  # with one request
BEYOND_BYTES = 64 << 10  # read at a time past a range's end, for the rest of its last record
READ_AHEAD = 3  # requests, and the one that is waited for

T = TypeVar("T")


class Overwritten(ThimbleError):
    """The input is no longer what it was when it was opened."""


class Gone(Overwritten):
    """There is no such object, or not any more."""


class Late(ThimbleError):
    """The time that a function has is over."""


class LongRecord(InvalidFile):
    """A record that is none."""

    def __init__(self, line: int) -> None:
        super().__init__(f"the record that begins on line {line} is longer than {MAX_RECORD_BYTES} bytes")
        self.line = line


class Sink(Protocol):
    def write(self, data: bytes, /) -> int: ...


@dataclass(frozen=True)
class Source:
    """One version of one object."""

    store: ObjectStore
    path: str
    size: int
    etag: str | None
    version: str | None
    on_read: Callable[[int], object] = int  # is told how many bytes

    def read(self, start: int, stop: int) -> bytes:
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        options: GetOptions = {"range": (start, stop)}
        if self.etag:
            options["if_match"] = self.etag
        try:
            data = bytes(obstore.get(self.store, self.path, options=options).bytes())
        except (PreconditionError, FileNotFoundError) as error:
            raise Overwritten(f"{self.path} changed while it was read") from error
        self.on_read(len(data))
        return data


def source(store: ObjectStore, path: str) -> Source:
    """The object as it is now; Gone if there is none, InvalidFile for a key past asking."""
    if not addressable(path):
        raise InvalidFile(
            f"{path!r} cannot be read: a part of the key is empty or dots, or it has control characters"
        )
    try:
        meta = obstore.head(store, path)
    except FileNotFoundError as error:
        raise Gone(f"there is no {path}") from error
    return Source(store, path, meta["size"], meta["e_tag"], meta["version"])


def addressable(key: str) -> bool:
    """Whether a key reaches obstore's store unchanged: S3 takes more than its paths do."""
    return not {"", ".", ".."} & set(key.split("/")) and not any(c < " " or c == "\x7f" for c in key)


def chunks(source: Source, start: int, stop: int, size: int) -> Iterator[bytes]:
    """The bytes from start to stop, read ahead; then those that follow, for as long as anyone asks."""
    step = READ_BLOCKS * size
    starts = range(start, min(stop, source.size), step)
    for data in ahead((partial(source.read, at, min(at + step, stop)) for at in starts), READ_AHEAD):
        yield from (data[at : at + size] for at in range(0, len(data), size))
    for at in range(stop, source.size, BEYOND_BYTES):
        yield source.read(at, at + BEYOND_BYTES)


def blocks(form: Format, pieces: Iterable[bytes], start: int, stop: int, first_line: int) -> Iterator[Block]:
    """The records that begin in [start, stop), where one begins at start, a block a piece."""
    rest, at, line = b"", start, first_line
    for piece, final in _with_last(map(form.plain, pieces)):
        data = rest + piece
        if final and data and not data.endswith(b"\n"):
            data = form.complete(data)
        ends = form.cut(data, final)
        ends = ends[: int(np.searchsorted(ends, stop - at - 1)) + 1]
        used = int(ends[-1]) + 1 if len(ends) else 0
        _check_lengths(data, ends, len(data) if at + used < stop else used, line)
        if used:
            block = Block(data[:used], ends, line)
            yield block
            line += block.lines
        rest, at = data[used:], at + used
        if at >= stop:
            break


def _check_lengths(data: bytes, ends: NDArray[np.intp], seen: int, line: int) -> None:
    """LongRecord for the first that is too long. What is seen after the whole records begins another, too
    long for certain when no quoted field within the limit can still be open in it."""
    long = np.diff(ends, prepend=-1, append=seen - 1 - MAX_RECORD_BYTES) > MAX_RECORD_BYTES
    if long.any():
        begin = 0 if long[0] else int(ends[np.argmax(long) - 1]) + 1
        raise LongRecord(line + data.count(b"\n", 0, begin))


def _with_last(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each piece, and whether it is the last."""
    waiting: bytes | None = None
    for piece in pieces:
        if waiting is not None:
            yield waiting, False
        waiting = piece
    yield waiting or b"", True


NONE: Counts = np.zeros(1, np.int64)  # added to any counts, it changes nothing


class Tally:
    """What became of the records so far."""

    def __init__(self, n_classes: int, observed: Counts = NONE) -> None:
        self.records = self.lines = self.predictions = self.rejections = self.blank = 0
        self.classes = np.zeros(n_classes, np.int64)
        self.observed = observed  # for drift

    def add(self, part: Part) -> None:
        answered = part.answered
        self.records += part.records
        self.lines += part.lines
        self.predictions += answered.predictions
        self.rejections += answered.rejections
        self.blank += answered.blank
        self.classes += answered.classes
        self.observed = self.observed + answered.observed

    @property
    def counts(self) -> dict[str, Any]:
        """As JSON, for `include`."""
        return {**vars(self), "classes": self.classes.tolist(), "observed": self.observed.tolist()}

    def include(self, counts: dict[str, Any]) -> None:
        """Add what another counted."""
        self.classes += np.array(counts["classes"])
        self.observed = self.observed + np.array(counts["observed"], np.int64)
        for name in counts.keys() - {"classes", "observed"}:
            setattr(self, name, getattr(self, name) + counts[name])

    @property
    def rows(self) -> int:
        return self.predictions + self.rejections

    def reconcile(self) -> None:
        """Every record that was read became a prediction or a rejection, or was a blank line."""
        if self.records != self.predictions + self.rejections + self.blank:
            raise ThimbleError(
                f"of {self.records} records, {self.predictions} were answered, {self.rejections} rejected "
                f"and {self.blank} blank: one was lost"
            )


def answers(form: Format, blocks: Iterable[Block], workers: int | None = None) -> Iterator[Part]:
    """What became of the records of every block, in order; the blocks are worked on side by side."""
    workers = workers or processors()

    def answer(block: Block) -> Part:
        return Part(len(block.ends), block.lines, form.classify(block))

    return ahead((partial(answer, block) for block in blocks), workers)


def processors() -> int:
    """How many this process may run on; more blocks at once would only push each other out of the cache."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ahead(calls: Iterable[Callable[[], T]], workers: int) -> Iterator[T]:
    """What the calls return, in order, the next of them made by the workers while one is waited for."""
    with ThreadPoolExecutor(workers) as pool:
        at_work: deque[Future[T]] = deque()
        for call in calls:
            at_work.append(pool.submit(call))
            if len(at_work) > workers:
                yield at_work.popleft().result()
        while at_work:
            yield at_work.popleft().result()


def in_time(things: Iterable[T], deadline: float) -> Iterator[T]:
    """One after the other, until time.monotonic() says that the time is over: Late."""
    for thing in things:
        check_time(deadline)
        yield thing


def check_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise Late("the time that a function has is over")


def peeked(pieces: Iterator[bytes], size: int) -> tuple[bytes, bool, Iterator[bytes]]:
    """The first `size` bytes or more, whether they are all, and the pieces as they were."""
    held, length = [], 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        if length >= size:
            break
    else:
        return b"".join(held), True, iter(held)
    return b"".join(held), False, itertools.chain(held, pieces)


def skipped(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The pieces without their first `size` bytes."""
    for piece in pieces:
        if size < len(piece):
            yield piece[size:]
        size = max(size - len(piece), 0)


def pieces(result: Result, parts: Iterable[Part], rejected: Sink, tally: Tally) -> Iterator[bytes]:
    """The result between its opening and its closing; on the way, rejections are written elsewhere."""
    joint = b""
    for part in parts:
        tally.add(part)
        rejected.write(part.answered.rejected)
        if part.answered.result:
            yield joint + part.answered.result
            joint = result.joint
