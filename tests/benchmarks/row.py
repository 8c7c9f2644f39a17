"""One row, from a Python list to its answer with label and probabilities by name: the model alone, beside
scikit-learn's and onnxruntime's arrays.

Ours is float64 with the same bits in any company, which costs a block of 4 rows; onnxruntime's is float32.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.benchmarks.lambdas import in_microseconds
from tests.benchmarks.report import AtMost, Case, Contender, Figure
from thimble.inference.classifier import Classifier
from thimble.tables import rows
from thimble.tables.answers import answer, answers

NETWORKS = {"iris": (16,), "64-100-10": (100,), "64-256-128-10": (256, 128)}
GOALS = {"iris": 0.7, "64-100-10": 1.0, "64-256-128-10": 1.4}
REPEATS, ROUNDS = 200, 31  # short turns: a neighbour on the machine slows some seconds down to two thirds
CALLS = (
    "Products of float64 for a block of 4 rows take 9 us where the layers are wide: they read twice the "
    "bytes of float32, and numpy's BLAS copies the weights before it multiplies."
)


def cases() -> Iterator[Case]:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name, hidden in NETWORKS.items():
        ours, sklearn, onnx = _contenders(name, hidden)
        yield Case(
            f"one row, list to answer: {name}",
            Contender("Thimble", timed(ours)),
            [
                Contender("scikit-learn's predict_proba", timed(sklearn)),
                Contender("onnxruntime, float32", timed(onnx), AtMost(GOALS[name], CALLS)),
            ],
            pairs=ROUNDS,
        )


def _contenders(name: str, hidden: tuple[int, ...]) -> tuple[Callable[[], Any], ...]:
    import onnxruntime
    from skl2onnx import to_onnx
    from sklearn.datasets import load_digits, load_iris
    from sklearn.neural_network import MLPClassifier

    from thimble.inference.classifier import load
    from thimble_model import export

    X, y = (load_iris if name == "iris" else load_digits)(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few iterations do
        estimator = MLPClassifier(hidden, max_iter=30, random_state=0).fit(X, y)
    classifier, row = load(export(estimator, X, y)), [X[0].tolist()]
    graph = to_onnx(estimator, X[:1].astype(np.float32), options={id(estimator): {"zipmap": False}})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
    feature = session.get_inputs()[0].name
    return (
        lambda: answered(classifier, row),
        lambda: estimator.predict_proba(row),
        lambda: session.run(None, {feature: np.array(row, np.float32)}),
    )


def answered(classifier: Classifier, row: list[Any]) -> list[dict[str, Any]]:
    """The answer to a single row as the service makes it."""
    values = rows.alone(classifier.schema, row)
    alone = None if values is None else classifier.predict_alone(values)
    if alone is None:
        return answers(classifier, classifier.predict(rows.batch(classifier.schema, row)))
    return [answer(classifier.document.outputs[0].head, *alone)]


def timed(work: Callable[[], Any]) -> Callable[[], Figure]:
    def run() -> Figure:
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter_ns()
            work()
            times.append((time.perf_counter_ns() - start) / 1000)
        return in_microseconds(times)

    return run
