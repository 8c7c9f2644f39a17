"""XGBoost's probabilities, bit for bit: single precision, with the exponential of glibc 2.27 and newer.

glibc computes `expf` in double precision, as 2**(k/32) times a polynomial; this module does the same, with
the same coefficients. One row is computed in Python's own floats, which are in double precision too: if a
sum, difference or quotient of two single-precision numbers is rounded twice, the result is the same as if it
is rounded once.
"""

from __future__ import annotations

from functools import reduce
from math import isfinite, ldexp, nan
from operator import add
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray

N = 32
POWERS = 2.0 ** (np.arange(N) / N)
PER_LN2 = float.fromhex("0x1.71547652b82fep+0") * N  # N / ln 2
C0, C1, C2 = (
    float.fromhex(text) / N**power
    for text, power in (("0x1.c6af84b912394p-5", 3), ("0x1.ebfce50fac4f3p-3", 2), ("0x1.62e42ff0c52d6p-1", 1))
)
LARGEST = float(np.float32(88.7))  # XGBoost's bound on the argument of the exponential

Singles = NDArray[np.float32]
Number = TypeVar("Number", float, NDArray[Any])


def expf(x: NDArray[Any]) -> Singles:
    """Return glibc's `expf` of finite numbers up to 88.7."""
    z = x.astype(np.float64) * PER_LN2
    k = np.rint(z)
    r = z - k
    whole = k.astype(np.int64)
    single: Singles = _power(r, np.ldexp(POWERS.take(whole % N), whole // N)).astype(np.float32)
    return single


def _power(r: Number, scale: Number) -> Number:
    """Return 2**(r/32) times the scale; |r| is at most a half."""
    power: Number = ((C0 * r + C1) * (r * r) + (C2 * r + 1.0)) * scale
    return power


def logistic(z: FloatArray) -> None:
    """Replace z by 1 / (1 + exp(-z)), in single precision throughout."""
    x = np.minimum(-z.astype(np.float32), LARGEST)
    z[:] = np.float32(1.0) / (expf(x) + np.float32(1.0))


def softmax(z: FloatArray) -> None:
    """Replace z by its softmax over the first axis. All but the sum is in single precision."""
    x = z.astype(np.float32)
    powers = expf(x - np.maximum.reduce(x))
    z[:] = powers / np.add.reduce(powers, dtype=np.float64).astype(np.float32)


def rounded(x: float) -> float:
    """Return x rounded to single precision."""
    return float(np.float32(x))


def expf_alone(x: float) -> float:
    """Return `expf` of one number; NaN if it is not finite."""
    if not isfinite(x):
        return nan
    z = x * PER_LN2
    k = round(z)
    return rounded(_power(z - k, ldexp(POWERS[k % N], k // N)))


def logistic_alone(scores: list[float]) -> list[float]:
    """Return the result of `logistic` for the scores of one row."""
    return [rounded(1.0 / rounded(expf_alone(min(-rounded(z), LARGEST)) + 1.0)) for z in scores]


def softmax_alone(scores: list[float]) -> list[float]:
    """Return the result of `softmax` for the scores of one row."""
    x = [rounded(z) for z in scores]
    most = max(x)
    powers = [expf_alone(rounded(z - most)) for z in x]
    total = rounded(reduce(add, powers))
    return [rounded(power / total) for power in powers]
