"""The contributions of columns in linear models and naive Bayes: exactly what they add beyond their means."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray
from thimble.inference.explain.back import Columns, Embedded

Chosen = NDArray[np.intp]  # (rows,) which of the scorer's numbers is explained for each row


def base(columns: Columns, means: FloatArray) -> FloatArray:
    """Return what the columns add on average, (outputs,)."""
    total: FloatArray = (columns.weights * means[columns.at, np.newaxis]).sum(axis=0)
    return total


def contributions(columns: Columns, means: FloatArray, numbers: FloatArray, chosen: Chosen) -> FloatArray:
    """Return what each column adds beyond its mean, (columns, rows)."""
    beyond = numbers[columns.at] - means[columns.at, np.newaxis]
    beyond *= columns.weights.take(chosen, axis=1)
    return beyond


def embedded_base(embedded: Embedded) -> FloatArray:
    """Return what the step adds on average, (outputs,)."""
    total: FloatArray = (embedded.means.sum(axis=0)[:, np.newaxis] * embedded.weights).sum(axis=0)
    return total


def embedded_contributions(embedded: Embedded, numbers: FloatArray, chosen: Chosen) -> FloatArray:
    """Return what each column that the step reads adds beyond its mean, (columns, rows)."""
    step = embedded.step
    weights = embedded.weights.take(chosen, axis=1)
    added = step.added(numbers[step.reads])
    pairs = zip(added, embedded.means, strict=True)
    return np.array([((one - mean).T * weights).sum(axis=0) for one, mean in pairs])
