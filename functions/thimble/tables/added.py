"""What a result adds to each record: of each output its label, the label's probability and every class's.

A model without probabilities has scores in their place; one of several outputs has each output's name before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from thimble.inference.classifier import Classifier
from thimble.inference.head import Head, Label
from thimble.inference.predictions import Predictions, Scores
from thimble.tables.answers import label_sets


@dataclass(frozen=True)
class Labels:
    """The distinct labels, or sets of labels, and which of them each row got."""

    name: str
    head: Head
    distinct: Sequence[Label | list[Label]]
    which: NDArray[np.intp]


@dataclass(frozen=True)
class Numbers:
    """Written with the fewest digits that read back as the same bits."""

    name: str
    values: pl.Series


def columns(classifier: Classifier, predictions: Predictions) -> Iterator[Labels | Numbers]:
    """In the order in which they are written."""
    for head, scores in zip(classifier.heads, predictions.outputs, strict=True):
        names = iter(head.columns)
        yield Labels(next(names), head, *_labels(head, scores))
        for name, values in zip(names, _numbers(head, scores), strict=True):
            yield Numbers(name, pl.Series(name, values))


def counts(classifier: Classifier, predictions: Predictions) -> NDArray[np.int64]:
    """How often each class was the label, or one of the labels; the outputs' classes one after the other."""
    parts = zip(classifier.heads, predictions.outputs, strict=True)
    return np.concatenate([_counts(head, scores) for head, scores in parts])


def class_names(classifier: Classifier) -> list[str]:
    """What the counts are of."""
    return [head.prefix + text for head in classifier.heads for text in head.texts]


def _labels(head: Head, scores: Scores) -> tuple[Sequence[Label | list[Label]], NDArray[np.intp]]:
    if not head.multilabel:
        return head.classes, scores.labels
    masks, which = np.unique(scores.mask, axis=1, return_inverse=True)
    return label_sets(head, scores._replace(mask=masks)), which.reshape(-1).astype(np.intp)


def _numbers(head: Head, scores: Scores) -> Iterator[NDArray[np.float64]]:
    p = scores.probabilities  # (n_classes, n)
    if not head.multilabel:
        yield p[scores.labels, np.arange(p.shape[1])]
    yield from p


def _counts(head: Head, scores: Scores) -> NDArray[np.int64]:
    found = np.nonzero(scores.mask)[0] if head.multilabel else scores.labels
    return np.bincount(found, minlength=len(head.classes)).astype(np.int64)
