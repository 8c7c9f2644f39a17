"""Text cells to feature values and back: the one place that says which is a number, a boolean, or missing.

A number is a decimal one as Python and JSON write it, between blanks or not: 5, -1.5, +.5, 1e-3. No other is:
not inf, 1_000, 0x10 or 1,5. A boolean is true or false in any case, or a number that is 1 or 0. What is
missing, `values` says. A cell is text as `encodings` keeps it: bytes that are not UTF-8 refuse it.
"""

from __future__ import annotations

import math
import re

from thimble import encodings
from thimble.inference.features import WANTED, Feature
from thimble.tables import values
from thimble.tables.values import MISSING, not_finite

BLANKS = " \t\r"
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
BOOLEANS = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}  # the usual spellings
SHOWN = 40  # characters of a cell that a reason quotes


def value(feature: Feature, name: str, text: str) -> float | str | None:
    """What a feature's cell holds; ValueError says why that will not do."""
    if feature.type == "unused":
        return None
    if not encodings.is_sound(text):
        raise ValueError(f"{name} {encodings.fault(text)}")
    if feature.type == "text":
        return values.text(feature, text, name)
    cell = text.strip(BLANKS)
    if feature.missing and cell in MISSING:
        return None
    if not cell:
        raise ValueError(f"{name} is empty")
    return _boolean(name, cell) if feature.type == "boolean" else number(name, cell)


def number(name: str, text: str) -> float:
    cell = text.strip(BLANKS)
    if not NUMBER.fullmatch(cell):
        comma = "; decimals take a point" if NUMBER.fullmatch(cell.replace(",", ".")) else ""
        raise ValueError(f"{name} is {shown(cell)}, not {WANTED['number']}{comma}")
    found = float(cell)
    if not math.isfinite(found):
        raise ValueError(f"{name} is {shown(cell)}, {not_finite(found)}")
    return found


def _boolean(name: str, cell: str) -> float:
    found = BOOLEANS.get(cell.lower())
    if found is None and NUMBER.fullmatch(cell):
        found = float(cell)
    if found not in (0.0, 1.0):
        raise ValueError(f"{name} is {shown(cell)}, not {WANTED['boolean']}")
    return found


def is_number(text: str) -> bool:
    return NUMBER.fullmatch(text.strip(BLANKS)) is not None


def quoted(text: str, delimiter: str = ",", quote: str = '"') -> str:
    """A text as a cell, in quotes where it has to be."""
    if delimiter in text or quote in text or "\n" in text or "\r" in text:
        return f"{quote}{text.replace(quote, 2 * quote)}{quote}"
    return text


def shown(cell: str) -> str:
    return f'"{cell}"' if len(cell) <= SHOWN else f'"{cell[:SHOWN]}…"'
