"""The type of numbers throughout: float64, features along the first axis and rows along the last."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def all_finite(X: FloatArray) -> bool:
    """Return whether all numbers are finite. The sum of the squares decides, which is the quickest test; each
    number is checked only if the sum is not finite."""
    return math.isfinite(np.vdot(X, X)) or bool(np.isfinite(X).all())


def any_infinite(X: FloatArray) -> bool:
    """Return whether any number is infinite; NaN is not."""
    return not math.isfinite(np.vdot(X, X)) and bool(np.isinf(X).any())
