"""The table that steps read and fill, and what a step is.

A table is one matrix, features along the first axis and rows along the last. A step works on whole columns,
one element at a time or along the features, so that what a row gets depends on nothing but the row. A missing
number is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray
from thimble.inference.cost import Cost

Selection = slice | NDArray[np.intp]


class Table(NamedTuple):
    """All columns of some rows, padded to whole blocks with rows of zeros, which mean nothing."""

    numbers: FloatArray  # (columns, rows in whole blocks)
    features: Sequence[Any]  # the features as they came, for those that are text
    rows: int
    rejected: dict[int, str]  # the first fault of a row

    def reject(self, row: int, sentence: str) -> None:
        if row < self.rows:
            self.rejected.setdefault(row, sentence)

    def reject_where(self, wrong: NDArray[np.bool_], sentence: Callable[[int], str]) -> None:
        """The rows with a fault, (k, rows), each with the sentence of its first one."""
        for row in np.flatnonzero(wrong.any(axis=0)).tolist():
            self.reject(row, sentence(int(wrong[:, row].argmax())))


class Step(NamedTuple):
    """Appends `width` columns: `fill(table, out)` computes them into `out`, (width, rows)."""

    width: int
    fill: Callable[[Table, FloatArray], None]
    cost: Cost  # of a row


def selection(columns: NDArray[np.intp]) -> Selection:
    """Neighbours as a slice, which copies nothing."""
    start = int(columns[0])
    if np.array_equal(columns, np.arange(start, start + len(columns))):
        return slice(start, start + len(columns))
    return columns
