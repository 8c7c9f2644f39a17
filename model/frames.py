"""Tables of rows: as an estimator wants them, as a document names them, as a CSV file has them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from model.support import Unsupported
from thimble.answers import column_names
from thimble.classifier import Classifier
from thimble.errors import InvalidFile
from thimble.features import Feature, normal
from thimble.features import columns as as_columns

Table = pd.DataFrame


def as_table(estimator: Any, X: Any) -> Table:
    """Rows with the columns that the estimator knows, in its order, and floats in double precision."""
    table = X if isinstance(X, pd.DataFrame) else pd.DataFrame(X)
    names = known_names(estimator)
    if names and isinstance(X, pd.DataFrame):
        table = table[names]
    elif names:
        table = table.set_axis(names, axis="columns")
    narrow = table.select_dtypes([np.float32, np.float16]).columns
    return table.astype(dict.fromkeys(narrow, np.float64)).reset_index(drop=True)


def known_names(estimator: Any) -> list[str] | None:
    """The feature names of an estimator that was fitted on a DataFrame."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def estimator_input(estimator: Any, table: Table) -> Table | NDArray[Any]:
    """Rows as the estimator was fitted on them: it warns of names that it does not know."""
    return table if known_names(estimator) else table.to_numpy()


def type_of(column: pd.Series[Any]) -> str | None:
    """The type of a feature, as far as its values tell."""
    if column.dtype.kind == "b":
        return "boolean"
    if column.dtype.kind in "iuf":
        return "number"
    kinds = {type(value) for value in column.dropna().tolist()}
    if kinds == {str}:
        return "text"
    if kinds == {bool}:
        return "boolean"
    return "number" if kinds and kinds <= {int, float} else None


def require_free_names(classifier: Classifier) -> None:
    """Files get the answer's columns beside their own: a feature that is called like one cannot be sent."""
    taken = set(column_names(classifier))
    for feature in classifier.features:
        if feature.name in taken and feature.type != "unused":
            raise Unsupported(
                f"The feature {feature.name!r} is called as one of the columns that a file's answers take "
                f"({', '.join(sorted(taken)[:6])}{', ...' * (len(taken) > 6)}); rename it, and fit again"
            )


def require_one_form(names: Sequence[str]) -> None:
    """Names are matched in either Unicode form, so two may not differ in it alone."""
    seen: dict[str, int] = {}
    for i, name in enumerate(names):
        if (other := seen.setdefault(normal(name), i)) != i and names[other] != name:
            raise Unsupported(
                f"Columns {other} and {i} are both called {normal(name)!r}, in two Unicode forms; "
                "rename one, and fit again"
            )


def json_rows(features: Sequence[Feature], table: Table) -> list[list[Any]]:
    """Rows as a request has them: null for what is missing."""
    columns = [_json_column(feature, table.iloc[:, i]) for i, feature in enumerate(features)]
    return [list(row) for row in zip(*columns, strict=True)]


def _json_column(feature: Feature, column: pd.Series[Any]) -> list[Any]:
    if feature.type == "unused":
        return [None] * len(column)
    kind = {"number": float, "boolean": bool, "text": str}[feature.type]
    absent = column.isna().tolist()
    values = column.tolist()
    try:
        return [None if gone else kind(value) for gone, value in zip(absent, values, strict=True)]
    except (TypeError, ValueError):
        raise Unsupported(f"column {column.name!r} holds other values than {feature.type}s") from None


def columns(features: Sequence[Feature], table: Table) -> list[Any]:
    """Rows as `Classifier.predict` takes them."""
    return as_columns(features, json_rows(features, table))


def data_digest(table: Table) -> str:
    """SHA-256 over the columns in order: numbers as little-endian float64, others as a JSON array."""
    sha = hashlib.sha256()
    for _, column in table.items():
        if column.dtype.kind in "iuf":
            sha.update(column.to_numpy().astype("<f8").tobytes())
        else:
            sha.update(
                orjson.dumps(
                    [None if gone else value for gone, value in zip(column.isna(), column, strict=True)]
                )
            )
    return sha.hexdigest()


class Training(NamedTuple):
    """What a file has for an estimator."""

    rows: Table
    labels: NDArray[Any] | None
    others: list[str]  # columns that are no features, and were not read as labels


def read_csv(path: Path, estimator: Any, targets: Sequence[str] = ()) -> Training:
    """The features, and the labels if the file has them: the `targets`, or the one column left over."""
    table = csv_table(path)
    if all(_is_number(name) for name in table.columns):
        raise InvalidFile(f"{path} has no header line: its first line is all numbers")
    names = known_names(estimator) or features_by_position(
        path, table, getattr(estimator, "n_features_in_", 0), targets
    )
    for name in (*names, *targets):
        if name not in table.columns:
            raise InvalidFile(f"{path} has no column {name!r}")
    others = [name for name in table.columns if name not in names]
    labels = list(targets) or _labels_among(table, others, estimator.classes_)
    y = table[labels].to_numpy() if labels else None
    unread = [name for name in others if name not in labels]
    return Training(table[names], y[:, 0] if y is not None and y.shape[1] == 1 else y, unread)


def csv_table(path: Path) -> Table:
    try:
        table = pd.read_csv(path)
    except ValueError as error:  # no text in UTF-8, no columns, or lines of other lengths
        raise InvalidFile(f"{path} cannot be read as a CSV table: {error}") from None
    if table.empty:
        raise InvalidFile(f"{path} has no rows")
    return table


def features_by_position(path: Path, table: Table, n_features: int, targets: Sequence[str] = ()) -> list[str]:
    """All columns but the labels', which without `targets` is the last if there is one too many."""
    columns = [name for name in table.columns if name not in targets]
    if not targets and len(columns) == n_features + 1:
        columns.pop()
    if len(columns) != n_features:
        raise InvalidFile(
            f"{path} has {len(table.columns)} columns; {n_features} features are taken, and their names are "
            "not known: leave only these, in order, and the labels' column last"
        )
    return columns


def _labels_among(table: Table, others: list[str], classes: Any) -> list[str]:
    if len(others) != 1 or isinstance(classes, list):  # a list: an array of classes for each output
        return []
    return others if table[others[0]].isin(list(classes)).all() else []


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
