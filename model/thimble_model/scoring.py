"""Measure how well an estimator does on labelled rows, for the document's `training`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from thimble.errors import InvalidInput
from thimble.inference.arrays import FloatArray
from thimble.inference.classifier import Classifier
from thimble.inference.head import Head
from thimble.inference.predictions import Scores
from thimble.inference.reference import MAX_CLASSES, MAX_CURVES, TENTHS
from thimble_model.frames import Table, answered_rows, as_batch, as_table, estimator_input
from thimble_model.labels import of_rows
from thimble_model.unsupported import first_line


def measured(estimator: Any, classifier: Classifier, X: Any, y: Any) -> dict[str, Any]:
    """Return the scores on rows that the estimator has not seen, and how its answers are distributed."""
    table, labels = as_table(estimator, X), of_rows(y)
    found = scored(estimator, classifier, table, labels)
    parts = [found] if len(classifier.heads) == 1 else found["outputs"]
    for part, output in zip(parts, answered(classifier, table, labels), strict=True):
        part |= _judged(*output)
    return {"rows": table.shape[0], **found}


def scored(estimator: Any, classifier: Classifier, table: Table, y: Any) -> dict[str, Any]:
    """Return the scores, and how often each class is the true label: a yardstick for the scores."""
    labels = of_rows(y)
    scores = _scores(estimator, classifier, table, labels)
    pairs = zip(classifier.heads, _columns(classifier, labels), strict=True)
    counts = [{"labels": _counts(head, column)} for head, column in pairs]
    return {**(counts[0] if len(counts) == 1 else {"outputs": counts}), "scores": scores}


def _columns(classifier: Classifier, labels: NDArray[Any]) -> Iterable[NDArray[Any]]:
    """Return the labels of each output. A multilabel output has all the columns, which say what applies."""
    return labels.T if len(classifier.heads) > 1 else [labels]


def _counts(head: Head, labels: NDArray[Any]) -> list[int]:
    """Return how many rows have each label, in the order of the classes."""
    if head.multilabel:
        times: list[int] = (labels > 0).sum(axis=0).tolist()
        return times
    found = Counter(labels.tolist())
    return [found[label] for label in head.classes]


def answered(classifier: Classifier, table: Table, y: Any) -> Iterator[tuple[Head, Scores, NDArray[Any]]]:
    """Return each output with the answers to the rows that get one, and the true labels of these rows."""
    labels = of_rows(y)
    found = classifier.predict(as_batch(classifier.features, table))
    kept = answered_rows(found)
    columns = _columns(classifier, labels[kept])
    return zip(classifier.heads, found.take(kept).outputs, columns, strict=True)


def places(head: Head, labels: NDArray[Any]) -> NDArray[np.intp]:
    """Return the index of each label's class; -1 for a label that the model does not know."""
    known = {label: k for k, label in enumerate(head.classes)}
    return np.array([known.get(label, -1) for label in labels.tolist()], np.intp)


def _judged(head: Head, scores: Scores, labels: NDArray[Any]) -> dict[str, Any]:
    """Return how the answers to some rows are distributed over the true labels."""
    return _curves(head, scores, labels) | ({} if head.multilabel else _spread(head, scores, labels))


def _spread(head: Head, scores: Scores, labels: NDArray[Any]) -> dict[str, Any]:
    """Return the confusion matrix, and the calibration of the winning probability.

    A label that the model does not know counts as wrong, and is in no row of the matrix.
    """
    true, n = places(head, labels), len(head.classes)
    found: dict[str, Any] = {}
    if n <= MAX_CLASSES:
        known = true >= 0
        pairs = true[known] * n + scores.labels[known]
        found["confusion"] = np.bincount(pairs, minlength=n * n).reshape(n, n).tolist()
    if head.has_probabilities:
        found["calibration"] = _calibration(scores.winning, true == scores.labels)
    return found


def _curves(head: Head, scores: Scores, labels: NDArray[Any]) -> dict[str, Any]:
    """Return the calibration of each class's probability; {} without probabilities or with many classes."""
    n = len(head.classes)
    if not head.has_probabilities or n > MAX_CURVES:
        return {}
    applies = labels.T > 0 if head.multilabel else places(head, labels) == np.arange(n)[:, np.newaxis]
    return {"calibration_by_class": list(map(_calibration, scores.probabilities, applies))}


def _calibration(p: FloatArray, right: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the number of rows, their mean probability, and the number right, for each tenth of p.

    p is the probability of an event for each row; `right` says whether the event came true.
    """
    tenths = np.minimum((p * TENTHS).astype(np.intp), TENTHS - 1)
    rows, sums = np.bincount(tenths, minlength=TENTHS), np.bincount(tenths, p, TENTHS)
    return {
        "rows": rows.tolist(),
        "probability": [float(total / n) if n else None for total, n in zip(sums, rows, strict=True)],
        "right": np.bincount(tenths[right], minlength=TENTHS).tolist(),
    }


def _scores(estimator: Any, classifier: Classifier, table: Table, y: NDArray[Any]) -> dict[str, float]:
    X = estimator_input(estimator, table)
    try:
        scores = {"accuracy": float(estimator.score(X, y))}
        if y.ndim == 1 and classifier.heads[0].has_probabilities and len(estimator.classes_) > 1:
            p = estimator.predict_proba(X)
            if np.isfinite(p).all():  # older scikit-learn divides 0 by 0 if no class of one-vs-rest applies
                scores["log_loss"] = float(log_loss(y, p, labels=estimator.classes_))
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"the labels are none that the estimator can answer: {first_line(error)}; pass those that it was "
            "fitted on"
        ) from None
    return scores
