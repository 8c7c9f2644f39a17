"""`make bench`: Thimble and the usual ways side by side, in turn; one table, medians and ratios.

make bench                                 everything, at full size: about an hour
make bench ARGS="service"                  the HTTPS door, cold and warm: some four minutes
make bench ARGS="row"                      the model alone, one row
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
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from rich.console import Console

from infra.build import lambda_python
from tests.benchmarks import files, models, preprocessing, protocols, report, row, service, watching
from tests.benchmarks.report import Bounds, Case

PARTS = ("service", "row", "protocols", "preprocessing", "watching", "models", "files")
WIDTH = 180  # of the table in a file
MEASURED = (
    *(
        "numpy",
        "scikit-learn",
        "onnxruntime",
        "boto3",
        "aws-lambda-powertools",
        "obstore",
        "orjson",
        "polars",
    ),
    *("pandas", "pyarrow"),
)


def main() -> None:
    options = _options()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="thimble-bench-") as folder:
        cases = (case for case in _cases(options, Path(folder)) if options.only in case.name)
        table = report.run(cases, Bounds(options.pairs, options.seconds))
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    console.print(table)
    console.print(_conditions())


def _conditions() -> str:
    """The command, the machine, and the versions of what ran on it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    processor = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    pinned = ", ".join(f"{package} {version(package)}" for package in MEASURED)
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    return (
        f"make bench ARGS={' '.join(sys.argv[1:])!r}, {time.strftime('%Y-%m-%d')}\n"
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors {processor}; load {load}\n"
        f"Python {platform.python_version()}, the functions' {lambda_python().parents[1].name}; {pinned}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Thimble beside the usual ways.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default all")
    parser.add_argument("--mb", type=float, default=200, help="of each generated file (200)")
    parser.add_argument("--pairs", type=int, help="rounds of a case (5; of cold starts 15)")
    parser.add_argument(
        "--seconds", type=float, help="after which a case begins no further round (60; of cold starts 600)"
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
        "row": row.cases,
        "protocols": protocols.cases,
        "preprocessing": preprocessing.cases,
        "watching": watching.cases,
        "models": models.cases,
        "files": lambda: files.cases(folder, options.mb),
    }
    return chain.from_iterable(parts[part]() for part in options.parts or PARTS)


if __name__ == "__main__":
    main()
