"""The smallest change that gives another label, in the form of an answer: JSON and table columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from thimble.inference.asked import Cell, Column, Further
from thimble.inference.batch import Batch
from thimble.inference.document import Document
from thimble.inference.explain import what_if
from thimble.inference.explain.what_if import Change
from thimble.inference.head import Head
from thimble.inference.predictions import Predictions


def questions(document: Document) -> Iterator[Further]:
    """Yield a `Further` for each output: the smallest change that gives another label."""
    most = what_if.most_rows(document)
    for k, head in enumerate(document.heads):
        columns = tuple(
            Column(f"{head.prefix}what_if_{name}", numbers=False) for name in ("feature", "value", "label")
        )
        yield Further("what_if", k, columns, _changes, _cells, most)


def _changes(classifier: Any, batch: Batch, predictions: Predictions) -> list[list[dict[str, Any] | None]]:
    """Return for each output the change of each row; None if there is none."""
    document: Document = classifier.document
    found = what_if.of(classifier._replace(straight=None, further=()), batch, predictions)
    return [
        [None if change is None else _told(document, head, change) for change in changes]
        for head, changes in zip(document.heads, found, strict=True)
    ]


def _told(document: Document, head: Head, change: Change) -> dict[str, Any]:
    return {
        "feature": document.schema.features[change.feature].name or change.feature,
        "from": _plain(change.value),
        "to": _plain(change.to),
        "label": head.classes[change.label],
    }


def _plain(value: Any) -> Any:
    """Convert a numpy scalar to a Python number, for JSON."""
    return value.item() if isinstance(value, np.generic) else value


def _cells(value: Any) -> list[Cell]:
    return [str(value["feature"]), value["to"], value["label"]]
