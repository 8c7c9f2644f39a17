"""What numbers are throughout: float64, features along the first axis and rows along the last."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def all_finite(X: FloatArray) -> bool:
    """By the sum of the squares, which is the quickest; where that is too large, number by number."""
    return math.isfinite(np.vdot(X, X)) or bool(np.isfinite(X).all())


def any_infinite(X: FloatArray) -> bool:
    """Whether a number is infinite; NaN is not."""
    return not math.isfinite(np.vdot(X, X)) and bool(np.isinf(X).any())
