"""What a result adds to each record: of each output its label, the label's probability and every class's.

A model without probabilities has scores in their place; one of several outputs has each output's name before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from thimble.inference.classifier import Classifier, Output, Predictions
from thimble.inference.heads import Label
from thimble.tables.answers import label_sets, output_columns, output_prefix


@dataclass(frozen=True)
class Labels:
    """The distinct labels, or sets of labels, and which of them each row got."""

    name: str
    output: Output
    distinct: Sequence[Label | list[Label]]
    which: NDArray[np.intp]


@dataclass(frozen=True)
class Numbers:
    """Written with the fewest digits that read back as the same bits."""

    name: str
    values: pl.Series


def columns(classifier: Classifier, predictions: Predictions) -> Iterator[Labels | Numbers]:
    """In the order in which they are written."""
    for output, part in zip(classifier.outputs, (predictions, *predictions.further), strict=True):
        names = iter(output_columns(classifier, output))
        yield Labels(next(names), output, *_labels(output, part))
        for name, values in zip(names, _numbers(output, part), strict=True):
            yield Numbers(name, pl.Series(name, values))


def counts(classifier: Classifier, predictions: Predictions) -> NDArray[np.int64]:
    """How often each class was the label, or one of the labels; the outputs' classes one after the other."""
    parts = zip(classifier.outputs, (predictions, *predictions.further), strict=True)
    return np.concatenate([_counts(output, part) for output, part in parts])


def class_names(classifier: Classifier) -> list[str]:
    """What the counts are of."""
    return [
        output_prefix(classifier, output) + text
        for output in classifier.outputs
        for text in output.class_texts
    ]


def _labels(
    output: Output, predictions: Predictions
) -> tuple[Sequence[Label | list[Label]], NDArray[np.intp]]:
    if not output.multilabel:
        return output.classes, predictions.label_indices
    masks, which = np.unique(predictions.label_mask, axis=1, return_inverse=True)
    distinct = Predictions(np.empty((len(masks), masks.shape[1])), np.empty(0, np.intp), masks)
    return label_sets(output, distinct), which.reshape(-1).astype(np.intp)


def _numbers(output: Output, predictions: Predictions) -> Iterator[NDArray[np.float64]]:
    p = predictions.probabilities  # (n_classes, n)
    if not output.multilabel:
        yield p[predictions.label_indices, np.arange(p.shape[1])]
    yield from p


def _counts(output: Output, predictions: Predictions) -> NDArray[np.int64]:
    found = np.nonzero(predictions.label_mask)[0] if output.multilabel else predictions.label_indices
    return np.bincount(found, minlength=len(output.classes)).astype(np.int64)
