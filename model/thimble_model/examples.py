"""The worked examples: data and a seeded training each. Their documents are committed beside this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from thimble_model import messages as made_up

Table = tuple[pd.DataFrame, "pd.Series[Any]"]
Example = tuple[pd.DataFrame, "pd.Series[Any]", Any]


def iris() -> Example:
    """150 flowers, four lengths, three species: a network of ten hidden units, trained to convergence."""
    data = load_iris(as_frame=True)
    X, y = data.data, data.target.map(dict(enumerate(data.target_names.tolist()))).rename("species")
    return X, y, MLPClassifier(hidden_layer_sizes=(10,), max_iter=5000, random_state=0).fit(X, y)


def penguins() -> Example:
    """344 penguins, mixed columns, some values missing: a logistic regression after imputing and encoding."""
    from palmerpenguins import load_penguins

    table = load_penguins().drop(columns="year")
    numbers, texts = table.select_dtypes("number").columns, ["island", "sex"]
    preparation = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), list(numbers)),
            ("texts", make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), texts),
        ]
    )
    X, y = table.drop(columns="species"), table["species"]
    return X, y, make_pipeline(preparation, LogisticRegression(max_iter=1000)).fit(X, y)


def digits() -> Example:
    """1797 handwritten digits of 8 by 8 pixels: a network of 32 hidden units, trained to convergence."""
    data = load_digits(as_frame=True)
    network = MLPClassifier(hidden_layer_sizes=(32,), max_iter=1000, random_state=0)
    return (
        data.data,
        data.target.rename("digit"),
        make_pipeline(MinMaxScaler(), network).fit(data.data, data.target),
    )


def messages() -> Example:
    """800 made-up messages to a shop, four topics: a logistic regression over words and pairs of words."""
    X, y = _messages(800, seed=0)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=8, stop_words=["the", "and"], sublinear_tf=True)
    words = ColumnTransformer([("words", vectorizer, "message")])
    return X, y, make_pipeline(words, LogisticRegression(max_iter=1000)).fit(X, y)


def _messages(n: int, seed: int) -> Table:
    texts, topics = made_up.messages(n, seed)
    return pd.DataFrame({"message": texts}), pd.Series(topics, name="topic")


def sexes() -> Example:
    """333 penguins of known sex, categories and missing values: boosted trees without preprocessing."""
    from palmerpenguins import load_penguins_raw

    raw = load_penguins_raw().dropna(subset=["Sex"])
    columns = {
        "species": raw["Species"].str.split().str[0].astype("category"),
        "island": raw["Island"].astype("category"),
        "clutch_complete": raw["Clutch Completion"].astype("category"),
        "bill_length_mm": raw["Culmen Length (mm)"],
        "bill_depth_mm": raw["Culmen Depth (mm)"],
        "flipper_length_mm": raw["Flipper Length (mm)"],
        "body_mass_g": raw["Body Mass (g)"],
        "delta_15_n": raw["Delta 15 N (o/oo)"],
        "delta_13_c": raw["Delta 13 C (o/oo)"],
    }
    X, y = pd.DataFrame(columns).reset_index(drop=True), raw["Sex"].str.lower().rename("sex")
    trees = HistGradientBoostingClassifier(
        max_iter=40, max_leaf_nodes=8, categorical_features="from_dtype", early_stopping=False, random_state=0
    )
    return X, y.reset_index(drop=True), trees.fit(X, y)


EXAMPLES: dict[str, Callable[[], Example]] = {
    "digits": digits,
    "iris": iris,
    "penguins": penguins,
    "messages": messages,
    "sexes": sexes,
}

# Rows that the estimator has not seen, for examples that have them: they calibrate its sets of labels.
UNSEEN: dict[str, Callable[[], Table]] = {"messages": lambda: _messages(400, seed=1)}
