"""Steps that turn categories into codes, and codes into columns of 0 and 1."""

from __future__ import annotations

import math
from itertools import repeat

import numpy as np

from thimble.arrays import FloatArray
from thimble.steps.keys import Keys
from thimble.steps.table import Step, Table, selection

MOST_SHOWN = 10  # categories in a sentence


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
    refusal = _refusal(name, [repr(text) for text in codes if text is not None])

    def fill(table: Table, out: FloatArray) -> None:
        values = table.features[feature]
        found = out[0, : table.rows]
        out[0, table.rows :] = 0.0
        found[:] = list(map(codes.get, values, repeat(math.inf if unknown is None else unknown)))
        if unknown is None:
            for row in np.flatnonzero(np.isinf(found)).tolist():
                table.reject(row, refusal if values[row] is not None else f"{name} is missing")
                found[row] = 0.0

    return Step(1, fill)


def _encode_numbers(column: int, name: str, codes: dict[float | None, float], unknown: float | None) -> Step:
    missing = codes.pop(None, None)
    numbers = sorted(number for number in codes if number is not None)
    refusal = _refusal(name, [f"{number:g}" for number in numbers])
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
                table.reject(row, f"{name} is missing" if absent[row] else refusal)

    return Step(1, fill)


def _refusal(name: str, known: list[str]) -> str:
    """With the categories, which are the model's, without the value: an error does not repeat the data."""
    shown = f" ({', '.join(known)})" if 0 < len(known) <= MOST_SHOWN and max(map(len, known)) <= 40 else ""
    return f"{name} is no category that the model knows{shown}"


def one_hot(keys: Keys) -> Step:
    """For each column and each code from 0 up a column: 1 where x is the code."""
    columns = keys.columns()
    sizes = keys.sizes("sizes", len(columns))
    reads = selection(np.repeat(columns, sizes))  # each column as often as it has codes
    codes = np.concatenate([np.arange(size, dtype=np.float64) for size in sizes])[:, np.newaxis]

    def fill(table: Table, out: FloatArray) -> None:
        np.equal(table.numbers[reads], codes, out=out)

    return Step(len(codes), fill)
