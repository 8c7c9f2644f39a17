"""Text cells to feature values: the one place that says which text is a number, a boolean, or missing.

A number is a decimal one as Python and JSON write it, between blanks or not: 5, -1.5, +.5, 1e-3. No other is:
not inf, 1_000, 0x10 or 1,5. A boolean is true or false in any case, or 1 or 0. Where a feature may be
missing, an empty cell is, and so is what pandas, R and databases write for one. polars reads whole columns,
and is stricter; what it does not take is looked at here, cell by cell, and either taken or refused with a
reason.
"""

from __future__ import annotations

import math
import re

import numpy as np
import polars as pl

from thimble.classifier import Classifier
from thimble.document import Feature
from thimble.formats.columns import Columns
from thimble.formats.records import Flags

BLANKS = " \t\r"
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
BOOLEANS = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
DAMAGED = "\x1f"  # stands in a text cell for bytes that only its own look can tell
SHOWN = 40  # characters of a cell that a reason quotes


def value(feature: Feature, name: str, text: str) -> float | str | None:
    """What a feature's cell holds; ValueError says why that will not do."""
    cell = text if feature.type == "text" else text.strip(BLANKS)
    if feature.type == "unused" or (feature.missing and cell in MISSING):
        return None
    if not cell:
        raise ValueError(f"{name} is empty")
    if feature.type == "text":
        return cell
    if feature.type == "boolean":
        return _boolean(name, cell)
    return number(name, cell)


def number(name: str, text: str) -> float:
    cell = text.strip(BLANKS)
    if not NUMBER.fullmatch(cell):
        raise ValueError(f"{name} is {shown(cell)}, not a number")
    found = float(cell)
    if not math.isfinite(found):
        raise ValueError(f"{name} is {shown(cell)}, too large for a number")
    return found


def _boolean(name: str, cell: str) -> float:
    try:
        return BOOLEANS[cell.lower()]
    except KeyError:
        raise ValueError(f"{name} is {shown(cell)}, not true or false") from None


def is_number(text: str) -> bool:
    return NUMBER.fullmatch(text.strip(BLANKS)) is not None


def shown(cell: str) -> str:
    return f'"{cell}"' if len(cell) <= SHOWN else f'"{cell[:SHOWN]}…"'


def dtype(feature: Feature) -> type[pl.Float64] | type[pl.String]:
    """As what polars is to read a feature's column."""
    return pl.Float64 if feature.type == "number" and not feature.missing else pl.String


def columns(classifier: Classifier, cells: dict[int, pl.Series], n: int) -> Columns:
    """Features' columns, by the features' positions, each of its `dtype`."""
    found = Columns.empty(classifier, n)
    found.doubtful[:] = False
    for k, series in cells.items():
        feature = classifier.features[k]
        if feature.type == "text":
            found.doubtful[:] |= _texts(feature, series, found, k)
        elif feature.type != "unused":
            found.doubtful[:] |= _numbers(feature, series, found, k)
    return found


def _numbers(feature: Feature, series: pl.Series, found: Columns, k: int) -> Flags:
    """Fills a row of the numbers; which of them are doubtful."""
    if feature.type == "boolean":
        values = series.str.to_lowercase().replace_strict(BOOLEANS, default=None, return_dtype=pl.Float64)
    else:
        values = series.cast(pl.Float64, strict=False)
    found.numbers[k] = values.to_numpy()
    doubtful: Flags = ~np.isfinite(found.numbers[k])
    if feature.missing and doubtful.any():
        missing = (series.is_null() | series.is_in(MISSING)).to_numpy()
        found.numbers[k, missing] = np.nan
        doubtful &= ~missing
    return doubtful


def _texts(feature: Feature, series: pl.Series, found: Columns, k: int) -> Flags:
    doubtful: Flags = series.str.contains(DAMAGED, literal=True).fill_null(not feature.missing).to_numpy()
    if feature.missing:
        series = series.to_frame("x").select(pl.when(~pl.col("x").is_in(MISSING)).then("x")).to_series()
    found.texts[k][:] = series.to_list()
    return doubtful
