"""Steps with one curve for each column: bins, interpolation, ranks and powers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thimble.errors import InvalidModel
from thimble.inference import cost
from thimble.inference.arrays import FloatArray
from thimble.inference.fields import cast
from thimble.inference.normal import inverse_normal
from thimble.inference.single import Singles
from thimble.inference.steps.columns import Step, StepFields, Table


class Curves(Step):
    """A step with one curve for each column. Every curve leaves NaN as it is."""

    def _draw(
        self, columns: NDArray[np.intp], curves: Iterable[Callable[[FloatArray], NDArray[Any]]], price: int
    ) -> None:
        self.curves = list(zip(columns.tolist(), curves, strict=True))
        n = len(self.curves)
        self._declare([columns], n, cost.elementwise(n, n, price))

    def fill(self, table: Table, out: FloatArray) -> None:
        for row, (column, curve) in zip(out, self.curves, strict=True):
            row[:] = curve(table.numbers[column])


class Bins(Curves):
    """Count the edges at or below x."""

    KEYS = ("columns", "edges")

    def __init__(self, fields: StepFields) -> None:
        columns = fields.columns()
        self.edges = fields.ascending("edges", len(columns))
        self._draw(columns, [partial(_bin, edges) for edges in self.edges], cost.CURVE)


def _bin(edges: FloatArray, x: FloatArray) -> FloatArray:
    """Count the edges at or below x. NaN stays NaN: numpy would sort it beyond every edge."""
    return np.where(np.isnan(x), x, np.searchsorted(edges, x, side="right"))


class Interpolate(Curves):
    """Interpolate linearly between the points (x, y); the curve is constant outside them."""

    KEYS = ("columns", "x", "y", "input_type")

    def __init__(self, fields: StepFields) -> None:
        columns = fields.columns()
        xs, ys = fields.ascending("x", len(columns)), fields.vectors("y", len(columns))
        for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
            if len(x) != len(y):
                raise InvalidModel(f"{fields.at('y')}[{i}] has {len(y)} numbers; x has {len(x)}")
        dtype = fields.dtype("input_type")
        self.points = tuple(
            (cast(x, dtype, f"{fields.at('x')}[{i}]"), cast(y, dtype, f"{fields.at('y')}[{i}]"))
            for i, (x, y) in enumerate(zip(xs, ys, strict=True))
        )
        line = _single_line if dtype is np.float32 else _line
        self._draw(columns, [partial(line, x, y) for x, y in self.points], cost.CURVE)


def _line(xs: FloatArray, ys: FloatArray, x: FloatArray) -> FloatArray:
    """Interpolate at x. NaN stays NaN: with only one point, numpy would turn it into y."""
    return np.where(np.isnan(x), x, np.interp(x, xs, ys)) if len(xs) == 1 else np.interp(x, xs, ys)


def _single_line(xs: Singles, ys: Singles, x: FloatArray) -> Singles:
    """Interpolate in single precision throughout, as scipy's interp1d does: from the last point below x."""
    near = np.clip(x.astype(np.float32), xs[0], xs[-1])
    left = np.searchsorted(xs[1:-1], near)
    right = np.minimum(left + 1, len(xs) - 1)
    run = np.where(xs[left] < xs[right], xs[right] - xs[left], np.float32(1.0))
    return (ys[right] - ys[left]) / run * (near - xs[left]) + ys[left]


class Quantiles(Curves):
    """Rank x among the quantiles, as a fraction or as a standard normal variable."""

    KEYS = ("columns", "quantiles", "distribution")

    def __init__(self, fields: StepFields) -> None:
        columns = fields.columns()
        self.distribution = fields.choice("distribution", RANKS)
        self.quantiles = fields.ascending("quantiles", len(columns), shortest=2)
        rank = RANKS[self.distribution]
        self._draw(columns, [partial(rank, q, np.linspace(0, 1, len(q))) for q in self.quantiles], cost.RANK)


def _mean_rank(q: FloatArray, ranks: FloatArray, x: FloatArray) -> FloatArray:
    """Return the fraction of the training data below x. If quantiles repeat, take the mean of both
    directions."""
    return np.asarray(0.5 * (np.interp(x, q, ranks) - np.interp(-x, -q[::-1], -ranks[::-1])))


def _uniform_rank(q: FloatArray, ranks: FloatArray, x: FloatArray) -> FloatArray:
    y = _mean_rank(q, ranks, x)
    y[x == q[-1]] = 1.0
    y[x == q[0]] = 0.0
    return y


NEAR = 1e-7  # so near an outermost quantile, the rank is 0 or 1
LOWEST, HIGHEST = NEAR - np.spacing(1.0), 1 - (NEAR - np.spacing(1.0))


def _normal_rank(q: FloatArray, ranks: FloatArray, x: FloatArray) -> FloatArray:
    y = _mean_rank(q, ranks, x)
    y[x + NEAR > q[-1]] = 1.0
    y[x - NEAR < q[0]] = 0.0
    return inverse_normal(np.clip(y, LOWEST, HIGHEST))


RANKS = {"uniform": _uniform_rank, "normal": _normal_rank}


class Power(Curves):
    """The power transform that makes a column more like a normal distribution."""

    KEYS = ("columns", "method", "lambdas")

    def __init__(self, fields: StepFields) -> None:
        columns = fields.columns()
        self.method = fields.choice("method", POWERS)
        self.lambdas = fields.vector("lambdas", len(columns)).tolist()
        self._draw(columns, [partial(POWERS[self.method], lmbda) for lmbda in self.lambdas], cost.CURVE)


def _yeo_johnson(lmbda: float, x: FloatArray) -> FloatArray:
    log = np.log1p(np.abs(x))
    upper = log if abs(lmbda) < np.spacing(1.0) else np.expm1(lmbda * log) / lmbda
    lower = log if abs(lmbda - 2) <= np.spacing(1.0) else np.expm1((2 - lmbda) * log) / (2 - lmbda)
    return np.where(x >= 0, upper, -lower)


def _box_cox(lmbda: float, x: FloatArray) -> FloatArray:
    log = np.log(np.where(x > 0, x, np.nan))
    return log if abs(lmbda) < 1e-19 else np.expm1(lmbda * log) / lmbda


POWERS = {"yeo-johnson": _yeo_johnson, "box-cox": _box_cox}
