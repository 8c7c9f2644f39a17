"""Convert tables of rows between the forms of estimators, documents and requests."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
import orjson
from numpy.typing import NDArray
from scipy import sparse

from thimble.errors import InvalidInput
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier
from thimble.inference.features import Feature, normal
from thimble.inference.predictions import Predictions
from thimble.tables.answers import column_names
from thimble_model.forests import spelling, trained_categories
from thimble_model.forms import Column, absent, kind_of, plain, refusal
from thimble_model.text import reads_texts
from thimble_model.unsupported import Unsupported, class_name
from thimble_model.wrappers import receivers

if TYPE_CHECKING:
    import pandas as pd

LONGEST_EXAMPLE = 500  # characters of a free text in an example
TEXT = "text"  # the feature's name if only texts were given

Table: TypeAlias = "pd.DataFrame | NDArray[Any] | sparse.csc_matrix"  # only a DataFrame needs pandas


def as_table(estimator: Any, X: Any) -> Table:
    """Return rows with the columns that the estimator knows, in its order, and floats in double precision."""
    if reads_texts(estimator):
        return _texts(X)
    if sparse.issparse(X):
        return X.tocsc().astype(np.float64)
    names = known_names(estimator)
    if names is None and _is_matrix(X):
        return _matrix(X)
    if is_frame(X):
        return _doubles(_chosen(estimator, X) if names else X)
    table = pandas().DataFrame(X)
    return _doubles(table.set_axis(names, axis="columns") if names else table)


def _chosen(estimator: Any, X: pd.DataFrame) -> pd.DataFrame:
    texts = list(map(str, X.columns))
    return X.iloc[:, [texts.index(name) for name in called(estimator, texts) or ()]]


def _texts(X: Any) -> Table:
    """Return one column of texts, from a sequence, a Series, or a table with one column."""
    if hasattr(X, "to_frame"):
        return X.to_frame(X.name if isinstance(X.name, str) else TEXT).reset_index(drop=True)
    if is_frame(X):
        return X.reset_index(drop=True)
    found = (
        X if isinstance(X, np.ndarray) else _objects([row[0] if isinstance(row, list) else row for row in X])
    )
    return found.reshape(-1, 1).astype(object)


def is_frame(X: Any) -> TypeGuard[pd.DataFrame]:
    """Return whether this is a DataFrame, which cannot exist before pandas is imported."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(X, pandas.DataFrame)


def pandas(why: str = "the estimator knows its columns by name") -> Any:
    """Return the package pandas. Raises Unsupported if it is not installed."""
    try:
        import pandas
    except ModuleNotFoundError:
        raise Unsupported(f"pandas is needed, for {why}: pip install pandas") from None
    return pandas


def _doubles(table: pd.DataFrame) -> pd.DataFrame:
    others = table.select_dtypes([np.float32, np.float16, np.longdouble]).columns
    return table.astype(dict.fromkeys(others, np.float64)).reset_index(drop=True)


def _is_matrix(X: Any) -> bool:
    """Return whether numpy reads X as pandas would: a plain array, or a sequence of sequences."""
    if type(X) is np.ndarray:
        return X.dtype.kind in "biufcOUS"
    return isinstance(X, list | tuple) and all(isinstance(row, list | tuple | np.ndarray) for row in X)


def _matrix(X: Any) -> NDArray[Any]:
    found = X if isinstance(X, np.ndarray) else beside([_typed(column) for column in _columns_of(X)])
    if found.ndim == 1:
        found = found[:, np.newaxis]
    if found.ndim != 2:
        raise InvalidInput(f"the rows have {found.ndim} dimensions, not 2: give one row for each sample")
    if found.dtype.kind in "US":
        return found.astype(object)
    return found.astype(np.float64) if found.dtype.kind == "f" else found


def _columns_of(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    for i, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise InvalidInput(f"row {i} has {len(row)} values, and row 0 has {len(rows[0])}")
    return list(zip(*rows, strict=True))


def _typed(values: Sequence[Any]) -> NDArray[Any]:
    """Return a column as pandas reads it: None among numbers is NaN; mixed values stay as they are."""
    types = set(map(type, values)) - {type(None)}
    if types and all(issubclass(type_, int | float | np.number) and type_ is not bool for type_ in types):
        return np.array([np.nan if value is None else value for value in values])
    return np.array(values) if types == {bool} and None not in values else _objects(values)


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    found = np.empty(len(values), object)
    found[:] = values
    return found


def beside(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return columns as one matrix, of objects unless all hold numbers or all hold booleans."""
    kinds = {column.dtype.kind for column in columns}
    if len(kinds) > 1 and not kinds <= set("iuf"):
        columns = [column.astype(object) for column in columns]
    return np.column_stack(columns) if columns else np.empty((0, 0))


def known_names(estimator: Any) -> list[str] | None:
    """Return the feature names of an estimator that was fitted on a DataFrame, else None."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None and class_name(inner := receivers(estimator)[0]) == "CatBoostClassifier":
        found = list(getattr(inner, "feature_names_", None) or ())
        names = None if found == [str(i) for i in range(len(found))] else found
    return None if names is None else [str(name) for name in names]


def called(estimator: Any, columns: Sequence[str]) -> list[str] | None:
    """Return the name in `columns` of each feature that the estimator knows; None if it knows no names.

    The two may differ: LightGBM writes a space as _. A feature without a column keeps the estimator's name.
    """
    known, spelled = known_names(estimator), spelling(estimator)
    return None if known is None else [_called(name, columns, spelled) for name in known]


def _called(name: str, columns: Sequence[str], spelled: Callable[[str], str]) -> str:
    found = list(dict.fromkeys(column for column in columns if name in (column, spelled(column))))
    if len(found) > 1:
        raise InvalidInput(
            f"the columns {' and '.join(map(repr, found))} are both {name!r} to the estimator, which writes "
            "a space as _: pass the rows without the one that it was not fitted on"
        )
    return found[0] if found else name


def n_columns(estimator: Any) -> int:
    """Return how many columns the estimator takes; 0 if it does not say."""
    return 1 if reads_texts(estimator) else int(getattr(estimator, "n_features_in_", 0))


def names_in(table: Table) -> list[str] | None:
    """Return the names of the table's columns if all are strings, else None."""
    names = list(table.columns) if is_frame(table) else []
    return names if names and all(isinstance(name, str) for name in names) else None


def is_sparse(table: Table) -> bool:
    """Return whether scikit-learn reads the table as a sparse matrix."""
    if is_frame(table):
        return all(isinstance(dtype, pandas().SparseDtype) for dtype in table.dtypes)
    return bool(sparse.issparse(table))


def column(table: Table, i: int) -> Column:
    if is_frame(table):
        return table.iloc[:, i]
    matrix: Any = table
    found: NDArray[Any] = matrix[:, [i]].toarray().ravel() if sparse.issparse(matrix) else matrix[:, i]
    return found


def label(table: Table, i: int) -> Any:
    """Return a column's name for a sentence, or its index if it has none."""
    return table.columns[i] if is_frame(table) else i


def take(table: Table, rows: list[int] | NDArray[np.intp]) -> Table:
    return table.iloc[rows] if is_frame(table) else table[rows]


def answered_rows(found: Predictions) -> NDArray[np.bool_]:
    """Return a mask of the rows that the model answers."""
    return ~np.isin(np.arange(found.n_rows), [*found.rejected])


def with_short_texts(features: Sequence[Feature], table: Table) -> Table:
    """Return the rows with free texts cut to their beginnings, which suffice for examples."""
    for i, feature in enumerate(features):
        if feature.type == "free_text":
            texts = [text[:LONGEST_EXAMPLE] for text in column(table, i).tolist()]
            if is_frame(table):
                table = table.assign(**{table.columns[i]: texts})
            else:
                table = table.copy()
                table[:, i] = texts
    return table


def estimator_input(estimator: Any, table: Table) -> Any:
    """Return rows in the form that the estimator was fitted on; otherwise it would warn about names."""
    if reads_texts(estimator):
        return column(table, 0)
    if not is_frame(table):
        matrix: Any = table
        return matrix.tocsr() if sparse.issparse(matrix) else matrix
    if is_sparse(table):
        accessor: Any = table.sparse
        return accessor.to_coo().tocsr()
    known = trained_categories(estimator)
    if known:
        table = table.copy()
        for i, categories in known.items():
            name = table.columns[i]
            table[name] = pandas().Categorical(table[name], categories=categories)
    return table if known or known_names(estimator) else table.to_numpy()


def require_free_names(classifier: Classifier) -> None:
    """Raise Unsupported if a feature has the name of a column that a file's answer adds."""
    taken = set(column_names(classifier))
    for feature in classifier.features:
        if feature.name in taken and feature.type != "unused":
            raise Unsupported(
                f"The feature {feature.name!r} is called as one of the columns that a file's answers take "
                f"({', '.join(sorted(taken)[:6])}{', ...' * (len(taken) > 6)}); rename it, and fit again"
            )


def require_one_form(names: Sequence[str]) -> None:
    """Raise Unsupported if two names differ in their Unicode form only: names match in either form."""
    seen: dict[str, int] = {}
    for i, name in enumerate(names):
        if (other := seen.setdefault(normal(name), i)) != i and names[other] != name:
            raise Unsupported(
                f"Columns {other} and {i} are both called {normal(name)!r}, in two Unicode forms; "
                "rename one, and fit again"
            )


def json_rows(features: Sequence[Feature], table: Table) -> list[list[Any]]:
    """Return rows as a request has them, with None for missing values."""
    columns = [_json_column(feature, table, i) for i, feature in enumerate(features)]
    return [list(row) for row in zip(*columns, strict=True)]


def _json_column(feature: Feature, table: Table, i: int) -> list[Any]:
    if feature.type == "unused":
        return [None] * table.shape[0]
    values = column(table, i)
    if feature.type == "number" and isinstance(values.dtype, np.dtype) and values.dtype.kind in "iuf":
        return [None if value != value else value for value in np.asarray(values, np.float64).tolist()]
    gone, found = absent(values), values.tolist()
    try:
        return [None if none else plain(feature.type, value) for none, value in zip(gone, found, strict=True)]
    except TypeError:
        kinds = {kind_of(value) for none, value in zip(gone, found, strict=True) if not none}
        raise Unsupported(refusal(f"column {label(table, i)!r}", kinds)) from None


def as_batch(features: Sequence[Feature], table: Table) -> Batch:
    """Return rows as `Classifier.predict` takes them."""
    return Batch.of(features, [_json_column(f, table, i) for i, f in enumerate(features)])


def data_digest(features: Sequence[Feature], table: Table) -> str:
    """Return the SHA-256 over the columns that the model reads, in order.

    Numbers are hashed as little-endian float64, other columns as a JSON array.
    """
    sha = hashlib.sha256()
    for i, feature in enumerate(features):
        values = _json_column(feature, table, i)
        if feature.type == "number":
            sha.update(np.array([np.nan if value is None else value for value in values], "<f8").tobytes())
        elif feature.type != "unused":
            sha.update(orjson.dumps(values))
    return sha.hexdigest()
