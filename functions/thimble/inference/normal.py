"""The quantiles of the standard normal distribution from 1e-11 to 1 - 1e-11, to a double's last digits.

M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", Applied Statistics 37.
"""

from __future__ import annotations

import numpy as np

from thimble.inference.arrays import FloatArray

Coefficients = tuple[float, ...]

# Coefficients of numerator and denominator, highest power first: for the middle, then for both tails.
MIDDLE: tuple[Coefficients, Coefficients] = (
    (
        *(2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457),
        *(13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    ),
    (
        *(5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867),
        *(5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
    ),
)
TAIL: tuple[Coefficients, Coefficients] = (
    (
        *(7.7454501427834140764e-4, 2.27238449892691845833e-2, 2.4178072517745061177e-1),
        *(1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055),
        *(4.6303378461565452959, 1.42343711074968357734),
    ),
    (
        *(1.05075007164441684324e-9, 5.475938084995344946e-4, 1.51986665636164571966e-2),
        *(1.4810397642748007459e-1, 6.8976733498510000455e-1, 1.6763848301838038494),
        *(2.05319162663775882187, 1.0),
    ),
)


def inverse_normal(p: FloatArray) -> FloatArray:
    """Return the x below which a share p of the distribution lies."""
    q = p - 0.5
    middle = q * _ratio(MIDDLE, 0.180625 - q * q)
    tail = _ratio(TAIL, np.sqrt(-np.log(np.where(q <= 0, p, 1.0 - p))) - 1.6)
    return np.where(np.abs(q) <= 0.425, middle, np.copysign(tail, q))


def _ratio(coefficients: tuple[Coefficients, Coefficients], r: FloatArray) -> FloatArray:
    numerator, denominator = (_polynomial(part, r) for part in coefficients)
    return numerator / denominator


def _polynomial(coefficients: Coefficients, r: FloatArray) -> FloatArray:
    value = np.full_like(r, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * r + coefficient
    return value
