"""Why a row gets its answer: beside the trainer's own contributions, and beside a request without reasons.

Of a forest both sides compute path-dependent TreeSHAP: XGBoost in float32, of a DMatrix that is made first;
Thimble in float64, with the answer, whose class is explained.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from tests.benchmarks import forests
from tests.benchmarks.forests import ROUNDS, ROWS, SECONDS
from tests.benchmarks.report import AtMost, Case, Contender, Figure
from tests.benchmarks.row import timed
from tests.benchmarks.watching import requests
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.explain import contributions
from thimble.inference.explain.contributions import Contributions
from thimble.tables import rows
from thimble_model import examples, export
from thimble_model.frames import json_rows

GOAL = AtMost(1)
TIMES = 400  # a request, in a figure


def cases() -> Iterator[Case]:
    yield from _of_trees()
    yield from _of_requests()


def _of_trees() -> Iterator[Case]:
    X, y = forests.data()
    matrix = np.ascontiguousarray(X.to_numpy())
    estimator = forests.xgboost().fit(matrix, y)
    classifier = load(export(estimator, matrix, y))
    row, batch = matrix[:1].tolist(), Batch.of(classifier.features, matrix.T)
    one = (
        timed(lambda: explained(classifier, rows.batch(classifier.schema, row))),
        timed(lambda: by_xgboost(estimator, np.array(row))),
    )
    many = (
        forests.once(lambda: explained(classifier, batch)),
        forests.once(lambda: by_xgboost(estimator, matrix)),
    )
    for called, (ours, theirs) in {"1 row": one, f"{ROWS:,} rows": many}.items():
        rival = Contender("pred_contribs of a DMatrix", theirs, GOAL)
        yield Case(
            f"XGBoost 300 x 6, contributions: {called}", Contender("Thimble", ours), [rival], ROUNDS, SECONDS
        )


def explained(classifier: Classifier, batch: Batch) -> tuple[Contributions, ...]:
    return contributions.of(classifier.document, batch, classifier.predict(batch))


def by_xgboost(estimator: Any, matrix: Any) -> Any:
    import xgboost

    return estimator.get_booster().predict(xgboost.DMatrix(matrix, nthread=1), pred_contribs=True)


def _of_requests() -> Iterator[Case]:
    X, y, pipeline = examples.penguins()
    classifier = load(export(pipeline, X, y))
    body = json.dumps({"instances": json_rows(classifier.features, X[:1])})

    def asking(**query: str) -> partial[Figure]:
        return partial(requests, classifier, body, TIMES, query)

    for called, query in {
        "explained": {"explain": "true"},
        "and what would change the answer": {"what_if": "true"},
    }.items():
        yield Case(
            f"penguins: one row {called}, event to response",
            Contender("Thimble", asking(**query)),
            [Contender("a plain request", asking())],
        )
