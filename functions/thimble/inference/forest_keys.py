"""Read a document's `forest`: check the length, range and finiteness of its arrays, and put them together.

`model/README.md` says what each key means. InvalidModel begins with the path of what is wrong.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble.errors import InvalidModel
from thimble.inference.cost import COLUMN, Cost
from thimble.inference.fields import Fields, cast, finite_numbers, shown
from thimble.inference.forest import Forest, Inputs, Sets
from thimble.inference.leaves import Leaves, Nodes, Oblivious
from thimble.inference.questions import Floats, Indices

MAX_INPUTS = 20_000
MAX_NODES = 2_000_000
MAX_OUTPUTS = 10_000
MAX_DEPTH = 1_000
MAX_BITS = 20  # levels of an oblivious tree
MAX_CODES = 100_000
MAX_SETS = 16_000_000  # entries of the tables of all sets

KEYS = (
    *("inputs", "input_type", "zero", "absent", "categorical", "sets"),
    *("trees", "depths", "nodes", "columns", "thresholds"),
    *("leaves", "values", "tree_outputs", "base", "divide", "sum_type"),
    *("gain", "counts"),
)
LEAF, LEFT, RIGHT, NEVER = b".lrn"

VISIT = 16  # multiplications per node that a row visits: see `cost`
ANSWER = 4  # ... per level of an oblivious tree, and per leaf number that is added


class ForestFields(Fields):
    """The keys of a forest, whose lists may be long."""

    def up_to(self, key: str, most: int) -> int:
        value = self.value(key)
        if type(value) is not int or not 1 <= value <= most:
            raise InvalidModel(f"{self.at(key)} is {shown(value)}, not an integer from 1 to {most}")
        return value

    def floats(self, key: str, length: int | None = None, most: int = MAX_NODES) -> NDArray[np.float64]:
        """Return `length` finite numbers, or any number of them up to `most`."""
        return finite_numbers(self.listed(key, length, most), self.at(key))

    def places(self, key: str, length: int | None, below: int, most: int = MAX_NODES) -> Indices:
        """Return `length` integers from 0 to `below` - 1, or any number of them up to `most`."""
        return _places(self.listed(key, length, most), self.at(key), below)

    def listed(self, key: str, length: int | None, most: int) -> list[Any]:
        return _listed(self.value(key), self.at(key), length, most)


def _listed(value: Any, path: str, length: int | None, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise InvalidModel(f"{path} is not a list of at most {most:,} entries")
    if length is not None and len(value) != length:
        raise InvalidModel(f"{path} has {len(value)} entries; {length} are needed")
    return value


def _places(values: list[Any], path: str, below: int) -> Indices:
    if set(map(type, values)) <= {int}:
        with suppress(OverflowError):  # an integer of many digits
            places = np.array(values, np.intp)
            if ((places >= 0) & (places < below)).all():
                return places
    i = next(i for i, index in enumerate(values) if type(index) is not int or not 0 <= index < below)
    raise InvalidModel(f"{path}[{i}] is {shown(values[i])}, not an integer from 0 to {below - 1}")


class _Splits(NamedTuple):
    """The questions, in the document's order."""

    columns: Indices
    inputs: Indices  # of `Inputs`, which are made from the columns
    thresholds: Floats


def parse(value: Any, path: str) -> Forest:
    keys = ForestFields(value, path)
    keys.require_known(KEYS, "a forest")
    n_inputs, marks = keys.up_to("inputs", MAX_INPUTS), _marks(keys)
    asked = marks[marks != LEAF]
    takes_missing = bool((asked != NEVER).all())
    inputs, splits = _inputs(keys, asked, n_inputs, takes_missing)
    dtype = keys.dtype("sum_type")
    base = cast(keys.floats("base", most=MAX_OUTPUTS), dtype, keys.at("base"))
    if not len(base):
        raise InvalidModel(f"{keys.at('base')} is empty; it has a number an output")
    depths = _depths(keys, marks) if "depths" in keys else None
    n_trees = keys.up_to("trees", MAX_NODES) if depths is None else len(depths)
    order, shares = _shares(keys, n_trees, len(base))
    leaves: Leaves
    if depths is None:
        leaves = _nodes(marks, n_trees, splits, order, keys.at("nodes"))
        is_leaf, n_nodes, work = marks == LEAF, len(marks), VISIT * _visits(leaves.levels, n_trees)
    else:
        leaves = _oblivious(depths, splits, order)
        is_leaf = np.ones(int((1 << depths).sum()), np.bool_)
        n_nodes, work = len(marks) + len(is_leaf), ANSWER * leaves.asked.size
    vectors, values = _values(keys, is_leaf, len(base), dtype)
    added = n_trees if "tree_outputs" in keys else n_trees * len(base)
    width = inputs.width(n_inputs)
    return Forest(
        n_inputs=n_inputs,
        takes_missing=takes_missing,
        inputs=inputs,
        leaves=leaves,
        n_trees=n_trees,
        shares=shares,
        vectors=vectors,
        values=values,
        base=base,
        divide=keys.positive("divide"),
        cost=Cost(work + ANSWER * added + COLUMN * width, n_inputs + 2 * width + len(base)),
        card={"trees": n_trees, "nodes": n_nodes, "depth": leaves.depth},
        splits=np.bincount(splits.columns, minlength=n_inputs),
        gain=keys.floats("gain", n_inputs, MAX_INPUTS) if "gain" in keys else None,
        counts=_counts(keys, int(np.count_nonzero(is_leaf))) if "counts" in keys else None,
    )


def _counts(keys: ForestFields, n_leaves: int) -> NDArray[np.float64]:
    found = keys.floats("counts", n_leaves)
    if found.size and found.min() < 0:
        i = int(found.argmin())
        raise InvalidModel(f"{keys.at('counts')}[{i}] is {found[i]:g}; a count is 0 or more")
    return found


def _marks(keys: ForestFields) -> NDArray[np.uint8]:
    """Return one byte per node, or per level of oblivious trees."""
    text = keys.value("nodes")
    if not isinstance(text, str) or len(text) > MAX_NODES or not text.isascii():
        raise InvalidModel(f"{keys.at('nodes')} is not a text of at most {MAX_NODES} letters")
    marks = np.frombuffer(text.encode(), np.uint8)
    counts = np.bincount(marks, minlength=128)
    known = [LEFT, RIGHT, NEVER] + [LEAF] * ("depths" not in keys)
    if counts.sum() != counts[known].sum():
        i = int(np.argmin(np.isin(marks, known)))
        raise InvalidModel(
            f"{keys.at('nodes')}[{i}] is {shown(text[i])}; known are {', '.join(map(chr, known))}"
        )
    if counts[NEVER] and counts[LEFT] + counts[RIGHT]:
        raise InvalidModel(
            f"{keys.at('nodes')} has n beside l and r; missing values are taken everywhere or never"
        )
    return marks


def _inputs(
    keys: ForestFields, asked: NDArray[np.uint8], n_inputs: int, takes_missing: bool
) -> tuple[Inputs, _Splits]:
    """Return the inputs that are made from the columns, and the splits, which look at them."""
    columns = keys.places("columns", len(asked), n_inputs)
    thresholds = keys.floats("thresholds", len(asked))
    looked_at = columns + n_inputs * ((asked == RIGHT) & takes_missing)
    sets, thresholds, looked_at = _sets(
        keys, asked, columns, thresholds, looked_at, n_inputs * (1 + takes_missing)
    )
    dtype = keys.dtype("input_type")
    zero = keys.finite("zero") or 0.0
    absent, absent_in = _absent(keys, n_inputs, takes_missing)
    inputs = Inputs(dtype, zero, absent, absent_in, takes_missing, sets)
    return inputs, _Splits(columns, looked_at, cast(thresholds, dtype, keys.at("thresholds")))


def _absent(keys: ForestFields, n_inputs: int, takes_missing: bool) -> tuple[float | None, Indices]:
    everywhere = np.arange(n_inputs)
    if "absent" not in keys:
        return None, everywhere
    inner = ForestFields(keys.value("absent"), keys.at("absent"))
    inner.require_known(("value", "columns"), "absent")
    if not takes_missing:
        raise InvalidModel(f"{inner.path} stands beside nodes that take no missing value")
    columns = inner.places("columns", None, n_inputs) if "columns" in inner else everywhere
    return _finite(inner, "value"), columns


def _finite(keys: Fields, key: str) -> float:
    keys.value(key)
    return keys.finite(key) or 0.0


def _sets(
    keys: ForestFields,
    asked: NDArray[np.uint8],
    columns: Indices,
    thresholds: NDArray[np.float64],
    looked_at: Indices,
    n_before: int,
) -> tuple[tuple[Sets, ...], NDArray[np.float64], Indices]:
    """Return the tables for columns of categories, and all thresholds and inputs. A node with a set looks at
    an input that is 0 in the set, else 1."""
    if "categorical" not in keys:
        return (), thresholds, looked_at
    named = _named(keys)
    nodes = _of_columns(columns, keys.places("categorical", None, n_before))
    _require_sets(thresholds, nodes, len(named), keys)
    which = thresholds[nodes].astype(np.intp)
    first, entries = n_before, 0
    made: list[Sets] = []
    thresholds, looked_at = thresholds.copy(), looked_at.copy()
    thresholds[nodes] = 0.5
    starts = np.flatnonzero(np.diff(columns[nodes], prepend=-1)).tolist()
    for start, end in pairwise([*starts, len(nodes)]):
        of_column = nodes[start:end]
        asked_for = 2 * which[start:end] + (asked[of_column] == RIGHT)
        distinct, at = np.unique(asked_for, return_inverse=True)
        looked_at[of_column] = first + at
        first += len(distinct)
        asked_sets = [(named[k // 2], bool(k % 2)) for k in distinct.tolist()]
        n_codes = 1 + max(int(codes.max(initial=0)) for codes, _ in asked_sets)
        entries += (n_codes + 2) * len(distinct)
        if entries > MAX_SETS:
            raise InvalidModel(f"{keys.at('sets')} would take tables of more than {MAX_SETS:,} entries")
        made.append(Sets(int(columns[nodes[start]]), _table(n_codes, asked_sets)))
    return tuple(made), thresholds, looked_at


def _of_columns(columns: Indices, wanted: Indices) -> Indices:
    """Return the questions about these columns, column by column."""
    nodes = np.flatnonzero(np.isin(columns, wanted))
    return nodes[columns[nodes].argsort(kind="stable")]


def _require_sets(thresholds: NDArray[np.float64], nodes: Indices, n_sets: int, keys: ForestFields) -> None:
    wrong = nodes[~np.isin(thresholds[nodes], np.arange(n_sets))]
    if len(wrong):
        i = int(wrong.min())
        raise InvalidModel(f"{keys.at('thresholds')}[{i}] is {thresholds[i]:g}; there are {n_sets} sets")


def _named(keys: ForestFields) -> list[Indices]:
    """Return the sets, each an array of codes."""
    path = keys.at("sets")
    return [_set(codes, f"{path}[{i}]") for i, codes in enumerate(keys.listed("sets", None, MAX_NODES))]


def _set(value: Any, path: str) -> Indices:
    """Return a set with each code once, so that a table costs no more than its entries."""
    codes = _places(_listed(value, path, None, MAX_CODES), path, MAX_CODES)
    return np.unique(codes) if len(codes) > 1 else codes


def _table(n_codes: int, columns: list[tuple[Indices, bool]]) -> NDArray[np.bool_]:
    """Return whether codes go right, (n_codes + 2, sets): a row per code, then for any other, then for a
    missing one."""
    table = np.ones((n_codes + 2, len(columns)), np.bool_)
    for j, (codes, missing_right) in enumerate(columns):
        table[codes, j] = False
        table[-1, j] = missing_right
    return table


def _shares(keys: ForestFields, n_trees: int, n_outputs: int) -> tuple[Indices, tuple[slice, ...]]:
    """Return the trees in the order of their outputs, and each output's share of them."""
    if "tree_outputs" not in keys:
        return np.arange(n_trees), (slice(0, n_trees),) * n_outputs
    of_trees = keys.places("tree_outputs", n_trees, n_outputs)
    ends = np.bincount(of_trees, minlength=n_outputs).cumsum().tolist()
    return of_trees.argsort(kind="stable"), tuple(map(slice, [0, *ends[:-1]], ends))


def _nodes(marks: NDArray[np.uint8], n_trees: int, splits: _Splits, order: Indices, path: str) -> Nodes:
    """Return the nodes. Raises InvalidModel unless each node but the roots is the child of one before it."""
    inner = np.flatnonzero(marks != LEAF)
    if len(marks) != n_trees + 2 * len(inner):
        raise InvalidModel(
            f"{path} has {len(marks)} letters; {n_trees} trees of {len(inner)} inner nodes have "
            f"{n_trees + 2 * len(inner)}"
        )
    children = np.arange(len(marks))
    children[inner] = n_trees + 2 * np.arange(len(inner))
    backwards = children[inner] <= inner
    if backwards.any():
        raise InvalidModel(f"{path}[{int(inner[backwards.argmax()])}] stands after its children")
    inputs = np.zeros(len(marks), np.intp)
    inputs[inner] = splits.inputs
    thresholds = np.full(len(marks), np.inf, splits.thresholds.dtype)
    thresholds[inner] = splits.thresholds
    return Nodes.of(order, inputs, thresholds, children, _levels(marks != LEAF, n_trees, path))


def _levels(is_inner: NDArray[np.bool_], n_trees: int, path: str) -> tuple[int, ...]:
    """Return the number of inner nodes in each level, over all trees."""
    start, end, levels = 0, n_trees, []
    while inner := int(np.count_nonzero(is_inner[start:end])):
        levels.append(inner)
        start, end = end, end + 2 * inner
        if len(levels) > MAX_DEPTH:
            raise InvalidModel(f"{path} makes trees of more than {MAX_DEPTH:,} levels: limit their depth")
    return tuple(levels)


def _visits(levels: tuple[int, ...], n_trees: int) -> int:
    """Return the most nodes that a row visits."""
    return sum(min(inner, n_trees) for inner in levels)


def _depths(keys: ForestFields, marks: NDArray[np.uint8]) -> Indices:
    """Return the number of levels of each oblivious tree."""
    depths = keys.places("depths", None, MAX_BITS + 1)
    if not len(depths):
        raise InvalidModel(f"{keys.at('depths')} is empty")
    if depths.sum() != len(marks):
        raise InvalidModel(f"{keys.at('nodes')} has {len(marks)} letters; depths has {depths.sum()} levels")
    if (1 << depths).sum() > MAX_NODES:
        raise InvalidModel(f"{keys.at('depths')} makes more than {MAX_NODES:,} leaves")
    return depths


def _oblivious(depths: Indices, splits: _Splits, order: Indices) -> Oblivious:
    levels, trees = int(depths.max()), len(depths)
    inputs = np.zeros((levels, trees), np.intp)
    thresholds = np.full((levels, trees), np.inf, splits.thresholds.dtype)
    tree = np.arange(trees).repeat(depths)
    level = np.arange(len(tree)) - (depths.cumsum() - depths)[tree]
    inputs[level, tree], thresholds[level, tree] = splits.inputs, splits.thresholds
    first = (1 << depths).cumsum() - (1 << depths)
    return Oblivious.of(first[order], inputs[:, order], thresholds[:, order])


def _values(
    keys: ForestFields, is_leaf: NDArray[np.bool_], n_outputs: int, dtype: type[np.floating[Any]]
) -> tuple[Indices | None, tuple[Floats, ...]]:
    """Return the index of each node's vector of numbers, and for each output the numbers of all vectors. If
    each leaf has only one number, return None, and for each output the number of each node."""
    path, n_leaves = f"{keys.at('values')}", int(is_leaf.sum())
    listed = keys.listed("values", None if "leaves" in keys else n_leaves, MAX_NODES)
    each = 1 if "tree_outputs" in keys else n_outputs
    of_nodes = np.zeros(len(is_leaf), np.intp)
    of_nodes[is_leaf] = (
        keys.places("leaves", n_leaves, len(listed)) if "leaves" in keys else np.arange(n_leaves)
    )
    if each == 1:
        numbers = cast(finite_numbers(listed, path), dtype, path)
        return None, (numbers.take(of_nodes),) * n_outputs
    rows = [_listed(row, f"{path}[{i}]", each, each) for i, row in enumerate(listed)]
    numbers = cast(finite_numbers(list(chain.from_iterable(rows)), path), dtype, path)
    return of_nodes, tuple(np.ascontiguousarray(numbers.reshape(-1, each).T))
