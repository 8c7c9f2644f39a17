"""`make bench`: Thimble and the usual ways side by side, in turn; one table, medians and ratios.

make bench                                 everything: a quarter of an hour of a quiet machine
make bench ARGS="--write"                  the same, kept: RESULTS.md, README.md, prices.json
make bench ARGS="service"                  the HTTPS door, cold and warm: some four minutes
make bench ARGS="sizes"                    what is uploaded and unpacked
make bench ARGS="row"                      the model alone, one row
make bench ARGS="protocols"                every protocol beside /classify, and bytes beside JSON
make bench ARGS="preprocessing"            the penguins pipeline, a row and 100,000
make bench ARGS="text"                     texts beside the pipeline that they were exported from
make bench ARGS="watching"                 what counting for drift costs
make bench ARGS="models"                   a thousand published models beside one
make bench ARGS="forests"                  forests beside their trainers
make bench ARGS="explanations"             why a row gets its answer, beside the trainer's contributions
make bench ARGS="files --mb 200"           files alone, of 200 MB: an hour and more
make bench ARGS="files --only 'CSV, 4'"    the cases whose names hold this
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

from threadpoolctl import threadpool_limits

from tests.benchmarks import (
    explanations,
    files,
    forests,
    models,
    pages,
    preprocessing,
    protocols,
    report,
    row,
    service,
    sizes,
    text,
    watching,
)
from tests.benchmarks.machine import Conditions
from tests.benchmarks.report import Bounds, Case, progress

PARTS: dict[str, Callable[[Path, float], Iterable[Case]]] = {
    "service": lambda folder, _: service.cases(folder),
    "sizes": lambda folder, _: sizes.cases(folder),
    "row": lambda *_: row.cases(),
    "protocols": lambda *_: protocols.cases(),
    "preprocessing": lambda *_: preprocessing.cases(),
    "text": lambda *_: text.cases(),
    "watching": lambda *_: watching.cases(),
    "models": lambda *_: models.cases(),
    "forests": forests.cases,
    "explanations": lambda *_: explanations.cases(),
    "files": files.cases,
}


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, which ends all that was started
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    options, conditions = asked(sys.argv[1:]), Conditions()
    cases: list[Case] = []
    whole = False
    try:
        with tempfile.TemporaryDirectory(prefix="thimble-bench-") as folder, threadpool_limits(1):
            chosen = options.parts or PARTS
            parts = {str(part): partial(PARTS[part], Path(folder), options.mb) for part in chosen}
            for case in measured(parts, options.only, Bounds(options.pairs, options.seconds)):
                cases.append(case)
        whole = True
    except KeyboardInterrupt:
        progress.print("interrupted: the table holds the cases before, and nothing is kept")
    lines = pages.results(cases, conditions.lines())
    print("\n".join(lines))
    if options.write and whole:
        pages.write(lines, cases)
    sys.exit(not whole or any(case.failed for case in cases))


def measured(parts: Mapping[str, Callable[[], Iterable[Case]]], only: str, bounds: Bounds) -> Iterator[Case]:
    """Case after case; a part that cannot be set up is one that failed, and the next one follows."""
    start = time.monotonic()
    for part, cases in parts.items():
        try:
            for case in cases():
                if only in case.name:
                    progress.print(f"{timedelta(seconds=int(time.monotonic() - start))}  {part}: {case.name}")
                    case.run(bounds)
                    yield case
        except Exception as error:
            progress.print(f"{part} failed: {report.sentence(error)}")
            yield report.unprepared(part, error)


def asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Thimble beside the usual ways.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default all")
    parser.add_argument("--mb", type=float, default=20, help="of each generated file (20)")
    parser.add_argument("--pairs", type=int, help="rounds of a case (5; of cold starts 15, of files 3)")
    parser.add_argument(
        "--seconds",
        type=float,
        help="after which a case begins no further round (60; of cold starts 600, of files 180)",
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose names hold this")
    parser.add_argument(
        "--write",
        action="store_true",
        help="keep it: in RESULTS.md, README.md and prices.json",
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: {', '.join(PARTS)}")
    if options.write and (options.parts or options.only):
        parser.error("--write keeps a run of everything: leave out the parts and --only")
    return options


if __name__ == "__main__":
    main()
