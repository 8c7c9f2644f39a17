"""Rows from JSON to columns: lists by position, objects by feature name, every fault with its place.

The common case is converted at once; only rows that do not convert are looked at one by one, to say
which, and why.
"""

from __future__ import annotations

import math
from operator import itemgetter
from typing import Any

import numpy as np

from thimble.classifier import Classifier
from thimble.errors import UnprocessableRows
from thimble.network import FloatArray


def columns(classifier: Classifier, instances: list[Any], path: str = "instances") -> FloatArray:
    """(n_features, n) of n instances; UnprocessableRows names the first value that does not fit."""
    X = _at_once(classifier, instances)
    if X is None:
        X = np.array([values(classifier, row, f"{path}[{i}]") for i, row in enumerate(instances)], np.float64)
    return np.ascontiguousarray(X.T)


def _at_once(classifier: Classifier, instances: list[Any]) -> FloatArray | None:
    """(n, n_features), or None if anything is unusual."""
    rows = instances
    if isinstance(rows[0], dict):
        if classifier.feature_names is None:
            return None
        try:
            rows = _by_name(classifier.feature_names, instances)
        except (KeyError, TypeError, AttributeError):
            return None
    try:
        X = np.array(rows)
    except (ValueError, OverflowError):
        return None
    if X.dtype.kind not in "iuf" or X.shape != (len(rows), classifier.n_features):
        return None
    X = X.astype(np.float64, copy=False)
    if not np.isfinite(X).all() or _has_booleans(rows):
        return None
    return X


def _by_name(names: tuple[str, ...], instances: list[dict[str, Any]]) -> list[Any]:
    if any(len(row.keys()) != len(names) for row in instances):
        raise KeyError
    if len(names) == 1:
        return [[row[names[0]]] for row in instances]
    return list(map(itemgetter(*names), instances))


def _has_booleans(rows: list[Any]) -> bool:
    """numpy takes true for 1 among numbers."""
    return any(bool in set(map(type, row)) for row in rows)


def values(classifier: Classifier, row: Any, path: str) -> list[float]:
    """One row's values in the model's order; UnprocessableRows names the first that does not fit."""
    if isinstance(row, dict):
        names = _names(classifier, row, path)
        return [_number(row[name], f"{path}.{name}") for name in names]
    if not isinstance(row, list):
        raise UnprocessableRows(f"{path} is {kind(row)}; a row is a list of numbers or an object")
    if len(row) != classifier.n_features:
        raise UnprocessableRows(f"{path} has {len(row)} values; the model takes {classifier.n_features}")
    return [_number(value, f"{path}[{i}]") for i, value in enumerate(row)]


def _names(classifier: Classifier, row: dict[str, Any], path: str) -> tuple[str, ...]:
    if classifier.feature_names is None:
        raise UnprocessableRows(
            f"{path} is an object, but the model has no feature names: send lists of numbers"
        )
    for name in classifier.feature_names:
        if name not in row:
            raise UnprocessableRows(f"{path}.{name} is missing")
    for name in row:
        if name not in classifier.feature_names:
            raise UnprocessableRows(f"{path}.{name} is no feature of the model")
    return classifier.feature_names


def _number(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnprocessableRows(f"{path} is {kind(value)}, not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise UnprocessableRows(f"{path} is {'NaN' if math.isnan(number) else 'too large for a number'}")
    return number


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
