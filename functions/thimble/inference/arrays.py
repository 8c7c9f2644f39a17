"""The type of numbers throughout: float64, features along the first axis and rows along the last."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

MANY = 1_000  # columns, from which on comparing whole rows takes less time than numpy's argmax


def all_finite(X: FloatArray) -> bool:
    """Return whether all numbers are finite. The sum of the squares decides, which is the quickest test; each
    number is checked only if the sum is not finite."""
    return math.isfinite(np.vdot(X, X)) or bool(np.isfinite(X).all())


def any_infinite(X: FloatArray) -> bool:
    """Return whether any number is infinite; NaN is not."""
    return not math.isfinite(np.vdot(X, X)) and bool(np.isinf(X).any())


def first_largest(X: FloatArray) -> NDArray[np.intp]:
    """Return the index of each column's largest number, the first of equal ones: X.argmax(0) for X, (m, n),
    without NaN."""
    if X.shape[1] < MANY:
        found: NDArray[np.intp] = X.argmax(0)
        return found
    smaller = np.maximum.reduce(X) > X
    found = smaller[0].astype(np.intp)
    for so_far, own in pairwise(smaller):  # the index is the number of smaller ones before any largest
        own &= so_far
        found += own
    return found
