"""Steps that turn categories into codes, and codes into columns of 0 and 1."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import repeat
from typing import cast

import numpy as np

from thimble.errors import InvalidModel
from thimble.inference.arrays import FloatArray, all_finite
from thimble.inference.cost import FUNCTION, Cost, elementwise
from thimble.inference.fields import is_finite
from thimble.inference.steps.columns import Row, Step, StepFields, Table, listed, selection

MOST_SHOWN, LONGEST_SHOWN = 10, 40  # categories in a sentence, and characters of one

Category = str | float | None


class Encode(Step):
    """Look x up in a table of codes. An unknown value gets the code `unknown`, or rejects the row."""

    KEYS = ("column", "categories", "codes", "unknown")
    plain = True

    def __init__(self, fields: StepFields) -> None:
        column = fields.index("column", len(fields.names))
        self.is_text = column in fields.texts
        categories = _categories(fields, self.is_text)
        self.codes = dict(zip(categories, fields.numbers("codes", len(categories)), strict=True))
        self.categories = frozenset(text for text in categories if isinstance(text, str))
        self.unknown = fields.number("unknown")
        coder = _Texts if self.is_text else _Numbers
        self.coder = coder(column, fields.names[column], self.codes, self.unknown)
        self._declare([np.array([column])], 1, Cost(FUNCTION, 2))

    def fill(self, table: Table, out: FloatArray) -> None:
        self.coder.fill(table, out[0])

    def alone(self, row: Row) -> list[float]:
        return [self.coder.alone(row)]


def _categories(fields: StepFields, text: bool) -> list[Category]:
    """Return distinct strings or distinct numbers; one may be null."""
    path, found = fields.at("categories"), fields.items("categories")
    for i, category in enumerate(found):
        fits = isinstance(category, str) if text else is_finite(category)
        if category is not None and not fits:
            held = "a string, but the column holds text" if text else "a number, but the column holds numbers"
            raise InvalidModel(f"{path}[{i}] is not {held}")
    if len(set(found)) < len(found):
        raise InvalidModel(f"{path} has a category twice")
    return found


class _Texts:
    """Encodes a text feature. The category None is a missing text."""

    def __init__(
        self, feature: int, name: str, codes: Mapping[Category, float], unknown: float | None
    ) -> None:
        self.feature, self.name, self.codes = feature, name, codes
        self.unknown = math.inf if unknown is None else unknown
        self.known = [cast(str, category) for category in codes if category is not None]
        self.refusal = _refusal(name, map(repr, self.known), len(self.known))

    def fill(self, table: Table, out: FloatArray) -> None:
        values = table.texts[self.feature].tolist()
        found = out[: table.rows]
        out[table.rows :] = 0.0
        found[:] = list(map(self.codes.get, values, repeat(self.unknown)))
        if self.unknown == math.inf and not all_finite(found):
            for row in np.flatnonzero(np.isinf(found)).tolist():
                table.reject(row, self._reason(values[row]))
                found[row] = 0.0

    def alone(self, row: Row) -> float:
        return self.codes.get(row[self.feature], self.unknown)

    def _reason(self, text: str | None) -> str:
        if text is None:
            return f"{self.name} is missing"
        near = self._by_reading.get(_reading(text))
        return self.refusal if near is None else f"{self.refusal}; {_likeness(text, near)}"

    @cached_property
    def _by_reading(self) -> dict[str, str]:
        """The short categories by their reading; the first one of those that read alike."""
        found: dict[str, str] = {}
        for text in self.known:
            if len(text) <= LONGEST_SHOWN:
                found.setdefault(_reading(text), text)
        return found


class _Numbers:
    """Encodes a column of numbers. The category None is a missing number."""

    def __init__(
        self, column: int, name: str, codes: Mapping[Category, float], unknown: float | None
    ) -> None:
        self.column, self.name, self.unknown = column, name, unknown
        self.missing = codes.get(None)
        numbers = sorted(cast(float, category) for category in codes if category is not None)
        self.refusal = _refusal(name, (f"{number!r}".removesuffix(".0") for number in numbers), len(numbers))
        self.known = np.array(numbers, np.float64)
        self.codes = np.array([codes[number] for number in numbers])
        pairs = [*zip(self.known.tolist(), self.codes.tolist(), strict=True)]
        self.by_number: dict[float, float] = dict(reversed(pairs))  # of two that are one double, the first
        self.otherwise = math.inf if unknown is None else unknown

    def fill(self, table: Table, out: FloatArray) -> None:
        x = table.numbers[self.column]
        absent = np.isnan(x)
        found = np.zeros(len(x), np.bool_)
        out[:] = 0.0 if self.unknown is None else self.unknown
        if len(self.known):
            at = np.minimum(np.searchsorted(self.known, x), len(self.known) - 1)
            found = self.known[at] == x
            np.copyto(out, self.codes[at], where=found)
        if self.missing is not None:
            np.copyto(out, self.missing, where=absent)
            found |= absent
        if self.unknown is None and not found.all():
            for row in np.flatnonzero(~found).tolist():
                table.reject(row, f"{self.name} is missing" if absent[row] else self.refusal)

    def alone(self, row: Row) -> float:
        x: float = row[self.column]
        if x != x and self.missing is not None:
            return self.missing
        return self.by_number.get(x, self.otherwise)


def _refusal(name: str, known: Iterable[str], n: int) -> str:
    """Name the categories, which the model knows, but not the value: an error does not repeat the data."""
    sentence = f"{name} is not a category that the model knows"
    shown = list(known) if 0 < n <= MOST_SHOWN else []
    return f"{sentence} ({', '.join(shown)})" if shown and max(map(len, shown)) <= LONGEST_SHOWN else sentence


def _reading(text: str) -> str:
    """Reduce a text to what people read: without its case, spaces and Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


DIFFERENCES: dict[str, Callable[[str], str]] = {
    "case": str.casefold,
    "spaces": lambda text: " ".join(text.split()),
    "Unicode form": lambda text: unicodedata.normalize("NFKC", text),
}


def _likeness(text: str, near: str) -> str:
    """Name the known category that the value is close to, and how the two differ."""
    alone = [what for what, without in DIFFERENCES.items() if without(text) == without(near)]
    return f"it differs from {near!r} only in {alone[0] if alone else 'case, spaces or Unicode form'}"


class OneHot(Step):
    """Append a column for each code of each column: 1 where x is the code, else 0. NaN stays NaN."""

    KEYS = ("columns", "sizes")
    plain = True

    def __init__(self, fields: StepFields) -> None:
        columns = fields.columns()
        sizes = fields.sizes("sizes", len(columns))
        self.once, self.reads = selection(columns), selection(np.repeat(columns, sizes))  # one per code
        self.codes = np.concatenate([np.arange(size, dtype=np.float64) for size in sizes])[:, np.newaxis]
        width = len(self.codes)
        self._declare([columns], width, elementwise(len(columns) + width, width))
        self.pairs = list(zip(self.each, self.codes.ravel().tolist(), strict=True))

    @property
    def each(self) -> list[int]:
        """The column that each appended column is made from."""
        return listed(self.reads)

    def fill(self, table: Table, out: FloatArray) -> None:
        np.equal(table.numbers[self.reads], self.codes, out=out)
        if not all_finite(table.numbers[self.once]):
            np.copyto(out, np.nan, where=np.isnan(table.numbers[self.reads]))

    def alone(self, row: Row) -> list[float]:
        return [(1.0 if x == code else 0.0) if (x := row[column]) == x else x for column, code in self.pairs]


class Embed(Step):
    """Add up one row of each column's table: the row that the code names. This does the same as `one_hot` and
    `linear`, without a column per category. A code that has no row adds nothing. NaN makes the sums NaN."""

    KEYS = ("columns", "tables", "means")

    def __init__(self, fields: StepFields) -> None:
        columns = fields.columns()
        tables = fields.matrices("tables", len(columns))
        width = tables[0].shape[1]
        self.sizes = [len(table) for table in tables]
        self.starts = np.cumsum([0, *self.sizes])
        self.rows = np.vstack([*tables, np.zeros((1, width))])
        self.means = fields.matrix("means", len(columns)) if "means" in fields else None
        if self.means is not None:  # means of what each column adds, over the training rows
            fields.check_length("means[0]", self.means.shape[1], width)
        self.reads = selection(columns)
        self._declare([columns], width, elementwise(len(columns) * width, width))

    def fill(self, table: Table, out: FloatArray) -> None:
        codes = table.numbers[self.reads]
        total = np.zeros((codes.shape[1], len(out)))
        for added in self.added(codes):
            total += added
        out[:] = total.T
        if not all_finite(codes):
            out[:, np.isnan(codes).any(axis=0)] = np.nan

    def added(self, codes: FloatArray) -> Iterator[FloatArray]:
        """Yield what each column adds, (rows, width)."""
        for code, start, size in zip(codes, self.starts, self.sizes, strict=False):
            named = (code >= 0) & (code < size) & (code == np.floor(code))
            yield self.rows.take(np.where(named, code + start, -1).astype(np.intp), axis=0)
