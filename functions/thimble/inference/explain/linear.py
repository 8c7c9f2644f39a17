"""What columns add to a score beyond their means: of linear models and naive Bayes, exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray
from thimble.inference.explain.back import Columns, Embedded

Chosen = NDArray[np.intp]  # (rows,) the number of the scorer that is explained of each row


def base(columns: Columns, means: FloatArray) -> FloatArray:
    """(outputs,) what the columns add in the mean."""
    total: FloatArray = (columns.weights * means[columns.at, np.newaxis]).sum(axis=0)
    return total


def contributions(columns: Columns, means: FloatArray, numbers: FloatArray, chosen: Chosen) -> FloatArray:
    """(columns, rows)"""
    beyond = numbers[columns.at] - means[columns.at, np.newaxis]
    beyond *= columns.weights.take(chosen, axis=1)
    return beyond


def embedded_base(embedded: Embedded) -> FloatArray:
    """(outputs,)"""
    total: FloatArray = (embedded.means.sum(axis=0)[:, np.newaxis] * embedded.weights).sum(axis=0)
    return total


def embedded_contributions(embedded: Embedded, numbers: FloatArray, chosen: Chosen) -> FloatArray:
    """(the columns that the step reads, rows)"""
    step = embedded.step
    weights = embedded.weights.take(chosen, axis=1)
    added = step.added(numbers[step.reads])
    pairs = zip(added, embedded.means, strict=True)
    return np.array([((one - mean).T * weights).sum(axis=0) for one, mean in pairs])
