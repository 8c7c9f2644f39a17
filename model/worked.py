"""The worked examples: real data, a seeded training; their documents are committed beside this file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier

Example = tuple[pd.DataFrame, "pd.Series[Any]", Any]


def iris() -> Example:
    """150 flowers, four lengths, three species; ten hidden units, trained until it converges."""
    data = load_iris(as_frame=True)
    X, y = data.data, data.target.map(dict(enumerate(data.target_names.tolist()))).rename("species")
    return X, y, MLPClassifier(hidden_layer_sizes=(10,), max_iter=5000, random_state=0).fit(X, y)


EXAMPLES: dict[str, Callable[[], Example]] = {"iris": iris}
