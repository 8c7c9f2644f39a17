"""Tables of rows: as an estimator wants them, and as a document names them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pandas as pd
from scipy import sparse

from thimble.inference.classifier import Classifier
from thimble.inference.features import Feature, normal
from thimble.inference.features import columns as as_columns
from thimble.tables.answers import column_names
from thimble_model.forms import kind_of, plain, refusal
from thimble_model.unsupported import Unsupported

Table = pd.DataFrame


def as_table(estimator: Any, X: Any) -> Table:
    """Rows with the columns that the estimator knows, in its order, and floats in double precision."""
    if sparse.issparse(X):
        accessor: Any = pd.DataFrame.sparse
        return pd.DataFrame(accessor.from_spmatrix(X.astype(np.float64), columns=known_names(estimator)))
    table = X if isinstance(X, pd.DataFrame) else pd.DataFrame(X)
    names = known_names(estimator)
    if names and isinstance(X, pd.DataFrame):
        table = table[names]
    elif names:
        table = table.set_axis(names, axis="columns")
    others = table.select_dtypes([np.float32, np.float16, np.longdouble]).columns
    return table.astype(dict.fromkeys(others, np.float64)).reset_index(drop=True)


def known_names(estimator: Any) -> list[str] | None:
    """The feature names of an estimator that was fitted on a DataFrame."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def is_sparse(table: Table) -> bool:
    """Whether all columns are sparse, which scikit-learn then reads as one sparse matrix."""
    return all(isinstance(dtype, pd.SparseDtype) for dtype in table.dtypes)


def estimator_input(estimator: Any, table: Table) -> Any:
    """Rows as the estimator was fitted on them: it warns of names that it does not know."""
    if is_sparse(table):
        accessor: Any = table.sparse
        return accessor.to_coo().tocsr()
    return table if known_names(estimator) else table.to_numpy()


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
    if feature.type == "number" and isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf":
        return [None if value != value else value for value in column.to_numpy(np.float64).tolist()]
    absent = column.isna().tolist()
    values = column.tolist()
    try:
        return [
            None if gone else plain(feature.type, value) for gone, value in zip(absent, values, strict=True)
        ]
    except TypeError:
        kinds = {kind_of(value) for gone, value in zip(absent, values, strict=True) if not gone}
        raise Unsupported(refusal(f"column {column.name!r}", kinds)) from None


def columns(features: Sequence[Feature], table: Table) -> list[Any]:
    """Rows as `Classifier.predict` takes them."""
    return as_columns(features, json_rows(features, table))


def data_digest(features: Sequence[Feature], table: Table) -> str:
    """SHA-256 over the columns that are read, in order: numbers as little-endian float64, others as a JSON
    array."""
    sha = hashlib.sha256()
    for i, feature in enumerate(features):
        values = _json_column(feature, table.iloc[:, i])
        if feature.type == "number":
            sha.update(np.array([np.nan if value is None else value for value in values], "<f8").tobytes())
        elif feature.type != "unused":
            sha.update(orjson.dumps(values))
    return sha.hexdigest()
