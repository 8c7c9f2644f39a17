"""Compare a document's answers with those of its estimator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.multioutput import MultiOutputClassifier

from thimble.errors import InvalidInput
from thimble.inference.classifier import Classifier
from thimble.inference.document import Document
from thimble.inference.head import Head
from thimble.inference.predictions import Scores
from thimble.inference.steps.curves import Interpolate
from thimble_model import catalogue
from thimble_model.forms import absent
from thimble_model.frames import Table, answered_rows, as_batch, column, estimator_input, label
from thimble_model.labels import of_rows
from thimble_model.scores import scores as scores_of
from thimble_model.unsupported import Unsupported, first_line
from thimble_model.wrappers import innermost, plain, reached

SCORE_ROUNDING = 2e-15  # the rounding of a score before it is put on a curve


@dataclass(frozen=True)
class Parity:
    """The agreement of a document and an estimator on the same rows."""

    rows: int
    worst: float  # the largest difference of a probability, or the largest relative difference of a score
    other_labels: int  # rows with another label that rounding does not explain
    rejected: int  # rows that the estimator answers and the document does not
    tolerance: float

    @property
    def holds(self) -> bool:
        return self.worst <= self.tolerance and not self.other_labels and not self.rejected

    def __str__(self) -> str:
        labels = f"{self.other_labels} other labels" if self.other_labels else "the same labels"
        rejected = f", {self.rejected} rejected" if self.rejected else ""
        return f"{self.rows} rows: {labels}, probabilities within {self.worst:.2g}{rejected}"


def tolerance(document: Document, estimator: Any) -> float:
    whole, last = plain(estimator), innermost(estimator)
    parts = [whole, *whole.get_params(deep=True).values()]
    if (loosest := max(catalogue.within(part, part is last) for part in parts)) > catalogue.CLOSE:
        return loosest
    return max(catalogue.CLOSE, SCORE_ROUNDING * _steepest(document))


def _steepest(document: Document) -> float:
    """Return how much the steepest curve of an isotonic calibration magnifies the rounding of its input."""
    slopes = [0.0]
    for step, _ in document.preprocessing.steps if document.preprocessing else ():
        for x, y in step.points if isinstance(step, Interpolate) else ():
            rises = np.diff(y) / np.maximum(np.diff(x), np.finfo(np.float64).tiny)
            slopes.append(float((np.abs(rises) * np.maximum(1.0, np.abs(x[1:]))).max(initial=0.0)))
    return max(slopes)


def parity(classifier: Classifier, estimator: Any, table: Table) -> Parity:
    """Compare the answers row by row, where the estimator's own answer is a finite number."""
    found = classifier.predict(as_batch(classifier.features, table))
    expectations = expected(classifier, estimator, table)
    ours, theirs = answered_rows(found), np.isfinite(all_numbers(expectations)).all(axis=1)
    both = ours & theirs
    allowed = tolerance(classifier.document, estimator)
    differ, worst = np.zeros(len(both), np.bool_), 0.0
    for head, scores, (labels, numbers) in zip(classifier.heads, found.outputs, expectations, strict=True):
        differ |= _other_labels(head, scores, labels, numbers, allowed)
        error = np.abs(scores.probabilities.T - numbers) / np.maximum(1.0, np.abs(numbers))
        worst = max(worst, float(error[both].max(initial=0.0)))
    return Parity(len(both), worst, int((differ & both).sum()), int((theirs & ~ours).sum()), allowed)


def all_numbers(expectations: list[tuple[NDArray[Any], NDArray[np.float64]]]) -> NDArray[np.float64]:
    """Return the probabilities or scores of all outputs side by side."""
    return np.hstack([numbers for _, numbers in expectations])


def expected(
    classifier: Classifier, estimator: Any, table: Table
) -> list[tuple[NDArray[Any], NDArray[np.float64]]]:
    """Return the estimator's labels, and its probability or score for each class, for each output.

    Raises InvalidInput if the estimator refuses the rows.
    """
    rows = estimator_input(estimator, table)
    try:
        return [
            (of_rows(member.predict(X)), _numbers(member, X, head))
            for head, (member, X) in zip(classifier.heads, _members(estimator, rows), strict=True)
        ]
    except (AttributeError, TypeError, ValueError) as error:  # AttributeError: None among texts
        reason = _gap(classifier, table) or f"the estimator refuses the rows: {first_line(error)}"
        raise InvalidInput(reason) from None


def _gap(classifier: Classifier, table: Table) -> str:
    """Return a sentence on the first missing value that must not be missing; "" if there is none."""
    for i, feature in enumerate(classifier.features):
        gone = absent(column(table, i))
        if gone.any() and not feature.missing and feature.type != "unused":
            place = f"column {label(table, i)} is missing in row {int(gone.argmax()) + 1}"
            return f"{place}, and the estimator takes no missing values there"
    return ""


def _members(estimator: Any, X: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the estimator, or that of each of several outputs, with the rows that reach it."""
    if type(innermost(estimator)) is not MultiOutputClassifier:
        yield estimator, X
        return
    estimator, X = reached(estimator, X)
    for member in estimator.estimators_:
        yield member, X


def _numbers(estimator: Any, X: Any, head: Head) -> NDArray[np.float64]:
    """Return a number for each class. If there is one class only, some estimators add a second column."""
    if head.has_probabilities:
        return np.asarray(estimator.predict_proba(X), np.float64)[:, : len(head.classes)]
    return scores_of(estimator, X)


def _other_labels(
    head: Head, found: Scores, labels: NDArray[Any], numbers: NDArray[np.float64], allowed: float
) -> NDArray[np.bool_]:
    """Return a mask of the rows with another label. If two classes tie within rounding, either may win."""
    if head.multilabel:
        apart = np.abs(numbers - (0.5 if head.has_probabilities else 0.0)) > allowed
        return np.asarray(((found.mask.T ^ (labels > 0)) & apart).any(axis=1))
    ours = np.array(head.classes)[found.labels]
    if head.threshold is not None and not head.apart:
        return np.asarray((ours != labels) & ~_is_near(head, numbers, allowed))
    chosen = numbers[np.arange(len(numbers)), found.labels]
    best = numbers.max(axis=1)
    return np.asarray((ours != labels) & (best - chosen > allowed * np.maximum(1.0, np.abs(best))))


def _is_near(head: Head, numbers: NDArray[np.float64], allowed: float) -> NDArray[np.bool_]:
    """Return a mask of the rows whose number is within rounding of the threshold.

    Logits are not shown, so no row counts if they decide.
    """
    if head.decision == "logits":
        return np.zeros(len(numbers), np.bool_)
    score, bar = numbers[:, head.positive], head.threshold or 0.0
    return np.asarray(np.abs(score - bar) <= allowed * max(1.0, abs(bar)))


def require_parity(classifier: Classifier, estimator: Any, table: Table) -> None:
    """Raise Unsupported unless the document answers as the estimator does."""
    found = parity(classifier, estimator, table)
    if not found.holds:
        raise Unsupported(f"The document would not answer as the estimator does: {found}")
