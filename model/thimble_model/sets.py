"""The thresholds of sets of labels, from rows that the estimator has not seen: split conformal prediction.

At a level, a class is in a set from a threshold on: the number of its true class that only
floor((n + 1)(1 - level)) - 1 of n rows stay below. The true class of a new row then is in its set at least
that often. Equal numbers stay together and nothing is drawn by lot, so a row always gets the same set. Where
a model gives few different numbers, its sets hold the truth more often than they have to.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray
from thimble.inference.classifier import Classifier
from thimble.inference.head import Head
from thimble.inference.predictions import Scores
from thimble_model.frames import Table, as_batch
from thimble_model.scoring import answered, places
from thimble_model.unsupported import Unsupported

LEVELS = (0.9, 0.95, 0.99)
ROUNDING = 1e-9  # of a number on another processor, beside itself: it drops no class from a set


class Seen(UserWarning):
    """The rows for calibration are those of the training."""


def document_keys(classifier: Classifier, table: Table, y: Any) -> list[dict[str, Any]]:
    """`conformal` of each output. One whose labels may all apply has none."""
    return [
        {} if head.multilabel else {"conformal": _conformal(head, scores, column)}
        for head, scores, column in answered(classifier, table, y)
    ]


def _conformal(head: Head, scores: Scores, labels: NDArray[Any]) -> dict[str, Any]:
    true = places(head, labels)
    own = np.where(true < 0, -np.inf, scores.probabilities[true, np.arange(len(true))])
    found = {level: _threshold(own, level) for level in LEVELS}
    levels = [level for level in LEVELS if np.isfinite(found[level])]
    if not levels:
        needed = ", ".join(f"{fewest(level)} for a coverage of {level:g}" for level in LEVELS)
        raise Unsupported(f"calibration has {len(own)} rows that can be used; sets of labels take {needed}")
    each = [own[true == k] for k in range(len(head.classes))]
    return {
        "rows": len(own),
        "levels": levels,
        "thresholds": [found[level] for level in levels],
        "by_class": [[_or_none(_threshold(rows, level)) for rows in each] for level in levels],
    }


def fewest(level: float) -> int:
    """How many rows a level takes."""
    return ceil(1 / _share_outside(level)) - 1


def _share_outside(level: float) -> Fraction:
    """Exact: 1 - 0.9 in floats is less than a tenth."""
    return 1 - Fraction(str(level))


def _threshold(own: FloatArray, level: float) -> float:
    """-inf where there are too few rows for this level."""
    below = int((len(own) + 1) * _share_outside(level))
    if not below:
        return -np.inf
    found = float(np.partition(own, below - 1)[below - 1])
    return found - ROUNDING * abs(found) - 2.0**-52


def _or_none(threshold: float) -> float | None:
    return threshold if np.isfinite(threshold) else None


def warn_if_seen(classifier: Classifier, table: Table, y: Any, trained: Table, trained_y: Any) -> None:
    """Warn where all rows for calibration are among those of the training."""
    theirs = None if trained_y is None else y
    if set(_rows(classifier, table, theirs)) <= set(_rows(classifier, trained, trained_y)):
        warnings.warn(
            "all rows for calibration are among the training rows, of which the model is surer than of new "
            "ones: its sets will hold the truth less often than they say; pass rows that were not trained on",
            Seen,
            stacklevel=4,
        )


def _rows(classifier: Classifier, table: Table, y: Any) -> Iterator[tuple[Any, ...]]:
    batch = as_batch(classifier.features, table)
    numbers = [row.tobytes() for row in np.ascontiguousarray(batch.numbers.T)]
    texts = [batch.texts[k].tolist() for k in sorted(batch.texts)]
    labels = [] if y is None else [map(tuple, np.asarray(y).reshape(len(numbers), -1).tolist())]
    return zip(numbers, *texts, *labels, strict=True)
