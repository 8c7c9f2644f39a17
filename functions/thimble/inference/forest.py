"""Trees that are evaluated together, level by level, all pairs of a tree and a row at once.

The nodes are numbered level by level over all trees: the roots come first, and the children of the k-th inner
node are the nodes trees + 2k and trees + 2k + 1. So no child is written down, and no node can lead back to
itself. A row goes left where `x <= threshold`, or where its category is in the node's set.

Rows are evaluated in chunks: memory is bounded by the chunk, not by rows times trees. Sums run over the trees
in their order, so a row's bits depend on nothing but the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray
from thimble.inference.cost import Cost

PAIRS = 40_000  # of a tree and a row, at once: few enough for the cache
SHALLOW = 8  # levels: in a deeper forest, pairs that have reached a leaf are dropped on the way

Floats = NDArray[Any]  # float64, or float32 where the document says so
Indices = NDArray[np.intp]


class Sets(NamedTuple):
    """What the nodes of one column of categories ask for: inputs of 0 (in the node's set) and 1."""

    column: int
    table: NDArray[np.bool_]  # (codes + 2, sets): a row a code, then of any other, then of a missing one

    def of(self, codes: Floats) -> NDArray[np.bool_]:
        """(rows,) to (sets, rows)."""
        n = len(self.table) - 2
        known = (codes >= 0) & (codes < n)
        at = np.where(np.isnan(codes), n + 1, n)
        at[known] = codes[known].astype(np.intp)
        return self.table.take(at, axis=0).T


class Inputs(NamedTuple):
    """What the nodes look at: each column, or the column twice where it may be missing; then the sets."""

    dtype: type[np.floating[Any]]  # what the rows are rounded to
    zero: float  # numbers of at most this size are 0
    absent: float | None  # the number that counts as missing
    absent_in: Indices  # ... in these columns
    twice: bool  # a missing number as -inf, and once more as inf
    sets: tuple[Sets, ...]

    def width(self, n_columns: int) -> int:
        width: int = n_columns * (1 + self.twice) + sum(sets.table.shape[1] for sets in self.sets)
        return width

    def of(self, X: FloatArray) -> Floats:
        """X, (columns, rows), to (inputs, rows)."""
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


class Leaves(Protocol):
    """Finds where rows end; its leaves count through all trees."""

    @property
    def depth(self) -> int: ...

    def of(self, trees: slice, Z: Floats) -> Indices:
        """(trees, rows) of Z, (inputs, rows)."""


class Nodes(NamedTuple):
    """What each node looks at, its threshold, its left child. A leaf is its own child, with inf for its
    threshold."""

    roots: Indices  # (trees,)
    inputs: Indices  # (nodes,)
    thresholds: Floats  # (nodes,)
    children: Indices  # (nodes,)
    levels: tuple[int, ...]  # how many inner nodes each has, of all trees

    @property
    def depth(self) -> int:
        return len(self.levels)

    def of(self, trees: slice, Z: Floats) -> Indices:
        width, rows = Z.shape
        roots, flat = self.roots[trees], Z.T.ravel()
        node, start = roots.repeat(rows), np.tile(np.arange(0, rows * width, width), len(roots))
        if self.depth <= SHALLOW:
            self._descend(node, start, flat, self.depth)
        else:
            self._descend_and_drop(node, start, flat)
        return node.reshape(len(roots), rows)

    def _descend(self, node: Indices, start: Indices, flat: Floats, levels: int) -> None:
        """Take each pair to its node so many levels below, in place."""
        for _ in range(levels):
            at = self.inputs.take(node)
            at += start
            right = flat.take(at) > self.thresholds.take(node)
            self.children.take(node, out=node, mode="clip")
            node += right

    def _descend_and_drop(self, node: Indices, start: Indices, flat: Floats) -> None:
        pairs, going = np.arange(len(node)), node
        while len(pairs):
            self._descend(going, start, flat, 2)
            node[pairs] = going
            inner = self.thresholds.take(going) < np.inf
            pairs, going, start = pairs[inner], going[inner], start[inner]


class Oblivious(NamedTuple):
    """Trees that ask the same question at all nodes of a level: a leaf's place is the answers' bits."""

    first: Indices  # (trees,): the first leaf of each
    inputs: Indices  # (levels, trees)
    thresholds: Floats  # (levels, trees, 1); inf below the last level of a tree

    @property
    def depth(self) -> int:
        return len(self.inputs)

    def of(self, trees: slice, Z: Floats) -> Indices:
        leaf = np.repeat(self.first[trees, np.newaxis], Z.shape[1], axis=1)
        for level, inputs in enumerate(self.inputs[:, trees]):
            right = Z.take(inputs, axis=0) > self.thresholds[level, trees]
            leaf += right.astype(np.intp) << level
        return leaf


class Forest(NamedTuple):
    """The trees are in the order of the outputs that they add to, and within an output in the document's."""

    n_inputs: int
    takes_missing: bool
    inputs: Inputs
    leaves: Leaves
    n_trees: int
    shares: tuple[slice, ...]  # of each output, the trees that add to it
    vectors: Indices | None  # of each leaf, which of the values
    values: tuple[Floats, ...]  # of each output, the numbers that leaves add to it
    base: Floats  # (outputs,)
    divide: float
    cost: Cost  # of a row
    card: Mapping[str, Any]

    @property
    def n_outputs(self) -> int:
        return len(self.base)

    def scores(self, X: FloatArray) -> FloatArray:
        """X, (n_inputs, rows in whole blocks), to (outputs, rows); NaN for a row with a number that is too
        large."""
        rows = X.shape[1]
        totals = self.base.repeat(rows).reshape(len(self.base), rows)
        at_once = max(4, PAIRS // self.n_trees // 4 * 4)
        for start in range(0, rows, at_once):
            chunk = slice(start, start + at_once)
            self._add(X[:, chunk], totals[:, chunk])
        if self.divide != 1.0:
            totals /= self.divide
        return totals.astype(np.float64, copy=False)

    def _add(self, X: FloatArray, totals: Floats) -> None:
        Z = self.inputs.of(X)
        at_once = PAIRS // Z.shape[1]
        for start in range(0, self.n_trees, at_once):
            trees = slice(start, min(start + at_once, self.n_trees))
            places = self.leaves.of(trees, Z)
            if self.vectors is not None:
                places = self.vectors.take(places)
            for k, (share, values) in enumerate(zip(self.shares, self.values, strict=True)):
                first, last = max(share.start, start), min(share.stop, trees.stop)
                if first < last:
                    totals[k] = _sum(totals[k], values, places[first - start : last - start])
        if X.dtype != Z.dtype:
            totals[:, np.isinf(X.astype(Z.dtype)).any(axis=0)] = np.nan


def _sum(total: Floats, values: Floats, places: Indices) -> Floats:
    """(rows,), plus what each tree adds to it, one after the other; pairwise sums would differ."""
    added = np.empty((len(places) + 1, len(total)), total.dtype)
    added[0] = total
    values.take(places, out=added[1:], mode="clip")
    summed: Floats = np.add.reduce(added)
    return summed
