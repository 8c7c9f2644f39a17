"""Text cells to feature columns: the one place that says which text is a number.

A cell is a number if it is a decimal one as Python and JSON write it, between blanks or not: 5, -1.5, +.5,
1e-3. Nothing else is: no empty cell, no nan or inf, no 1_000, 0x10 or 1,5. polars reads whole columns and is
stricter; what it does not take is looked at here, cell by cell, and either taken or refused with a reason.
"""

from __future__ import annotations

import math
import re

BLANKS = " \t\r"
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
SHOWN = 40  # characters of a cell that a reason quotes


def number(name: str, text: str) -> float:
    """The finite number that a feature's cell holds; ValueError says what it holds instead."""
    cell = text.strip(BLANKS)
    if not cell:
        raise ValueError(f"{name} is empty")
    if not NUMBER.fullmatch(cell):
        raise ValueError(f"{name} is {shown(cell)}, not a number")
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError(f"{name} is {shown(cell)}, too large for a number")
    return value


def is_number(text: str) -> bool:
    return NUMBER.fullmatch(text.strip(BLANKS)) is not None


def shown(cell: str) -> str:
    return f'"{cell}"' if len(cell) <= SHOWN else f'"{cell[:SHOWN]}…"'
