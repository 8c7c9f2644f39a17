"""XGBoost's probabilities, bit for bit: single precision, with the exponential of glibc 2.27 and newer.

glibc computes `expf` in double precision, as 2**(k/32) times a polynomial; this module does the same, with
the same coefficients.
"""

from __future__ import annotations

from typing import Any

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
LARGEST = np.float32(88.7)  # XGBoost's bound on the argument of the exponential

Singles = NDArray[np.float32]


def expf(x: NDArray[Any]) -> Singles:
    """Return glibc's `expf` of finite numbers up to 88.7."""
    z = x.astype(np.float64) * PER_LN2
    k = np.rint(z)
    r = z - k
    whole = k.astype(np.int64)
    p = ((C0 * r + C1) * (r * r) + (C2 * r + 1.0)) * np.ldexp(POWERS.take(whole % N), whole // N)
    single: Singles = p.astype(np.float32)
    return single


def logistic(z: FloatArray) -> None:
    """Replace z by 1 / (1 + exp(-z)), in single precision throughout."""
    x = np.minimum(-z.astype(np.float32), LARGEST)
    z[:] = np.float32(1.0) / (expf(x) + np.float32(1.0))


def softmax(z: FloatArray) -> None:
    """Replace z by its softmax over the first axis. All but the sum is in single precision."""
    x = z.astype(np.float32)
    powers = expf(x - np.maximum.reduce(x))
    z[:] = powers / np.add.reduce(powers, dtype=np.float64).astype(np.float32)
