"""Read JSON strictly: refuse a key that occurs twice, but read NaN, so that an error can name its place."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import orjson

# Bytes of memory that a parsed value takes, by a byte that occurs in the text at least once per such value.
WEIGHTS = {b",": 40, b":": 120, b"[": 96, b"{": 240, b'"': 32}


class NotJson(ValueError):
    """Raised if a text is not JSON; its message says why."""


class DoubledKey(ValueError):
    """Raised if a key occurs twice in one object; its message is the path of the key."""


def memory(body: bytes) -> int:
    """Return how many bytes of memory a text takes at most when it is parsed, beside the text itself. Nothing
    is parsed to find that out."""
    return sum(weight * body.count(mark) for mark, weight in WEIGHTS.items())


def loads(body: bytes) -> Any:
    """Return any JSON value. NaN and Infinity, which are not JSON but which Python writes, are read too, so
    that an error can name their place. Raises NotJson or DoubledKey."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _loads_carefully(body, error)
    return value if _keys_are_single(body, value) else _loads_carefully(body, None)


def _keys_are_single(body: bytes, value: Any) -> bool:
    """Return True if certainly no key occurs twice: orjson would have dropped one, and its colon. This quick
    test also returns False for some unusual texts."""
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
    """Return the path of the first key that occurs twice in one object, last part first; empty if there is
    none. The parts are joined by the caller, only once a key is found: keys may be long."""
    if isinstance(value, _Doubled):
        return [f".{value.key}"]
    is_object = isinstance(value, dict)
    for key, item in value.items() if is_object else enumerate(value):
        if isinstance(item, dict | list) and (found := _doubled(item)):
            return [*found, f".{key}" if is_object else f"[{key}]"]
    return []


def integer(digits: str) -> float:
    """Return an integer of any length; one of 400 digits or more is infinite, as it would be as a float.
    Python itself refuses integers of more than 4300 digits."""
    return int(digits) if len(digits) < 400 else math.copysign(math.inf, float(digits))


def reason(error: Exception) -> str:
    """Return what a parser's error means, in words for people."""
    if isinstance(error, UnicodeDecodeError):
        from thimble import encodings  # only here: a cold start does not need it

        return f"byte {error.start} is not UTF-8{encodings.sentence(encodings.looks_like(error.object))}"
    return str(error) if isinstance(error, ValueError) else "it is nested too deeply"
