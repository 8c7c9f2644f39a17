"""Forests beside the libraries that trained them, each on one thread: a row, ten thousand, a file, its size.

Trained on random numbers whose classes a few of them decide; how deep the trees get is what counts here.
Of treelite it is the interpreter. lleaves is not here: it calls what today's llvmlite no longer has.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tests.benchmarks.files import CORES, Folder, Input
from tests.benchmarks.generated import Table
from tests.benchmarks.report import AtLeast, AtMost, Case, Contender, Figure, duration
from tests.benchmarks.row import answered, timed
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble_model import export

ROWS, FEATURES = 10_000, 30
NAMES = tuple(f"x{k}" for k in range(FEATURES))
ROUNDS, SECONDS = 3, 30
NUMPY = (
    "Plain numpy: below the levels at the top, some ten passes over all pairs of a tree and a row a level."
)
OBLIVIOUS = (
    "Five million pairs of a tree and a row: of 13 ms, 3 turn the leaves' numbers into indices, and 3.5 "
    "fetch their values."
)
PICKLE = "CatBoost's pickle holds its numbers in binary; a document writes them in decimals."
KINDS = {"csv": "CSV", "parquet": "Parquet"}
FILE = AtLeast(1.5, NUMPY)


class Forest(NamedTuple):
    name: str
    make: Callable[[], Any]
    one_row: float  # of the trainer's time, at most
    many_rows: float
    booster: Callable[[Any, Any], Any] | None = None  # the bare booster's prediction
    save: Callable[[Any, str], Any] | None = None  # the trainer's own file
    treelite: Callable[[Any, Any], Callable[[], Any]] | None = None  # a model and rows to its prediction
    in_files: bool = True
    why: str = NUMPY  # a goal is missed


def _random_forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(100, n_jobs=1, random_state=0)


def _histograms() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=0)


def xgboost() -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(n_estimators=300, max_depth=6, n_jobs=1, random_state=0)


def _lightgbm() -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=300, num_leaves=31, n_jobs=1, verbose=-1, random_state=0)


def _catboost() -> Any:
    from catboost import CatBoostClassifier

    return CatBoostClassifier(
        iterations=500, depth=6, thread_count=1, verbose=0, allow_writing_files=False, random_state=0
    )


def _treelite_of_xgboost(model: Any, matrix: Any) -> Callable[[], Any]:
    import treelite

    read = treelite.frontend.from_xgboost(model.get_booster())
    return partial(treelite.gtil.predict, read, matrix.astype(np.float32), nthread=1)


def _treelite_of_lightgbm(model: Any, matrix: Any) -> Callable[[], Any]:
    import treelite

    return partial(treelite.gtil.predict, treelite.frontend.from_lightgbm(model.booster_), matrix, nthread=1)


FORESTS = (
    Forest("RandomForest 100", _random_forest, 0.1, 1.0),
    Forest("HistGradientBoosting 100 x 31", _histograms, 0.25, 0.9),
    Forest(
        "XGBoost 300 x 6",
        xgboost,
        0.35,
        1.2,
        lambda model, X: model.get_booster().inplace_predict(X),
        lambda model, path: model.save_model(path),
        _treelite_of_xgboost,
    ),
    Forest(
        "LightGBM 300 x 31",
        _lightgbm,
        0.4,
        0.75,
        lambda model, X: model.booster_.predict(X, num_threads=1),
        lambda model, path: model.booster_.save_model(path),
        _treelite_of_lightgbm,
    ),
    Forest(
        "CatBoost 500 x 6",
        _catboost,
        1,
        2,
        None,
        lambda model, path: model.save_model(path, format="json"),
        in_files=False,
        why=OBLIVIOUS,
    ),
)


def data(features: int = FEATURES) -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(0)
    X = np.round(rng.normal(size=(ROWS, features)), 3)
    y = (X[:, 0] * X[:, 1] + np.sin(3 * X[:, 2]) + rng.normal(scale=0.3, size=ROWS) > 0).astype(int)
    return pd.DataFrame(X, columns=[f"x{k}" for k in range(features)]), y


def cold_document() -> bytes:
    """Of XGBoost, on as many features as the event of a cold start brings."""
    X, y = data(4)
    return export(xgboost().fit(X.to_numpy(), y), X.to_numpy())


def cases(path: Path, megabytes: float) -> Iterator[Case]:
    X, y = data()
    for forest in FORESTS:
        estimator = forest.make().fit(X, y)
        document = export(estimator, X, y)
        yield from _of(forest, estimator, load(document), X)
        without = export(estimator, X, y, explain=False)
        yield _sizes(forest, estimator, document, without)
        if forest.in_files:
            yield from _files(forest, estimator, document, Folder(path, int(megabytes * 1e6)))


def _of(forest: Forest, estimator: Any, classifier: Classifier, X: pd.DataFrame) -> Iterator[Case]:
    for n, bound, work in ((1, forest.one_row, timed), (ROWS, forest.many_rows, once)):
        matrix = np.ascontiguousarray(X.to_numpy()[:n])
        batch = Batch.of(classifier.features, matrix.T)
        ours = (
            partial(answered, classifier, matrix.tolist()) if n == 1 else partial(classifier.predict, batch)
        )
        theirs = X[:n] if n > 1 else matrix
        rivals = [
            Contender(
                "the trainer's predict_proba",
                work(partial(estimator.predict_proba, theirs)),
                AtMost(bound, forest.why),
            )
        ]
        if forest.booster:
            rivals.append(Contender("its bare booster", work(partial(forest.booster, estimator, matrix))))
        if forest.treelite and n == 1:
            rivals.append(Contender("treelite", work(forest.treelite(estimator, matrix))))
        if forest.make is _random_forest:
            rivals.append(Contender("onnxruntime, float32", work(_onnx(estimator, matrix))))
        yield Case(
            f"{forest.name}: {n:,} row{'s' * (n > 1)}",
            Contender("Thimble", work(ours)),
            rivals,
            ROUNDS,
            SECONDS,
        )


def once(work: Callable[[], Any]) -> Callable[[], Figure]:
    """A figure of doing it once."""

    def figure() -> Figure:
        start = perf_counter()
        work()
        return duration(perf_counter() - start)

    return figure


def _onnx(estimator: Any, matrix: Any) -> Callable[[], Any]:
    """skl2onnx's: with today's onnx the other families' converters do not work."""
    import onnxruntime
    from skl2onnx import to_onnx

    graph = to_onnx(estimator, matrix[:1].astype(np.float32), options={id(estimator): {"zipmap": False}})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: matrix.astype(np.float32)})


def _sizes(forest: Forest, estimator: Any, document: bytes, without: bytes) -> Case:
    def sized(name: str, size: int, goal: AtMost | None = None) -> Contender:
        return Contender(name, lambda: Figure(size, f"{size / 1e3:,.0f} KB"), goal)

    rivals = [
        sized("the document without counts (--no-explain)", len(without)),
        sized("its pickle", len(pickle.dumps(estimator)), AtMost(1, PICKLE)),
    ]
    if forest.save:
        with tempfile.TemporaryDirectory() as folder:
            own = Path(folder, "model.json" if forest.make is not _lightgbm else "model.txt")
            forest.save(estimator, str(own))
            rivals.append(sized("the trainer's own file", own.stat().st_size, AtMost(1)))
    return Case(f"{forest.name}: the document", sized("Thimble", len(document)), rivals, pairs=1)


def _files(forest: Forest, estimator: Any, document: bytes, folder: Folder) -> Iterator[Case]:
    import joblib

    name = forest.name.replace(" ", "-")
    table = Table(name, NAMES, low=(-3.0,) * FEATURES, high=(3.0,) * FEATURES, decimals=3)
    models = folder.path / name
    models.mkdir(exist_ok=True)
    (models / "model.json").write_bytes(document)
    joblib.dump(estimator, models / "model.joblib")
    for format_ in ("csv", "parquet"):
        file = Input(table, format_)
        called = f"{forest.name}: {KINDS[format_]}, {FEATURES} columns"
        yield Case(
            f"{called}, 1 core",
            Contender("Thimble", partial(folder.speed, "thimble", 1, file)),
            [
                Contender(
                    "pandas, the trainer's predict_proba", partial(folder.speed, "sklearn", 1, file), FILE
                )
            ],
            pairs=1,
        )
        yield Case(
            f"{called}, 2 cores",
            Contender("Thimble", partial(folder.speed, "thimble", 2, file)),
            [Contender("Thimble on one", partial(folder.by_the_clock, file), CORES)],
            pairs=1,
        )
        folder.forget(table, format_)
