"""How well an estimator does on labelled rows, for the document's `training`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from thimble.errors import InvalidInput
from thimble.inference.classifier import Classifier
from thimble_model.frames import Table, as_table, estimator_input
from thimble_model.unsupported import first_line


def measured(estimator: Any, classifier: Classifier, X: Any, y: Any) -> dict[str, Any]:
    """Rows that the estimator has not seen."""
    table = as_table(estimator, X)
    return {"rows": table.shape[0], **scored(estimator, classifier, table, y)}


def scored(estimator: Any, classifier: Classifier, table: Table, y: Any) -> dict[str, Any]:
    """Scores, and how often each class is the true label, which say what the scores are worth."""
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    scores = _scores(estimator, classifier, table, labels)
    counts = {} if labels.ndim > 1 else {"labels": _counts(labels, classifier.heads[0].classes)}
    return {**counts, "scores": scores}


def _counts(labels: NDArray[Any], classes: Sequence[Any]) -> list[int]:
    """In the order of the classes."""
    found = Counter(labels.tolist())
    return [found[label] for label in classes]


def _scores(estimator: Any, classifier: Classifier, table: Table, y: NDArray[Any]) -> dict[str, float]:
    X = estimator_input(estimator, table)
    try:
        scores = {"accuracy": float(estimator.score(X, y))}
        if y.ndim == 1 and classifier.heads[0].has_probabilities and len(estimator.classes_) > 1:
            scores["log_loss"] = float(log_loss(y, estimator.predict_proba(X), labels=estimator.classes_))
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"the labels are none that the estimator can answer: {first_line(error)}; pass those that it was "
            "fitted on"
        ) from None
    return scores
