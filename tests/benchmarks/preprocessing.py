"""The penguins pipeline: one row, and 100,000, from the values as Python holds them to the probabilities.

Turning them into columns is timed on our side; scikit-learn gets its DataFrame ready made, except where both
start from records.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tests.benchmarks.report import AtMost, Case, Contender, Figure, duration
from tests.benchmarks.row import answered
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.tables import rows
from thimble_model import examples, export
from thimble_model.frames import json_rows

ROWS = 100_000
REPEATS = 200  # of one row, in one figure


def cases() -> list[Case]:
    X, y, pipeline = examples.penguins()
    classifier = load(export(pipeline, X, y))
    many = X.sample(ROWS, replace=True, random_state=0).reset_index(drop=True)
    one = many.iloc[[0]]
    [values] = json_rows(classifier.features, one)
    records = [dict(zip(X.columns, row, strict=True)) for row in json_rows(classifier.features, many)]
    return [
        Case(
            "penguins: one row, values to answer",
            Contender("Thimble", _repeated(lambda: answered(classifier, [values]))),
            [
                Contender(
                    "pipeline.predict_proba(a DataFrame of one row)",
                    _repeated(lambda: pipeline.predict_proba(one)),
                    AtMost(0.1),
                ),
                Contender("half of 55 us", lambda: duration(27.5e-6), AtMost(1)),
            ],
        ),
        Case(
            f"penguins: {ROWS:,} rows, DataFrame to probabilities",
            Contender(
                "Thimble",
                _of_many(
                    lambda: classifier.predict(Batch.of(classifier.features, _columns(classifier, many)))
                ),
            ),
            [
                Contender(
                    "pipeline.predict_proba(DataFrame)",
                    _of_many(lambda: pipeline.predict_proba(many)),
                    AtMost(1),
                )
            ],
        ),
        Case(
            f"penguins: {ROWS:,} rows, records to probabilities",
            Contender(
                "Thimble", _of_many(lambda: classifier.predict(rows.batch(classifier.schema, records)))
            ),
            [
                Contender(
                    "pipeline.predict_proba(DataFrame(records))",
                    _of_many(lambda: pipeline.predict_proba(pd.DataFrame(records)[X.columns])),
                    AtMost(1),
                )
            ],
        ),
    ]


def _columns(classifier: Classifier, table: pd.DataFrame) -> list[Any]:
    """A DataFrame as `Classifier.predict` takes it."""
    return [
        table[feature.name].to_numpy(np.float64)
        if feature.numeric
        else table[feature.name].astype(object).where(table[feature.name].notna(), None).tolist()
        for feature in classifier.features
    ]


def _repeated(work: Callable[[], object]) -> Callable[[], Figure]:
    def figure() -> Figure:
        start = time.perf_counter()
        for _ in range(REPEATS):
            work()
        seconds = (time.perf_counter() - start) / REPEATS
        return duration(seconds)

    return figure


def _of_many(work: Callable[[], object]) -> Callable[[], Figure]:
    def figure() -> Figure:
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
        return duration(seconds)

    return figure
