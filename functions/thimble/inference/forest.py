"""Trees that are evaluated together, level by level, all pairs of a tree and a row at once.

The nodes are numbered level by level over all trees: the roots come first, and the children of the k-th inner
node are the nodes trees + 2k and trees + 2k + 1. So no child is written down, and no node can lead back to
itself. A row goes left where `x <= threshold`, or where its category is in the node's set.

Rows are evaluated in chunks: memory is bounded by the chunk, not by rows times trees. Sums run over the trees
in their order, so a row's bits depend on nothing but the row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray
from thimble.inference.cost import Cost

PAIRS = 60_000  # of a tree and a row, at once: few enough for the cache
ROWS = 504  # at once; rows of a power of two collide in the cache
TOP = 3  # levels at whose every node each row is asked, where there are at least MANY rows
MANY = 32
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
        roots, (width, rows), flat = self.roots[trees], Z.shape, Z.T.ravel()
        top = min(TOP, self.depth) if rows >= MANY else 0
        node = self._below(top, roots, Z).ravel() if top else roots.repeat(rows)
        start = np.tile(np.arange(0, rows * width, width), len(roots))
        if self.depth <= SHALLOW:
            self._descend(node, start, flat, self.depth - top)
        else:
            self._descend_and_drop(node, start, flat)
        return node.reshape(len(roots), rows)

    def _below(self, top: int, roots: Indices, Z: Floats) -> Indices:
        """(trees, rows): where pairs are after so many levels. Each row is asked at every node of these
        levels: whole arrays are compared, and then each pair's own answer is picked."""
        nodes = roots[:, np.newaxis]  # all of a level, from left to right
        path = np.zeros((len(roots), Z.shape[1]), np.uint8)  # which of them a pair is at: its answers' bits
        turns: list[NDArray[np.bool_]] = []  # a pair's answers so far
        for _ in range(top):
            right = Z.take(self.inputs.take(nodes), axis=0) > self.thresholds.take(nodes)[..., np.newaxis]
            for turn in reversed(turns):
                left_child, right_child = right[:, ::2], right[:, 1::2]
                right = left_child ^ ((left_child ^ right_child) & turn)
            turns.append(right)
            path += path
            path += right[:, 0]
            children = self.children.take(nodes)
            nodes = np.stack([children, children + 1], axis=-1).reshape(len(roots), -1)
            nodes.clip(max=len(self.children) - 1, out=nodes)  # no pair turns right at a leaf
        at = path.astype(np.intp)
        at += np.arange(0, nodes.size, 1 << top)[:, np.newaxis]
        return nodes.take(at)

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
            inner = np.flatnonzero(self.thresholds.take(going) < np.inf)
            pairs, going, start = pairs.take(inner), going.take(inner), start.take(inner)


class Oblivious(NamedTuple):
    """Trees that ask the same question at all nodes of a level: a leaf's place is the answers' bits."""

    first: Indices  # (trees,): the first leaf of each
    inputs: Indices  # (levels, trees)
    thresholds: Floats  # (levels, trees, 1); inf below the last level of a tree

    @property
    def depth(self) -> int:
        return len(self.inputs)

    def of(self, trees: slice, Z: Floats) -> Indices:
        first = self.first[trees, np.newaxis]
        bits = np.zeros((len(first), Z.shape[1]), np.min_scalar_type((1 << self.depth) - 1))
        for level in reversed(range(self.depth)):
            bits += bits
            bits += Z.take(self.inputs[level, trees], axis=0) > self.thresholds[level, trees]
        leaf = bits.astype(np.intp)
        leaf += first
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
    splits: Indices  # of each input, how many questions it is asked
    gain: FloatArray | None  # of each input, what these did for the training, as far as the trainer says it
    counts: FloatArray | None  # of each leaf, in the document's order, the weight of the training rows in it

    @property
    def n_outputs(self) -> int:
        return len(self.base)

    def scores(self, X: FloatArray) -> FloatArray:
        """X, (n_inputs, rows in whole blocks), to (outputs, rows); NaN for a row with a number that is too
        large."""
        rows = X.shape[1]
        totals = self.base.repeat(rows).reshape(len(self.base), rows)
        for start in range(0, rows, ROWS):
            chunk = slice(start, start + ROWS)
            self._add(X[:, chunk], totals[:, chunk])
        if self.divide != 1.0:
            totals /= self.divide
        return totals.astype(np.float64, copy=False)

    def alone(self, X: FloatArray) -> Callable[[], list[float]]:
        return lambda: self.scores(X)[:, 0].tolist()

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
