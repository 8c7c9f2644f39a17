"""The pages that a whole run writes: RESULTS.md, and in other pages what is between its marks."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from infra import marked
from tests.benchmarks import report
from tests.benchmarks.report import Case

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "RESULTS.md"
README = ROOT / "README.md"
MARK = "the table of make bench, in part"
LEGEND = textwrap.wrap(
    "A figure in bold is Thimble's; below it are those that it is beside, in turn in each round; all are "
    "medians. The ratio is Thimble's figure divided by the other's: the median of the rounds' ratios, and in "
    "parentheses their quartiles. Of times and bytes less is better, of rows a second more; the goal is the "
    "ratio's. How each is measured stands in the modules beside this page.",
    report.WIDTH,
)
IN_README = (  # cases whose names begin so
    "cold: process start",
    "warm: one row",
    "one row, list to answer: iris",
    "one row, list to answer: 64-100",
    "penguins: one row, values",
    "penguins: 100,000 rows, DataFrame",
    "10,000 rows of 64, FP64: binary",
    "CSV, 4 columns, 1 core",
    "CSV, 64 columns, 1 core",
    "JSON Lines, 4 columns, 1 core",
    "Parquet, 4 columns, 1 core",
    "1,000 models",
    "memory",
)


def results(cases: Sequence[Case], conditions: Sequence[str]) -> list[str]:
    """RESULTS.md, which is also what is printed."""
    missed = report.explained(cases)
    return [
        "# Results of `make bench`",
        "",
        *conditions,
        "",
        *LEGEND,
        "",
        *report.table(cases),
        *(["", "## What is missed, and why", "", *missed] if missed else []),
    ]


def write(lines: Sequence[str], cases: Sequence[Case]) -> None:
    RESULTS.write_text("\n".join([*lines, ""]))
    chosen = [case for case in cases if case.name.startswith(IN_README)]
    marked.write(README, MARK, report.table(chosen))
