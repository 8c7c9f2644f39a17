"""What a result adds to each record: its label, the label's probability, and every class's.

Numbers are written with the fewest digits that read back as the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from thimble.answers import label_sets
from thimble.classifier import Classifier, Predictions
from thimble.document import Label
from thimble.network import FloatArray

LABEL, LABELS, PROBABILITY = "label", "labels", "probability"


def names(classifier: Classifier) -> tuple[str, ...]:
    """label, probability, p_<class>...; of a multilabel model labels, p_<class>..."""
    classes = tuple(f"p_{text}" for text in classifier.class_texts)
    return (LABELS, *classes) if classifier.multilabel else (LABEL, PROBABILITY, *classes)


def labels(
    classifier: Classifier, predictions: Predictions
) -> tuple[Sequence[Label | list[Label]], NDArray[np.intp]]:
    """The distinct labels (of a multilabel model: sets of labels), and which of them each row got."""
    if not classifier.multilabel:
        return classifier.classes, predictions.label_indices
    masks, which = np.unique(predictions.label_mask, axis=1, return_inverse=True)
    distinct = Predictions(np.empty((len(masks), masks.shape[1])), np.empty(0, np.intp), masks)
    return label_sets(classifier, distinct), which.reshape(-1).astype(np.intp)


def predict(
    classifier: Classifier, X: FloatArray, good: NDArray[np.bool_], reject: Callable[[int, str], None]
) -> Predictions:
    """Of the good columns of X; a row that the model has no answer to is rejected, and good no more."""
    predictions = classifier.predict(X if good.all() else X[:, good])
    if not predictions.rejected:
        return predictions
    rows = np.flatnonzero(good)
    for k, reason in sorted(predictions.rejected.items()):
        reject(int(rows[k]), reason)
        good[rows[k]] = False
    return classifier.predict(X[:, good])  # the others' bits do not depend on their company


def numbers(classifier: Classifier, predictions: Predictions) -> list[pl.Series]:
    """The columns after the label."""
    p = predictions.probabilities  # (n_classes, n)
    columns = list(p)
    if not classifier.multilabel:
        columns.insert(0, p[predictions.label_indices, np.arange(p.shape[1])])
    return [pl.Series(str(k), column) for k, column in enumerate(columns)]


def counts(classifier: Classifier, predictions: Predictions) -> NDArray[np.int64]:
    """How often each class was the label, or one of the labels."""
    found = np.nonzero(predictions.label_mask)[0] if classifier.multilabel else predictions.label_indices
    return np.bincount(found, minlength=len(classifier.classes)).astype(np.int64)
