"""What every file format has in common: blocks of whole records in, answered blocks out.

A record's answer depends on the record alone, and a block's on nothing before or after it, so a file may be
cut into blocks of any size, anywhere between records, and its answers put together in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from thimble.inference.reference import Counts

Positions = NDArray[np.intp]
Flags = NDArray[np.bool_]

MAX_RECORD_BYTES = 1 << 20  # of one record, and of one quoted field; more is no table's row


@dataclass(frozen=True)
class Block:
    """Whole records, each with the newline that ends it."""

    data: bytes
    ends: Positions  # where each record's newline stands, the last one at the end of the data
    first_line: int  # the physical line, from 1, on which the data begin

    @cached_property
    def starts(self) -> Positions:
        starts = np.empty_like(self.ends)
        starts[:1] = 0
        starts[1:] = self.ends[:-1] + 1
        return starts

    @cached_property
    def lines(self) -> int:
        """Physical lines: more than records where quoted fields hold newlines."""
        return int(np.count_nonzero(np.frombuffer(self.data, np.uint8) == ord("\n")))

    def line(self, i: int) -> int:
        """The physical line on which record `i` begins."""
        return self.line_at(self.starts[i])

    def line_at(self, position: int) -> int:
        return self.first_line + int(np.searchsorted(self._newlines, position))

    def record(self, i: int) -> bytes:
        """Record `i` without its line ending."""
        return self.data[self.starts[i] : self.ends[i]].removesuffix(b"\r")

    @cached_property
    def returns(self) -> Flags:
        """Which records end with \\r\\n."""
        if b"\r" not in self.data:
            return np.zeros(len(self.ends), np.bool_)
        before = np.frombuffer(self.data, np.uint8)[self.ends - 1]  # of an empty first line: some other byte
        returns: Flags = (before == ord("\r")) & (self.ends > self.starts)
        return returns

    @property
    def blank(self) -> Flags:
        """Which records are lines with nothing on them."""
        blank: Flags = self.ends - self.starts == self.returns
        return blank

    def only(self, chosen: Flags) -> Block:
        """The chosen records by themselves; their line numbers are lost."""
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
    if data.isascii():  # far quicker to say
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True)
class Rejections:
    """A block's records that got no answer, and why."""

    found: list[tuple[int, bytes]] = field(default_factory=list)

    def add(self, block: Block, i: int, reason: str) -> None:
        text = block.record(i).decode("utf-8", "backslashreplace")
        line = {"line": block.line(i), "reason": reason, "record": text}
        self.found.append((i, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)))

    def __len__(self) -> int:
        return len(self.found)

    def dumps(self) -> bytes:
        """Lines of JSON, in the records' order."""
        return b"".join(line for _, line in sorted(self.found))


@dataclass(frozen=True)
class Answered:
    """What became of a block."""

    result: bytes  # the answered records in the input's format
    rejected: bytes  # the others, as lines of JSON
    predictions: int
    rejections: int
    blank: int  # lines with nothing on them, no records
    classes: NDArray[np.int64]  # how often each class was the label
    observed: Counts  # the answered rows, for drift


@dataclass(frozen=True)
class Part:
    """Some of an input's records, counted where they were read, and what became of them."""

    records: int
    lines: int
    answered: Answered


class Result(Protocol):
    """How answered parts are put together: the opening, the parts with joints between them, the closing."""

    @property
    def name(self) -> str: ...

    @property
    def opening(self) -> bytes: ...

    @property
    def joint(self) -> bytes: ...

    @property
    def left_out(self) -> tuple[tuple[str, str], ...]:
        """The input's columns that the result does not have, each with the reason."""

    @property
    def closing(self) -> bytes:
        """Known only after the last part."""


class Format(Result, Protocol):
    """A file's format, found from its name and first bytes: what the whole-file path and a range share."""

    @property
    def body(self) -> int:
        """Where the records begin, in bytes."""

    @property
    def first_line(self) -> int:
        """The physical line, from 1, on which the records begin."""

    def plain(self, data: bytes) -> bytes:
        """The file's bytes, one for one, with \\n as what ends a line: what the following take."""

    def cut(self, data: bytes, final: bool) -> Positions:
        """Where the newline of each whole record of the data stands; data begin with a record."""

    def complete(self, data: bytes) -> bytes:
        """The file's last record with the newline that it may lack."""

    def classify(self, block: Block) -> Answered:
        """Answer every record or say why not."""
