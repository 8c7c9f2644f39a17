"""What each column adds to a forest's sums: exact path-dependent TreeSHAP.

A column's part is the mean, over all orders in which the columns become known, of what knowing it adds. If a
node's column is not known, a row goes both ways, in the proportions of the training rows. For a leaf of value
v whose path asks d columns, the part of column i is v (o_i - z_i) times the integral over t from 0 to 1 of
the product, over the other columns j, of z_j (1 - t) + o_j t. Here o_j is 1 if the row follows the path in
all questions about column j, else 0; z_j is the share of the training rows that do. Gauss-Legendre quadrature
with d / 2 points integrates this exactly.

At each point the products are made on the way down and summed on the way up, so that each node is computed
once, not once per leaf and column. Rows lie side by side, and sums run in the order of the nodes: a row's
bits depend on nothing but the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble.errors import InvalidInput
from thimble.inference import cost
from thimble.inference.arrays import FloatArray
from thimble.inference.cost import Cost
from thimble.inference.forest import Forest, Inputs
from thimble.inference.leaves import Nodes, Oblivious
from thimble.inference.questions import Indices

NODES = 8_000  # nodes of a part, at most, unless a single tree has more
NUMBERS = 800_000  # numbers at once: a part's states, times points, times rows
MOST_NUMBERS = 20_000_000  # numbers that a forest's parts may keep
MOST_A_ROW = 100 * cost.MAX_MULTIPLICATIONS  # for one row: 0.14 seconds
MOST = 10_000 * cost.MAX_MULTIPLICATIONS  # for all rows at once: 14 seconds
WORK = 24  # multiplications per node and point: see `cost`

WITHOUT = "the document has no counts of the training rows at the leaves: export the model again"


class Trees(NamedTuple):
    """All nodes, level by level over all trees; the children of a node are adjacent."""

    columns: Indices  # (nodes,): the column that a node asks; 0 at a leaf
    inputs: Indices
    thresholds: NDArray[Any]
    children: Indices  # (nodes,): the left child; 0 at a leaf
    leaves: Indices  # (nodes,): the leaf's index; -1 for an inner node
    tree: Indices  # (nodes,): the tree of each node
    ends: tuple[int, ...]  # where each level ends

    @property
    def levels(self) -> list[slice]:
        return [slice(a, b) for a, b in zip((0, *self.ends[:-1]), self.ends, strict=True)]


class Level(NamedTuple):
    """A level of a part: the children of all inner nodes of the level above."""

    nodes: slice
    inner: Indices  # which of the level's nodes are inner nodes
    before: Indices  # (nodes,): the last node above whose parent asks the same column, else a root
    inputs: Indices  # (pairs,): the inputs that the parents ask
    thresholds: NDArray[Any]  # (pairs, 1)


class Part(NamedTuple):
    """Some trees, prepared for rows. At each node a row is in one of three states: its answers about the
    column that the parent asks left the node's path earlier (0), leave it here (1), or have not left it (2).
    """

    n_nodes: int
    n_roots: int
    levels: tuple[Level, ...]
    product: FloatArray  # (points, 3 * nodes): a node's factor in the product, for each state
    added: FloatArray  # (points, 3 * nodes): the factor of a node's sum in its column's part, for each state
    columns: Indices  # (pairs,): the column that the parent of each pair of children asks
    values: tuple[FloatArray | None, ...]  # for each output, (nodes, 1): leaves' values; None if it has none


class Parts(NamedTuple):
    """What is needed to explain a forest, whatever the rows are."""

    base: FloatArray  # (outputs,)
    parts: tuple[Part, ...]


def refusal(forest: Forest) -> str:
    """Return why there are no contributions; "" if there are."""
    if forest.counts is None:
        return WITHOUT
    price = row_cost(forest)
    if price.multiplications > MOST_A_ROW or price.numbers > MOST_NUMBERS:
        return "its trees are too many or too deep for contributions: limit their number or their depth"
    return ""


def row_cost(forest: Forest) -> Cost:
    """Return the most that a row's contributions cost. The numbers are those that are kept for all rows."""
    n = forest.card["nodes"]
    if isinstance(forest.leaves, Oblivious):
        n *= 2
    points = _n_points(min(forest.leaves.depth, forest.n_inputs))
    outputs = 1 if _is_shared_out(forest) else forest.n_outputs
    return Cost(forest.cost.multiplications + WORK * n * points * (1 + outputs) // 2, 6 * n * points)


def contributions(forest: Forest, X: FloatArray, known: Parts | None = None) -> tuple[FloatArray, FloatArray]:
    """Return the base of each output, (outputs,), and what each input adds to it, (outputs, inputs, rows).
    Their sum is `forest.scores(X)`. X is (inputs, rows). `known` is `parts(forest)`, if it was made before.
    Raises InvalidInput for what `refusal` refuses, or for too many rows at once."""
    n_rows = X.shape[1]
    if told := refusal(forest) or _too_many(forest, n_rows):
        raise InvalidInput(told)
    base, ready = known or parts(forest)
    phi = np.zeros((forest.n_outputs, forest.n_inputs, n_rows))
    Z = forest.inputs.of(X)
    for part in ready:
        at_once = max(1, NUMBERS // part.product.size)
        for start in range(0, n_rows, at_once):
            rows = slice(start, start + at_once)
            for k, found in _added(part, Z[:, rows]):
                _add(phi[k, :, rows], part.columns, found)
    if forest.divide != 1.0:
        phi /= forest.divide
        base = base / forest.divide
    if forest.base.dtype != np.float64:
        scores = forest.scores(X)
        _share(phi, scores - base[:, np.newaxis] - _summed(phi))
    return base, phi


def most_rows(forest: Forest) -> int:
    """Return how many rows can be explained at once."""
    return max(1, MOST // row_cost(forest).multiplications)


def _too_many(forest: Forest, n_rows: int) -> str:
    most = most_rows(forest)
    return f"{n_rows:,} rows are too many to explain at once: send at most {most:,}" if n_rows > most else ""


def _added(part: Part, Z: NDArray[Any]) -> Iterator[tuple[int, FloatArray]]:
    """Yield an output's index, and what each pair of children adds to its column's part, (pairs, rows)."""
    states = _states(part, Z)
    product, added = part.product.take(states, axis=1), part.added.take(states, axis=1)
    first = part.levels[0].nodes.stop if part.levels else part.n_nodes
    for above, level in _steps(part):
        below = product[:, level.nodes]
        above_them = product[:, above.nodes].take(above.inner, axis=1)
        below[:, 0::2] *= above_them
        below[:, 1::2] *= above_them
    for k, values in enumerate(part.values):
        if values is None:
            continue
        sums = product * values
        for above, level in reversed(list(_steps(part))):
            below = sums[:, level.nodes]
            sums[:, above.nodes.start + above.inner] = below[:, 0::2] + below[:, 1::2]
        sums *= added
        total = sums[0]
        for one in sums[1:]:
            total += one
        yield k, total[first::2] + total[first + 1 :: 2]


def _steps(part: Part) -> Iterator[tuple[Level, Level]]:
    return zip(part.levels, part.levels[1:], strict=False)


def _states(part: Part, Z: NDArray[Any]) -> Indices:
    """Return the index of each node's state among the states of all nodes, (nodes, rows)."""
    follows = np.ones((part.n_nodes, Z.shape[1]), np.uint8)
    states = follows + follows
    for _, level in _steps(part):
        right = Z.take(level.inputs, axis=0) > level.thresholds
        own = follows[level.nodes]
        before = follows.take(level.before, axis=0)
        own[0::2], own[1::2] = ~right, right
        own &= before
        states[level.nodes] = before + own
    return states + np.arange(0, 3 * part.n_nodes, 3)[:, np.newaxis]


def _add(phi: FloatArray, columns: Indices, found: FloatArray) -> None:
    """Add what each pair of children adds, (pairs, rows), to its column's part in `phi`, in their order."""
    n_inputs, n_rows = phi.shape
    places = (columns * n_rows)[:, np.newaxis] + np.arange(n_rows)
    phi += np.bincount(places.ravel(), found.ravel(), n_inputs * n_rows).reshape(phi.shape)


def _summed(phi: FloatArray) -> FloatArray:
    """Return the sums over the inputs, (outputs, rows), added one input after the other."""
    total = np.zeros((len(phi), phi.shape[2]))
    for column in range(phi.shape[1]):
        total += phi[:, column]
    return total


def _share(phi: FloatArray, rest: FloatArray) -> None:
    """Add what sums in single precision round away, (outputs, rows), to the parts, in proportion to their
    sizes."""
    sizes = np.abs(phi)
    total = _summed(sizes)
    sizes[:, 0] += total == 0
    phi += sizes * (rest / np.where(total == 0, 1.0, total))[:, np.newaxis]


# What depends on the forest alone


def parts(forest: Forest) -> Parts:
    """Prepare the trees for rows. This takes as long as explaining thousands of rows."""
    trees, counts = _trees(forest), np.asarray(forest.counts, np.float64)
    columns, values = trees.columns, _values(forest, trees)
    ratios = _ratios(trees, counts)
    before, shares = _paths(trees, ratios)
    base = forest.base.astype(np.float64) + _means(trees, ratios, values)
    sizes = np.bincount(trees.tree, minlength=forest.n_trees)
    group = (sizes.cumsum() - 1) // NODES
    distinct = _distinct(trees, before)
    made = [
        _part(
            trees, np.flatnonzero(group[trees.tree] == one), columns, values, ratios, before, shares, distinct
        )
        for one in np.unique(group).tolist()
    ]
    return Parts(base, tuple(made))


def _trees(forest: Forest) -> Trees:
    found = forest.leaves
    if isinstance(found, Nodes):
        return _of_nodes(found, forest)
    assert isinstance(found, Oblivious)
    return _of_oblivious(found, forest)


def _of_nodes(found: Nodes, forest: Forest) -> Trees:
    n = len(found.children)
    is_leaf = found.children == np.arange(n)
    starts = np.array([0, len(found.roots), *(2 * inner for inner in found.levels)])
    tree = np.zeros(n, np.intp)
    tree[found.roots] = np.arange(len(found.roots))  # in the order of the outputs
    ends = starts.cumsum()[1:].tolist()
    inner = np.flatnonzero(~is_leaf)
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        asking = inner[np.searchsorted(inner, start) : np.searchsorted(inner, end)]
        tree[found.children[asking]] = tree[found.children[asking] + 1] = tree[asking]
    return Trees(
        _columns_of(forest.inputs, forest.n_inputs)[found.inputs] * ~is_leaf,
        found.inputs,
        found.thresholds,
        np.where(is_leaf, 0, found.children),
        np.where(is_leaf, is_leaf.cumsum() - 1, -1),
        tree,
        tuple(ends),
    )


def _of_oblivious(found: Oblivious, forest: Forest) -> Trees:
    """Make nodes of oblivious trees. The last question becomes the root's, so that leaves are in the order of
    their bits."""
    depths = np.isfinite(found.thresholds).sum(axis=0)
    tree, code, ends = np.arange(len(depths)), np.zeros(len(depths), np.intp), [0]
    made: list[tuple[Indices, ...]] = []
    n = 0
    for level in range(found.depth + 1):
        left = depths[tree] - level  # questions that are left to ask
        asks = left > 0
        question = np.maximum(left - 1, 0)
        n += len(tree)
        children = np.where(asks, n + 2 * (asks.cumsum() - 1), 0)
        made.append((question, tree, children, np.where(asks, -1, found.first[tree] + code)))
        ends.append(n)
        tree, code = tree[asks].repeat(2), code[asks].repeat(2) * 2
        code[1::2] += 1
        if not len(tree):
            break
    questions, tree, children, leaves = (np.concatenate(part) for part in zip(*made, strict=True))
    if found.depth:
        inputs, thresholds = found.inputs[questions, tree], found.thresholds[questions, tree]
    else:
        inputs, thresholds = np.zeros(len(tree), np.intp), np.zeros(len(tree))
    columns = _columns_of(forest.inputs, forest.n_inputs)[inputs] * (leaves < 0)
    return Trees(columns, inputs, thresholds, children, leaves, tree, tuple(ends[1:]))


def _columns_of(inputs: Inputs, n_columns: int) -> Indices:
    """Return the column that each of the nodes' inputs is made of."""
    columns = np.tile(np.arange(n_columns), 1 + inputs.twice)
    sets = [np.full(sets.table.shape[1], sets.column) for sets in inputs.sets]
    return np.concatenate([columns, *sets]).astype(np.intp)


def _values(forest: Forest, trees: Trees) -> tuple[FloatArray, ...]:
    """Return for each output what each node adds to it, (nodes,); 0 at inner nodes and in other outputs'
    trees."""
    is_leaf = trees.leaves >= 0
    of_nodes = isinstance(forest.leaves, Nodes)
    places = np.arange(len(is_leaf)) if of_nodes else np.maximum(trees.leaves, 0)
    if forest.vectors is not None:
        places = forest.vectors[places]
    found = []
    for share, values in zip(forest.shares, forest.values, strict=True):
        own = is_leaf & (trees.tree >= share.start) & (trees.tree < share.stop)
        found.append(np.where(own, values[places].astype(np.float64), 0.0))
    return tuple(found)


def _is_shared_out(forest: Forest) -> bool:
    return len({(share.start, share.stop) for share in forest.shares}) > 1


def _ratios(trees: Trees, counts: FloatArray) -> FloatArray:
    """Return the share of its parent's training rows that came to each node; half if the parent had none."""
    is_leaf = trees.leaves >= 0
    of_nodes = np.where(is_leaf, counts[np.maximum(trees.leaves, 0)], 0.0)
    ratios = np.ones(len(of_nodes))
    for level in reversed(trees.levels[:-1]):
        asking = level.start + np.flatnonzero(~is_leaf[level])
        left = trees.children[asking]
        total = of_nodes[left] + of_nodes[left + 1]
        of_nodes[asking] = total
        share = np.where(total > 0, of_nodes[left] / np.where(total > 0, total, 1.0), 0.5)
        ratios[left], ratios[left + 1] = share, 1.0 - share
        exact = total > 0
        ratios[left[exact] + 1] = of_nodes[left[exact] + 1] / total[exact]
    return ratios


def _means(trees: Trees, ratios: FloatArray, values: tuple[FloatArray, ...]) -> FloatArray:
    """Return the sum of its trees' means over the training rows, for each output."""
    is_leaf, found = trees.leaves >= 0, []
    n_roots = trees.ends[0]
    for own in values:
        sums = own.copy()
        for level in reversed(trees.levels[:-1]):
            asking = level.start + np.flatnonzero(~is_leaf[level])
            left = trees.children[asking]
            sums[asking] = sums[left] * ratios[left] + sums[left + 1] * ratios[left + 1]
        found.append(sums[:n_roots].sum())
    return np.array(found)


def _paths(trees: Trees, ratios: FloatArray) -> tuple[Indices, FloatArray]:
    """Return for each node the last one above it whose parent asks the same column, or -1; and the share of
    the training rows that follow its path in all questions about that column."""
    before, shares = np.full(len(ratios), -1), ratios.copy()
    parent = np.full(len(ratios), -1)
    asking = np.flatnonzero(trees.leaves < 0)
    parent[trees.children[asking]] = parent[trees.children[asking] + 1] = asking
    for level in trees.levels[1:]:
        nodes = np.arange(level.start, level.stop)
        column = trees.columns[parent[nodes]]
        at = parent[nodes]  # the node whose incoming question is looked at next
        open_ = np.flatnonzero(parent[at] >= 0)
        while len(open_):
            same = trees.columns[parent[at[open_]]] == column[open_]
            before[nodes[open_[same]]] = at[open_[same]]
            open_ = open_[~same]
            at[open_] = parent[at[open_]]
            open_ = open_[parent[at[open_]] >= 0]
        known = nodes[before[nodes] >= 0]
        shares[known] *= shares[before[known]]
    return before, shares


def _distinct(trees: Trees, before: Indices) -> Indices:
    """Return how many distinct columns are asked on the path to each node."""
    asked = np.zeros(len(before), np.intp)
    is_leaf = trees.leaves >= 0
    for level in trees.levels[:-1]:
        asking = level.start + np.flatnonzero(~is_leaf[level])
        for child in (trees.children[asking], trees.children[asking] + 1):
            asked[child] = asked[asking] + (before[child] < 0)
    return asked


def _part(
    trees: Trees,
    nodes: Indices,
    columns: Indices,
    values: tuple[FloatArray, ...],
    ratios: FloatArray,
    before: Indices,
    shares: FloatArray,
    distinct: Indices,
) -> Part:
    """Prepare some of the trees for rows; `nodes` are all their nodes, in ascending order."""
    place = np.zeros(len(columns), np.intp)
    place[nodes] = np.arange(len(nodes))
    asking = nodes[trees.leaves[nodes] < 0]
    levels: list[Level] = []
    n_roots = pairs = 0
    for level in trees.levels:
        start, end = np.searchsorted(nodes, (level.start, level.stop)).tolist()
        if start == end:
            break
        own = nodes[start:end]
        n_pairs = (end - start) // 2 if levels else 0
        n_roots = n_roots or end
        above = asking[pairs : pairs + n_pairs]
        pairs += n_pairs
        earlier = before[own]
        levels.append(
            Level(
                slice(start, end),
                np.flatnonzero(trees.leaves[own] < 0),
                np.where(earlier >= 0, place[np.maximum(earlier, 0)], 0),
                trees.inputs[above],
                trees.thresholds[above][:, np.newaxis],
            )
        )
    old = np.where(before[nodes] >= 0, shares[np.maximum(before[nodes], 0)], 1.0)
    product, added = _of_states(ratios[nodes], old, shares[nodes], _n_points(int(distinct[nodes].max())))
    product[:, : 3 * n_roots] = 1.0
    return Part(
        len(nodes),
        n_roots,
        tuple(levels),
        product,
        added,
        columns[asking],
        tuple(own[nodes][:, np.newaxis] if own[nodes].any() else None for own in values),
    )


def _n_points(distinct: int) -> int:
    """Return how many points integrate a polynomial of degree `distinct` - 1 exactly."""
    return max(1, (distinct + 1) // 2)


def _of_states(
    ratios: FloatArray, old: FloatArray, new: FloatArray, n_points: int
) -> tuple[FloatArray, FloatArray]:
    """Return the factors of each node, in each state, for the product and for its sum, (points, 3 * nodes)
    each. No share makes a divisor zero, since t is between 0 and 1."""
    at, weights = np.polynomial.legendre.leggauss(n_points)
    t, w = ((1 + at) / 2)[:, np.newaxis], (weights / 2)[:, np.newaxis]
    followed, follows = t + old * (1 - t), t + new * (1 - t)
    product = np.stack([ratios + 0 * t, new * (1 - t) / followed, follows / followed], axis=-1)
    until_now = (1 - old) / followed
    added = np.stack([0 * follows, -1 / (1 - t) - until_now, (1 - new) / follows - until_now], axis=-1)
    return product.reshape(n_points, -1), (w[..., np.newaxis] * added).reshape(n_points, -1)
