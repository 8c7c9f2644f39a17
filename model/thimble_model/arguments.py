"""Check the arguments of `export` before any work, and say what to do about wrong ones."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from thimble.errors import InvalidInput
from thimble_model.frames import called, is_frame
from thimble_model.labels import of_rows
from thimble_model.text import reads_texts
from thimble_model.unsupported import Unsupported, class_name

SHOWN = 6  # classes or columns in a sentence


def require_estimator(estimator: Any) -> None:
    """Raise Unsupported if this is not an estimator at all."""
    if inspect.isclass(estimator):
        name = estimator.__name__
        raise Unsupported(f"{name} is a class, not a fitted estimator: pass {name}(...).fit(X, y)")
    if isinstance(estimator, str | bytes | Path):
        raise Unsupported(
            "a path is no estimator: pass joblib.load(path), or run `thimble export PATH` in a terminal"
        )
    if isinstance(estimator, Mapping):
        keys = [key for key, value in estimator.items() if hasattr(value, "predict")]
        where = f"pass the one under {keys[0]!r}" if keys else "pass a fitted classifier of scikit-learn"
        raise Unsupported(f"a {class_name(estimator)} is no estimator: {where}")
    if isinstance(estimator, Sequence) and any(hasattr(one, "predict") for one in estimator):
        raise Unsupported(f"a {class_name(estimator)} is no estimator: export what is in it one by one")
    kind = type(estimator)  # an unfitted search has no `predict`, but its class has
    if not (hasattr(kind, "fit") and hasattr(kind, "predict")):
        raise Unsupported(
            f"{_named(estimator)} is no estimator: pass a fitted classifier of scikit-learn, not its rows, "
            "its answers or one of its methods"
        )


def _named(value: Any) -> str:
    return "None" if value is None else f"an object of the type {class_name(value)}"


def require_rows(estimator: Any, X: Any, y: Any, said: str = "X") -> None:
    """Raise InvalidInput if the estimator cannot have been fitted on such rows or labels."""
    if X is None:
        if y is not None:
            raise InvalidInput("y is given without X: pass the rows too, as export(estimator, X, y)")
        return
    rows, width = (_texts(X, said), 1) if reads_texts(estimator) else _shape(X, said)
    if not rows:
        raise InvalidInput(f"{said} has no rows: pass those that the estimator was fitted on")
    _require_columns(estimator, X, width, said)
    if y is not None:
        require_labels(estimator, y, rows, "y" if said == "X" else f"y of {said}")


def _shape(X: Any, said: str) -> tuple[int, int]:
    if isinstance(X, str | bytes | Path):
        raise InvalidInput(f"{said} is a path, not rows: pass pandas.read_csv(path), or use `thimble export`")
    if not sparse.issparse(X) and not (is_frame(X) or isinstance(X, np.ndarray | Sequence)):
        if not hasattr(X, "__array__"):
            raise InvalidInput(f"{said} is {_named(X)}, not rows: pass a DataFrame, an array or a list")
        X = np.asarray(X)
    if is_frame(X) or sparse.issparse(X):
        return X.shape[0], X.shape[1]
    try:
        found = np.asarray(X, dtype=object) if not isinstance(X, np.ndarray) else X
    except ValueError:
        raise InvalidInput(f"{said} has rows of several lengths: all have the same columns") from None
    if found.size == 0:
        return 0, 0
    if found.ndim != 2:
        advice = ": X.reshape(1, -1) makes one row of it" if found.ndim == 1 else ""
        raise InvalidInput(f"{said} has {found.ndim} dimensions, and rows with columns have 2{advice}")
    return found.shape[0], found.shape[1]


def _texts(X: Any, said: str) -> int:
    """Return the number of texts; raise InvalidInput if X is not a list or a single column of texts."""
    if isinstance(X, str | bytes | Path):
        raise InvalidInput(f"{said} is one text, or a path; pass a list of texts")
    if is_frame(X):
        if X.shape[1] != 1:
            raise InvalidInput(
                f"{said} has {_counted(X.shape[1], 'column')}, and the estimator reads one text a row: pass "
                "that column"
            )
        return int(X.shape[0])
    if not hasattr(X, "__len__") or (isinstance(X, np.ndarray) and X.size != len(X)):
        raise InvalidInput(f"{said} is {_named(X)}, and the estimator reads texts: pass a list of them")
    return len(X)


def _require_columns(estimator: Any, X: Any, width: int, said: str) -> None:
    given = list(map(str, X.columns)) if is_frame(X) else []
    if given and (names := called(estimator, given)):
        if lacking := [name for name in names if name not in given]:
            raise InvalidInput(
                f"{said} lacks the {_columns(lacking)}, which the estimator was fitted on; it has "
                f"the {_columns(given)}"
            )
        return
    expected = getattr(estimator, "n_features_in_", width)
    if width != expected:
        raise InvalidInput(
            f"{said} has {_counted(width, 'column')}, and the estimator was fitted on {expected}: "
            "pass the rows as they were then"
        )


def _columns(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:SHOWN]))
    return f"column{'s' * (len(names) > 1)} {shown}{', ...' * (len(names) > SHOWN)}"


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' * (n != 1)}"


def require_labels(estimator: Any, y: Any, rows: int, said: str = "y") -> None:
    labels = of_rows(y)
    if labels.ndim == 0:
        raise InvalidInput(f"{said} is {y!r}, not labels: pass one for each row")
    if len(labels) != rows:
        raise InvalidInput(
            f"{said} has {_counted(len(labels), 'label')} for {_counted(rows, 'row')}: pass one for each row"
        )
    known = getattr(estimator, "classes_", None)
    if known is None or isinstance(known, list) or labels.ndim > 2:
        return  # a list of classes for each output: the estimator's own `score` checks the labels
    if labels.ndim == 1:
        _require_known(labels, np.asarray(known), said)


def _require_known(labels: NDArray[Any], known: NDArray[Any], said: str) -> None:
    classes = set(known.tolist())
    for row, label in enumerate(labels.tolist()):
        if label not in classes:
            shown = ", ".join(repr(one) for one in known.tolist()[:SHOWN])
            raise InvalidInput(
                f"{said} has the label {label!r} in row {row + 1}, and the estimator's classes are "
                f"{shown}{', ...' * (len(known) > SHOWN)}: pass the labels that it was fitted on"
            )
