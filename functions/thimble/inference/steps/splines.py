"""The step with a basis of splines for each column."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from thimble.errors import InvalidModel
from thimble.inference import cost
from thimble.inference.arrays import FloatArray
from thimble.inference.cost import Cost
from thimble.inference.steps.columns import Step, StepFields, Table

MOST_DEGREES = 10


class Spline(Step):
    """Append the basis of splines over each column's knots, one column per spline. In a period, the last
    `degree` splines continue as the first ones. NaN stays NaN."""

    KEYS = ("columns", "knots", "degree", "outside")

    def __init__(self, fields: StepFields) -> None:
        columns = fields.columns()
        self.degree = fields.count("degree")
        if not 1 <= self.degree <= MOST_DEGREES:
            raise InvalidModel(f"{fields.at('degree')} is not 1 to {MOST_DEGREES}")
        self.knots = fields.ascending("knots", len(columns), shortest=2 * self.degree + 2)
        self.outside = fields.choice("outside", OUTSIDE)
        wrapped = self.degree if self.outside == "period" else 0
        self.widths = [len(knots) - self.degree - 1 - wrapped for knots in self.knots]
        if min(self.widths) < max(1, wrapped):
            raise InvalidModel(f"{fields.at('knots')} has too few knots for a period")
        self.reads = columns.tolist()
        n, width = len(columns), sum(self.widths)
        each = cost.CURVE + cost.COLUMN * (self.degree + 1) ** 2
        self._declare([columns], width, Cost(each * n + cost.COLUMN * width, n + 2 * width))

    def fill(self, table: Table, out: FloatArray) -> None:
        at = 0
        for column, knots, width in zip(self.reads, self.knots, self.widths, strict=True):
            x = OUTSIDE[self.outside](table.numbers[column], knots[self.degree], knots[-self.degree - 1])
            found = basis(x, knots, self.degree)
            out[at : at + width] = found[:width]
            out[at : at + len(found) - width] += found[width:]
            at += width


def basis(x: FloatArray, knots: FloatArray, degree: int) -> FloatArray:
    """Return the splines at x, (len(knots) - degree - 1, n), by de Boor's recursion."""
    n = len(knots) - degree - 1
    interval = np.clip(np.searchsorted(knots, x, side="right") - 1, degree, n - 1)
    near = np.zeros((degree + 1, len(x)))  # the splines that are not zero in the interval
    near[0] = 1.0
    for j in range(1, degree + 1):
        before, near[0] = near[:j].copy(), 0.0
        for k in range(1, j + 1):
            above, below = knots[interval + k], knots[interval + k - j]
            apart = above != below
            share = np.where(apart, before[k - 1] / np.where(apart, above - below, 1.0), 0.0)
            near[k - 1] += share * (above - x)
            near[k] = share * (x - below)
    found = np.zeros((n, len(x)))
    np.put_along_axis(found, interval - degree + np.arange(degree + 1)[:, np.newaxis], near, axis=0)
    found[:, np.isnan(x)] = np.nan
    return found


def _nothing(x: FloatArray, first: float, last: float) -> FloatArray:
    return np.where((x >= first) & (x <= last), x, np.nan)


def _period(x: FloatArray, first: float, last: float) -> FloatArray:
    return first + (x - first) % (last - first) if last > first else x * 0.0


OUTSIDE: Mapping[
    str, Callable[[FloatArray, float, float], FloatArray]
] = {  # of x, and the first and last inner knot
    "curve": lambda x, first, last: x,
    "edge": np.clip,
    "missing": _nothing,
    "period": _period,
}
