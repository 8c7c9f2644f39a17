"""A process that classifies one file: `python file_job.py CONTENDER CORES MODEL_FOLDER FILE OUT`.

Prints JSON: rows, seconds and processor seconds of the job alone, its imports and its model being there
already, and the peak of the resident memory.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

CHUNK = 50_000  # rows, of the rivals that work in chunks
RANGE_BYTES = 64 << 20  # as the functions have it
Job = Callable[[], int]  # returns the rows


def thimble(models: Path, file: Path, out: Path, with_model: bool = True) -> Job:
    """The files function's own pipeline, from a file to a file."""
    from obstore.store import LocalStore

    from tests.benchmarks.floor import Answered
    from thimble.files.pipeline import Pipeline
    from thimble.inference import classifier

    model = classifier.load((models / "model.json").read_bytes())
    if not with_model:
        model = Answered(*model)
    pipeline = Pipeline(lambda key: model, out.as_uri(), buckets=lambda name: LocalStore(file.parent))

    def job() -> int:
        summary = pipeline.classify("bench", file.name)
        assert summary is not None
        rows: int = summary["rows"]
        return rows

    return job


def ranges(models: Path, file: Path, out: Path) -> Job:
    """The file in ranges, one after the other: what the state machine's functions do, all in this process.

    But for the join of the results, which are copied by S3.
    """
    from obstore.store import LocalStore

    from thimble.files import multipart
    from thimble.files.pipeline import Pipeline
    from thimble.inference import classifier
    from thimble.split.ranges import Range
    from thimble.split.tasks import Workflow

    document = (models / "model.json").read_bytes()
    model = classifier.load(document)
    pipeline = Pipeline(lambda key: model, out.as_uri(), buckets=lambda name: LocalStore(file.parent))
    workflow = Workflow(pipeline, lambda key, digest: document, (out / "parts").as_uri(), RANGE_BYTES)
    multipart.join = lambda *pieces: None

    def job() -> int:
        planned = workflow.plan("bench", file.name, math.inf)
        for part in json.loads((out / planned["manifest"]["Key"]).read_bytes()):
            item = Range(part["index"], part["start"], part["stop"])
            workflow.classify(planned["folder"], item, math.inf)
        assert workflow.assemble(planned["folder"], math.inf) == {"outcome": "done"}
        rows: int = json.loads((out / file.name / "summary.json").read_bytes())["rows"]
        return rows

    return job


def floor(models: Path, file: Path, out: Path) -> Job:
    return thimble(models, file, out, with_model=False)


def polars(models: Path, file: Path, out: Path) -> Job:
    """polars alone reads the file, and writes it with constant answers."""
    import polars as pl

    classes = json.loads((models / "model.json").read_bytes())["classes"]
    constant = {"label": str(classes[0]), "probability": 0.998275632103065}
    answers = constant | {f"p_{label}": 0.0017243678848335388 for label in classes}
    kind = file.suffix[1:].replace("jsonl", "ndjson")
    target = out / file.name

    def job() -> int:
        scan, sink = getattr(pl, f"scan_{kind}"), f"sink_{kind}"
        getattr(scan(file).with_columns(**{k: pl.lit(v) for k, v in answers.items()}), sink)(target)
        return _rows(file)

    return job


def sklearn(models: Path, file: Path, out: Path) -> Job:
    return _pandas(_estimator(models), [file], file, out / file.name)


def sklearn_chunks(models: Path, file: Path, out: Path) -> Job:
    return _pandas(_estimator(models), _chunks(file), file, out / file.name)


def onnx(models: Path, file: Path, out: Path) -> Job:
    return _pandas(_session(models), [file], file, out / file.name)


def onnx_chunks(models: Path, file: Path, out: Path) -> Job:
    return _pandas(_session(models), _chunks(file), file, out / file.name)


def polars_sklearn(models: Path, file: Path, out: Path) -> Job:
    return _polars(_estimator(models), file, out / file.name)


def polars_onnx(models: Path, file: Path, out: Path) -> Job:
    return _polars(_session(models), file, out / file.name)


def _polars(answer: Answer, file: Path, target: Path) -> Job:
    """What a careful script does: polars reads and writes, and the model gets a matrix."""
    import polars as pl

    kind = file.suffix[1:].replace("jsonl", "ndjson")

    def job() -> int:
        frame: Any = getattr(pl, f"read_{kind}")(file)
        labels, p, classes = answer(frame)
        answers = {"label": labels, "probability": p.max(axis=1)}
        answers |= {f"p_{label}": p[:, k] for k, label in enumerate(classes)}
        added = frame.with_columns(**{name: pl.Series(values) for name, values in answers.items()})
        getattr(added, f"write_{kind}")(target)
        return len(frame)

    return job


Answer = Callable[[Any], tuple[Any, Any, Any]]  # a frame to its labels, its probabilities, the classes


def _estimator(models: Path) -> Answer:
    import joblib

    model = joblib.load(models / "model.joblib")

    def answer(frame: Any) -> tuple[Any, Any, Any]:
        p = model.predict_proba(frame[list(model.feature_names_in_)])
        return model.classes_[p.argmax(axis=1)], p, model.classes_

    return answer


def _session(models: Path) -> Answer:
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    session = onnxruntime.InferenceSession(models / "model.onnx", options, providers=["CPUExecutionProvider"])
    document = json.loads((models / "model.json").read_bytes())

    def answer(frame: Any) -> tuple[Any, Any, Any]:
        X = frame[document["feature_names_in"]].to_numpy().astype(np.float32)
        labels, p = session.run(None, {session.get_inputs()[0].name: X})
        return labels, p, document["classes"]

    return answer


def _chunks(file: Path) -> Iterator[Any]:
    import pandas as pd

    if file.suffix == ".csv":
        yield from pd.read_csv(file, chunksize=CHUNK)
    else:
        yield from pd.read_json(file, lines=True, chunksize=CHUNK)


def _pandas(answer: Answer, frames: Iterable[Any], file: Path, target: Path) -> Job:
    """The usual script: read, predict, add columns, write."""
    import pandas as pd

    readers: dict[str, Callable[[Path], Any]] = {
        ".csv": pd.read_csv,
        ".jsonl": lambda path: pd.read_json(path, lines=True),
        ".parquet": pd.read_parquet,
    }

    def job() -> int:
        rows = 0
        for part in frames:
            frame = readers[file.suffix](part) if isinstance(part, Path) else part
            labels, p, classes = answer(frame)
            frame["label"], frame["probability"] = labels, p.max(axis=1)
            for k, label in enumerate(classes):
                frame[f"p_{label}"] = p[:, k]
            _append(frame, target, first=rows == 0)
            rows += len(frame)
        return rows

    return job


def _append(frame: Any, target: Path, first: bool) -> None:
    mode = "w" if first else "a"
    if target.suffix == ".csv":
        frame.to_csv(target, index=False, mode=mode, header=first)
    elif target.suffix == ".jsonl":
        frame.to_json(target, orient="records", lines=True, mode=mode)
    else:
        frame.to_parquet(target, index=False)


def _rows(file: Path) -> int:
    import polars as pl

    if file.suffix == ".parquet":
        return int(pl.scan_parquet(file).select(pl.len()).collect().item())
    with open(file, "rb") as data:
        pieces = iter(lambda: data.read(1 << 20), b"")
        return sum(piece.count(b"\n") for piece in pieces) - (file.suffix == ".csv")


def peak_megabytes() -> float:
    """Of this process alone: what getrusage says begins with what the parent had."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


CONTENDERS: dict[str, Callable[[Path, Path, Path], Job]] = {
    "thimble": thimble,
    "ranges": ranges,
    "floor": floor,
    "polars": polars,
    "sklearn": sklearn,
    "sklearn_chunks": sklearn_chunks,
    "onnx": onnx,
    "onnx_chunks": onnx_chunks,
    "polars_sklearn": polars_sklearn,
    "polars_onnx": polars_onnx,
}


def main(contender: str, cores: int, models: Path, file: Path, out: Path) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    job = CONTENDERS[contender](models, file, out)
    start, processor = time.perf_counter(), time.process_time()
    rows = job()
    figures = {
        "rows": rows,
        "seconds": time.perf_counter() - start,
        "processor": time.process_time() - processor,
        "megabytes": peak_megabytes(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *map(Path, sys.argv[3:6]))
