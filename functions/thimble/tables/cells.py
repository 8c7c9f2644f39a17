"""Turn a cell of text, a JSON value or a number of an array into a feature's value. No other module does.

A number in a cell is a decimal number as Python and JSON write it, with or without blanks around it: 5, -1.5,
+.5, 1e-3. Not numbers are inf, 1_000 and 0x10. 1,5 is a number only in a table that has decimal commas. A
boolean is true or false in upper or lower case, or a number that is 1 or 0. In JSON a number is a number, and
a boolean is true, false, 1 or 0.

A text that pandas reads as missing is missing in every format, unless the model knows a category of that
name, such as NA for Namibia. Free text is never missing: NA is a word, and an empty cell is an empty text. A
text with bytes that are not UTF-8, which `encodings` keeps, does not fit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from thimble.inference.batch import Fault, Value
from thimble.inference.features import WANTED, Feature

MISSING = (  # pandas' list
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"),
    *("N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
POINT, COMMA = MARKS = ".,"  # decimal marks
SWAPPED = str.maketrans(MARKS, MARKS[::-1])
OTHER_MARK = {
    POINT: "; decimals take a point, unless the sender says that they take a comma",
    COMMA: "; decimals take a comma here",
}
THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")  # may be thousands, or a comma with three decimals
BLANKS = " \t\r"
NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
BOOLEANS = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}  # the usual spellings
SHOWN = 40  # characters of a value in a rejection


class Unfit(Exception):
    """A value that does not fit its feature, or a record that cannot be read."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.problem)
        self.fault = fault


def missing(feature: Feature) -> tuple[str, ...]:
    """Return the texts that stand for a missing value of a feature; none for free text."""
    if feature.type == "free_text":
        return ()
    return tuple(text for text in MISSING if text not in feature.categories)


def cell_value(feature: Feature, name: str, cell: str, mark: str = POINT) -> Value:
    """Read a cell of text, with `mark` as decimal mark. Raises Unfit if it does not fit the feature."""
    if feature.type == "unused":
        return None
    check_utf8(name, cell)
    if feature.textual:
        return text_value(feature, name, cell)
    stripped = cell.strip(BLANKS)
    if feature.missing and stripped in MISSING:
        return None
    if not stripped:
        raise Unfit(Fault("is empty", name))
    return _boolean(name, stripped, mark) if feature.type == "boolean" else number(name, stripped, mark)


def number(name: str, cell: str, mark: str = POINT) -> float:
    cell = cell.strip(BLANKS)
    plain = with_point(cell, mark)
    if not is_decimal(plain):
        other = OTHER_MARK[mark] if is_decimal(cell.translate(SWAPPED)) or is_decimal(cell) else ""
        raise Unfit(Fault(f"is not {WANTED['number']}{other}", name, value=quote_value(cell)))
    found = float(plain)
    if not math.isfinite(found):
        raise Unfit(Fault(not_finite(found), name, value=quote_value(cell)))
    return found


def whole(value: Any) -> int:
    """Return a whole number from 1, which JSON may write as 1.0 or 1e20; 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 1 or value % 1:
        return 0
    return int(value)


def whole_in_text(text: str) -> int:
    """Return the whole number from 1 that a text spells; 0 for anything else.

    Only the first 18 digits are read: that is already more than any limit.
    """
    return int(text.lstrip("0")[:18] or 0) if text.isascii() and text.isdecimal() else 0


def with_point(cell: str, mark: str) -> str:
    """Return a number as Python writes it. One with the other decimal mark does not become a number."""
    return cell if mark == POINT else cell.translate(SWAPPED)


def _boolean(name: str, cell: str, mark: str) -> float:
    found = BOOLEANS.get(cell.lower())
    if found is None and is_decimal(with_point(cell, mark)):
        found = float(with_point(cell, mark))
    if found not in (0.0, 1.0):
        raise Unfit(Fault(f"is not {WANTED['boolean']}", name, value=quote_value(cell)))
    return found


def text_value(feature: Feature, name: str, text: str) -> str | None:
    """Return a text, or None if it stands for a missing value. Raises Unfit if that may not be missing."""
    if text not in MISSING or feature.type == "free_text" or text in feature.categories:
        return text
    if feature.missing:
        return None
    raise Unfit(Fault("is missing" if text else "is empty", name))


def json_value(feature: Feature, name: str, value: Any) -> Value:
    """Read a JSON value. Raises Unfit if it does not fit the feature."""
    if feature.type == "unused" or (feature.missing and (value is None or value != value)):
        return None  # some programs write NaN, which is unequal to itself, for null
    if feature.textual and isinstance(value, str):
        check_utf8(name, value)
        return text_value(feature, name, value)
    if feature.type == "boolean" and value in (True, False):
        return float(value)
    found = _as_float(value) if feature.type == "number" else None
    if found is None:
        quoted = quote_value(value) if isinstance(value, str) else ""
        raise Unfit(Fault(f"is not {WANTED[feature.type]}", name, json_kind(value), quoted))
    if math.isfinite(found):
        return found
    raise Unfit(Fault(not_finite(found), name))


def json_kind(value: Any) -> str:
    """Return the kind of a JSON value, such as "a string"; never the value itself."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else "a number"


def _as_float(value: Any) -> float | None:
    """Return a JSON number, infinite if it is too large; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def check_utf8(name: str, text: str) -> None:
    """Raise Unfit for a text that was not UTF-8, or has half of a surrogate pair, as JSON can escape it."""
    if text.isascii():
        return
    from thimble import encodings  # imported here to keep cold starts short

    if not encodings.is_sound(text):
        raise Unfit(Fault(encodings.fault(text), name, malformed=True))
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Unfit(Fault("has half of a surrogate pair, which is no character", name, malformed=True))


def not_finite(number: float) -> str:
    return f"is {'NaN' if math.isnan(number) else 'too large'}, not a finite number"


def is_number(cell: str) -> bool:
    """Return whether a cell is a number, with a decimal point or a decimal comma."""
    return is_decimal(cell.strip(BLANKS).replace(COMMA, POINT))


def mark_of(cells: Iterable[str]) -> str:
    """Return the decimal mark of a column of numbers.

    It is a comma if no number has a point, and at least one has a comma that cannot separate thousands, as in
    1,5. Otherwise it is a point.
    """
    numbers = [cell.strip(BLANKS) for cell in cells]
    if any(POINT in cell and is_decimal(cell) for cell in numbers):
        return POINT
    commas = (cell for cell in numbers if COMMA in cell and is_decimal(cell.replace(COMMA, POINT)))
    return COMMA if any(not THOUSANDS.fullmatch(cell) for cell in commas) else POINT


def is_decimal(text: str) -> bool:
    """Return whether a text is a decimal number, as Python writes it."""
    return _number().fullmatch(text) is not None


@cache
def _number() -> re.Pattern[str]:
    return re.compile(NUMBER)


def quote_value(text: str) -> str:
    return f'"{text}"' if len(text) <= SHOWN else f'"{text[:SHOWN]}…"'
