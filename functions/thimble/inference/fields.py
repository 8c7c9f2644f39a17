"""Read the keys of a JSON object, and check their types and bounds. InvalidModel begins with the path of what
is wrong."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from thimble.errors import InvalidModel, shortened
from thimble.inference.arrays import FloatArray

MAX_WIDTH = 100_000  # entries of any list
MAX_COUNT = 2**53
TYPES: dict[str, type[np.floating[Any]]] = {"float64": np.float64, "float32": np.float32}


class Fields:
    """The JSON object at `path`, which is "" for the document itself."""

    def __init__(self, value: Any, path: str = "") -> None:
        if not isinstance(value, dict):
            raise InvalidModel(f"{path} is not an object")
        self.raw: dict[str, Any] = value
        self.path = path

    def __contains__(self, key: object) -> bool:
        return key in self.raw

    def at(self, key: str) -> str:
        """Return the path of a key."""
        return f"{self.path}.{key}" if self.path else key

    def require_known(self, known: Collection[str], owner: str) -> None:
        for key in self.raw:
            if key not in known:
                raise InvalidModel(f"{self.at(shown(key))} is not a key of {owner}")

    def value(self, key: str) -> Any:
        if key not in self.raw:
            raise InvalidModel(f"{self.at(key)} is missing")
        return self.raw[key]

    def nested(self, key: str) -> Fields | None:
        """Return a nested object; None if the key is absent or null."""
        found = self.raw.get(key)
        return None if found is None else Fields(found, self.at(key))

    def json(self, key: str) -> dict[str, Any]:
        """Return an object as it is; empty if the key is absent."""
        found: dict[str, Any] = self._typed(key, dict, {})
        return found

    def text(self, key: str, default: str) -> str:
        found: str = self._typed(key, str, default)
        return found

    def flag(self, key: str, default: bool) -> bool:
        found: bool = self._typed(key, bool, default)
        return found

    def _typed(self, key: str, kind: type, default: Any) -> Any:
        value = self.raw.get(key, default)
        if not isinstance(value, kind):
            raise InvalidModel(f"{self.at(key)} is {shown(value)}, not {KINDS[kind]}")
        return value

    def choice(self, key: str, known: Collection[str], default: str | None = None) -> str:
        value = self.value(key) if default is None else self.raw.get(key, default)
        if not isinstance(value, str) or value not in known:
            raise InvalidModel(f"{self.at(key)} is {shown(value)}; use one of {', '.join(known)}")
        return value

    def dtype(self, key: str) -> type[np.floating[Any]]:
        return TYPES[self.choice(key, TYPES, "float64")]

    def items(self, key: str) -> list[Any]:
        return items(self.value(key), self.at(key))

    def items_of_length(self, key: str, length: int) -> list[Any]:
        found = self.items(key)
        self.check_length(key, len(found), length)
        return found

    def nested_each(self, key: str) -> list[Fields]:
        return [Fields(value, f"{self.at(key)}[{i}]") for i, value in enumerate(self.items(key))]

    def vector(self, key: str, length: int | None = None) -> FloatArray:
        found = vector(self.value(key), self.at(key))
        self.check_length(key, len(found), len(found) if length is None else length)
        return found

    def column(self, key: str, length: int | None = None) -> FloatArray:
        """Return a vector in the shape (length, 1)."""
        return self.vector(key, length)[:, np.newaxis]

    def vectors(self, key: str, length: int) -> tuple[FloatArray, ...]:
        """Return `length` vectors, each of any length."""
        lists = self.items_of_length(key, length)
        return tuple(vector(values, f"{self.at(key)}[{i}]") for i, values in enumerate(lists))

    def ascending(self, key: str, length: int, shortest: int = 1) -> tuple[FloatArray, ...]:
        """Return `length` vectors, each of at least `shortest` numbers in ascending order."""
        found = self.vectors(key, length)
        for i, values in enumerate(found):
            if len(values) < shortest or (np.diff(values) < 0).any():
                raise InvalidModel(
                    f"{self.at(key)}[{i}] is not {shortest} or more numbers in ascending order"
                )
        return found

    def matrix(self, key: str, rows: int) -> FloatArray:
        found = matrix(self.value(key), self.at(key))
        self.check_length(key, len(found), rows)
        return found

    def matrices(self, key: str, length: int) -> tuple[FloatArray, ...]:
        """Return `length` matrices, all of the same width."""
        lists = self.items_of_length(key, length)
        found = tuple(matrix(rows, f"{self.at(key)}[{i}]") for i, rows in enumerate(lists))
        width = found[0].shape[1]
        for i, one in enumerate(found):
            if one.shape[1] != width:
                raise InvalidModel(f"{self.at(key)}[{i}] has {one.shape[1]} columns, and [0] has {width}")
        return found

    def number(self, key: str) -> float | None:
        """Return a number, or NaN for null; None if the key is absent."""
        return _number(self.raw[key], self.at(key)) if key in self.raw else None

    def finite(self, key: str) -> float | None:
        """Return a finite number; None if the key is absent."""
        return float(vector([self.raw[key]], self.at(key))[0]) if key in self.raw else None

    def positive(self, key: str) -> float:
        """Return a number above 0; 1 if the key is absent."""
        found = self.finite(key)
        if found is not None and found <= 0.0:
            raise InvalidModel(f"{self.at(key)} is {found:g}; it is above 0")
        return 1.0 if found is None else found

    def numbers(self, key: str, length: int) -> list[float]:
        """Return `length` numbers, NaN for null; 0, 1, 2, ... if the key is absent."""
        if key not in self.raw:
            return [float(i) for i in range(length)]
        found = [_number(value, f"{self.at(key)}[{i}]") for i, value in enumerate(self.items(key))]
        self.check_length(key, len(found), length)
        return found

    def indices(self, key: str, below: int) -> NDArray[np.intp]:
        return indices(self.value(key), self.at(key), below)

    def index(self, key: str, below: int) -> int:
        return int(indices([self.value(key)], self.at(key), below)[0])

    def sizes(self, key: str, length: int) -> NDArray[np.intp]:
        """Return `length` numbers of columns; some may be zero, but not all."""
        found = self.indices(key, MAX_WIDTH)
        self.check_length(key, len(found), length)
        if not found.any() or found.sum() > MAX_WIDTH:
            raise InvalidModel(f"{self.at(key)} adds up to {found.sum()} columns; it takes 1 to {MAX_WIDTH}")
        return found

    def count(self, key: str) -> int:
        return _count(self.value(key), self.at(key))

    def counts(self, key: str, length: int, owners: str) -> NDArray[np.int64]:
        return counts(self.value(key), self.at(key), length, owners)

    def check_count(self, key: str, actual: int) -> None:
        """Refuse a count that contradicts the weights; it may be absent."""
        if key in self.raw and (isinstance(self.raw[key], bool) or self.raw[key] != actual):
            raise InvalidModel(f"{self.at(key)} is {shown(self.raw[key])}; the weights say {actual}")

    def check_length(self, key: str, found: int, wanted: int) -> None:
        if found != wanted:
            raise InvalidModel(f"{self.at(key)} has {found} entries; {wanted} are needed")


KINDS = {str: "a string", dict: "an object", bool: "true or false"}


def items(value: Any, path: str) -> list[Any]:
    """Return a list that is not empty and not too long."""
    if not isinstance(value, list):
        raise InvalidModel(f"{path} is not a list")
    if not value:
        raise InvalidModel(f"{path} is empty")
    if len(value) > MAX_WIDTH:
        raise InvalidModel(f"{path} has {len(value)} entries; the most is {MAX_WIDTH}")
    return value


def vector(value: Any, path: str) -> FloatArray:
    """Return finite numbers as float64; there must be at least one."""
    return finite_numbers(items(value, path), path)


def finite_numbers(values: list[Any], path: str) -> FloatArray:
    """Return finite numbers of any count as float64. Booleans, which numpy would accept, are refused."""
    if not set(map(type, values)) <= {int, float}:
        i = next(i for i, number in enumerate(values) if type(number) not in (int, float))
        raise InvalidModel(f"{path}[{i}] is not a number")
    try:
        numbers = np.array(values, dtype=np.float64)
    except OverflowError:  # an integer of hundreds of digits
        numbers = np.array([_float(number) for number in values])
    if not np.isfinite(numbers).all():
        raise InvalidModel(f"{path}[{np.argmin(np.isfinite(numbers))}] is not finite")
    return numbers


def cast(numbers: FloatArray, dtype: type[np.floating[Any]], path: str) -> NDArray[Any]:
    """Return numbers in the document's type. Raises InvalidModel if one is too large for it."""
    with np.errstate(over="ignore"):
        found = numbers.astype(dtype)
    finite = np.isfinite(found)
    if not finite.all():
        i = int(np.argmin(finite))
        raise InvalidModel(f"{path}[{i}] is {numbers[i]:g}, too large for {np.dtype(dtype)}")
    return found


def matrix(value: Any, path: str) -> FloatArray:
    rows = items(value, path)
    found = _matrix_at_once(rows)
    if found is not None:
        return found
    for j, row in enumerate(rows):
        width = len(items(row, f"{path}[{j}]"))
        if width != len(rows[0]):
            raise InvalidModel(f"{path}[{j}] has {width} numbers, but {path}[0] has {len(rows[0])}")
    return np.array([vector(row, f"{path}[{j}]") for j, row in enumerate(rows)])


def _matrix_at_once(rows: list[Any]) -> FloatArray | None:
    """Return the matrix by the quick way, or None if anything is unusual."""
    if set(map(type, rows)) != {list} or len(set(map(len, rows))) > 1 or not 0 < len(rows[0]) <= MAX_WIDTH:
        return None
    if not set(map(type, chain.from_iterable(rows))) <= {int, float}:
        return None
    try:
        numbers = np.array(rows, dtype=np.float64)
    except OverflowError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def indices(value: Any, path: str, below: int) -> NDArray[np.intp]:
    """Return integers from 0 to `below` - 1; they may repeat."""
    found = items(value, path)
    if set(map(type, found)) != {int} or min(found) < 0 or max(found) >= below:
        i = next(i for i, index in enumerate(found) if type(index) is not int or not 0 <= index < below)
        raise InvalidModel(f"{path}[{i}] is {shown(found[i])}; there are columns 0 to {below - 1}")
    return np.array(found, dtype=np.intp)


def counts(value: Any, path: str, length: int, owners: str) -> NDArray[np.int64]:
    values = items(value, path)
    if len(values) != length:
        raise InvalidModel(f"{path} has {len(values)} counts for {length} {owners}")
    return np.array([_count(value, f"{path}[{i}]") for i, value in enumerate(values)], np.int64)


def check_distinct(values: Sequence[Any], path: str) -> None:
    if len(set(values)) == len(values):
        return
    seen = set()
    for i, value in enumerate(values):
        if value in seen:
            raise InvalidModel(f"{path}[{i}] repeats {shown(value)}")
        seen.add(value)


def is_finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(_float(value))


def shown(value: Any) -> str:
    """Return a value as the document spells it, shortened."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError:
        text = str(value)
    return shortened(text, 60)


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _number(value: Any, path: str) -> float:
    if value is not None and not is_finite(value):
        raise InvalidModel(f"{path} is not a number")
    return math.nan if value is None else float(value)


def _count(value: Any, path: str) -> int:
    if type(value) is not int or not 0 <= value < MAX_COUNT:
        raise InvalidModel(f"{path} is {shown(value)}, not a count")
    return value
