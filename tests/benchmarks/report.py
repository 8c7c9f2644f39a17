"""A case: the same work by Thimble and by rivals, in turn; and one table of all cases."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

# Progress goes to standard error, so that the table alone can be kept.
progress = Console(stderr=True, highlight=False)


@dataclass(frozen=True)
class Figure:
    """One run: how much of its work a second, and what to show of it."""

    speed: float
    shown: str


@dataclass(frozen=True)
class Contender:
    name: str
    run: Callable[[], Figure]
    goal: float | None = None  # how many times as fast as this one Thimble means to be


@dataclass(frozen=True)
class Bounds:
    """A case stops after `pairs` rounds, or after the round in which its seconds are used up."""

    pairs: int | None = None  # of every case; None: its own
    seconds: float | None = None


@dataclass
class Case:
    name: str
    ours: Contender
    rivals: list[Contender]
    pairs: int = 5
    seconds: float = 60
    rounds: list[list[Figure]] = field(default_factory=list)  # ours first

    def run(self, bounds: Bounds) -> None:
        """Ours and every rival in turn, so that a busy minute of the machine hits them all."""
        end = time.monotonic() + (bounds.seconds or self.seconds)
        pairs = bounds.pairs or self.pairs
        while len(self.rounds) < pairs and (not self.rounds or time.monotonic() < end):
            self.rounds.append([contender.run() for contender in (self.ours, *self.rivals)])

    def rows(self) -> Iterable[tuple[str, ...]]:
        ours, *others = zip(*self.rounds, strict=True)
        for rival, theirs in zip(self.rivals, others, strict=True):
            ratio = statistics.median(a.speed / b.speed for a, b in zip(ours, theirs, strict=True))
            goal = ("", "") if rival.goal is None else (f"{rival.goal:.2g}", _met(ratio >= rival.goal))
            first = rival is self.rivals[0]
            yield (
                self.name if first else "",
                _median(ours).shown if first else "",
                rival.name,
                _median(theirs).shown,
                f"{ratio:.2f}",
                *goal,
                str(len(self.rounds)),
            )


def _median(figures: Iterable[Figure]) -> Figure:
    by_speed = sorted(figures, key=lambda figure: figure.speed)
    return by_speed[len(by_speed) // 2]


def _met(met: bool) -> str:
    return "met" if met else "MISSED"


def run(cases: Iterable[Case], bounds: Bounds) -> Table:
    """Medians of the figures, and medians of the rounds' ratios. Ctrl-C ends it with what there is."""
    table = Table("case", "Thimble", "beside", "its figure", "ratio", "goal", "", "rounds")
    try:
        for case in cases:
            progress.print(f"  {case.name}")
            case.run(bounds)
            for row in case.rows():
                table.add_row(*row)
    except KeyboardInterrupt:
        progress.print("interrupted: the table holds the cases before")
    return table
