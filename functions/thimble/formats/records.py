"""What every file format has in common: blocks of whole records in, answered blocks out.

A record's answer depends on the record alone, and a block's on nothing before or after it, so a file may be
cut into blocks of any size, anywhere between records, and its answers put together in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

Positions = NDArray[np.intp]

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

    @property
    def lines(self) -> int:
        """Physical lines: more than records where quoted fields hold newlines."""
        return self.data.count(b"\n")

    def line(self, i: int) -> int:
        """The physical line on which record `i` begins."""
        return self.first_line + int(np.searchsorted(self._newlines, self.starts[i]))

    def record(self, i: int) -> bytes:
        """Record `i` without its line ending."""
        return self.data[self.starts[i] : self.ends[i]].removesuffix(b"\r")

    @cached_property
    def _newlines(self) -> Positions:
        return np.flatnonzero(np.frombuffer(self.data, np.uint8) == ord("\n"))


@dataclass
class Rejections:
    """Records that got no answer, as lines of JSON."""

    lines: list[bytes] = field(default_factory=list)

    def add(self, line: int, reason: str, record: bytes) -> None:
        self.lines.append(rejection(line, reason, record))

    def __len__(self) -> int:
        return len(self.lines)

    def dumps(self) -> bytes:
        return b"".join(self.lines)


def rejection(line: int, reason: str, record: bytes) -> bytes:
    text = record.decode("utf-8", "backslashreplace")
    return orjson.dumps({"line": line, "reason": reason, "record": text}, option=orjson.OPT_APPEND_NEWLINE)


@dataclass(frozen=True)
class Answered:
    """What became of a block."""

    result: bytes  # the answered records in the input's format
    rejected: bytes  # the others, as lines of JSON
    predictions: int
    rejections: int
    classes: NDArray[np.int64]  # how often each class was the label


class Format(Protocol):
    """A file's format, found from its name and its first bytes: what the whole-file path and a range share."""

    @property
    def name(self) -> str: ...

    @property
    def body(self) -> int:
        """Where the records begin, in bytes."""

    @property
    def first_line(self) -> int:
        """The physical line, from 1, on which the records begin."""

    @property
    def opening(self) -> bytes:
        """What a result begins with."""

    @property
    def joint(self) -> bytes:
        """What stands before each answered record but the first of the file."""

    @property
    def closing(self) -> bytes:
        """What a result ends with."""

    def cut(self, data: bytes, final: bool) -> Positions:
        """Where the newline of each whole record of the data stands; data begin with a record."""

    def complete(self, data: bytes) -> bytes:
        """The file's last record with the newline that it may lack."""

    def classify(self, block: Block) -> Answered:
        """Answer every record or say why not."""


def tally(labels: Sequence[int] | Positions, n_classes: int) -> NDArray[np.int64]:
    return np.bincount(labels, minlength=n_classes).astype(np.int64)
