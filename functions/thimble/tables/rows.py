"""Rows from JSON to columns: lists by position, objects by feature name, every fault with its place.

The common case is converted at once; only rows that do not convert are looked at one by one, to say
which, and why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from thimble.errors import UnprocessableRows
from thimble.inference import features
from thimble.inference.arrays import FloatArray, all_finite
from thimble.inference.classifier import Classifier
from thimble.inference.features import Feature, spelled
from thimble.tables.values import fitting, kind, missing

Place = Callable[[int], str]  # what the caller calls a row

MOST_NAMES = 20  # unknown ones that are looked at

_instance: Place = "instances[{}]".format


def columns(classifier: Classifier, instances: list[Any], place: Place = _instance) -> Any:
    """A column a feature, as `Classifier.predict` takes them; UnprocessableRows names the first value that
    does not fit."""

    def one_by_one() -> list[list[Any]]:
        return [values(classifier, row, place(i)) for i, row in enumerate(instances)]

    if classifier.preprocessing is None:
        X = _at_once(classifier, instances)
        return np.ascontiguousarray(np.array(one_by_one()).T) if X is None else X
    found = _columns_at_once(classifier, instances)
    return features.columns(classifier.features, one_by_one()) if found is None else found


def refuse(rejected: Mapping[int, str], place: Place = _instance) -> None:
    """UnprocessableRows names the first row that the model gave no answer to."""
    if rejected:
        row = min(rejected)
        raise UnprocessableRows(f"{place(row)}: {rejected[row]}")


def _columns_at_once(classifier: Classifier, instances: list[Any]) -> list[Any] | None:
    """The columns, or None if anything is unusual."""
    lists = _lists(classifier, instances)
    if lists is None or set(map(len, lists)) != {classifier.n_features}:
        return None
    columns = zip(*lists, strict=True)
    found = [_column(feature, column) for feature, column in zip(classifier.features, columns, strict=True)]
    return None if any(column is None for column in found) else found


def _lists(classifier: Classifier, instances: list[Any]) -> list[Any] | None:
    """The rows' values in the model's order, or None if they are not all lists or all objects with exactly
    the model's features."""
    kinds = set(map(type, instances))
    if kinds == {list}:
        return instances
    names = classifier.feature_names
    if kinds != {dict} or names is None or set(map(len, instances)) != {len(names)}:
        return None
    take = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
    try:
        return [take(row) for row in instances]
    except KeyError:
        return None


JSON_TYPES: dict[str, frozenset[type]] = {
    "number": frozenset({int, float}),
    "boolean": frozenset({bool}),
    "text": frozenset({str}),
}


def _column(feature: Feature, values: Sequence[Any]) -> Any:
    """A feature's values as predict takes them, or None if any is unusual."""
    if feature.type == "unused":
        return values
    types = set(map(type, values))
    if type(None) in types and not feature.missing:
        return None
    if not types - {type(None)} <= JSON_TYPES[feature.type]:
        return None
    if feature.type == "text":
        return values if frozenset(missing(feature)).isdisjoint(values) else None
    try:
        numbers = np.array(values, dtype=np.float64)  # None becomes NaN
    except OverflowError:
        return None
    unusual = np.isinf(numbers) if feature.missing else ~np.isfinite(numbers)
    return None if unusual.any() else numbers


def _at_once(classifier: Classifier, instances: list[Any]) -> FloatArray | None:
    """(n_features, n), or None if anything is unusual."""
    lists = _lists(classifier, instances)
    if lists is None:
        return None
    try:
        if not set(map(type, chain.from_iterable(lists))) <= JSON_TYPES["number"]:
            return None
        X = np.array(lists, np.float64)
    except (ValueError, OverflowError):  # not of one length, too large
        return None
    X = np.ascontiguousarray(X.T)
    return X if X.shape == (classifier.n_features, len(instances)) and all_finite(X) else None


def values(classifier: Classifier, row: Any, path: str) -> list[Any]:
    """One row's values in the model's order, None for what is missing; UnprocessableRows names the first that
    does not fit."""
    if isinstance(row, dict):
        row = _by_name(classifier, row, path)
        return [
            _value(feature, row.get(feature.name), f"{path}.{feature.name}")
            for feature in classifier.features
        ]
    if not isinstance(row, list):
        raise UnprocessableRows(
            f"{path} is {kind(row)}; a row is a list of {_wanted(classifier)} or an object"
        )
    if len(row) != classifier.n_features:
        raise UnprocessableRows(
            f"{path} has {len(row)} value{'s' * (len(row) != 1)}; the model takes {classifier.n_features}"
        )
    return [
        _value(feature, value, f"{path}[{i}]")
        for i, (feature, value) in enumerate(zip(classifier.features, row, strict=True))
    ]


def _wanted(classifier: Classifier) -> str:
    return "numbers" if classifier.preprocessing is None else "values"


def _by_name(classifier: Classifier, row: dict[str, Any], path: str) -> dict[str, Any]:
    """The values by the names as the model spells them."""
    names = classifier.feature_names
    if names is None:
        raise UnprocessableRows(
            f"{path} is an object, but the model has no feature names: send lists of {_wanted(classifier)}"
        )
    given = spelled(row, names)
    found = dict(zip(given, row.values(), strict=True))
    check_names(classifier, given, f"{path}.")
    return found


def check_names(classifier: Classifier, given: Sequence[str], path: str = "") -> None:
    """UnprocessableRows unless the names, as the model spells them, are its features', each once."""
    if told := slip(classifier, given):
        raise UnprocessableRows(f"{path}{told}")
    times = Counter(given)
    for feature in classifier.features:
        if times[feature.name] > 1:
            raise UnprocessableRows(f"{path}{feature.name} is there twice, in two Unicode forms")
        if not times[feature.name] and feature.type != "unused":
            raise UnprocessableRows(f"{path}{feature.name} is missing")
    known = set(classifier.feature_names or ())
    for name in given:
        if name not in known:
            raise UnprocessableRows(f"{path}{name} is no feature of the model")


def slip(classifier: Classifier, given: Iterable[str]) -> str:
    """What is said of a name that is close to one of a feature that is not there; "" if there is none."""
    names, found = classifier.feature_names or (), set(given)
    absent = [name for name in names if name not in found]
    unknown = found.difference(names)
    if not absent or not unknown:
        return ""
    from thimble import spelling  # only for an error

    for name in sorted(unknown)[:MOST_NAMES]:
        if told := spelling.hint(name, absent):
            return f"{name} is no feature of the model{told}"
    return ""


def _value(feature: Feature, value: Any, path: str) -> float | str | None:
    try:
        return fitting(feature, value, path)
    except ValueError as error:
        raise UnprocessableRows(str(error)) from None
