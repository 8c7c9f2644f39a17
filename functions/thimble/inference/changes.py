"""The smallest change that gives another label, as people get it, and as columns of a table."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from thimble.inference.asked import Cell, Column, Further
from thimble.inference.batch import Batch
from thimble.inference.document import Document
from thimble.inference.explain import what_if
from thimble.inference.predictions import Predictions


def questions(document: Document) -> Iterator[Further]:
    """Of each output, what would change its label."""
    for k, head in enumerate(document.heads):
        columns = tuple(
            Column(f"{head.prefix}what_if_{name}", numbers=False) for name in ("feature", "value", "label")
        )
        yield Further("what_if", k, columns, partial(_changes, k), _cells, what_if.most_rows(document))


def _changes(k: int, classifier: Any, batch: Batch, predictions: Predictions) -> list[dict[str, Any] | None]:
    """Of each row the change, or None where there is none."""
    document: Document = classifier.document
    output, scores = document.outputs[k], predictions.outputs[k]
    alone = classifier._replace(document=document._replace(outputs=(output,)), straight=None, further=())
    [found] = what_if.of(alone, batch, predictions._replace(outputs=(scores,), further=()))
    return [
        None
        if change is None
        else {
            "feature": document.schema.features[change.feature].name or change.feature,
            "from": _plain(change.value),
            "to": _plain(change.to),
            "label": output.head.classes[change.label],
        }
        for change in found
    ]


def _plain(value: Any) -> Any:
    """A number of Python's own, as JSON takes it."""
    return value.item() if isinstance(value, np.generic) else value


def _cells(value: Any) -> list[Cell]:
    return [str(value["feature"]), value["to"], value["label"]]
