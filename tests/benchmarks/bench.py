"""`make bench`: Thimble and the usual ways side by side, in turn; one table, medians and ratios.

make bench                                 everything, at full size: about an hour
make bench ARGS="service"                  the HTTPS door alone
make bench ARGS="protocols"                every protocol beside /classify, and bytes beside JSON
make bench ARGS="preprocessing"            the penguins pipeline, a row and 100,000
make bench ARGS="watching"                 what counting for drift costs
make bench ARGS="models"                   a thousand published models beside one
make bench ARGS="files --mb 20"            files alone, of 20 MB: some minutes
make bench ARGS="files --only 'CSV, 4'"    the cases whose names hold this
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

from rich.console import Console

from tests.benchmarks import files, models, preprocessing, protocols, report, service, watching
from tests.benchmarks.report import Bounds, Case

PARTS = ("service", "protocols", "preprocessing", "watching", "models", "files")
WIDTH = 165  # of the table in a file


def main() -> None:
    options = _options()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="thimble-bench-") as folder:
        cases = (case for case in _cases(options, Path(folder)) if options.only in case.name)
        table = report.run(cases, Bounds(options.pairs, options.seconds))
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    console.print(table)
    console.print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Thimble beside the usual ways.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default all")
    parser.add_argument("--mb", type=float, default=200, help="of each generated file (200)")
    parser.add_argument("--pairs", type=int, default=5, help="rounds of a case (5)")
    parser.add_argument(
        "--seconds", type=float, default=60, help="after which a case begins no further round (60)"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose names hold this")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}: {', '.join(PARTS)}")
    return options


def _cases(options: argparse.Namespace, folder: Path) -> Iterator[Case]:
    parts: dict[str, Callable[[], Iterable[Case]]] = {
        "service": lambda: service.cases(folder),
        "protocols": protocols.cases,
        "preprocessing": preprocessing.cases,
        "watching": watching.cases,
        "models": models.cases,
        "files": lambda: files.cases(folder, options.mb),
    }
    return chain.from_iterable(parts[part]() for part in options.parts or PARTS)


if __name__ == "__main__":
    main()
