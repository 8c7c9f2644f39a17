"""Turn arrays into a batch: one array of (rows, features), or one for each feature by name.

Numbers may have any datatype that fits in a double. Booleans count as 0 and 1 for a feature of numbers, since
a tensor states its type. NaN is a missing value if the model takes one. Texts are arrays of objects, str or
None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble.errors import UnprocessableRows
from thimble.inference.arrays import FloatArray, all_finite
from thimble.inference.batch import Batch, Fault, Texts, Value
from thimble.inference.features import WANTED, Feature, Schema, spelled
from thimble.tables.cells import Unfit, check_utf8, missing, not_finite, text_value
from thimble.tables.rows import alone, check_size, unknown_name

Values = NDArray[Any]
Faults = dict[int, Fault]
NUMERIC = "biuf"


class Matrix(NamedTuple):
    """One array with a row for each row, and the features in the model's order."""

    values: Values | list[list[float]]  # (n, n_features); a single row may be a list
    name: str

    def batch(self, schema: Schema, max_rows: int) -> Batch:
        values = np.asarray(self.values)
        n, width = values.shape
        check_size(n, max_rows)
        if width != len(schema.features):
            have = f"{self.name} has {width} column{'s' * (width != 1)}"
            raise UnprocessableRows(f"{have}; the model takes {len(schema.features)}")
        if schema.only_numbers and (X := _plain(values)) is not None:
            return Batch(X, {})
        return _batch(schema, {k: (f"[{k}]", values[:, k]) for k in range(width)}, n)

    def alone(self, schema: Schema) -> Sequence[Value] | None:
        if len(self.values) != 1:
            return None
        return alone(schema, self.values if isinstance(self.values, list) else self.values.tolist())

    def place(self, row: int, field: str = "") -> str:
        return f"{self.name}[{row}]{field}"


class Named(NamedTuple):
    """One column for each feature, by the features' names."""

    arrays: Mapping[str, Values]  # (n,) each

    def batch(self, schema: Schema, max_rows: int) -> Batch:
        arrays = self._by_name(schema)
        lengths = {len(array) for array in arrays.values()}
        if len(lengths) != 1:
            raise UnprocessableRows(f"the columns have different numbers of rows: {sorted(lengths)}")
        (n,) = lengths
        check_size(n, max_rows)
        names = enumerate(feature.name for feature in schema.features)
        return _batch(schema, {k: (name, arrays[name]) for k, name in names if name in arrays}, n)

    def alone(self, schema: Schema) -> None:
        return None

    def place(self, row: int, field: str = "") -> str:
        return f"{field}[{row}]" if field else f"row {row}"

    def _by_name(self, schema: Schema) -> dict[str, Values]:
        """Return the columns by name, as the model spells the names."""
        if schema.names is None:
            width = len(schema.features)
            raise UnprocessableRows(f"the model has no feature names: send one tensor of [rows, {width}]")
        given = spelled(self.arrays, schema.names)
        if fault := unknown_name(schema, given):
            raise UnprocessableRows(f"{fault.field} {fault.problem}")
        return dict(zip(given, self.arrays.values(), strict=True))


def check_booleans(values: Values, name: str) -> None:
    """Raise UnprocessableRows if a boolean's byte is neither 0 nor 1."""
    unfit = np.ascontiguousarray(values).view(np.uint8) > 1
    if unfit.any():
        raise UnprocessableRows(f"{name} has a byte that is neither 0 nor 1 at {int(np.argmax(unfit))}")


def _plain(values: Values) -> FloatArray | None:
    """Return the numbers as (n_features, n); None if any value is no finite number."""
    if values.dtype.kind not in NUMERIC:
        return None
    X = _doubles(values.T)
    return X if all_finite(X) else None


def _doubles(values: Values) -> FloatArray:
    """Return the values as doubles in C order; a signalling NaN becomes NaN without a warning."""
    with np.errstate(invalid="ignore"):
        return np.array(values, dtype=np.float64, order="C")


def _batch(schema: Schema, columns: Mapping[int, tuple[str, Values]], n: int) -> Batch:
    """Make a batch from columns by the feature's position, each with its name for faults."""
    batch, faults = Batch.empty(schema.features, n), dict[int, Fault]()
    for k, (name, values) in columns.items():
        feature = schema.features[k]
        if feature.textual:
            batch.texts[k][:], found = _texts(feature, name, values)
        elif feature.numeric:
            batch.numbers[k], found = _numbers(feature, name, values)
        else:
            continue
        faults = found | faults
    return batch._replace(faults=faults)


def _numbers(feature: Feature, name: str, values: Values) -> tuple[FloatArray, Faults]:
    """Return a feature's numbers or booleans, and the faults of rows whose value does not fit."""
    problem = f"is not {WANTED[feature.type]}"
    if values.dtype.kind not in NUMERIC:
        return np.zeros(len(values)), dict.fromkeys(range(len(values)), Fault(problem, name, "a string"))
    numbers = _doubles(values)
    unfit = ~np.isfinite(numbers)
    if feature.missing:
        unfit &= ~np.isnan(numbers)
    if feature.type == "boolean":
        unfit |= ~np.isin(numbers, (0.0, 1.0)) & ~np.isnan(numbers)
    if not unfit.any():
        return numbers, {}
    found = ((row, float(numbers[row])) for row in np.flatnonzero(unfit).tolist())
    return numbers, {
        row: Fault(problem if np.isfinite(number) else not_finite(number), name) for row, number in found
    }


def _texts(feature: Feature, name: str, values: Values) -> tuple[Texts, Faults]:
    """Return a feature's texts, and the faults of rows whose value does not fit."""
    if values.dtype.kind in NUMERIC:
        fault = Fault("is not a string", name, "a number")
        return np.full(len(values), None, np.object_), dict.fromkeys(range(len(values)), fault)
    distinct = set(values.tolist())
    if distinct.isdisjoint((None, *missing(feature))) and all(map(str.isascii, distinct)):
        return values, {}
    texts, faults = values.copy(), dict[int, Fault]()
    for row, value in enumerate(values.tolist()):
        try:
            texts[row] = _text(feature, name, value)
        except Unfit as error:
            faults[row] = error.fault._replace(malformed=False)
    return texts, faults


def _text(feature: Feature, name: str, value: str | None) -> str | None:
    if value is None:
        if feature.missing:
            return None
        raise Unfit(Fault("is not a string", name, "null"))
    check_utf8(name, value)
    return text_value(feature, name, value)
