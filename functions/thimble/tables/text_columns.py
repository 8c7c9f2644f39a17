"""Whole columns of text cells to feature values, by polars, where `decimals` has not read them. Both are
stricter than `textcells`: what they do not take is looked at there, and taken or refused with a reason.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from thimble.inference.features import Feature
from thimble.tables.blocks import Flags
from thimble.tables.columns import Columns
from thimble.tables.textcells import BOOLEANS
from thimble.tables.values import missing

DAMAGED = "\x1f"  # stands in a text cell for bytes that only its own look can tell


def dtype(feature: Feature) -> type[pl.Float64] | type[pl.String]:
    """As what polars is to read a feature's column."""
    return pl.Float64 if feature.type == "number" and not feature.missing else pl.String


def put(found: Columns, k: int, series: pl.Series) -> None:
    """Feature `k`, of its `dtype`."""
    feature = found.classifier.features[k]
    if feature.type == "text":
        found.doubtful[:] |= _texts(feature, series, found, k)
    elif feature.type != "unused":
        found.doubtful[:] |= _numbers(feature, series, found, k)


def _numbers(feature: Feature, series: pl.Series, found: Columns, k: int) -> Flags:
    """Fills a row of the numbers; which of them are doubtful."""
    if feature.type == "boolean":
        values = series.str.to_lowercase().replace_strict(BOOLEANS, default=None, return_dtype=pl.Float64)
    else:
        values = series.cast(pl.Float64, strict=False)
    found.numbers[k] = values.to_numpy()
    doubtful: Flags = ~np.isfinite(found.numbers[k])
    if feature.missing and doubtful.any():
        absent = (series.is_null() | series.is_in(missing(feature))).to_numpy()
        found.numbers[k, absent] = np.nan
        doubtful &= ~absent
    return doubtful


def _texts(feature: Feature, series: pl.Series, found: Columns, k: int) -> Flags:
    """Fills a column of texts; which of them are doubtful."""
    doubtful = series.str.contains(DAMAGED, literal=True).fill_null(False)
    if "" in feature.categories:
        series = series.fill_null("")  # as which polars reads an empty cell
    found.texts[k][:], absent = known(feature, series)
    flags: Flags = (doubtful if feature.missing else doubtful | absent).to_numpy()
    return flags


def known(feature: Feature, series: pl.Series) -> tuple[list[str | None], pl.Series]:
    """A column's texts, None for what is missing, and what is."""
    absent = series.is_null() | series.is_in(missing(feature)).fill_null(True)
    return series.set(absent, None).to_list(), absent
