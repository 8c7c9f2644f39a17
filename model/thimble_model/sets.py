"""Find the thresholds of sets of labels by split conformal prediction, from rows that were not trained on.

A class is in a row's set if its probability (or score) reaches the level's threshold. Of the n rows,
floor((n + 1)(1 - level)) - 1 have a number for their true class below this threshold. The true class of a new
row is then in its set at least as often as the level says. Equal numbers stay together and nothing is random,
so a row always gets the same set. If a model gives few different numbers, its sets hold the true class more
often than they must.
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
ROUNDING = 1e-9  # room for other rounding on another processor, which must not drop a class from a set


class Seen(UserWarning):
    """The rows for calibration are training rows."""


def document_keys(classifier: Classifier, table: Table, y: Any) -> list[dict[str, Any]]:
    """Return each output's key `conformal`; a multilabel output has none."""
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
    """Return the fewest rows for a level."""
    return ceil(1 / _share_outside(level)) - 1


def _share_outside(level: float) -> Fraction:
    """Return 1 - level exactly: in floats, 1 - 0.9 is less than a tenth."""
    return 1 - Fraction(str(level))


def _threshold(own: FloatArray, level: float) -> float:
    """Return the threshold at this level; -inf if there are too few rows for it."""
    below = int((len(own) + 1) * _share_outside(level))
    if not below:
        return -np.inf
    found = float(np.partition(own, below - 1)[below - 1])
    return found - ROUNDING * abs(found) - 2.0**-52


def _or_none(threshold: float) -> float | None:
    return threshold if np.isfinite(threshold) else None


def warn_if_seen(classifier: Classifier, table: Table, y: Any, trained: Table, trained_y: Any) -> None:
    """Warn if all rows for calibration are among the training rows."""
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
