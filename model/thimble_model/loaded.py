"""Use a document in a notebook: rows in, a DataFrame out, with the same bits as the service."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thimble.errors import InvalidInput
from thimble.inference import classifier
from thimble.inference.classifier import Classifier
from thimble.inference.head import Head
from thimble.inference.predictions import Predictions, Scores
from thimble.tables import header, rows
from thimble.tables.answers import column_names, further_columns, label_sets
from thimble_model.forms import absent, is_missing
from thimble_model.frames import is_frame, pandas
from thimble_model.unsupported import refusing, require_document

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Rows = pd.DataFrame | Sequence[dict[str, Any]] | Sequence[Sequence[Any]] | NDArray[Any]

PLACE = "rows[{}]"
WANTED = (
    "predict takes a DataFrame, a list of rows (dicts or lists), or an array of two dimensions, "
    "and of a model that takes one text a list of texts"
)


class Model:
    """A loaded model document."""

    def __init__(self, found: Classifier) -> None:
        self._classifier = found

    @property
    def name(self) -> str:
        return self._classifier.name

    @property
    def digest(self) -> str:
        """The SHA-256 of the document, which identifies the version."""
        return self._classifier.digest

    def __repr__(self) -> str:
        return f"<{self.name or 'model'} {self.digest[:12]}>"

    def predict(self, X: Rows) -> pd.DataFrame:
        """Return the columns that a file's result adds (label, probability, p_<class>...), indexed as `X`.

        If the model has feature names, extra columns of a DataFrame are ignored. Raises InvalidInput, which
        names the first value that the model does not take.
        """
        frame = pandas("the answer is a DataFrame").DataFrame
        instances = _instances(self._classifier, X)
        index = X.index if is_frame(X) else None
        if not instances:
            return frame(columns=list(column_names(self._classifier)), index=index)  # type: ignore[no-any-return]
        table = rows.Rows(instances, PLACE)
        predictions = self._classifier.predict(rows.read(table, self._classifier.schema, len(instances)))
        rows.refuse(table, predictions)
        return frame(_answers(self._classifier, predictions), index=index)  # type: ignore[no-any-return]


def load(source: bytes | str | os.PathLike[str]) -> Model:
    """Load a model document from its path or its bytes. Raises InvalidModel, which says why it is refused."""
    data, name = (source, "the document") if isinstance(source, bytes) else _read(Path(source))
    require_document(data, name)
    with refusing(name):
        return Model(classifier.load(data))


def _read(path: Path) -> tuple[bytes, str]:
    return path.read_bytes(), str(path)


def _instances(model: Classifier, X: Any) -> list[Any]:
    """Return rows in the form of a request's instances."""
    if is_frame(X):
        return _of_frame(model, X)
    if model.schema.only_a_text and (texts := _texts(X)) is not None:
        return texts
    if isinstance(X, np.ndarray) and X.ndim == 2:
        columns = [_plain(column, f"[{i}]") for i, column in enumerate(X.T)]
        return [list(row) for row in zip(*columns, strict=True)]
    if isinstance(X, list | tuple) and all(isinstance(row, dict | list | tuple | np.ndarray) for row in X):
        return [_of_row(row, PLACE.format(i)) for i, row in enumerate(X)]
    raise InvalidInput(f"{WANTED}; this is {_described(X)}")


def _texts(X: Any) -> list[Any] | None:
    """Return the texts in a list, an array or a Series; None if X is something else."""
    if isinstance(X, list | tuple) and all(isinstance(row, str) for row in X):
        return list(X)
    if getattr(X, "ndim", 0) == 1 and hasattr(X, "dtype"):
        return [[value] for value in _plain(X, "")]
    return None


def _described(X: Any) -> str:
    return f"an array of {X.ndim}" if isinstance(X, np.ndarray) else f"of the type {type(X).__name__}"


def _of_row(row: Any, place: str) -> Any:
    if isinstance(row, dict):
        return {str(name): _plain_value(value, f"{place}.{name}") for name, value in row.items()}
    return [_plain_value(value, f"{place}[{i}]") for i, value in enumerate(row)]


def _of_frame(model: Classifier, X: pd.DataFrame) -> list[Any]:
    """Return rows of features in the model's order.

    Columns are found as in a file: by name, or by position if the model has no names.
    """
    schema = model.schema._replace(answer_columns=())  # the answer is a separate frame, so any name is free
    found = header.features(header.named([str(name) for name in X.columns], schema), schema)
    columns = [
        _plain(X.iloc[:, found[k]], f".{feature.name}" if feature.name else f"[{k}]")
        if k in found
        else [None] * len(X)
        for k, feature in enumerate(model.features)
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def _plain(column: Any, place: str) -> list[Any]:
    """Return a column's values as JSON has them, with None for missing values."""
    gone = absent(column)
    values = column.tolist()
    if column.dtype.kind in "biuf" and not gone.any():
        return list(values)
    return [
        None if none else _plain_value(value, f"{PLACE.format(i)}{place}")
        for i, (none, value) in enumerate(zip(gone, values, strict=True))
    ]


def _plain_value(value: Any, place: str) -> Any:
    if is_missing(value):
        return None
    if isinstance(value, Decimal | Fraction):
        return float(value)
    found = value.item() if isinstance(value, np.generic) else value
    if isinstance(found, str | int | float):
        return found
    raise InvalidInput(f"{place} is a {type(value).__name__}; the model takes numbers, texts and booleans")


def _answers(model: Classifier, predictions: Predictions) -> dict[str, Any]:
    """Return the answer's columns by name, in the order of a file's columns."""
    parts = zip(model.heads, predictions.outputs, strict=True)
    columns = [column for head, scores in parts for column in _columns(head, scores)]
    columns += [
        np.fromiter(column.cells, np.object_, len(column.cells))
        for column in further_columns(model, predictions)
    ]
    return dict(zip(column_names(model), columns, strict=True))


def _columns(head: Head, scores: Scores) -> Iterator[Any]:
    p = scores.probabilities  # (n_classes, n)
    if head.multilabel:
        yield label_sets(head, scores)
    else:
        yield _labels(head, scores)
        yield scores.winning
    yield from p


def _labels(head: Head, scores: Scores) -> NDArray[Any]:
    if scores.abstained is None:
        return np.array(head.classes)[scores.labels]
    return np.array((*head.classes, None), np.object_)[scores.answered]
