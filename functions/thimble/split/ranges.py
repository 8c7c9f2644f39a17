"""How an input is divided, and where in it records begin.

A range holds the records that begin in it. Its function does not know where the first of them does: it
guesses. Afterwards every range says where it began and ended, so what one guessed is checked against the end
of the one before, from the beginning of the input on, and a wrong guess is classified again from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import itemgetter
from typing import Protocol, TypeVar

import numpy as np

from thimble.tables.blocks import Block, Format
from thimble.tables.csv import Delimited
from thimble.tables.dialect import Tokens

MOST = 9000  # ranges: an S3 upload has 10,000 parts
LOOK_BYTES = 64 << 10  # for where a record begins; more, if they do not tell
RECORDS = 64  # that are looked at
GUESSES = 8  # rounds of them, before what is left is one range


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


def first_record(form: Format, look: bytes, final: bool) -> int | None:
    """Where in the bytes the first record begins, most likely, if they tell; the first of them is no matter.

    After a newline it does, but for quoted fields. The bytes are read as if they began outside of one, and
    inside: the way that makes the better records is believed.
    """
    if not isinstance(form, Delimited) or not form.dialect.quote or form.dialect.quote not in look:
        newline = look.find(b"\n")
        return newline + 1 if newline >= 0 else None
    ways = [_read(form, opening + look, final) for opening in (b"x", form.dialect.quote)]
    found = [way for way in ways if way is not None]
    return max(found, key=itemgetter(1))[0] if found else None


def _read(form: Delimited, data: bytes, final: bool) -> tuple[int, int] | None:
    """Where the second record begins, less the opening that was put before; how good the next ones look."""
    ends = form.cut(data, final)[: RECORDS + 1]
    if not len(ends):
        return None
    records = data[int(ends[0]) + 1 : int(ends[-1]) + 1]
    block = Block(records, ends[1:] - ends[0] - 1, 0)
    tokens = Tokens(form.dialect, records)
    stray = np.array([form.dialect.quote in record for record in tokens.bare.split(b"\n")[:-1]], np.bool_)
    fits = ((tokens.widths == form.width) & ~stray) | block.blank
    return int(ends[0]), int(fits.sum()) - int((~fits).sum())


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
    last right one ends. What a wrong one says of its end is not believed. After a few rounds the first of
    them takes all that is left.
    """
    right: list[D] = []
    again: list[Range] = []
    at: int | None = bounds[0]
    following = max((found.round for found in done.values()), default=0) + 1
    for part in planned(bounds):
        if at is not None and at >= part.stop:
            continue  # a record that began before fills it
        found = done.get(part.index)
        if found is None or at not in (None, found.start):
            again.append(part if at is None else replace(part, start=at, round=following))
            at = None
            continue
        if not again:
            right.append(found)
            if found.end is None:
                break
        at = found.end
    if again and following > GUESSES:
        again = [replace(again[0], stop=bounds[-1])]
    return right, again
