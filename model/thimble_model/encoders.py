"""Turn fitted encoders of categories into tables of codes, by asking the encoders themselves."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import numpy as np
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from thimble_model.forms import is_missing, require_plain
from thimble_model.frames import beside, known_names, pandas
from thimble_model.program import Code, Column, Program
from thimble_model.unsupported import Unsupported

Columns = list[Column]

MOST_ENTRIES = 4_000_000  # the largest answer asked of an encoder at once: 32 MB


def one_hot_encoder(program: Program, estimator: OneHotEncoder, columns: Columns) -> Columns:
    sizes = _one_hot_sizes(estimator)
    starts = np.cumsum([0, *sizes]).tolist()
    codes = [
        _encoded(program, estimator, columns, j, partial(_position, start=starts[j], end=starts[j + 1]))
        for j in range(len(columns))
    ]
    return program.add("one_hot", [code.index for code in codes], width=sum(sizes), sizes=sizes)


def _one_hot_sizes(estimator: OneHotEncoder) -> list[int]:
    """Return how many columns each column becomes."""
    dropped = [None] * len(estimator.categories_) if estimator.drop_idx_ is None else estimator.drop_idx_
    groups = getattr(estimator, "infrequent_categories_", None) or [None] * len(estimator.categories_)
    return [
        len(categories) - (0 if group is None else len(group) - 1) - (0 if drop is None else 1)
        for categories, group, drop in zip(estimator.categories_, groups, dropped, strict=True)
    ]


def _position(row: Any, start: int, end: int) -> float:
    """Return the index of the column that holds the 1; -1 if none does."""
    ones = np.flatnonzero(row[start:end])
    return float(ones[0]) if len(ones) else -1.0


def ordinal_encoder(program: Program, estimator: OrdinalEncoder, columns: Columns) -> Columns:
    return [_encoded(program, estimator, columns, j, partial(_entry, j)) for j in range(len(columns))]


def _entry(j: int, row: Any) -> float:
    return float(row[j])


def target_encoder(program: Program, estimator: TargetEncoder, columns: Columns) -> Columns:
    """Replace each category by its mean; with three or more classes, by a row of means, one per class."""
    several = estimator.target_type_ == "multiclass"
    width = len(estimator.classes_) if several else 1
    return [
        made
        for j in range(len(columns))
        for made in (
            _looked_up(program, estimator, columns, j, slice(j * width, (j + 1) * width))
            if several
            else [_encoded(program, estimator, columns, j, partial(_entry, j))]
        )
    ]


def _looked_up(program: Program, estimator: Any, columns: Columns, j: int, part: slice) -> Columns:
    """Look up each category's row in a table; equal rows are kept once."""
    rows: dict[tuple[float, ...], float] = {}

    def place(row: Any) -> float:
        return rows.setdefault(tuple(row[part].tolist()), float(len(rows)))

    code = _encoded(program, estimator, columns, j, place)
    table = np.array(list(rows))
    return program.add("embed", [code.index], width=table.shape[1], tables=[table.tolist()])


def _encoded(
    program: Program, estimator: Any, columns: Columns, j: int, read: Callable[[Any], float]
) -> Column:
    known = estimator.categories_[j]
    return coded(
        program,
        columns[j],
        list(known) if known.dtype.kind in "mM" else known.tolist(),  # tolist() would make integers of dates
        lambda values: _ask(estimator, j, values, read),
    )


def coded(
    program: Program, column: Column, known: list[Any], answer: Callable[[list[Any]], list[Code]]
) -> Column:
    """Encode a column by a table of codes. `answer` gives the encoder's codes, None if it refuses a value."""
    require_plain(program.describe(column), known)
    categories = [category.item() if isinstance(category, np.generic) else category for category in known]
    present = [category for category in categories if not is_missing(category)]
    strings = all(isinstance(category, str) for category in present)
    booleans = bool(present) and all(isinstance(category, bool) for category in present)
    if len(categories) - len(present) > 1:
        raise Unsupported(f"{program.describe(column)} knows None and NaN as two categories")
    if not present and program.is_feature(column):
        strings = program.is_text(column)
    program.settle(column, "text" if strings else "boolean" if booleans else "number")
    if not strings and not all(_is_exact(category) for category in present):
        raise Unsupported(f"{program.describe(column)} has a category that no double holds exactly")
    null = next((category for category in categories if is_missing(category)), np.nan)
    odd: Any = _none_of(present, "\x00 {}".format if strings else (0.5).__add__)

    def ask(values: list[Any]) -> list[Code]:
        return answer([null if value is None else value for value in values])

    return program.encode(column, categories, ask, null, odd)


def _none_of(categories: list[Any], candidate: Callable[[int], Any]) -> Any:
    """Return the first `candidate(k)` that is not a category; a candidate may round to a category."""
    known = set(categories)
    return next(value for value in map(candidate, count()) if value not in known)


def _is_exact(category: Any) -> bool:
    return isinstance(category, bool | int | float) and int(float(category) // 1) == category // 1


def _ask(estimator: Any, j: int, values: list[Any], read: Callable[[Any], float]) -> list[Code]:
    """Return the encoder's own codes of values in column j; None for each if it refuses them."""
    at_once = max(1, MOST_ENTRIES // sum(map(len, estimator.categories_)))
    parts = [values[i : i + at_once] for i in range(0, len(values), at_once)]
    return [code for part in parts for code in _ask_few(estimator, j, part, read)]


def _ask_few(estimator: Any, j: int, values: list[Any], read: Callable[[Any], float]) -> list[Code]:
    fixed = [categories.tolist()[0] for categories in estimator.categories_]
    columns = [
        np.array(values if k == j else [category] * len(values), _dtype(estimator.categories_[k]))
        for k, category in enumerate(fixed)
    ]
    known = known_names(estimator)
    rows = pandas().DataFrame(dict(zip(known, columns, strict=True))) if known else beside(columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            encoded = estimator.transform(rows)
        except ValueError:
            return [None] * len(values)
    encoded = encoded.toarray() if hasattr(encoded, "toarray") else np.asarray(encoded)
    return [read(row) for row in encoded]


def _dtype(categories: Any) -> Any:
    return np.float64 if categories.dtype.kind in "iuf" else object
