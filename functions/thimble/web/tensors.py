"""Arrays to columns: one of (rows, features), or one a feature by name, of any datatype that a double holds.

Booleans count as 0 and 1 among numbers, since a tensor's type is stated. NaN is a missing value where the
model takes one. Texts are arrays of objects, str or None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble import encodings
from thimble.errors import UnprocessableRows
from thimble.inference.arrays import FloatArray, all_finite
from thimble.inference.classifier import Classifier
from thimble.inference.features import WANTED, Feature, spelled
from thimble.tables.rows import check_names
from thimble.tables.values import missing, not_finite, text
from thimble.web import tables

Values = NDArray[Any]
NUMERIC = "biuf"


class Matrix(NamedTuple):
    """A row a row, the features in the model's order."""

    values: Values  # (n, n_features)
    name: str

    def columns(self, classifier: Classifier, most: int) -> Any:
        n, width = self.values.shape
        tables.check(n, most)
        if width != classifier.n_features:
            raise UnprocessableRows(
                f"{self.name} has {width} column{'s' * (width != 1)}; the model takes {classifier.n_features}"
            )
        if classifier.preprocessing is None and (X := _plain(self.values)) is not None:
            return X
        columns = [
            column(feature, self.values[:, j], partial(self._cell, j))
            for j, feature in enumerate(classifier.features)
        ]
        return np.array(columns) if classifier.preprocessing is None else columns

    def _cell(self, column: int, row: int) -> str:
        return f"{self.name}[{row}][{column}]"

    def place(self, row: int) -> str:
        return f"{self.name}[{row}]"


class Named(NamedTuple):
    """A column a feature, by the features' names."""

    arrays: Mapping[str, Values]  # (n,) each

    def columns(self, classifier: Classifier, most: int) -> Any:
        arrays = self._by_name(classifier)
        lengths = {len(array) for array in arrays.values()}
        if len(lengths) != 1:
            raise UnprocessableRows(f"the columns have different numbers of rows: {sorted(lengths)}")
        (n,) = lengths
        tables.check(n, most)
        columns = [
            column(feature, arrays[feature.name], partial(_cell, feature.name))
            if feature.name in arrays
            else [None] * n
            for feature in classifier.features
        ]
        return np.array(columns) if classifier.preprocessing is None else columns

    def place(self, row: int) -> str:
        return f"row {row}"

    def _by_name(self, classifier: Classifier) -> dict[str, Values]:
        """The columns by the names as the model spells them."""
        names = classifier.feature_names
        if names is None:
            width = classifier.n_features
            raise UnprocessableRows(f"the model has no feature names: send one tensor of [rows, {width}]")
        given = spelled(self.arrays, names)
        check_names(classifier, given)
        return dict(zip(given, self.arrays.values(), strict=True))


def _cell(name: str, row: int) -> str:
    return f"{name}[{row}]"


def check_booleans(values: Values, name: str) -> None:
    """UnprocessableRows for a byte that is neither of the two that booleans are."""
    unfit = np.ascontiguousarray(values).view(np.uint8) > 1
    if unfit.any():
        raise UnprocessableRows(f"{name} has a byte that is neither 0 nor 1 at {int(np.argmax(unfit))}")


def _plain(values: Values) -> FloatArray | None:
    """(n_features, n) where all is finite."""
    if values.dtype.kind not in NUMERIC:
        return None
    X: FloatArray = np.array(values.T, dtype=np.float64, order="C")
    return X if all_finite(X) else None


def column(feature: Feature, values: Values, place: Callable[[int], str]) -> Any:
    """A feature's values as predict takes them; UnprocessableRows names the first that does not fit."""
    if feature.type == "unused":
        return [None] * len(values)
    if feature.type == "text":
        return _texts(feature, values, place)
    if values.dtype.kind not in NUMERIC:
        raise UnprocessableRows(f"{place(0)} is a string, not {WANTED[feature.type]}")
    numbers = values.astype(np.float64)
    unfit = ~np.isfinite(numbers)
    if feature.missing:
        unfit &= ~np.isnan(numbers)
    if feature.type == "boolean":
        unfit |= ~np.isin(numbers, (0.0, 1.0)) & ~np.isnan(numbers)
    if unfit.any():
        i = int(np.argmax(unfit))
        raise UnprocessableRows(f"{place(i)} is {_fault(feature, float(numbers[i]))}")
    return numbers


def _texts(feature: Feature, values: Values, place: Callable[[int], str]) -> list[str | None]:
    if values.dtype.kind in NUMERIC:
        raise UnprocessableRows(f"{place(0)} is a number, not a string")
    texts: list[str | None] = values.tolist()
    for i, value in enumerate(texts):
        if value is not None and not encodings.is_sound(value):
            raise UnprocessableRows(f"{place(i)} {encodings.fault(value)}")
    if {None, *missing(feature)}.isdisjoint(texts):
        return texts
    return [_text(feature, value, place(i)) for i, value in enumerate(texts)]


def _text(feature: Feature, value: str | None, place: str) -> str | None:
    if value is None:
        if feature.missing:
            return None
        raise UnprocessableRows(f"{place} is null, not a string")
    try:
        return text(feature, value, place)
    except ValueError as error:
        raise UnprocessableRows(str(error)) from None


def _fault(feature: Feature, number: float) -> str:
    return f"not {WANTED[feature.type]}" if np.isfinite(number) else not_finite(number)
