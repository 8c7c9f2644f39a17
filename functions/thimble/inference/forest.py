"""Trees that are evaluated together: the inputs that they see, and the sums of the leaves that rows reach.

Rows are evaluated in chunks: memory is bounded by the chunk, not by rows times trees. Sums run over the trees
in their order, so a row's bits depend on nothing but the row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray
from thimble.inference.cost import Cost
from thimble.inference.leaves import Leaves
from thimble.inference.questions import Floats, Indices

PAIRS = 120_000  # pairs of a tree and a row, at once


class Sets(NamedTuple):
    """The sets of categories that nodes ask for in one column. Each is an input: 0 in the set, else 1."""

    column: int
    table: NDArray[np.bool_]  # (codes + 2, sets): a row per code, then for any other, then for a missing one

    def of(self, codes: Floats) -> NDArray[np.bool_]:
        """Return the inputs for codes, (rows,), as (sets, rows)."""
        n = len(self.table) - 2
        known = (codes >= 0) & (codes < n)
        at = np.where(np.isnan(codes), n + 1, n)
        at[known] = codes[known].astype(np.intp)
        return self.table.take(at, axis=0).T


class Inputs(NamedTuple):
    """What the nodes look at: each column, or each column twice if it may be missing; then the sets."""

    dtype: type[np.floating[Any]]  # rows are rounded to it
    zero: float  # numbers of at most this size are 0
    absent: float | None  # the number that counts as missing
    absent_in: Indices  # ... in these columns
    twice: bool  # each column twice: a missing number is -inf in the first, and inf in the second
    sets: tuple[Sets, ...]

    def width(self, n_columns: int) -> int:
        width: int = n_columns * (1 + self.twice) + sum(sets.table.shape[1] for sets in self.sets)
        return width

    def of(self, X: FloatArray) -> Floats:
        """Return the inputs for X, (columns, rows), as (inputs, rows)."""
        x: Floats = X.astype(self.dtype)
        if self.zero:
            x[np.abs(x) <= self.zero] = 0.0
        if self.absent is not None:
            asked = x[self.absent_in]
            asked[asked == self.absent] = np.nan
            x[self.absent_in] = asked
        parts: list[NDArray[Any]] = [sets.of(x[sets.column]) for sets in self.sets]
        if self.twice:
            missing = np.isnan(x)
            if missing.any():
                high = x.copy()
                x[missing], high[missing] = -np.inf, np.inf
                parts.insert(0, high)
            else:
                parts.insert(0, x)
        return np.concatenate([x, *parts]) if parts else x


class Forest(NamedTuple):
    """Trees, in the order of the outputs that they add to; for one output, in the document's order."""

    n_inputs: int
    takes_missing: bool
    inputs: Inputs
    leaves: Leaves
    n_trees: int
    shares: tuple[slice, ...]  # for each output, the trees that add to it
    vectors: Indices | None  # for each place of `leaves`, the index of its values; None: the place itself
    values: tuple[Floats, ...]  # for each output, the numbers that leaves add to it
    base: Floats  # (outputs,)
    divide: float
    cost: Cost  # of a row
    card: Mapping[str, Any]
    splits: Indices  # for each input, how many questions ask about it
    gain: FloatArray | None  # for each input, what its questions gained in training, if the trainer tells
    counts: FloatArray | None  # for each leaf, in the document's order, the weight of its training rows

    @property
    def n_outputs(self) -> int:
        return len(self.base)

    def scores(self, X: FloatArray) -> FloatArray:
        """Return the scores for X, (n_inputs, rows), as (outputs, rows); NaN for a row with a number that is
        too large."""
        rows = X.shape[1]
        totals = self.base.repeat(rows).reshape(len(self.base), rows)
        at_once = self.leaves.rows_at_once
        for start in range(0, rows, at_once):
            chunk = slice(start, start + at_once)
            self._add(X[:, chunk], totals[:, chunk])
        if self.divide != 1.0:
            totals /= self.divide
        return totals.astype(np.float64, copy=False)

    def alone(self, X: FloatArray) -> Callable[[], list[float]]:
        first = X[:, :1]
        return lambda: self.scores(first)[:, 0].tolist()

    def _add(self, X: FloatArray, totals: Floats) -> None:
        Z = self.inputs.of(X)
        leaves = self.leaves.finder(Z)
        at_once = PAIRS // Z.shape[1]
        for start in range(0, self.n_trees, at_once):
            trees = slice(start, min(start + at_once, self.n_trees))
            places = leaves(trees)
            if self.vectors is not None:
                places = self.vectors.take(places)
            for k, (share, values) in enumerate(zip(self.shares, self.values, strict=True)):
                first, last = max(share.start, start), min(share.stop, trees.stop)
                if first < last:
                    totals[k] = _sum(totals[k], values, places[first - start : last - start])
        if X.dtype != Z.dtype:
            totals[:, np.isinf(X.astype(Z.dtype)).any(axis=0)] = np.nan


def _sum(total: Floats, values: Floats, places: Indices) -> Floats:
    """Return the total, (rows,), plus what each tree adds, one after the other. Pairwise sums would differ;
    `reduce` makes them for a single row."""
    added = np.empty((len(places) + 1, len(total)), total.dtype)
    added[0] = total
    values.take(places, out=added[1:], mode="clip")
    summed: Floats = np.add.reduce(added) if len(total) > 1 else np.add.accumulate(added)[-1]
    return summed
