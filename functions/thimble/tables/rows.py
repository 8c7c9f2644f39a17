"""Turn Python values from JSON into a batch: lists by position, objects by feature name.

`Table` is the protocol of a request's rows, before the model is known. All rows are converted together if
possible. Otherwise they are read one by one, to find the faulty rows and their reasons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from math import isfinite
from operator import countOf, itemgetter
from typing import Any, NamedTuple, Protocol

import numpy as np

from thimble.errors import MalformedBody, TooLarge, UnprocessableRows
from thimble.inference.arrays import FloatArray, all_finite
from thimble.inference.batch import Batch, Fault, Value
from thimble.inference.features import Feature, Schema, spelled
from thimble.inference.predictions import Predictions
from thimble.tables.cells import Unfit, json_kind, json_value, missing

MOST_NAMES = 20  # unknown names for which a similar one is looked for

NUMBERS = frozenset({int, float})
JSON_TYPES: dict[str, frozenset[type]] = {
    "number": NUMBERS,
    "boolean": frozenset({bool}),
    "text": frozenset({str}),
    "free_text": frozenset({str}),
}


class Table(Protocol):
    """The rows of a request, before the model is known."""

    def batch(self, schema: Schema, max_rows: int) -> Batch:
        """Return the rows as a batch, with faults for those that do not fit.

        Raises UnprocessableRows if they are no table for this model.
        """

    def alone(self, schema: Schema) -> Sequence[Value] | None:
        """Return the only row's values, which fit their features; None if a batch has to be read."""

    def place(self, row: int, field: str = "") -> str:
        """Return the caller's name for a row, or for a field of it."""


def read(table: Table, schema: Schema, max_rows: int) -> Batch:
    """Read every row.

    Raises MalformedBody or UnprocessableRows for the first row that cannot be read; the error names its
    place, never its value.
    """
    batch = table.batch(schema, max_rows)
    if batch.faults:
        row = min(batch.faults)
        fault = batch.faults[row]
        refusal = MalformedBody if fault.malformed else UnprocessableRows
        raise refusal(f"{table.place(row, fault.field)} {fault.discreet}")
    return batch


def refuse(table: Table, predictions: Predictions) -> None:
    """Raise UnprocessableRows for the first row that the model rejected."""
    if predictions.rejected:
        row = min(predictions.rejected)
        raise UnprocessableRows(f"{table.place(row)}: {predictions.rejected[row]}")


def check_size(n: int, max_rows: int) -> None:
    if n == 0:
        raise UnprocessableRows("there are no rows; send at least one")
    if n > max_rows:
        raise TooLarge(f"there are {n} rows; the most in one request is {max_rows}: drop a file instead")


class Rows(NamedTuple):
    """Rows from JSON: lists, or objects by feature name."""

    instances: list[Any]
    path: str = "instances[{}]"

    def batch(self, schema: Schema, max_rows: int) -> Batch:
        check_size(len(self.instances), max_rows)
        return batch(schema, self.instances)

    def alone(self, schema: Schema) -> Sequence[Value] | None:
        return alone(schema, self.instances)

    def place(self, row: int, field: str = "") -> str:
        return f"{self.path.format(row)}{field}"


class RowOrRows(NamedTuple):
    """A flat list: one row, or for a model that takes one text, a row for each value."""

    values: list[Any]
    path: str

    def batch(self, schema: Schema, max_rows: int) -> Batch:
        return self._rows(schema).batch(schema, max_rows)

    def alone(self, schema: Schema) -> Sequence[Value] | None:
        return self._rows(schema).alone(schema)

    def place(self, row: int, field: str = "") -> str:
        return f"{self.path}[{row}]{field}" if row else f"{self.path}{field}"

    def _rows(self, schema: Schema) -> Rows:
        if schema.only_a_text:
            return Rows(self.values, f"{self.path}[{{}}]")
        return Rows([self.values], self.path)


def columnar(columns: dict[str, Any], path: str) -> Rows:
    """Make rows from lists by feature name.

    Raises MalformedBody for a value that is no list, UnprocessableRows for lists of different lengths.
    """
    for name, column in columns.items():
        if not isinstance(column, list):
            raise MalformedBody(f"{path}.{name} is {json_kind(column)}, not a list")
    lengths = sorted(set(map(len, columns.values())))
    if len(lengths) != 1:
        raise UnprocessableRows(f"the columns of {path} have different numbers of rows: {lengths}")
    instances = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return Rows(instances, f"{path}[{{}}]")


def alone(schema: Schema, instances: Sequence[Any]) -> Sequence[Value] | None:
    """Return the only row's values, which fit their features; None if anything is unusual."""
    if len(instances) != 1:
        return None
    lists = instances if type(instances[0]) is list else _lists(schema, instances)
    if lists is None:
        return None
    [values] = lists
    if schema.only_numbers and (numbers := finite_numbers(values, len(schema.features))):
        return numbers
    try:
        return row_values(schema, values)
    except Unfit:
        return None


def finite_numbers(values: list[Any], n: int) -> list[float] | None:
    """Return n finite numbers as floats; None if anything is unusual."""
    if countOf(map(type, values), float) == n == len(values):
        return values if isfinite(sum(values)) else None
    if len(values) != n or not NUMBERS.issuperset(map(type, values)):
        return None
    try:
        numbers = [*map(float, values)]
    except OverflowError:
        return None
    return numbers if isfinite(sum(numbers)) else None


def unwrapped(row: Any) -> Any:
    """Return the list in {"features": [...]}; return any other row unchanged.

    No feature's value is a list, so this is never a row of a model with a feature called features.
    """
    if isinstance(row, dict) and row.keys() == {"features"} and isinstance(row["features"], list):
        return row["features"]
    return row


def listed(schema: Schema, row: Any) -> Any:
    """Return a text as a list, if the model takes one text; return any other row unchanged."""
    return [row] if schema.only_a_text and isinstance(row, str) else row


def batch(schema: Schema, instances: Sequence[Any]) -> Batch:
    """Read a row from each instance. A fault's field is the place within the row: .name or [position]."""
    if schema.only_a_text:
        instances = [listed(schema, row) for row in instances]
    lists = _lists(schema, instances)
    if lists is None:
        return _one_by_one(schema, instances)
    found = _matrix(schema, lists) if schema.only_numbers else None
    return found or _mixed(schema, lists) or _one_by_one(schema, instances)


def _lists(schema: Schema, instances: Sequence[Any]) -> Sequence[Any] | None:
    """Return the values of the rows in the model's order.

    Returns None unless all rows are lists, or all are objects with exactly the model's features.
    """
    kinds = set(map(type, instances))
    if kinds == {list}:
        return instances
    names = schema.names
    if kinds != {dict} or names is None or set(map(len, instances)) != {len(names)}:
        return None
    take = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
    try:
        return [[*take(row)] for row in instances]
    except KeyError:
        return None


def _matrix(schema: Schema, lists: Sequence[Any]) -> Batch | None:
    """Read rows of numbers; None if anything is unusual."""
    try:
        if not set(map(type, chain.from_iterable(lists))) <= NUMBERS:
            return None
        X = np.array(lists, np.float64)
    except (ValueError, OverflowError):  # of different lengths; too large
        return None
    if X.shape != (len(lists), len(schema.features)) or not all_finite(X):
        return None
    return Batch(np.ascontiguousarray(X.T), {})


def _mixed(schema: Schema, lists: Sequence[Any]) -> Batch | None:
    """Read rows of numbers, booleans and texts; None if anything is unusual."""
    if len(lists) > 1:
        return _columns(schema, lists)
    found = _one_by_one(schema, lists)  # faster than numpy for a single row
    return None if found.faults else found


def _columns(schema: Schema, lists: Sequence[Any]) -> Batch | None:
    """Read column by column; None if anything is unusual."""
    if set(map(len, lists)) != {len(schema.features)}:
        return None
    found = Batch.empty(schema.features, len(lists))
    for k, (feature, values) in enumerate(zip(schema.features, zip(*lists, strict=True), strict=True)):
        if feature.type == "unused":
            continue
        column = _column(feature, values)
        if column is None:
            return None
        if feature.textual:
            found.texts[k][:] = column
        else:
            found.numbers[k] = column
    return found


def _column(feature: Feature, values: Sequence[Any]) -> FloatArray | Sequence[str | None] | None:
    """Return a feature's values; None if any is unusual."""
    types = set(map(type, values))
    if type(None) in types and not feature.missing:
        return None
    if not types - {type(None)} <= JSON_TYPES[feature.type]:
        return None
    if feature.textual:
        plain = frozenset(missing(feature)).isdisjoint(values) and _are_characters(values)
        return values if plain else None
    try:
        numbers = np.array(values, dtype=np.float64)  # None becomes NaN
    except OverflowError:
        return None
    unusual = np.isinf(numbers) if feature.missing else ~np.isfinite(numbers)
    return None if unusual.any() else numbers


def _are_characters(texts: Sequence[str | None]) -> bool:
    """Return whether all texts can be UTF-8: none has half of a surrogate pair."""
    try:
        "".join(filter(None, texts)).encode()
    except UnicodeEncodeError:
        return False
    return True


def _one_by_one(schema: Schema, instances: Sequence[Any]) -> Batch:
    found, faults = Batch.empty(schema.features, len(instances)), {}
    for row, instance in enumerate(instances):
        try:
            found.put(row, row_values(schema, instance))
        except Unfit as error:
            faults[row] = error.fault
    return found._replace(faults=faults)


def row_values(schema: Schema, row: Any) -> list[Value]:
    """Return a row's values in the model's order. Raises Unfit for the first one that does not fit."""
    if isinstance(row, dict):
        row = _by_name(schema, row)
        return [json_value(feature, f".{feature.name}", row.get(feature.name)) for feature in schema.features]
    row = listed(schema, row)
    if not isinstance(row, list):
        raise Unfit(Fault(f"is {json_kind(row)}; a row is {_forms(schema)}"))
    if len(row) != len(schema.features):
        have = f"has {len(row)} value{'s' * (len(row) != 1)}"
        raise Unfit(Fault(f"{have}; the model takes {len(schema.features)}"))
    pairs = enumerate(zip(schema.features, row, strict=True))
    return [json_value(feature, f"[{i}]", value) for i, (feature, value) in pairs]


def _forms(schema: Schema) -> str:
    """Return a phrase for the forms that a row may have."""
    values = "a string, a list of one string" if schema.only_a_text else f"a list of {_values(schema)}"
    return f"{values} or an object" if schema.names else values.replace(", ", " or ")


def _values(schema: Schema) -> str:
    return "numbers" if schema.only_numbers else "values"


def _by_name(schema: Schema, row: dict[str, Any]) -> dict[str, Any]:
    """Return the values by name, as the model spells the names. Raises Unfit for a wrong name."""
    if schema.names is None:
        problem = f"is an object, but the model has no feature names: send lists of {_values(schema)}"
        raise Unfit(Fault(problem))
    given = spelled(row, schema.names)
    if fault := unknown_name(schema, given):
        raise Unfit(fault._replace(field=f".{fault.field}"))
    return dict(zip(given, row.values(), strict=True))


def unknown_name(schema: Schema, given: Sequence[str]) -> Fault | None:
    """Return a fault for the first name that is wrong; None if each feature's name is there once.

    A name that may be a misspelling comes first. A feature that the model does not use may be absent.
    """
    if fault := slip(schema, given):
        return fault
    times = Counter(given)
    for feature in schema.features:
        if times[feature.name] > 1:
            return Fault("is there twice, in two Unicode forms", feature.name)
        if not times[feature.name] and feature.type != "unused":
            return Fault("is missing", feature.name)
    known = set(schema.names or ())
    return next((Fault("is no feature of the model", name) for name in given if name not in known), None)


def slip(schema: Schema, given: Iterable[str]) -> Fault | None:
    """Return a fault for a name that is close to an absent feature's name; None if there is none."""
    names, found = schema.names or (), set(given)
    absent = [name for name in names if name not in found]
    unknown = found.difference(names)
    if not absent or not unknown:
        return None
    from thimble import spelling  # imported only for an error

    for name in sorted(unknown)[:MOST_NAMES]:
        if told := spelling.hint(name, absent):
            return Fault(f"is no feature of the model{told}", name)
    return None
