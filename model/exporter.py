"""A fitted estimator to the bytes of a model document, which are proved before they are handed out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pandas as pd
import sklearn
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from model.classifiers import classifier_keys, history
from model.frames import Table, as_table, data_digest, estimator_input, known_names
from model.parity import require_parity
from thimble.document import FORMAT, FORMAT_VERSION

FEWEST_EXAMPLES, MOST_EXAMPLES = 3, 5


def export(
    estimator: Any,
    X: Any = None,
    y: Any = None,
    *,
    name: str = "",
    scores: Mapping[str, float] | None = None,
    trained: datetime | None = None,
    with_history: bool = True,
) -> bytes:
    """The model document of a fitted classifier: a pure function of its arguments, byte for byte.

    `X` (a DataFrame, an array or lists) gives the document its example rows, the digest of the training data,
    and feature names where the estimator has none; `y` gives it scores on them, and `scores` adds others, say
    of held-out data. Raises Unsupported where the estimator has no exact document.
    """
    keys = classifier_keys(estimator)
    table = None if X is None else as_table(estimator, X)
    names = _feature_names(estimator, table)
    samples = _made_rows(keys["n_features_in"], names) if table is None else table
    document = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": name,
        **({"feature_names_in": names} if names else {}),
        **keys,
        "examples": _examples(estimator, samples),
        "training": _training(estimator, table, y, scores or {}, trained),
        **(history(estimator) if with_history else {}),
    }
    data = dumps(document)
    require_parity(data, estimator, samples)
    return data


def dumps(document: Mapping[str, Any]) -> bytes:
    """One key a line, so that a document can be read and a change of it shown."""
    lines = (orjson.dumps(key) + b": " + orjson.dumps(value) for key, value in document.items())
    return b"{\n" + b",\n".join(lines) + b"\n}\n"


def _feature_names(estimator: Any, table: Table | None) -> list[str] | None:
    if table is None or not all(isinstance(name, str) for name in table.columns):
        return known_names(estimator)
    return list(table.columns)


def _made_rows(n_features: int, names: list[str] | None) -> Table:
    """Rows for the examples of a model that comes without data."""
    values = np.random.default_rng(0).standard_normal((FEWEST_EXAMPLES, n_features)).round(3)
    return pd.DataFrame(values, columns=names)


def _examples(estimator: Any, table: Table) -> dict[str, Any]:
    """A row of each class that is predicted, as far as there is room, and the estimator's answers to them."""
    predicted = pd.DataFrame(estimator.predict(estimator_input(estimator, table)))
    chosen = list(predicted.drop_duplicates().index[:MOST_EXAMPLES])
    others = [i for i in range(min(len(table), FEWEST_EXAMPLES)) if i not in chosen]
    rows = table.iloc[sorted(chosen + others[: max(0, FEWEST_EXAMPLES - len(chosen))])]
    probabilities = estimator.predict_proba(estimator_input(estimator, rows))
    return {"rows": rows.to_numpy().tolist(), "probabilities": probabilities.tolist()}


def _training(
    estimator: Any, table: Table | None, y: Any, scores: Mapping[str, float], trained: datetime | None
) -> dict[str, Any]:
    about: dict[str, Any] = {"versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__}}
    if trained is not None:
        about["time"] = trained.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if table is not None:
        about |= {"rows": len(table), "data_digest": data_digest(table)}
    measured = {} if table is None or y is None else _scores(estimator, table, np.asarray(y))
    return about | {"scores": {**measured, **scores}}


def _scores(estimator: Any, table: Table, y: NDArray[Any]) -> dict[str, float]:
    X = estimator_input(estimator, table)
    scores = {"accuracy": float(estimator.score(X, y))}
    if y.ndim == 1:
        scores["log_loss"] = float(log_loss(y, estimator.predict_proba(X), labels=estimator.classes_))
    return scores
