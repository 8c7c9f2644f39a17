"""The keys of one step of a document, each checked as it is read; InvalidModel begins with its path."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble.errors import InvalidModel
from thimble.inference import fields
from thimble.inference.arrays import FloatArray


class Keys(NamedTuple):
    """One step's keys, each asked for once; `texts` are the features that only `encode` may read."""

    raw: dict[str, Any]
    path: str
    columns_so_far: int
    texts: frozenset[int]
    names: Sequence[str]  # of the columns so far

    def columns(self, key: str = "columns") -> NDArray[np.intp]:
        found = fields.indices(self.required(key), f"{self.path}.{key}", self.columns_so_far)
        listed = found.tolist()
        if not self.texts.isdisjoint(listed):
            i, column = next((i, column) for i, column in enumerate(listed) if column in self.texts)
            raise InvalidModel(f"{self.path}.{key}[{i}] is column {column}, which is not of numbers")
        return found

    def feature(self, key: str) -> int:
        """One column, of text or of numbers."""
        return int(fields.indices([self.required(key)], f"{self.path}.{key}", self.columns_so_far)[0])

    def required(self, key: str) -> Any:
        if key not in self.raw:
            raise InvalidModel(f"{self.path}.{key} is missing")
        return self.raw[key]

    def vector(self, key: str, n: int | None = None) -> FloatArray:
        """(n, 1)."""
        values = fields.vector(self.required(key), f"{self.path}.{key}")
        self.check_length(key, len(values), len(values) if n is None else n)
        return values[:, np.newaxis]

    def optional(self, key: str, n: int) -> FloatArray | None:
        return self.vector(key, n) if key in self.raw else None

    def vectors(self, key: str, n: int) -> tuple[FloatArray, ...]:
        """n vectors of any length."""
        path = f"{self.path}.{key}"
        lists = fields.items(self.required(key), path)
        self.check_length(key, len(lists), n)
        return tuple(fields.vector(values, f"{path}[{i}]") for i, values in enumerate(lists))

    def ascending(self, key: str, n: int, shortest: int = 1) -> tuple[FloatArray, ...]:
        """n vectors, each in ascending order."""
        found = self.vectors(key, n)
        for i, values in enumerate(found):
            if len(values) < shortest or (np.diff(values) < 0).any():
                path = f"{self.path}.{key}[{i}]"
                raise InvalidModel(f"{path} is not {shortest} or more numbers in ascending order")
        return found

    def matrix(self, key: str, rows: int) -> FloatArray:
        found = fields.matrix(self.required(key), f"{self.path}.{key}")
        self.check_length(key, len(found), rows)
        return found

    def sizes(self, key: str, n: int) -> NDArray[np.intp]:
        """n counts of columns, zero among them or not."""
        found = fields.indices(self.required(key), f"{self.path}.{key}", fields.MAX_WIDTH)
        self.check_length(key, len(found), n)
        if not found.any() or found.sum() > fields.MAX_WIDTH:
            raise InvalidModel(f"{self.path}.{key} is {found.sum()} columns in all")
        return found

    def choice(self, key: str, known: Sequence[str] | Mapping[str, Any]) -> str:
        return fields.choice(self.raw, key, known, None, f"{self.path}.")

    def number(self, key: str) -> float | None:
        """A number, NaN for null, None if there is no such key."""
        return _number(self.raw[key], f"{self.path}.{key}") if key in self.raw else None

    def finite(self, key: str) -> float | None:
        """A number, None if there is no such key."""
        return None if key not in self.raw else float(fields.vector([self.raw[key]], f"{self.path}.{key}")[0])

    def numbers(self, key: str, n: int) -> list[float]:
        """n numbers, NaN for null; 0, 1, 2, ... if there is no such key."""
        if key not in self.raw:
            return [float(i) for i in range(n)]
        path = f"{self.path}.{key}"
        found = [_number(value, f"{path}[{i}]") for i, value in enumerate(fields.items(self.raw[key], path))]
        self.check_length(key, len(found), n)
        return found

    def categories(self, key: str, text: bool) -> list[Any]:
        """Distinct strings or distinct numbers, null among them or not."""
        path = f"{self.path}.{key}"
        found = fields.items(self.required(key), path)
        for i, category in enumerate(found):
            fits = isinstance(category, str) if text else fields.is_finite(category)
            if category is not None and not fits:
                kind = "a string" if text else "a number"
                raise InvalidModel(f"{path}[{i}] is not {kind}, as the column is")
        if len(set(found)) < len(found):
            raise InvalidModel(f"{path} has a category twice")
        return found

    def check_length(self, key: str, found: int, wanted: int) -> None:
        if found != wanted:
            raise InvalidModel(f"{self.path}.{key} has {found} entries; {wanted} are needed")


def _number(value: Any, path: str) -> float:
    if value is not None and not fields.is_finite(value):
        raise InvalidModel(f"{path} is not a number")
    return math.nan if value is None else float(value)
