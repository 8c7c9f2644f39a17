"""Show what `thimble drop` does: progress on stderr if somebody is watching, the outcome on stdout."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from thimble import encodings
from thimble_infra import file_options, printing
from thimble_infra.inputs import left_out

SHOWN_REJECTIONS = 5
LOOKED_AT = 16 << 20  # bytes of a file that are looked at for lines of UTF-8
REJECTIONS = 64 * 1024  # bytes that hold those that are shown
SHOWN_CLASSES = 5


@dataclass
class Outcome:
    name: str
    summary: dict[str, Any]
    rejections: list[dict[str, Any]] = field(default_factory=list)  # the first few
    places: list[str] = field(default_factory=list)  # of the result, then of the rejections if there are any
    fetch: str | None = None  # a command to copy
    advice: list[str] = field(default_factory=list)  # what to do about a refusal
    kept: str = ""  # an earlier run's result, which stays if the file is refused
    source: str = ""  # the file's place, as a person would write it

    @property
    def error(self) -> str | None:
        return self.summary.get("error")


@contextmanager
def uploading(size: int) -> Iterator[Callable[[int], None]]:
    with _bar("Uploading", size, DownloadColumn(), TransferSpeedColumn()) as advance:
        yield advance


@dataclass
class Watch:
    """Progress bars: one for the files, and one for the ranges of each file that is split."""

    bars: Progress
    files: TaskID
    split: dict[str, TaskID] = field(default_factory=dict)

    @property
    def somebody(self) -> bool:
        return not self.bars.disable

    def done(self, name: str) -> None:
        if name in self.split:
            self.bars.remove_task(self.split.pop(name))
        self.bars.advance(self.files)

    def ranges(self, name: str, done: int, total: int) -> None:
        if name not in self.split:
            self.split[name] = self.bars.add_task(f"ranges of {name}", total=total)
        self.bars.update(self.split[name], completed=done, total=total)


@contextmanager
def waiting(files: int) -> Iterator[Watch]:
    with _bars(MofNCompleteColumn(), TimeElapsedColumn()) as bars:
        yield Watch(bars, bars.add_task("Classifying", total=files))


@contextmanager
def reading(size: int) -> Iterator[Callable[[int], None]]:
    with _bar("Classifying", size, DownloadColumn(), TransferSpeedColumn()) as advance:
        yield advance


@contextmanager
def _bar(title: str, total: int, *columns: ProgressColumn) -> Iterator[Callable[[int], None]]:
    with _bars(*columns) as bars:
        task = bars.add_task(title, total=total)
        yield lambda amount: bars.advance(task, amount)


def _bars(*columns: ProgressColumn) -> Progress:
    console = Console(stderr=True)
    text = TextColumn("{task.description:<11}", markup=False)
    return Progress(
        text, BarColumn(), *columns, console=console, transient=True, disable=not console.is_terminal
    )


def show(
    outcomes: Sequence[Outcome],
    skipped: Sequence[str] = (),
    *,
    as_json: bool = False,
    beside: bool = False,
) -> None:
    """Show the outcomes.

    There is a table with a line for each file. Then, for each file, come refusals or rejections and the
    places of the results, and at the end the files that were left out. `beside` a result on standard output,
    all this goes to stderr, with every rejection.
    """
    if as_json:
        printing.as_json({"files": [_as_json(outcome) for outcome in outcomes], "skipped": list(skipped)})
        return
    console = printing.console(stderr=beside)
    classified = [outcome for outcome in outcomes if not outcome.error]
    if classified:
        console.print(_table(classified))
    for number, outcome in enumerate(outcomes):
        if classified or number:
            console.print()
        for line in _details(outcome, sys.maxsize if beside else SHOWN_REJECTIONS):
            console.print(line, markup=False)
    if skipped:
        console.print(f"\n{left_out(skipped)}", markup=False)


def _as_json(outcome: Outcome) -> dict[str, Any]:
    """Return the summary and what else a script needs."""
    places = dict(zip(("result", "rejected"), outcome.places, strict=False))
    kept = {"kept": outcome.kept} if outcome.kept else {}
    return {"file": outcome.source or outcome.name, **outcome.summary, **places, **kept}


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("file")
    for title in ("rows", "predictions", "rejections"):
        table.add_column(title, justify="right")
    table.add_column("classes")
    table.add_column("seconds", justify="right")
    for outcome in outcomes:
        summary = outcome.summary
        counts = [f"{summary[key]:,}" for key in ("rows", "predictions", "rejections")]
        name, classes = (
            Text(outcome.name),
            Text(_classes(summary["classes"], summary.get("abstained", 0))),
        )  # as Text, since rich would read brackets as markup
        table.add_row(name, *counts, classes, f"{summary['seconds']:.2f}")
    return table


def _classes(counts: dict[str, int], abstained: int) -> str:
    most = sorted(counts.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{label} {count:,}" for label, count in most[:SHOWN_CLASSES])
    shown += f", and {len(most) - SHOWN_CLASSES} more" if len(most) > SHOWN_CLASSES else ""
    return shown + (f"; {abstained:,} without a label" if abstained else "")


def _details(outcome: Outcome, shown: int) -> Iterator[str]:
    model = outcome.summary.get("model")  # None if no model was found for it
    by = f", by {_model(model)}" if model else ""
    if outcome.error:
        yield f"{outcome.name} was refused{by}: {file_options.as_typed(outcome.error)}"
        yield from _conversion(outcome, [outcome.error])
        yield from (f"  {line}" for line in outcome.advice)
        if outcome.kept:
            yield f"  kept      {outcome.kept}, of an earlier run"
        return
    yield f"{outcome.name}{by}"
    unit = "row" if outcome.summary["format"] == "parquet" else "line"
    for rejection in outcome.rejections[:shown]:
        yield f"  {unit} {rejection['line']}: {rejection['reason']}"
    if (more := outcome.summary["rejections"] - shown) > 0 and outcome.rejections:
        yield f"  and {more:,} more"
    yield from _conversion(outcome, [rejection["reason"] for rejection in outcome.rejections])
    if options := file_options.in_force(outcome.summary["options"]):
        yield f"  options   {options}"
    for title, place in zip(("result", "rejected"), outcome.places, strict=False):
        yield f"  {title:<9} {place}"
    if outcome.fetch:
        yield f"  fetch     {outcome.fetch}"


def _conversion(outcome: Outcome, reasons: Sequence[str]) -> Iterator[str]:
    """Yield the command that converts the file to UTF-8, if its encoding is the fault."""
    found = Counter(encoding for reason in reasons if (encoding := encodings.said(reason)) is not None)
    if found and outcome.source:
        encoding, _ = max(found.items(), key=lambda item: (item[0] != "", item[1]))
        if _is_mixed(Path(outcome.source)):
            yield "  convert   line by line: some lines are UTF-8, and one command would damage these"
        else:
            yield f"  convert   {encodings.command(encoding, outcome.source)}"


def _is_mixed(source: Path) -> bool:
    """Return whether a file has lines of UTF-8 too, if it is on this machine and not packed."""
    if not source.is_file() or source.name.lower().endswith(tuple(encodings.UNPACKING)):
        return False
    with source.open("rb") as file:
        return encodings.is_mixed(file.read(LOOKED_AT))


def _model(model: dict[str, str]) -> str:
    return f"{model['name'] or 'the model'} ({model['digest'][:12]})"
