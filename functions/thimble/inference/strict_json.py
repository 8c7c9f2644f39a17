"""JSON without surprises: a key that occurs twice is refused, and NaN is read, so that it can be named."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import orjson

# Bytes of memory that a value takes once it is read, by the byte of text that each has at least one of.
WEIGHTS = {b",": 40, b":": 120, b"[": 96, b"{": 240, b'"': 32}


class NotJson(ValueError):
    """What is wrong with the text."""


class DoubledKey(ValueError):
    """The path of a key that occurs twice in one object."""


def memory(body: bytes) -> int:
    """How many bytes of memory a text takes at most when it is read, beside the text itself: found before
    anything is read."""
    return sum(weight * body.count(mark) for mark, weight in WEIGHTS.items())


def loads(body: bytes) -> Any:
    """Any JSON value; NotJson or DoubledKey. NaN and Infinity, which are not JSON but which Python writes,
    are read so that their place can be named."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _loads_carefully(body, error)
    return value if _keys_are_single(body, value) else _loads_carefully(body, None)


def _keys_are_single(body: bytes, value: Any) -> bool:
    """Proof, in the common case, that the parser dropped no doubled key: it would have dropped a colon."""
    colons = body.count(b":")
    if colons < 2:
        return True
    try:
        return b"\\" not in body and orjson.dumps(value).count(b":") == colons
    except orjson.JSONEncodeError:  # nested too deeply for it
        return False


class _Doubled(dict[str, Any]):
    """An object in which a key occurs twice."""

    key: str


def _loads_carefully(body: bytes, error: orjson.JSONDecodeError | None) -> Any:
    try:
        value = json.loads(body, object_pairs_hook=_object, parse_int=integer)
        doubled = _doubled(value) if isinstance(value, dict | list) else []
    except (ValueError, RecursionError) as found:
        where = found if isinstance(found, UnicodeDecodeError) else error or found
        raise NotJson(reason(where)) from None
    if doubled:
        raise DoubledKey("".join(reversed(doubled)).removeprefix("."))
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    doubled, times = _Doubled(value), Counter(key for key, _ in pairs)
    doubled.key = next(key for key in times if times[key] > 1)
    return doubled


def _doubled(value: Any) -> list[str]:
    """The path of the first key that occurs twice in one object, from its end; put together only when found,
    for a key may be long."""
    if isinstance(value, _Doubled):
        return [f".{value.key}"]
    is_object = isinstance(value, dict)
    for key, item in value.items() if is_object else enumerate(value):
        if isinstance(item, dict | list) and (found := _doubled(item)):
            return [*found, f".{key}" if is_object else f"[{key}]"]
    return []


def integer(digits: str) -> float:
    """Python reads no integer of more than 4300 digits; as a number, those of 400 are infinite already."""
    return int(digits) if len(digits) < 400 else math.copysign(math.inf, float(digits))


def reason(error: Exception) -> str:
    """What a parser's error means, in words for people."""
    if isinstance(error, UnicodeDecodeError):
        from thimble import encodings  # only here: a cold start is spared it

        return f"byte {error.start} is not UTF-8{encodings.sentence(encodings.looks_like(error.object))}"
    return str(error) if isinstance(error, ValueError) else "it is nested too deeply"
