"""Compute the document's `means`, the means of the training rows, to which contributions are relative."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from thimble.inference import network
from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier
from thimble.inference.explain import contributions
from thimble.inference.steps.categories import Embed


def document_keys(document: Mapping[str, Any], classifier: Classifier, batch: Batch) -> dict[str, Any]:
    """Return the document's keys with means, computed from rows that the model answers.

    These are `means` for the columns that explain the model, and `preprocessing` with the means of its tables
    added. If neither columns nor tables explain the model, there are no keys.
    """
    columns, tables = contributions.needs(classifier.document)
    if not len(columns) and not tables:
        return {}
    preprocessing = classifier.document.preprocessing
    steps = [preprocessing.steps[i][0] for i in tables] if preprocessing else []
    embeds = [step for step in steps if isinstance(step, Embed)]
    sums = np.zeros(len(columns))
    added = [np.zeros((len(step.columns), step.width)) for step in embeds]
    for numbers in _numbers(classifier, batch):
        sums += numbers[columns].sum(axis=1)
        for step, total in zip(embeds, added, strict=True):
            total += [part.sum(axis=0) for part in step.added(numbers[step.reads])]
    means: list[float | None] = [None] * (preprocessing.width if preprocessing else classifier.n_features)
    for column, mean in zip(columns.tolist(), (sums / batch.rows).tolist(), strict=True):
        means[column] = mean
    found: dict[str, Any] = {"means": means}
    if tables:
        program = dict(document["preprocessing"])
        program["steps"] = [dict(step) for step in program["steps"]]
        for i, total in zip(tables, added, strict=True):
            program["steps"][i]["means"] = (total / batch.rows).tolist()
        found["preprocessing"] = program
    return found


def _numbers(classifier: Classifier, batch: Batch) -> Iterator[FloatArray]:
    """Yield all columns of the program, block of rows by block of rows."""
    preprocessing = classifier.document.preprocessing
    step = network.rows_at_once(classifier.document.cost.numbers)
    for start in range(0, batch.rows, step):
        part = batch.take(slice(start, start + step))
        if preprocessing is None:
            yield part.numbers
        else:
            with np.errstate(all="ignore"):
                yield preprocessing.table(part).numbers[:, : part.rows]
