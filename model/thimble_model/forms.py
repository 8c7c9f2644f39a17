"""Tell the kinds of a column's values: numbers, booleans and texts, or kinds that a document cannot hold."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from datetime import date, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thimble_model.unsupported import Unsupported, names

if TYPE_CHECKING:
    import pandas as pd

Column: TypeAlias = "pd.Series[Any] | NDArray[Any]"

NUMBERS, BOOLEANS, TEXTS, DECIMALS, BROKEN = "numbers", "booleans", "texts", "decimals", "broken texts"
WAYS_OUT = {  # what to turn values of each kind into before the estimator
    "timestamps": "numbers or texts (.dt.year, .astype(str))",
    "times of day": "numbers or texts (.astype(str))",
    "durations": "numbers (.dt.total_seconds())",
    "periods": "texts (.astype(str))",
    "intervals": "texts (.astype(str))",
    DECIMALS: "numbers (.astype(float))",
    "bytes": 'texts (.str.decode("utf-8"))',
    BROKEN: 'texts (.str.encode("utf-8", "replace").str.decode("utf-8"))',
    "complex numbers": "two columns (.real, .imag)",
    "lists": "a column of each of their parts",
    "objects": "numbers or texts (.astype(str))",
}
KINDS: tuple[tuple[tuple[type, ...], str], ...] = (  # the first match counts
    ((bool, np.bool_), BOOLEANS),
    ((np.datetime64, date), "timestamps"),  # datetime and Timestamp are subclasses of date
    ((np.timedelta64, timedelta), "durations"),
    ((int, float, np.integer, np.floating), NUMBERS),
    ((str,), TEXTS),
    ((Decimal, Fraction), DECIMALS),
    ((bytes, bytearray), "bytes"),
    ((complex, np.complexfloating), "complex numbers"),
    ((time,), "times of day"),
    ((list, tuple, set, frozenset, dict, np.ndarray), "lists"),
)
DATE = re.compile(r"\s*(?:[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|[0-9]{1,4}([./])[0-9]{1,2}\1[0-9]{2,4})(?![0-9])")
MOST_LOOKED_AT = 100  # values that decide whether texts are dates
OF_PANDAS = {"Period": "periods", "Interval": "intervals"}  # by class name


def kind_of(value: Any) -> str:
    other = OF_PANDAS.get(type(value).__name__, "objects")
    kind = next((kind for classes, kind in KINDS if isinstance(value, classes)), other)
    return BROKEN if kind == TEXTS and not _is_unicode(value) else kind


def _is_unicode(text: str) -> bool:
    """Return whether a text can be encoded; half of a surrogate pair, for instance, cannot."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def type_of(column: Column) -> str | None:
    """Return a feature's type if its values tell it, else None."""
    if column.dtype.kind == "b":
        return "boolean"
    if column.dtype.kind in "iuf":
        return "number"
    kinds = set(map(kind_of, column[~absent(column)].tolist()))
    if kinds == {TEXTS}:
        return "text"
    if kinds == {BOOLEANS}:
        return "boolean"
    return "number" if kinds and kinds <= {NUMBERS, DECIMALS} else None


def dates_in(name: str, column: Column) -> str:
    """Return the pandas expression that reads a column's dates, for a sentence.

    Returns "" if the column holds neither dates nor texts that look like dates.
    """
    found = column[~absent(column)][:MOST_LOOKED_AT].tolist()
    if column.dtype.kind == "M" or (found and {kind_of(value) for value in found} == {"timestamps"}):
        return f"X[{name!r}].dt"
    if found and all(isinstance(value, str) and DATE.match(value) for value in found):
        return f"pandas.to_datetime(X[{name!r}]).dt"
    return ""


def require_plain(name: str, values: Iterable[Any]) -> None:
    """Raise Unsupported unless an encoder's or imputer's values are all texts, or all numbers or booleans."""
    kinds = {kind_of(value) for value in values if not is_missing(value)}
    if not (kinds == {TEXTS} or kinds <= {NUMBERS, BOOLEANS}):
        raise Unsupported(refusal(name, kinds))


def absent(column: Column) -> NDArray[np.bool_]:
    """Return a mask of the missing values."""
    if not isinstance(column, np.ndarray):
        return column.isna().to_numpy(np.bool_)
    if column.dtype.kind != "O":
        return np.asarray(column != column)
    return np.fromiter(map(is_missing, column.tolist()), np.bool_, len(column))


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, or pandas' NA or NaT."""
    if value is None or is_na(value):
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # an array in a cell
        return False


def is_na(value: Any) -> bool:
    """Return whether a value is pandas.NA, which cannot exist before pandas is imported."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and value is pandas.NA


def refusal(name: str, kinds: Iterable[str]) -> str:
    """Return a sentence on why a column cannot be read, with a way out."""
    odd = sorted(set(kinds) & WAYS_OUT.keys())
    if len(odd) == 1:
        way = WAYS_OUT[odd[0]]
        return f"{name} holds {odd[0]}, for which a document has no form: turn it into {way}, and fit again"
    return f"{name} holds {names(kinds)}: turn all of it into one kind (.astype(str)), and fit again"


def plain(type_: str, value: Any) -> float | bool | str:
    """Return a value as a request has it. Raises TypeError if it is of another kind."""
    if isinstance(value, float) and type_ == "number":  # the common case
        return float(value)
    kind = kind_of(value)
    if type_ in ("text", "free_text") and kind == TEXTS:
        return str(value)
    if type_ == "boolean" and (kind == BOOLEANS or (kind == NUMBERS and value in (0, 1))):
        return bool(value)
    if type_ == "number" and kind in (NUMBERS, BOOLEANS, DECIMALS):
        return float(value)
    raise TypeError(kind)
