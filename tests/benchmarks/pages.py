"""The pages that a whole run writes: RESULTS.md, rows of it in README.md, and what costs are made from."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from tests.benchmarks import report
from tests.benchmarks.report import Case, progress
from thimble_infra import page_blocks
from thimble_infra.figures import PRICES_FILE

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "RESULTS.md"
README = ROOT / "README.md"
MARK = "make bench"
LEGEND = textwrap.wrap(
    "A figure in bold is Thimble's; below it are those that it is beside, in turn in each round; all are "
    "medians. The ratio is Thimble's figure divided by the other's: the median of the rounds' ratios, and in "
    "parentheses their quartiles. Of times and bytes less is better, of rows a second more; the goal is the "
    "ratio's. How each is measured stands in the modules beside this page.",
    report.WIDTH,
)
IN_README = {  # a case whose name begins so, beside one of its rivals
    "cold": "numpy, boto3, Powertools; as sam builds",
    "warm": "Powertools' route, the same answer, no log, no metrics",
    "one row, list to answer: iris": "scikit-learn's predict_proba",
    "CSV, 4 columns, 1 core": "pandas, scikit-learn",
}


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
    """What is not among the cases stays as it is where costs are computed from it, and is said."""
    RESULTS.write_text("\n".join([*lines, ""]))
    page_blocks.write(README, MARK, report.table(chosen(cases)))
    PRICES_FILE.write_text(priced(PRICES_FILE.read_text(), cases))
    command = [sys.executable, "-m", "thimble_infra.costs", "--write"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def chosen(cases: Sequence[Case]) -> Iterator[Case]:
    """What the README shows: each case beside one rival."""
    for case, (start, name) in itertools.product(cases, IN_README.items()):
        rivals = [rival for rival in case.rivals if rival.name == name]
        if case.name.startswith(start) and rivals:
            yield replace(case, rivals=rivals)


def priced(text: str, cases: Sequence[Case]) -> str:
    """prices.json with the figures of these cases."""
    found = {case.name: case for case in cases}
    for name, figure in json.loads(text)["measured"].items():
        case = found.get(figure["case"])
        if case is None or {case.ours.name, figure["of"]} & case.failed.keys():
            progress.print(f"{name} of prices.json stays: there is no {figure['case']} of {figure['of']}")
        else:
            amount = f"{case.median(figure['of']).amount:.3g}"
            text = re.sub(rf'("{name}": {{"is": )[^,]+', rf"\g<1>{Decimal(amount):f}", text)
    return text
