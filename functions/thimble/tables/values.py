"""One value of a row: what fits a feature, and what is said of what does not. The caller says where it is.

A text that pandas reads as missing is missing, unless the model knows a category of that name: NA is Namibia
too. So it is in every format: a cell, a JSON string, a text of Parquet or of a tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from thimble.inference.features import WANTED, Feature

MISSING = (  # pandas' list
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"),
    *("N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)


def kind(value: Any) -> str:
    """What a JSON value is, never what it says: an error does not repeat the data."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else "a number"


def as_float(value: Any) -> float | None:
    """A JSON number, infinite where it is too large; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def fitting(
    feature: Feature, value: Any, place: str, described: Callable[[Any], str] = kind
) -> float | str | None:
    """A JSON value as the feature takes it, None for what is missing; ValueError says what it is instead."""
    if feature.type == "unused" or (feature.missing and (value is None or value != value)):
        return None  # NaN, which is not itself, some programs write for null
    if feature.type == "text" and isinstance(value, str):
        return text(feature, value, place)
    if feature.type == "boolean" and value in (True, False):
        return float(value)
    number = as_float(value) if feature.type == "number" else None
    if number is None:
        raise ValueError(f"{place} is {described(value)}, not {WANTED[feature.type]}")
    if math.isfinite(number):
        return number
    raise ValueError(f"{place} is {not_finite(number)}")


def missing(feature: Feature) -> tuple[str, ...]:
    """The texts that mean that a feature's value is missing."""
    return tuple(text for text in MISSING if text not in feature.categories)


def text(feature: Feature, value: str, place: str) -> str | None:
    """A text as the feature takes it, None for what is missing; ValueError says why it will not do."""
    if value not in MISSING or value in feature.categories:
        return value
    if feature.missing:
        return None
    raise ValueError(f"{place} is {'missing' if value else 'empty'}")


def not_finite(number: float) -> str:
    return f"{'NaN' if math.isnan(number) else 'too large'}, not a finite number"
