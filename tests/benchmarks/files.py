"""Files beside the usual ways: the same generated files, a process of its own for every run.

They have `--mb` megabytes and 100,000 rows at least; as Parquet, the rows of five times so much CSV: such a
file is a tenth as large, and a fifth of a second would measure how a process begins.

Figures are rows and megabytes of the file a second, and the peak of the resident memory. On one core the
seconds are the processor's, to which it does not matter what else the machine does; on two they are the
clock's, beside the clock's on one. The floor is Thimble without its model; "polars, in and
out" is the library below it, reading the file and writing it with constant answers. What has no goal runs
in the first round alone. All write the same columns; pandas writes ten decimals of JSON, Thimble all.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.benchmarks import generated
from tests.benchmarks.generated import DIGITS, IRIS, Table
from tests.benchmarks.report import AtLeast, AtMost, Case, Contender, Figure, Goal, progress

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TIMEOUT = 600  # seconds, of one run
READING = "Without the model five sixths or more of the time remain: reading and writing."
ANSWERING = "Without the model half of the time remains: decoding the features and writing the answers."
DECODING = "Without the model four fifths of the time remain: decoding the features and writing the answers."
GOALS: dict[tuple[str, int], dict[str, Goal]] = {  # by format and columns, beside those below on one core
    ("csv", 4): {"polars": AtLeast(0.75, READING), "polars_onnx": AtLeast(1.5, READING)},
    ("csv", 64): {"polars": AtLeast(1.4, READING), "polars_onnx": AtLeast(2, READING)},
    ("jsonl", 4): {"polars_onnx": AtLeast(1.2, READING)},
    ("jsonl", 64): {"polars_onnx": AtLeast(1.2, READING)},
    ("parquet", 4): {"polars": AtLeast(1, ANSWERING), "polars_onnx": AtLeast(2, ANSWERING)},
    ("parquet", 64): {"polars": AtLeast(1.5, DECODING), "polars_onnx": AtLeast(2, DECODING)},
}
BAD = AtMost(1.5)  # two thirds of the clean speed, at least
CORES = AtLeast(
    1.7,
    "Two threads hand the interpreter to each other at every operation of numpy, and wait for polars' one "
    "pool of threads: a file takes two to five times the context switches that it takes on one processor, "
    "and a tenth to two fifths more of the processors' time. Two processes side by side keep their full "
    "speed, but a result in ranges is written twice, and that takes as long.",
)
RANGES = AtLeast(1 / 1.2)  # 1.2 times the processor's time, at most
BESIDE = {  # on one core; in the first round alone where there is no goal
    "polars": "polars, in and out",
    "polars_onnx": "polars, onnxruntime",
    "polars_sklearn": "polars, scikit-learn",
    "sklearn": "pandas, scikit-learn",
    "floor": "Thimble without its model",
    "sklearn_chunks": "pandas, scikit-learn, in chunks",
    "onnx": "pandas, onnxruntime",
    "onnx_chunks": "pandas, onnxruntime, in chunks",
}
WHOLE_ONLY = {"parquet"}  # pandas has no chunks of it
ROUNDS, SECONDS = 3, 180
RANGED, LARGE, SMALL = 10, 50, 5  # times the files' size: 200 MB, 1 GB and 100 MB
TIMES = {"csv": 1, "jsonl": 1, "parquet": 5}
MOST_MEGABYTES = 400
PARQUET_MEGABYTES = 250
STEADY = AtMost(1.18)  # what the large file may take more is the chance of a longer run
OURS = ("thimble", "ranges", "floor")
ENVIRONMENT = {  # as template.yaml has it
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "67108864",
    "OPENBLAS_NUM_THREADS": "1",
    "POLARS_PARQUET_DECODE_TARGET_VALUES_PER_THREAD": "1000000",
}


@dataclass(frozen=True)
class Input:
    """A generated file."""

    table: Table
    format: str
    bad: bool = False
    times: int = 1  # as large as the others

    @property
    def name(self) -> str:
        size, kind = f"-{self.times}" if self.times > 1 else "", "-bad" if self.bad else ""
        return f"{self.table.model}{size}{kind}.{self.format}"


@dataclass(frozen=True)
class Folder:
    """Where models, inputs and outputs lie; what is not there is made."""

    path: Path
    size: int

    def models(self, table: Table) -> Path:
        folder = self.path / table.model
        if not folder.exists():
            folder.mkdir()
            _save_models(table.model, folder)
        return folder

    def file(self, wanted: Input) -> Path:
        path = self.path / wanted.name
        if not path.exists():
            progress.print(f"    generating {path.name}")
            generated.write(path, wanted.table, self.size * wanted.times, wanted.bad)
        return path

    def forget(self, table: Table, format_: str) -> None:
        for path in self.path.glob(f"{table.model}*.{format_}"):
            path.unlink()

    def speed(self, contender: str, cores: int, wanted: Input) -> Figure:
        found = self.run(contender, cores, wanted)
        return self._shown(found, found["processor"] if cores == 1 else found["seconds"], wanted)

    def by_the_clock(self, wanted: Input) -> Figure:
        """Thimble on one core, as two are measured."""
        found = self.run("thimble", 1, wanted)
        return self._shown(found, found["seconds"], wanted)

    def _shown(self, found: dict[str, float], seconds: float, wanted: Input) -> Figure:
        speed, megabytes = found["rows"] / seconds, self.file(wanted).stat().st_size / seconds / 1e6
        shown = f"{speed / 1e3:,.0f}k rows/s, {megabytes:.0f} MB/s, {found['megabytes']:,.0f} MB"
        return Figure(speed, shown)

    def memory(self, wanted: Input) -> Figure:
        peak = self.run("thimble", 2, wanted)["megabytes"]
        return Figure(peak, f"{peak:.0f} MB")

    def run(self, contender: str, cores: int, wanted: Input) -> dict[str, float]:
        models, file = self.models(wanted.table), self.file(wanted)
        out = Path(tempfile.mkdtemp(dir=self.path))
        try:
            arguments = [contender, str(cores), str(models), str(file), str(out)]
            environment = ENVIRONMENT if contender in OURS else {"OPENBLAS_NUM_THREADS": str(cores)}
            done = subprocess.run(
                [sys.executable, str(HERE / "file_job.py"), *arguments],
                env=os.environ
                | environment
                | {
                    "PYTHONPATH": ":".join(
                        str(ROOT / folder) for folder in (".", "functions", "model", "infra")
                    )
                },
                stdout=subprocess.PIPE,
                check=True,
                timeout=TIMEOUT,
            )
        finally:
            shutil.rmtree(out)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])  # the others are the log
        return found


def cases(path: Path, megabytes: float) -> Iterator[Case]:
    folder = Folder(path, int(megabytes * 1e6))
    for format_ in ("csv", "jsonl", "parquet"):
        for table in (IRIS, DIGITS):
            file = Input(table, format_, times=TIMES[format_])
            for cores in range(1, min(2, len(os.sched_getaffinity(0))) + 1):
                yield _case(folder, cores, file)
            if (format_, table) == ("parquet", DIGITS):
                yield _bounded(folder, file)
            folder.forget(table, format_)
    yield _in_ranges(folder)
    folder.forget(IRIS, "csv")
    yield _in_bounds(folder)


def _case(folder: Folder, cores: int, clean: Input) -> Case:
    def contender(
        name: str,
        key: str,
        goal: Goal | None = None,
        file: Input = clean,
        rounds: int | None = None,
    ) -> Contender:
        return Contender(name, partial(folder.speed, key, cores, file), goal, rounds)

    if cores > 1:
        alone = Contender("Thimble on one", partial(folder.by_the_clock, clean), CORES)
        return Case(_name(clean, cores), contender("Thimble", "thimble"), [alone], ROUNDS, SECONDS)
    goals = GOALS[clean.format, len(clean.table.names)]
    rivals = [
        contender("Thimble, 1 % bad rows", "thimble", BAD, replace(clean, bad=True)),
        *(
            contender(name, key, goals.get(key), rounds=None if key in goals else 1)
            for key, name in BESIDE.items()
            if not (clean.format in WHOLE_ONLY and key.endswith("_chunks"))
        ),
    ]
    return Case(_name(clean, cores), contender("Thimble", "thimble"), rivals, ROUNDS, SECONDS)


def _in_ranges(folder: Folder) -> Case:
    """What the state machine's functions do, but for the join of the results, which S3 does."""
    large = Input(IRIS, "csv", times=RANGED)
    ours = Contender("Thimble, in ranges", partial(folder.speed, "ranges", 1, large))
    rival = Contender("one function", partial(folder.speed, "thimble", 1, large), RANGES)
    return Case(f"{_name(large, 1)}, {folder.size * RANGED / 1e6:,.0f} MB in ranges", ours, [rival], ROUNDS)


def _in_bounds(folder: Folder) -> Case:
    large, small = (Input(IRIS, "csv", times=times) for times in (LARGE, SMALL))
    ours = Contender("Thimble", partial(folder.memory, large))
    rivals = [
        Contender("the limit", lambda: Figure(MOST_MEGABYTES, f"{MOST_MEGABYTES} MB"), AtMost(1)),
        Contender("a tenth of the file", partial(folder.memory, small), STEADY),
    ]
    return Case(f"memory, {folder.size * LARGE / 1e6:,.0f} MB of CSV", ours, rivals, pairs=1)


def _bounded(folder: Folder, file: Input) -> Case:
    ours = Contender("Thimble", partial(folder.memory, file))
    limit = Contender("the limit", lambda: Figure(PARQUET_MEGABYTES, f"{PARQUET_MEGABYTES} MB"), AtMost(1))
    return Case(f"memory, {_name(file, 2)}", ours, [limit], pairs=1)


def _name(file: Input, cores: int) -> str:
    kind = {"csv": "CSV", "jsonl": "JSON Lines", "parquet": "Parquet"}[file.format]
    return f"{kind}, {len(file.table.names)} columns, {cores} core{'s' if cores > 1 else ''}"


def _save_models(name: str, folder: Path) -> None:
    """The same classifier as a document, as joblib has it, and as ONNX."""
    import joblib
    import numpy as np
    from skl2onnx import to_onnx

    from thimble_model import examples, export

    X, y, estimator = examples.EXAMPLES[name]()
    (folder / "model.json").write_bytes(export(estimator, X, y, name=name))
    joblib.dump(estimator, folder / "model.joblib")
    options = {"zipmap": False}
    proto = to_onnx(estimator, X[:1].to_numpy(np.float32), options=options)
    (folder / "model.onnx").write_bytes(proto.SerializeToString())
