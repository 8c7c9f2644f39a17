"""Tables of training rows: as an estimator wants them, as a document names them, as a CSV file has them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from thimble.errors import InvalidFile

Table = pd.DataFrame


def as_table(estimator: Any, X: Any) -> Table:
    """Rows as named columns where the estimator knows names, every number a float64."""
    table = X if isinstance(X, pd.DataFrame) else pd.DataFrame(X)
    names = known_names(estimator)
    if names and isinstance(X, pd.DataFrame):
        table = table[names]
    elif names:
        table = table.set_axis(names, axis="columns")
    numbers = table.select_dtypes(["number", "bool"]).columns
    return table.astype(dict.fromkeys(numbers, np.float64)).reset_index(drop=True)


def known_names(estimator: Any) -> list[str] | None:
    """The feature names of an estimator that was fitted on a DataFrame."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def estimator_input(estimator: Any, table: Table) -> Table | NDArray[Any]:
    """Rows as the estimator was fitted on them: it warns of names that it does not know."""
    return table if known_names(estimator) else table.to_numpy()


def data_digest(table: Table) -> str:
    """SHA-256 over the columns in order: numbers as little-endian float64, others as a JSON array."""
    sha = hashlib.sha256()
    for _, column in table.items():
        if column.dtype == np.float64:
            sha.update(column.to_numpy().astype("<f8").tobytes())
        else:
            sha.update(orjson.dumps(column.tolist()))
    return sha.hexdigest()


def read_csv(path: Path, estimator: Any, targets: Sequence[str] = ()) -> tuple[Table, NDArray[Any] | None]:
    """The features, and the labels if the file has them: the `targets`, or the one column left over."""
    table = pd.read_csv(path)
    if all(_is_number(name) for name in table.columns):
        raise InvalidFile(f"{path} has no header line: its first line is all numbers")
    names = known_names(estimator) or _features_by_position(path, table, estimator.n_features_in_, targets)
    for name in (*names, *targets):
        if name not in table.columns:
            raise InvalidFile(f"{path} has no column {name!r}")
    labels = list(targets) or _left_over(table, names, estimator.classes_)
    y = table[labels].to_numpy() if labels else None
    return table[names], y[:, 0] if y is not None and y.shape[1] == 1 else y


def _features_by_position(path: Path, table: Table, n_features: int, targets: Sequence[str]) -> list[str]:
    """All columns but the labels', which without `targets` is the last if there is one too many."""
    columns = [name for name in table.columns if name not in targets]
    if not targets and len(columns) == n_features + 1:
        columns.pop()
    if len(columns) != n_features:
        raise InvalidFile(
            f"{path} has {len(table.columns)} columns; the estimator takes {n_features} features and knows "
            "no names: leave only these, in order, and name the labels' column with --target"
        )
    return columns


def _left_over(table: Table, names: list[str], classes: Any) -> list[str]:
    others = [name for name in table.columns if name not in names]
    return others if len(others) == 1 and table[others[0]].isin(list(classes)).all() else []


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
