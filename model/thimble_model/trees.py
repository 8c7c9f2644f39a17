"""Fitted trees, whosever they are, as the document's `forest`.

A trainer's module brings its trees into one form: `x <= threshold` goes left, a category that is in the
node's set goes left, a missing value goes where the node says. Here they are numbered level by level.
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
    """Node 0 is the root. Of a leaf, the column is -1 and the children mean nothing."""

    columns: Integers  # (nodes,)
    thresholds: Floats  # (nodes,); of a column of categories, which of the forest's sets
    missing_left: NDArray[np.bool_]  # (nodes,)
    left: Integers  # (nodes,)
    right: Integers  # (nodes,)
    values: Floats  # (nodes, 1), or (nodes, outputs)
    gains: Floats | None = None  # (nodes,): what each question did for the training, if the trainer says it
    counts: NDArray[Any] | None = None  # (nodes,): the weight of the training rows that came to each


@dataclass(frozen=True)
class Oblivious:
    """A tree that asks one question a level; the k-th answer is the k-th bit of the leaf's place."""

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
    """The document's keys. With `single`, rows are rounded to float32 before they are compared."""
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
        "thresholds": _spelled(splits.thresholds, single),
        **_leaves(leaves.values, single_sums),
        **({"tree_outputs": list(tree_outputs or ())} if several else {}),
        "base": [float(number) for number in base],
        **({"divide": float(divide)} if divide != 1.0 else {}),
        **({"sum_type": "float32"} if single_sums else {}),
        **_gain([tree for tree in trees if isinstance(tree, Tree)], n_inputs),
        **({} if leaves.counts is None else {"counts": _counts(leaves.counts)}),
    }


def _counts(counts: NDArray[Any]) -> list[int] | list[float]:
    """As integers where all are; else in as many digits as tell them apart."""
    if (counts == np.rint(counts)).all():
        whole: list[int] = counts.astype(np.int64).tolist()
        return whole
    return _spelled(counts.astype(np.float64), counts.dtype == np.float32)


def _gain(trees: Sequence[Tree], n_inputs: int) -> dict[str, Any]:
    """Of each column the sum over its splits, for people: in four digits."""
    total = np.zeros(n_inputs)
    for tree in trees:
        if tree.gains is None:
            return {}
        inner = tree.columns >= 0
        np.add.at(total, tree.columns[inner], tree.gains[inner])
    return {"gain": [float(f"{sum_:.4g}") for sum_ in total]} if total.any() else {}


class Splits(NamedTuple):
    """The questions of a whole forest, in the document's order."""

    columns: Integers
    thresholds: Floats
    missing_left: NDArray[np.bool_]


class Leaves(NamedTuple):
    """Those of a whole forest, in the document's order."""

    values: Floats
    counts: NDArray[Any] | None  # if all trees have them


Shape = Callable[[NDArray[np.str_]], dict[str, Any]]  # from a letter a split to the keys that say the shape


def _level_order(trees: Sequence[Tree]) -> tuple[Splits, Leaves, Shape]:
    """All nodes, level by level over all trees; of the leaves their values."""
    ends = np.cumsum([len(tree.columns) for tree in trees])
    starts = ends - [len(tree.columns) for tree in trees]
    columns, thresholds, missing_left = (
        np.concatenate([getattr(tree, name) for tree in trees]) for name in Splits._fields
    )
    left = np.concatenate([tree.left + start for tree, start in zip(trees, starts, strict=True)])
    right = np.concatenate([tree.right + start for tree, start in zip(trees, starts, strict=True)])
    never = np.isneginf(thresholds)  # nothing is left of it: turned round, everything is
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
    """The levels and the leaves, tree by tree."""
    splits = Splits(*(np.concatenate([getattr(tree, name) for tree in trees]) for name in Splits._fields))

    def shape(letters: NDArray[np.str_]) -> dict[str, Any]:
        return {"depths": [len(tree.columns) for tree in trees], "nodes": "".join(letters.tolist())}

    return splits, Leaves(np.concatenate([tree.values for tree in trees]), _counted(trees)), shape


def _spelled(numbers: Floats, single: bool) -> list[float]:
    """With as few digits as tell them from their neighbours; every number is below an infinite threshold."""
    if not single:
        double: list[float] = np.minimum(numbers, np.finfo(np.float64).max).tolist()
        return double
    exact = np.minimum(numbers, np.finfo(np.float32).max).astype(np.float32)
    short = exact.astype("U").astype(np.float64)
    kept: list[float] = np.where(short.astype(np.float32) == exact, short, exact).tolist()
    return kept


def _leaves(values: Floats, single: bool) -> dict[str, Any]:
    """A value a leaf; or, if that is shorter, which of the distinct ones each has."""
    n, each = values.shape
    distinct, places = np.unique(values, axis=0, return_inverse=True)
    width = each * (11 if single else 19)
    keys: dict[str, Any] = {}
    if len(distinct) * width + n * (1 + len(str(len(distinct)))) < n * width:
        keys, values = {"leaves": places.ravel().tolist()}, distinct
    if not np.isfinite(values).all():
        raise Unsupported("it has leaves that are not finite: its training diverged")
    spelled = _spelled(values.ravel(), single)
    return keys | {
        "values": spelled if each == 1 else [spelled[i : i + each] for i in range(0, len(spelled), each)]
    }


def floor32(thresholds: Floats) -> Floats:
    """The largest float32 that is not above each: rows of float32 go the same way."""
    with np.errstate(over="ignore"):
        near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float64)


def below32(thresholds: NDArray[Any]) -> Floats:
    """The float32 before each: `x < t` of float32 is `x <=` that."""
    return np.nextafter(thresholds.astype(np.float32), np.float32(-np.inf)).astype(np.float64)


def codes(words: NDArray[np.uint32]) -> list[int]:
    """The places of the bits that are set, 32 a word."""
    bits = np.unpackbits(words.astype("<u4").view(np.uint8), bitorder="little")
    return np.flatnonzero(bits).tolist()
