"""How an input is divided, and where in it records begin.

A range holds the records that begin in it. Its function does not know where the first of them does: it
guesses. Afterwards every range says where it began and ended, so what one guessed is checked against the end
of the one before, from the beginning of the input on, and a wrong guess is classified again from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol, TypeVar

import numpy as np

from thimble.formats.delimited import Delimited
from thimble.formats.dialect import Tokens
from thimble.formats.records import Block, Format

MOST = 9000  # ranges: an S3 upload has 10,000 parts
LOOK_BYTES = 64 << 10  # at a time, for where a record begins
CANDIDATES = 24  # newlines that are looked at
RECORDS = 12  # after each of them
GUESSES = 5  # rounds of them, before what is left is one range


def bounds(start: int, stop: int, size: int) -> list[int]:
    """Where ranges of a size begin, and the end of the last."""
    size = max(size, -((start - stop) // MOST))
    return [*(range(start, stop, size) or [start]), max(stop, start)]


def group_bounds(extents: Sequence[int], size: int) -> list[int]:
    """Ranges of whole row groups, by the bytes of each, closed when they have the size."""
    size = max(size, -(-sum(extents) // MOST))
    found, held = [0], 0
    for k, extent in enumerate(extents):
        held += extent
        if held >= size and k + 1 < len(extents):
            found.append(k + 1)
            held = 0
    return [*found, len(extents)]


def first_record(form: Format, look: bytes) -> int | None:
    """Where in the bytes a record begins, most likely; after a newline it does, but not within quotes."""
    newlines = np.flatnonzero(np.frombuffer(look, np.uint8) == ord("\n"))[:CANDIDATES]
    if not len(newlines):
        return None
    starts: list[int] = (newlines + 1).tolist()
    if not isinstance(form, Delimited) or not form.dialect.quote or form.dialect.quote not in look:
        return starts[0]
    return max(starts, key=lambda start: (_fitting(form, look[start:]), -start))


def _fitting(form: Delimited, data: bytes) -> int:
    """How many of the first records have as many cells as they should, or none."""
    ends = form.cut(data, final=False)[:RECORDS]
    if not len(ends):
        return 0
    block = Block(data[: int(ends[-1]) + 1], ends, 0)
    fits = Tokens(form.dialect, block.data).widths == form.width
    return int((fits | block.blank).sum())


@dataclass(frozen=True)
class Range:
    """What one function is to classify: what begins from `start` up to `stop`.

    In round 0 `start` is where the range begins, later it is where its first record does.
    """

    index: int
    start: int
    stop: int
    round: int = 0


class Done(Protocol):
    """What became of a range."""

    @property
    def start(self) -> int:
        """Of its first record."""

    @property
    def end(self) -> int | None:
        """Where the next range's first record begins; none if the file is to be refused."""

    @property
    def round(self) -> int: ...


D = TypeVar("D", bound=Done)


def planned(bounds: Sequence[int]) -> list[Range]:
    return [Range(k, start, stop) for k, (start, stop) in enumerate(pairwise(bounds))]


def checked(bounds: Sequence[int], done: Mapping[int, D]) -> tuple[list[D], list[Range]]:
    """The ranges that follow one another from the beginning on, and those to be classified (again).

    With each round at least one more range is right: of those to be done again the first begins where the
    last right one ends. After a few rounds it takes all that is left.
    """
    right: list[D] = []
    again: list[Range] = []
    at: int | None = bounds[0]
    following = max((found.round for found in done.values()), default=0) + 1
    for planned_range in planned(bounds):
        if at is not None and at >= planned_range.stop:
            continue  # a record that began before fills it
        found = done.get(planned_range.index)
        if found is not None and at in (None, found.start):
            if not again:
                right.append(found)
                if found.end is None:
                    break
        elif at is None:
            again.append(planned_range)
        else:
            again.append(replace(planned_range, start=at, round=following))
        at = None if found is None else found.end
    if again and following > GUESSES:
        again = [replace(again[0], stop=bounds[-1])]
    return right, again
