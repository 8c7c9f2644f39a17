"""Steps that turn categories into codes, and codes into columns of 0 and 1."""

from __future__ import annotations

import math
from itertools import repeat
from typing import Any

import numpy as np

from thimble.arrays import FloatArray
from thimble.steps.keys import Keys
from thimble.steps.table import Step, Table, selection


def encode(keys: Keys) -> Step:
    """The code of x in a table; one that is not in it gets the code `unknown`, or rejects the row."""
    column = keys.feature("column")
    is_text = column in keys.texts
    categories = keys.categories("categories", text=is_text)
    codes = dict(zip(categories, keys.numbers("codes", len(categories)), strict=True))
    encoder = _encode_text if is_text else _encode_numbers
    return encoder(column, keys.names[column], codes, keys.number("unknown"))


def _encode_text(feature: int, name: str, codes: dict[str | None, float], unknown: float | None) -> Step:
    """None among the categories is a missing text."""

    def fill(table: Table, out: FloatArray) -> None:
        values = table.features[feature]
        found = out[0, : table.rows]
        out[0, table.rows :] = 0.0
        found[:] = list(map(codes.get, values, repeat(math.inf if unknown is None else unknown)))
        if unknown is None:
            for row in np.flatnonzero(np.isinf(found)).tolist():
                table.reject(row, _unknown(name, values[row]))
                found[row] = 0.0

    return Step(1, fill)


def _encode_numbers(column: int, name: str, codes: dict[float | None, float], unknown: float | None) -> Step:
    missing = codes.pop(None, None)
    numbers = sorted(number for number in codes if number is not None)
    known, known_codes = np.array(numbers, np.float64), np.array([codes[number] for number in numbers])

    def fill(table: Table, out: FloatArray) -> None:
        x = table.numbers[column]
        absent = np.isnan(x)
        found = np.zeros(len(x), np.bool_)
        out[0] = 0.0 if unknown is None else unknown
        if len(known):
            at = np.minimum(np.searchsorted(known, x), len(known) - 1)
            found = known[at] == x
            np.copyto(out[0], known_codes[at], where=found)
        if missing is not None:
            np.copyto(out[0], missing, where=absent)
            found |= absent
        if unknown is None and not found.all():
            for row in np.flatnonzero(~found).tolist():
                table.reject(row, _unknown(name, None if absent[row] else float(x[row])))

    return Step(1, fill)


def _unknown(name: str, value: Any) -> str:
    if value is None:
        return f"{name} is missing"
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return f"{name}: {text if len(text) <= 60 else text[:57] + '...'} is no category that the model knows"


def one_hot(keys: Keys) -> Step:
    """For each column and each code from 0 up a column: 1 where x is the code."""
    columns = keys.columns()
    sizes = keys.sizes("sizes", len(columns))
    reads = selection(np.repeat(columns, sizes))  # each column as often as it has codes
    codes = np.concatenate([np.arange(size, dtype=np.float64) for size in sizes])[:, np.newaxis]

    def fill(table: Table, out: FloatArray) -> None:
        np.equal(table.numbers[reads], codes, out=out)

    return Step(len(codes), fill)
