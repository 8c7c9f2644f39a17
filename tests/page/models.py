"""The models that the page is shown with: the bundled ones, and those that make a page hard."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from thimble_model import export

FOLDER = Path(__file__).parents[2] / "model"
SCRIPT = "<script>window.hacked = 1</script>"
IMAGE = "<img src=x onerror='window.hacked = 1'>"
BIDI = "user\u202e gnp.exe"
HOSTILE_FEATURES = ["__proto__", IMAGE, 'it\'s "quoted" $(id) `id`', "constructor", "1", BIDI]
HOSTILE_CLASSES = [SCRIPT, "__proto__", BIDI, "hasOwnProperty", "10", "9"]
SCRIPTS = ["plain words", "ελληνικά λόγια", "русские слова", "كلمات عربية", "中文的词语"]
CITIES = ["Zürich", "Αθήνα", "Москва", "القاهرة", "東京"]


def random(*shape: int) -> Any:
    return np.random.default_rng(7).normal(size=shape)


def bundled(name: str) -> Callable[[], bytes]:
    return (FOLDER / f"{name}.json").read_bytes


def fraud() -> bytes:
    """Two features, two classes, and a card that says everything."""
    X = pd.DataFrame({"amount": np.exp(random(600) + 4).round(2), "hour": np.arange(600) % 24})
    y = np.where(X.amount / 60 + (X.hour < 6) * 2 + random(600) / 3 > 2.4, "fraud", "fair")
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[:450], y[:450])
    return export(model, X[:450], y[:450], name="fraud", held_out=(X[450:], y[450:]))


def before() -> bytes:
    """A document without names, examples, reference, training."""
    kept = ("format", "format_version", "classes", "activation", "out_activation", "coefs", "intercepts")
    document = json.loads(bundled("iris")())
    return json.dumps(
        {key: document[key] for key in (*kept, "n_features_in", "n_layers", "n_outputs")}
    ).encode()


def hostile() -> bytes:
    X = pd.DataFrame(random(300, 6), columns=HOSTILE_FEATURES)
    X[BIDI] = np.array(HOSTILE_CLASSES)[np.arange(300) % 6]
    y = np.array(HOSTILE_CLASSES)[(X[IMAGE] * 2 + 3).clip(0, 5).astype(int)]
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), [BIDI]), remainder=StandardScaler()
    )
    return export(make_pipeline(columns, LogisticRegression()).fit(X, y), X, y, name="hostile")


def tags() -> bytes:
    X = pd.DataFrame(random(400, 4).round(2), columns=["length", "links", "images", "age_days"])
    Y = np.column_stack([X.length > 0, X.links + X.images > 0.5, X.age_days < -0.5]).astype(int)
    network = MLPClassifier((4,), solver="lbfgs", max_iter=5000, alpha=1, random_state=1).fit(X, Y)
    return export(network, X, Y, name="tags")


def scores() -> bytes:
    X = pd.DataFrame(random(300, 3).round(3), columns=["north", "east", "up"])
    y = np.array(["hill", "valley", "plain"])[(X.up > 0).astype(int) + (X.north + X.east > 0)]
    return export(RidgeClassifier().fit(X, y), X, y, name="scores")


def several() -> bytes:
    X = pd.DataFrame(random(300, 3).round(2), columns=["red", "green", "blue"])
    brightness = np.array(["low", "middle", "high"])[(X.sum(axis=1) + 2).clip(0, 2).astype(int)]
    Y = pd.DataFrame({"colour": np.where(X.red > 0, "warm", "cold"), "brightness": brightness})
    model = MultiOutputClassifier(LogisticRegression()).fit(X, Y)
    return export(model, X, Y, name="several")


def wide() -> bytes:
    X = pd.DataFrame(random(400, 300).round(3), columns=[f"band_{i:03}_reflectance" for i in range(300)])
    y = np.array(["water", "forest", "field", "town"])[
        (X.iloc[:, 0] > 0).astype(int) * 2 + (X.iloc[:, 299] > 0)
    ]
    return export(LogisticRegression(C=0.01).fit(X, y), X, y, name="wide")


def thousand() -> bytes:
    classes = np.array([f"Species number {k} of the genus Exempli" for k in range(1000)])
    X = pd.DataFrame(
        np.repeat(random(1000, 2) * 10, 3, axis=0) + random(3000, 2) / 20, columns=["latitude", "longitude"]
    )
    y = np.repeat(classes, 3)
    return export(GaussianNB(var_smoothing=1e-4).fit(X, y), X, y, name="thousand")


def worded() -> bytes:
    """Names, categories and classes in five scripts."""
    rows = 250
    X = pd.DataFrame(
        {name: np.array(CITIES)[(np.arange(rows) * (k + 2) // 3) % 5] for k, name in enumerate(SCRIPTS)}
    )
    y = np.array(SCRIPTS)[np.arange(rows) % 5]
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(X, y)
    return export(model, X, y, name="worded")


def mail() -> bytes:
    """A text, beside a number."""
    words = [
        "cheap pills now",
        "meeting at ten",
        "win money fast",
        "minutes of the meeting",
        "дешёвые таблетки",
        "会议 明天",
    ]
    X = pd.DataFrame(
        {"subject": [f"{words[k % 6]} {k % 7}" for k in range(120)], "links": np.arange(120) % 9}
    )
    y = np.where(np.isin(np.arange(120) % 6, [0, 2, 4]), "spam", "ham")
    columns = make_column_transformer((TfidfVectorizer(), "subject"), remainder="passthrough")
    return export(make_pipeline(columns, LogisticRegression()).fit(X, y), X, y, name="mail")


def sure() -> bytes:
    """Three classes that overlap: sets of labels, and no label where it is not sure enough."""
    X = pd.DataFrame(random(900, 2).round(2), columns=["east", "north"])
    y = np.array(["hill", "plain", "valley"])[
        (X.east + X.north + random(900) * 0.8 + 1.5).clip(0, 2).astype(int)
    ]
    model = LogisticRegression().fit(X[:500], y[:500])
    rows = (X[:500], y[:500])
    return export(model, *rows, name="sure", calibration=(X[500:], y[500:]), abstain_below=0.6)


DOCUMENTS: dict[str, Callable[[], bytes]] = {
    **{name: bundled(name) for name in ("penguins", "iris", "digits")},
    **{
        made.__name__: made
        for made in (fraud, before, hostile, tags, scores, several, wide, thousand, worded, mail, sure)
    },
}


@cache
def document(name: str) -> bytes:
    return DOCUMENTS[name]()
