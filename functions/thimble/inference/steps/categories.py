"""Steps that turn categories into codes, and codes into columns of 0 and 1."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache, partial
from itertools import repeat

import numpy as np

from thimble.inference.arrays import FloatArray, all_finite
from thimble.inference.cost import FUNCTION, Cost, elementwise
from thimble.inference.steps.columns import Step, Table, selection
from thimble.inference.steps.keys import Keys

MOST_SHOWN, LONGEST_SHOWN = 10, 40  # categories in a sentence, and characters of one
LOOKUP = Cost(FUNCTION, 2)


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
    known = [text for text in codes if text is not None]
    refusal, alike = _refusal(name, map(repr, known), len(known)), cache(partial(_by_reading, known))

    def reason(text: str | None) -> str:
        if text is None:
            return f"{name} is missing"
        near = alike().get(_reading(text))
        return refusal if near is None else f"{refusal}; {_likeness(text, near)}"

    def fill(table: Table, out: FloatArray) -> None:
        values = table.features[feature]
        found = out[0, : table.rows]
        out[0, table.rows :] = 0.0
        found[:] = list(map(codes.get, values, repeat(math.inf if unknown is None else unknown)))
        if unknown is None:
            for row in np.flatnonzero(np.isinf(found)).tolist():
                table.reject(row, reason(values[row]))
                found[row] = 0.0

    return Step(1, fill, LOOKUP)


def _encode_numbers(column: int, name: str, codes: dict[float | None, float], unknown: float | None) -> Step:
    missing = codes.pop(None, None)
    numbers = sorted(number for number in codes if number is not None)
    refusal = _refusal(name, (f"{number!r}".removesuffix(".0") for number in numbers), len(numbers))
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

    return Step(1, fill, LOOKUP)


def _refusal(name: str, known: Iterable[str], n: int) -> str:
    """With the categories, which are the model's, without the value: an error does not repeat the data."""
    sentence = f"{name} is no category that the model knows"
    shown = list(known) if 0 < n <= MOST_SHOWN else []
    return f"{sentence} ({', '.join(shown)})" if shown and max(map(len, shown)) <= LONGEST_SHOWN else sentence


def _reading(text: str) -> str:
    """What texts have in common that people read alike: whatever their case, spaces and Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _by_reading(known: Iterable[str]) -> dict[str, str]:
    """The categories that are short enough to be shown, by how they read; of several the first."""
    found: dict[str, str] = {}
    for text in known:
        if len(text) <= LONGEST_SHOWN:
            found.setdefault(_reading(text), text)
    return found


DIFFERENCES: dict[str, Callable[[str], str]] = {
    "case": str.casefold,
    "spaces": lambda text: " ".join(text.split()),
    "Unicode form": lambda text: unicodedata.normalize("NFKC", text),
}


def _likeness(text: str, near: str) -> str:
    """The known category, and what alone sets the value apart from it."""
    alone = [what for what, without in DIFFERENCES.items() if without(text) == without(near)]
    return f"it is {near!r} but for its {alone[0] if alone else 'case, spaces or Unicode form'}"


def one_hot(keys: Keys) -> Step:
    """For each column and each code from 0 up a column: 1 where x is the code; of NaN no code."""
    columns = keys.columns()
    sizes = keys.sizes("sizes", len(columns))
    once, reads = selection(columns), selection(np.repeat(columns, sizes))  # as often as there are codes
    codes = np.concatenate([np.arange(size, dtype=np.float64) for size in sizes])[:, np.newaxis]

    def fill(table: Table, out: FloatArray) -> None:
        np.equal(table.numbers[reads], codes, out=out)
        if not all_finite(table.numbers[once]):
            np.copyto(out, np.nan, where=np.isnan(table.numbers[reads]))

    return Step(len(codes), fill, elementwise(len(columns) + len(codes), len(codes)))
