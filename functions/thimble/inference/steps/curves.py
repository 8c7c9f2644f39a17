"""Steps that put each column through a curve of its own: bins, lines between points, ranks, powers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thimble.errors import InvalidModel
from thimble.inference import cost
from thimble.inference.arrays import FloatArray
from thimble.inference.normal import inverse_normal
from thimble.inference.steps.columns import Step, Table
from thimble.inference.steps.keys import Keys


def _each(
    columns: NDArray[np.intp], curves: Iterable[Callable[[FloatArray], Any]], price: int = cost.CURVE
) -> Step:
    """A curve a column; of NaN no curve makes a number."""
    pairs = list(zip(columns.tolist(), curves, strict=True))

    def fill(table: Table, out: FloatArray) -> None:
        for row, (column, curve) in zip(out, pairs, strict=True):
            row[:] = curve(table.numbers[column])

    return Step(len(pairs), fill, cost.elementwise(len(pairs), len(pairs), price))


def bins(keys: Keys) -> Step:
    """How many edges are at or below x."""
    columns = keys.columns()
    edges = keys.ascending("edges", len(columns))
    return _each(columns, [partial(_bin, e) for e in edges])


def _bin(edges: FloatArray, x: FloatArray) -> FloatArray:
    """numpy sorts NaN beyond every edge."""
    return np.where(np.isnan(x), x, np.searchsorted(edges, x, side="right"))


def interpolate(keys: Keys) -> Step:
    """Straight lines between the points (x, y), constant outside."""
    columns = keys.columns()
    xs, ys = keys.ascending("x", len(columns)), keys.vectors("y", len(columns))
    for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
        if len(x) != len(y):
            raise InvalidModel(f"{keys.path}.y[{i}] has {len(y)} numbers; x has {len(x)}")
    return _each(columns, [partial(_interpolated, x, y) for x, y in zip(xs, ys, strict=True)])


def _interpolated(xs: FloatArray, ys: FloatArray, x: FloatArray) -> FloatArray:
    """numpy makes y of NaN where there is one point only."""
    return np.where(np.isnan(x), x, np.interp(x, xs, ys)) if len(xs) == 1 else np.interp(x, xs, ys)


def quantiles(keys: Keys) -> Step:
    """The rank of x among the quantiles, as a share or as a standard normal variable."""
    columns = keys.columns()
    rank = RANKS[keys.choice("distribution", RANKS)]
    known = keys.ascending("quantiles", len(columns), shortest=2)
    return _each(columns, [partial(rank, q, np.linspace(0, 1, len(q))) for q in known], cost.RANK)


def _mean_rank(q: FloatArray, ranks: FloatArray, x: FloatArray) -> FloatArray:
    """The share of the training data below x; the mean of both directions where quantiles repeat."""
    return np.asarray(0.5 * (np.interp(x, q, ranks) - np.interp(-x, -q[::-1], -ranks[::-1])))


def _uniform_rank(q: FloatArray, ranks: FloatArray, x: FloatArray) -> FloatArray:
    y = _mean_rank(q, ranks, x)
    y[x == q[-1]] = 1.0
    y[x == q[0]] = 0.0
    return y


NEAR = 1e-7  # of an outermost quantile: its rank is 0 or 1
LOWEST, HIGHEST = NEAR - np.spacing(1.0), 1 - (NEAR - np.spacing(1.0))


def _normal_rank(q: FloatArray, ranks: FloatArray, x: FloatArray) -> FloatArray:
    y = _mean_rank(q, ranks, x)
    y[x + NEAR > q[-1]] = 1.0
    y[x - NEAR < q[0]] = 0.0
    return inverse_normal(np.clip(y, LOWEST, HIGHEST))


RANKS = {"uniform": _uniform_rank, "normal": _normal_rank}


def power(keys: Keys) -> Step:
    columns = keys.columns()
    curve = POWERS[keys.choice("method", POWERS)]
    lambdas = keys.vector("lambdas", len(columns))
    return _each(columns, [partial(curve, float(lmbda)) for lmbda in lambdas[:, 0]])


def _yeo_johnson(lmbda: float, x: FloatArray) -> FloatArray:
    log = np.log1p(np.abs(x))
    upper = log if abs(lmbda) < np.spacing(1.0) else np.expm1(lmbda * log) / lmbda
    lower = log if abs(lmbda - 2) <= np.spacing(1.0) else np.expm1((2 - lmbda) * log) / (2 - lmbda)
    return np.where(x >= 0, upper, -lower)


def _box_cox(lmbda: float, x: FloatArray) -> FloatArray:
    log = np.log(np.where(x > 0, x, np.nan))
    return log if abs(lmbda) < 1e-19 else np.expm1(lmbda * log) / lmbda


POWERS = {"yeo-johnson": _yeo_johnson, "box-cox": _box_cox}
