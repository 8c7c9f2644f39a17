"""The ranges of an input, and the check that tells which of them have to be classified again.

A range holds the records that begin in it. Its function guesses where the first of them begins. Each report
says where its range began and ended. From the start of the input on, each guess is compared with the end of
the range before, and a range with a wrong guess is classified again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol, TypeVar

GUESSES = 8  # rounds, after which one range takes all that is left


@dataclass(frozen=True)
class Range:
    """The records that one function classifies: those that begin from `start` up to `stop`.

    In round 0 `start` is the beginning of the range; in later rounds it is the beginning of its first record.
    """

    index: int
    start: int
    stop: int
    round: int = 0


class Done(Protocol):
    """The outcome of a range."""

    @property
    def start(self) -> int:
        """Where the first record begins."""

    @property
    def end(self) -> int | None:
        """Where the first record of the next range begins; None if the file is to be refused."""

    @property
    def round(self) -> int: ...


D = TypeVar("D", bound=Done)


def planned(bounds: Sequence[int]) -> list[Range]:
    return [Range(k, start, stop) for k, (start, stop) in enumerate(pairwise(bounds))]


def checked(bounds: Sequence[int], done: Mapping[int, D]) -> tuple[list[D], list[Range]]:
    """Return the reports that follow one another from the start, and the ranges still to be classified.

    Each round gets at least one more range right: the first range to be done again starts at the end of the
    last right one. The end in a wrong report is not used. After `GUESSES` rounds the first range to be done
    again takes all that is left.
    """
    right: list[D] = []
    again: list[Range] = []
    at: int | None = bounds[0]
    following = max((found.round for found in done.values()), default=0) + 1
    for part in planned(bounds):
        if at is not None and at >= part.stop:
            continue  # a record that began earlier fills the range
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
