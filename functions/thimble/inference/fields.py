"""The fields of a JSON object as arrays and names; InvalidModel begins with the path of what is wrong."""

from __future__ import annotations

import math
from collections.abc import Collection
from itertools import chain
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from thimble.errors import InvalidModel, shortened
from thimble.inference.arrays import FloatArray

MAX_WIDTH = 100_000  # of any list


def items(value: Any, path: str) -> list[Any]:
    """A list with something in it, and not absurdly much."""
    if not isinstance(value, list):
        raise InvalidModel(f"{path} is not a list")
    if not value:
        raise InvalidModel(f"{path} is empty")
    if len(value) > MAX_WIDTH:
        raise InvalidModel(f"{path} has {len(value)} entries; the most is {MAX_WIDTH}")
    return value


def vector(value: Any, path: str) -> FloatArray:
    """Finite float64; booleans, which numpy would take for numbers, are none."""
    values = items(value, path)
    if not set(map(type, values)) <= {int, float}:
        i = next(i for i, number in enumerate(values) if type(number) not in (int, float))
        raise InvalidModel(f"{path}[{i}] is not a number")
    try:
        numbers = np.array(values, dtype=np.float64)
    except OverflowError:
        numbers = np.array([_float(number) for number in values])
    if not np.isfinite(numbers).all():
        raise InvalidModel(f"{path}[{np.argmin(np.isfinite(numbers))}] is not finite")
    return numbers


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
    """The numbers, or None if anything is unusual."""
    if set(map(type, rows)) != {list} or len(set(map(len, rows))) > 1 or not 0 < len(rows[0]) <= MAX_WIDTH:
        return None
    if not set(map(type, chain.from_iterable(rows))) <= {int, float}:
        return None
    try:
        numbers = np.array(rows, dtype=np.float64)
    except OverflowError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def is_finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(_float(value))


def indices(value: Any, path: str, below: int) -> NDArray[np.intp]:
    """Distinct or not, each from 0 to below."""
    found = items(value, path)
    if set(map(type, found)) != {int} or min(found) < 0 or max(found) >= below:
        i = next(i for i, index in enumerate(found) if type(index) is not int or not 0 <= index < below)
        raise InvalidModel(f"{path}[{i}] is {shown(found[i])}; there are columns 0 to {below - 1}")
    return np.array(found, dtype=np.intp)


def choice(raw: dict[str, Any], key: str, known: Collection[str], default: str | None, path: str = "") -> str:
    if key not in raw and default is None:
        raise InvalidModel(f"{path}{key} is missing")
    value = raw.get(key, default)
    if not isinstance(value, str) or value not in known:
        raise InvalidModel(f"{path}{key} is {shown(value)}; known are {', '.join(known)}")
    return value


def check_count(raw: dict[str, Any], key: str, actual: int, path: str = "") -> None:
    """A count that the weights say too is checked where it is present."""
    if key in raw and (isinstance(raw[key], bool) or raw[key] != actual):
        raise InvalidModel(f"{path}{key} is {shown(raw[key])}; the weights say {actual}")


def check_distinct(values: list[Any], path: str) -> None:
    if len(set(values)) == len(values):
        return
    seen = set()
    for i, value in enumerate(values):
        if value in seen:
            raise InvalidModel(f"{path}[{i}] is {shown(value)} a second time")
        seen.add(value)


KINDS = {str: "a string", dict: "an object", bool: "true or false"}


def typed(raw: dict[str, Any], key: str, kind: type, default: Any, path: str = "") -> Any:
    value = raw.get(key, default)
    if not isinstance(value, kind):
        raise InvalidModel(f"{path}{key} is {shown(value)}, not {KINDS[kind]}")
    return value


def shown(value: Any) -> str:
    """A value as its document spells it, shortened."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError:
        text = str(value)
    return shortened(text, 60)
