"""A document beside the estimator that it came from: the same answers, or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.frames import Table, estimator_input
from model.support import Unsupported
from thimble.classifier import Classifier, load

TOLERANCE = 1e-12  # of a probability


@dataclass(frozen=True)
class Parity:
    """How far a document and an estimator agree on the same rows."""

    rows: int
    worst: float  # largest difference of a probability
    other_labels: int  # rows with another label, where rounding is no excuse

    @property
    def holds(self) -> bool:
        return self.worst <= TOLERANCE and not self.other_labels

    def __str__(self) -> str:
        labels = f"{self.other_labels} other labels" if self.other_labels else "the same labels"
        return f"{self.rows} rows: {labels}, probabilities within {self.worst:.2g}"


def parity(classifier: Classifier, estimator: Any, table: Table) -> Parity:
    X = estimator_input(estimator, table)
    predictions = classifier.predict(table.to_numpy().T)
    expected = estimator.predict_proba(X)
    if classifier.multilabel:
        wrong = predictions.label_mask.T ^ (estimator.predict(X) > 0)
        differ = (wrong & _apart(expected, 0.5)).any(axis=1)
    else:
        labels = np.asarray(estimator.classes_)[predictions.label_indices]
        ours = expected[np.arange(len(expected)), predictions.label_indices]
        differ = (labels != estimator.predict(X)) & _apart(ours, expected.max(axis=1))
    worst = np.abs(predictions.probabilities.T - expected).max()
    return Parity(rows=len(table), worst=float(worst), other_labels=int(differ.sum()))


def _apart(a: NDArray[np.float64], b: NDArray[np.float64] | float) -> NDArray[np.bool_]:
    """Apart by more than rounding: where two classes tie but for it, either may come first."""
    apart: NDArray[np.bool_] = np.abs(a - b) > TOLERANCE
    return apart


def require_parity(data: bytes, estimator: Any, table: Table) -> None:
    """The document loads, proves its examples, and answers as the estimator does; or it is not handed out."""
    found = parity(load(data), estimator, table)
    if not found.holds:
        raise Unsupported(f"The document would not answer as the estimator does: {found}")
