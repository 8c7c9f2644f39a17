"""A case: the same work by Thimble and by others, in turn; and all cases as one table in Markdown."""

from __future__ import annotations

import gc
import statistics
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from rich.console import Console

# Progress goes to standard error, so that the table alone can be kept.
progress = Console(stderr=True, highlight=False)
WIDTH = 120
SILENT = 15  # seconds, at most, but for a round
UNKNOWN = "Why is not known."
HEAD = ("case, and beside what", "figure", "ratio", "goal", "")


@dataclass(frozen=True)
class Figure:
    """One run: the amount that is compared (seconds, rows a second, bytes), and how it is shown."""

    amount: float
    shown: str


def duration(seconds: float, note: str = "") -> Figure:
    return Figure(seconds, f"{_span(seconds)} ({note})" if note else _span(seconds))


def _span(seconds: float) -> str:
    unit, size = ("ms", 1e-3) if seconds >= 1e-3 else ("us", 1e-6)
    amount = seconds / size
    return f"{number(amount)} {unit}"


@dataclass(frozen=True)
class Goal:
    """For the ratio of Thimble's figure to another's; `why` it is missed, where it is known to be."""

    bound: float
    why: str = ""

    def met(self, ratio: float) -> bool:
        raise NotImplementedError


class AtMost(Goal):
    def met(self, ratio: float) -> bool:
        return ratio <= self.bound

    def __str__(self) -> str:
        return f"at most {self.bound:.3g}"


class AtLeast(Goal):
    def met(self, ratio: float) -> bool:
        return ratio >= self.bound

    def __str__(self) -> str:
        return f"at least {self.bound:.3g}"


@dataclass(frozen=True)
class Contender:
    name: str
    run: Callable[[], Figure]
    goal: Goal | None = None
    rounds: int | None = None  # the first ones, or all

    def takes_part(self, done: int) -> bool:
        return self.rounds is None or done < self.rounds


@dataclass(frozen=True)
class Bounds:
    """A case stops after `pairs` rounds, or after the round in which its seconds are used up."""

    pairs: int | None = None  # of every case; None: its own
    seconds: float | None = None


@dataclass(frozen=True)
class Outcome:
    """Beside one other: the medians, the median of the rounds' ratios, and its quartiles."""

    name: str
    shown: str
    ratios: tuple[float, ...]
    goal: Goal | None

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def missed(self) -> bool:
        return self.goal is not None and not self.goal.met(self.ratio)

    def cells(self) -> tuple[str, ...]:
        verdict = "" if self.goal is None else "MISSED" if self.missed else "met"
        goal = "" if self.goal is None else str(self.goal)
        return self.name, self.shown, f"{number(self.ratio)}{self._spread()}", goal, verdict

    def _spread(self) -> str:
        if len(set(self.ratios)) < 2:
            return ""
        first, _, third = statistics.quantiles(self.ratios, method="inclusive")
        return f" ({number(first)} to {number(third)})"


@dataclass
class Case:
    """Rounds are figures by contender. Who fails once is left out from then on, and the reason kept."""

    name: str
    ours: Contender
    rivals: list[Contender]
    pairs: int = 5
    seconds: float = 60
    rehearsed: bool = False  # all run once before the rounds, for the disk's sake
    rounds: list[dict[str, Figure]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [self.ours.name, *(rival.name for rival in self.rivals)]
        if len(set(names)) < len(names):
            raise ValueError(f"{self.name}: two contenders have one name")

    def run(self, bounds: Bounds) -> None:
        gc.collect()
        gc.freeze()  # what this case or those before it hold is nobody's garbage
        if self.rehearsed:
            self._round()
            self.rounds.clear()
        said = time.monotonic()
        end = said + (bounds.seconds or self.seconds)
        pairs = bounds.pairs or self.pairs
        while len(self.rounds) < pairs and (not self.rounds or time.monotonic() < end):
            if time.monotonic() > said + SILENT:
                progress.print(f"           round {len(self.rounds) + 1} of {pairs}")
                said = time.monotonic()
            self._round()
            if self.ours.name in self.failed:
                return

    def _round(self) -> None:
        """All in turn, so that a busy minute of the machine hits them all; every other round backwards."""
        figures: dict[str, Figure] = {}
        turn = [one for one in (self.ours, *self.rivals) if one.takes_part(len(self.rounds))]
        for contender in turn if len(self.rounds) % 2 == 0 else reversed(turn):
            if contender.name not in self.failed:
                gc.collect()
                try:
                    figures[contender.name] = contender.run()
                except Exception as error:
                    self.failed[contender.name] = sentence(error)
                    progress.print(f"           {contender.name} failed: {sentence(error)}")
        self.rounds.append(figures)

    def outcomes(self) -> Iterator[Outcome]:
        """Of those that did not fail."""
        for rival in self.rivals:
            if not {self.ours.name, rival.name} & self.failed.keys():
                ratios = tuple(
                    figures[self.ours.name].amount / figures[rival.name].amount
                    for figures in self.rounds
                    if rival.name in figures
                )
                yield Outcome(rival.name, self.median(rival.name).shown, ratios, rival.goal)

    def rows(self) -> Iterator[tuple[str, ...]]:
        """The case with Thimble's figure, and each that it is beside."""
        if self.ours.name in self.failed:
            yield f"**{self.name}**", "", "", "", "FAILED"
            return
        rounds = f"{len(self.rounds)} round{'s' if len(self.rounds) > 1 else ''}"
        yield f"**{self.name}**", f"**{self.median(self.ours.name).shown}**", rounds, "", ""
        outcomes = {outcome.name: outcome for outcome in self.outcomes()}
        for rival in self.rivals:
            if rival.name in outcomes:
                yield outcomes[rival.name].cells()
            else:
                yield rival.name, "", "", "" if rival.goal is None else str(rival.goal), "FAILED"

    def median(self, name: str) -> Figure:
        """The figure of one of them; of an even number of rounds the upper of two."""
        figures = [figures[name] for figures in self.rounds if name in figures]
        return sorted(figures, key=lambda figure: figure.amount)[len(figures) // 2]


def number(ratio: float) -> str:
    """Of three digits."""
    return f"{ratio:,.0f}" if ratio >= 99.95 else f"{ratio:#.3g}"


def sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def unprepared(name: str, error: Exception) -> Case:
    """In the place of cases that could not even be set up."""
    nobody = Contender("Thimble", lambda: Figure(0, ""))
    return Case(name, nobody, [], failed={nobody.name: sentence(error)})


def table(cases: Iterable[Case]) -> list[str]:
    """Lines of Markdown that are in columns without it too."""
    rows = [HEAD, *(row for case in cases for row in case.rows())]
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEAD))]
    head, *lines = [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in rows
    ]
    return [head, f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines]


def explained(cases: Iterable[Case]) -> list[str]:
    """Reasons, each with the goals that are missed for it, and errors, each with what failed of it."""
    named: dict[str, list[str]] = {}
    for case in cases:
        for outcome in case.outcomes():
            if outcome.missed and outcome.goal:
                what = f"{case.name}, beside {outcome.name}: {number(outcome.ratio)}"
                named.setdefault(outcome.goal.why or UNKNOWN, []).append(what)
        for contender, error in case.failed.items():
            named.setdefault(f"Failed: {error}", []).append(f"{case.name}: {contender}")
    return [
        line for why, whats in named.items() for line in (*_item(why), *(f"  - {what}" for what in whats))
    ]


def _item(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
