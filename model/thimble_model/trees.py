"""Turn fitted trees, from any trainer, into the document's `forest`.

A trainer's module brings its trees into one form: `x <= threshold` goes left, a category in the node's set
goes left, a missing value goes where the node says. This module numbers their nodes level by level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble_model.unsupported import Unsupported

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Tree:
    """A tree as arrays over its nodes. Node 0 is the root. A leaf has column -1 and meaningless children."""

    columns: Integers  # (nodes,)
    thresholds: Floats  # (nodes,); for a categorical column, the index of the forest's set
    missing_left: NDArray[np.bool_]  # (nodes,)
    left: Integers  # (nodes,)
    right: Integers  # (nodes,)
    values: Floats  # (nodes, 1), or (nodes, outputs)
    gains: Floats | None = None  # (nodes,): each split's gain in training, if the trainer keeps it
    counts: NDArray[Any] | None = None  # (nodes,): the weight of the training rows that reached each


@dataclass(frozen=True)
class Oblivious:
    """A tree with one split per level; the k-th answer is the k-th bit of the leaf's index."""

    columns: Integers  # (levels,)
    thresholds: Floats  # (levels,)
    missing_left: NDArray[np.bool_]  # (levels,)
    values: Floats  # (leaves, 1), or (leaves, outputs)
    counts: NDArray[Any] | None = None  # (leaves,): the weight of the training rows in each


@dataclass
class Sets:
    """The distinct sets of categories of a forest."""

    places: dict[frozenset[int], int] = field(default_factory=dict)

    def place(self, codes: Iterable[int]) -> int:
        return self.places.setdefault(frozenset(codes), len(self.places))


def forest(
    trees: Sequence[Tree] | Sequence[Oblivious],
    n_inputs: int,
    base: Sequence[float],
    *,
    takes_missing: bool,
    tree_outputs: Sequence[int] | None = None,
    divide: float = 1.0,
    single: bool = False,
    single_sums: bool = False,
    categorical: Sequence[int] = (),
    sets: Sets | None = None,
    zero: float = 0.0,
    absent: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the document's keys of a forest.

    With `single`, rows are rounded to float32 before they are compared; with `single_sums`, leaves are added
    up in float32.
    """
    if isinstance(trees[0], Oblivious):
        splits, leaves, shape = _side_by_side([tree for tree in trees if isinstance(tree, Oblivious)])
    else:
        splits, leaves, shape = _level_order([tree for tree in trees if isinstance(tree, Tree)])
    letters = np.where(splits.missing_left, "l", "r") if takes_missing else np.full(len(splits.columns), "n")
    used = sorted(set(categorical) & set(splits.columns.tolist()))
    several = tree_outputs is not None and len(base) > 1
    return {
        "inputs": n_inputs,
        **({"input_type": "float32"} if single else {}),
        **({"zero": zero} if zero else {}),
        **({"absent": dict(absent)} if absent and takes_missing else {}),
        **({"categorical": used, "sets": [sorted(codes) for codes in sets.places]} if used and sets else {}),
        **shape(letters),
        "columns": splits.columns.tolist(),
        "thresholds": spelled(splits.thresholds, single),
        **_leaves(leaves.values, single_sums),
        **({"tree_outputs": list(tree_outputs or ())} if several else {}),
        "base": [float(number) for number in base],
        **({"divide": float(divide)} if divide != 1.0 else {}),
        **({"sum_type": "float32"} if single_sums else {}),
        **_gain([tree for tree in trees if isinstance(tree, Tree)], n_inputs),
        **({} if leaves.counts is None else {"counts": _counts(leaves.counts)}),
    }


def _counts(counts: NDArray[Any]) -> list[int] | list[float]:
    """Return counts as integers if all are whole, else with as few digits as tell them apart."""
    if (counts == np.rint(counts)).all():
        whole: list[int] = counts.astype(np.int64).tolist()
        return whole
    return spelled(counts.astype(np.float64), counts.dtype == np.float32)


def _gain(trees: Sequence[Tree], n_inputs: int) -> dict[str, Any]:
    """Return each column's total gain over its splits, in four digits, for people."""
    total = np.zeros(n_inputs)
    for tree in trees:
        if tree.gains is None:
            return {}
        inner = tree.columns >= 0
        np.add.at(total, tree.columns[inner], tree.gains[inner])
    return {"gain": [float(f"{sum_:.4g}") for sum_ in total]} if total.any() else {}


class Splits(NamedTuple):
    """The splits of a whole forest, in the document's order."""

    columns: Integers
    thresholds: Floats
    missing_left: NDArray[np.bool_]


class Leaves(NamedTuple):
    """The leaves of a whole forest, in the document's order."""

    values: Floats
    counts: NDArray[Any] | None  # None unless all trees have them


Shape = Callable[[NDArray[np.str_]], dict[str, Any]]  # from a letter per split to the keys of the shape


def _level_order(trees: Sequence[Tree]) -> tuple[Splits, Leaves, Shape]:
    """Order the nodes of all trees level by level; return splits, leaves and shape."""
    ends = np.cumsum([len(tree.columns) for tree in trees])
    starts = ends - [len(tree.columns) for tree in trees]
    columns, thresholds, missing_left = (
        np.concatenate([getattr(tree, name) for tree in trees]) for name in Splits._fields
    )
    left = np.concatenate([tree.left + start for tree, start in zip(trees, starts, strict=True)])
    right = np.concatenate([tree.right + start for tree, start in zip(trees, starts, strict=True)])
    never = np.isneginf(thresholds)  # nothing goes left: swap the children, so that everything does
    left, right = np.where(never, right, left), np.where(never, left, right)
    splits = Splits(columns, np.where(never, np.inf, thresholds), missing_left ^ never)
    levels = [starts]
    while len(levels[-1]):
        inner = levels[-1][columns[levels[-1]] >= 0]
        levels.append(np.column_stack([left[inner], right[inner]]).ravel())
    order = np.concatenate(levels)
    is_leaf = columns[order] < 0
    counts = _counted(trees)
    leaves = Leaves(
        np.concatenate([tree.values for tree in trees])[order[is_leaf]],
        None if counts is None else counts[order[is_leaf]],
    )

    def shape(letters: NDArray[np.str_]) -> dict[str, Any]:
        nodes = np.full(len(order), ".")
        nodes[~is_leaf] = letters
        return {"trees": len(trees), "nodes": "".join(nodes.tolist())}

    return Splits(*(part[order[~is_leaf]] for part in splits)), leaves, shape


def _counted(trees: Sequence[Tree] | Sequence[Oblivious]) -> NDArray[Any] | None:
    counts = [tree.counts for tree in trees if tree.counts is not None]
    return np.concatenate(counts) if len(counts) == len(trees) else None


def _side_by_side(trees: Sequence[Oblivious]) -> tuple[Splits, Leaves, Shape]:
    """Return the splits, leaves and shape tree by tree."""
    splits = Splits(*(np.concatenate([getattr(tree, name) for tree in trees]) for name in Splits._fields))

    def shape(letters: NDArray[np.str_]) -> dict[str, Any]:
        return {"depths": [len(tree.columns) for tree in trees], "nodes": "".join(letters.tolist())}

    return splits, Leaves(np.concatenate([tree.values for tree in trees]), _counted(trees)), shape


def spelled(numbers: Floats, single: bool) -> list[float]:
    """Return numbers with as few digits as tell them from their neighbours.

    Infinity becomes the largest finite number; as a threshold, it is reached by every finite number too.
    """
    if not single:
        double: list[float] = np.minimum(numbers, np.finfo(np.float64).max).tolist()
        return double
    exact = np.minimum(numbers, np.finfo(np.float32).max).astype(np.float32)
    short = exact.astype("U").astype(np.float64)
    kept: list[float] = np.where(short.astype(np.float32) == exact, short, exact).tolist()
    return kept


def _leaves(values: Floats, single: bool) -> dict[str, Any]:
    """Return the keys of the leaves' values: a value per leaf, or if shorter, an index of distinct values."""
    n, each = values.shape
    distinct, places = np.unique(values, axis=0, return_inverse=True)
    width = each * (11 if single else 19)
    keys: dict[str, Any] = {}
    if len(distinct) * width + n * (1 + len(str(len(distinct)))) < n * width:
        keys, values = {"leaves": places.ravel().tolist()}, distinct
    if not np.isfinite(values).all():
        raise Unsupported("it has leaves that are not finite: its training diverged")
    numbers = spelled(values.ravel(), single)
    return keys | {
        "values": numbers if each == 1 else [numbers[i : i + each] for i in range(0, len(numbers), each)]
    }


def floor32(thresholds: Floats) -> Floats:
    """Return the largest float32 not above each threshold; rows of float32 go the same way."""
    with np.errstate(over="ignore"):
        near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float64)


def below32(thresholds: NDArray[Any]) -> Floats:
    """Return the float32 before each threshold t; for float32, `x < t` means `x <=` that."""
    return np.nextafter(thresholds.astype(np.float32), np.float32(-np.inf)).astype(np.float64)


def codes(words: NDArray[np.uint32]) -> list[int]:
    """Return the indices of the bits that are set, 32 per word."""
    bits = np.unpackbits(words.astype("<u4").view(np.uint8), bitorder="little")
    return np.flatnonzero(bits).tolist()
