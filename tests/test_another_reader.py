"""A reader written from model/README.md alone, without numpy: what is described is what is computed."""

import bisect
import json
import math
import re
import struct
import unicodedata
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.utils.murmurhash import murmurhash3_32

from thimble.inference.classifier import load
from thimble.inference.steps.ops import OPS
from thimble.tables import rows
from thimble_model import export
from thimble_model.frames import as_table, json_rows

pytestmark = pytest.mark.filterwarnings("ignore")

MODELS = Path(__file__).parents[1] / "model"
PLAIN: dict[str, Callable[[float], float]] = {
    "identity": lambda x: x,
    "relu": lambda x: max(0.0, x),
    "logistic": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "modified_huber": lambda x: (min(max(x, -1.0), 1.0) + 1) / 2,
    "square": lambda x: x * x,
    "cbrt": lambda x: math.copysign(abs(x) ** (1 / 3), x),
    "arctan": math.atan,
    "abs": abs,
    "trunc": lambda x: float(math.trunc(x)),
}
NORMS: dict[str, Callable[[list[float]], float]] = {
    "l1": lambda x: sum(map(abs, x)),
    "l2": lambda x: math.sqrt(sum(v * v for v in x)),
    "max": lambda x: max(map(abs, x)),
    "sum": sum,
}


def softmax(z: list[float]) -> list[float]:
    powers = [math.exp(v - max(z)) for v in z]
    return [power / sum(powers) for power in powers]


def affine(h: list[float], coefs: Any, intercepts: list[float]) -> list[float]:
    return [b + sum(x * row[k] for x, row in zip(h, coefs, strict=True)) for k, b in enumerate(intercepts)]


def answer(document: Any, row: list[Any]) -> list[tuple[Any, list[float]]]:
    """Of each output the label, or labels, and the probabilities or scores."""
    h = prepared(document["preprocessing"], row) if document.get("preprocessing") else row
    return [classified(network, h) for network in document.get("outputs", [document])]


def numbers(network: Any, h: list[float]) -> list[float]:
    if "forest" in network:
        return sums(network["forest"], h)
    *hidden, (coefs, intercepts) = zip(network["coefs"], network["intercepts"], strict=True)
    for W, b in hidden:
        h = [PLAIN[network.get("activation", "relu")](x) for x in affine(h, W, b)]
    return affine(h, coefs, intercepts)


def activated(network: Any, z: list[float]) -> list[float]:
    z = [v / network.get("temperature", 1.0) for v in z]
    kind = network["out_activation"]
    if kind in ("logistic32", "softmax32"):
        z, kind = [single(v) for v in z], kind.removesuffix("32")
        return [single(v) for v in (softmax(z) if kind == "softmax" else [PLAIN[kind](v) for v in z])]
    return softmax(z) if kind == "softmax" else [PLAIN[kind](v) for v in z]


def single(x: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", x))[0])


def sums(forest: Any, row: list[float]) -> list[float]:
    """What the leaves of all trees add up to, an output each."""
    x = [rounded(forest.get("input_type"), value) for value in row]
    x = [0.0 if abs(value) <= forest.get("zero", 0.0) else value for value in x]
    if "absent" in forest:
        for i in forest["absent"].get("columns", range(len(x))):
            x[i] = math.nan if x[i] == forest["absent"]["value"] else x[i]
    ends = oblivious(forest, x) if "depths" in forest else level_order(forest, x)
    kind = forest.get("sum_type")
    total = [rounded(kind, value) for value in forest["base"]]
    for tree, leaf in enumerate(ends):
        value = forest["values"][forest["leaves"][leaf] if "leaves" in forest else leaf]
        output = forest.get("tree_outputs", [0] * len(ends))[tree]
        for k, number in enumerate(value) if isinstance(value, list) else [(output, value)]:
            total[k] = rounded(kind, total[k] + rounded(kind, number))
    return [value / forest.get("divide", 1.0) for value in total]


def rounded(kind: str | None, x: float) -> float:
    return single(x) if kind == "float32" else x


def goes_right(forest: Any, split: int, letter: str, x: list[float]) -> bool:
    value, threshold = x[forest["columns"][split]], forest["thresholds"][split]
    if math.isnan(value):
        return letter == "r"
    if forest["columns"][split] in forest.get("categorical", []):
        return value not in list(forest["sets"])[int(threshold)]
    return bool(value > rounded(forest.get("input_type"), threshold))


def level_order(forest: Any, x: list[float]) -> list[int]:
    """Of each tree the leaf in which the row ends, counted through the forest."""
    splits: dict[int, int] = {}
    leaves: dict[int, int] = {}
    nodes, ends = forest["nodes"], []
    for i, letter in enumerate(nodes):
        (leaves if letter == "." else splits)[i] = len(leaves if letter == "." else splits)
    for node in range(forest["trees"]):
        while node in splits:
            right = goes_right(forest, splits[node], nodes[node], x)
            node = forest["trees"] + 2 * splits[node] + right
        ends.append(leaves[node])
    return ends


def oblivious(forest: Any, x: list[float]) -> list[int]:
    ends, split, first = [], 0, 0
    for depth in forest["depths"]:
        bits = [goes_right(forest, split + k, forest["nodes"][split + k], x) for k in range(depth)]
        ends.append(first + sum(bit << k for k, bit in enumerate(bits)))
        split, first = split + depth, first + 2**depth
    return ends


def classified(network: Any, h: list[float]) -> tuple[Any, list[float]]:
    z = numbers(network, h)
    halved = z[: len(z) // 2] if network.get("apart") else z
    kind, decision = network["out_activation"], network.get("decision", "probabilities")
    p = activated(network, halved)
    if "normalize" in network:
        total = sum(p)
        p = (
            [v / total for v in p]
            if total
            else [1 / len(p) if network["normalize"] == "uniform" else 0.0] * len(p)
        )
    compared, bar = (p, 0.5) if decision == "probabilities" else (z, 0.0)
    classes = network["classes"]
    if network.get("apart"):
        n = len(z) // 2
        compared, bar = z[n:], 0.0
    if "threshold" in network:
        return thresholded(network, compared, p), shown(network, z, p)
    several = kind == "logistic" and len(p) > 1 and "normalize" not in network
    if network.get("multilabel", several):
        return [c for c, v in zip(classes, compared, strict=True) if v > bar], p
    if len(p) == 1:
        last = network.get("ties") == "last" and compared[0] == bar
        return classes[compared[0] > bar or last], shown(network, z, p)
    return classes[compared.index(max(compared))], p


def shown(network: Any, z: list[float], p: list[float]) -> list[float]:
    if len(p) > 1:
        return p
    return [-z[0], z[0]] if network.get("decision") == "scores" else [1 - p[0], p[0]]


def thresholded(network: Any, compared: list[float], p: list[float]) -> Any:
    classes = network["classes"]
    place = classes.index(network.get("positive", classes[1]))
    if network.get("decision", "probabilities") == "probabilities" and not network.get("apart"):
        value = (p if len(p) > 1 else [1 - p[0], p[0]])[place]
    else:
        value = (compared if len(compared) > 1 else [-compared[0], compared[0]])[place]
    return classes[place if value >= network["threshold"] else 1 - place]


def prepared(preprocessing: Any, row: list[Any]) -> list[float]:
    table: list[Any] = [
        math.nan if value is None and kind != "text" else value
        for value, kind in zip(row, preprocessing["types"], strict=True)
    ]
    for step in preprocessing["steps"]:
        columns = [table[i] for i in step.get("columns", [])]
        table += STEPS[step["op"]](step, columns, table)
    return [float(table[i]) for i in preprocessing["outputs"]]


def absent(x: Any) -> bool:
    return x is None or (isinstance(x, float) and math.isnan(x))


def impute(step: Any, columns: list[Any], table: list[Any]) -> list[float]:
    def gone(x: float) -> bool:
        return x == step["missing"] if "missing" in step else absent(x)

    return [value if gone(x) else x for x, value in zip(columns, step["values"], strict=True)]


def encode(step: Any, columns: list[Any], table: list[Any]) -> list[float]:
    x = table[step["column"]]
    codes = step.get("codes", range(len(step["categories"])))
    known = dict(zip(step["categories"], codes, strict=True))
    code = known.get(None if absent(x) else x, step.get("unknown", "rejected"))
    assert code != "rejected"
    return [math.nan if code is None else float(code)]


def one_hot(step: Any, columns: list[Any], table: list[Any]) -> list[float]:
    def is_code(x: float, k: int) -> float:
        return x if math.isnan(x) else float(x == k)

    return [is_code(x, k) for x, size in zip(columns, step["sizes"], strict=True) for k in range(size)]


def embed(step: Any, columns: list[Any], table: list[Any]) -> list[float]:
    width = len(step["tables"][0][0])
    if any(map(absent, columns)):
        return [math.nan] * width
    named = [rows[int(x)] for x, rows in zip(columns, step["tables"], strict=True) if x in range(len(rows))]
    return [sum(row[k] for row in named) for k in range(width)]


def coalesce(step: Any, columns: list[Any], table: list[Any]) -> list[float]:
    return [table[other] if absent(x) else x for x, other in zip(columns, step["others"], strict=True)]


def spline(step: Any, columns: list[Any], table: list[Any]) -> list[float]:
    return [y for x, knots in zip(columns, step["knots"], strict=True) for y in splines(step, x, knots)]


def splines(step: Any, x: float, knots: list[float]) -> list[float]:
    """By the textbook's recursion over all splines; the last inner knot belongs to those before it."""
    k, n = step["degree"], len(knots) - step["degree"] - 1
    first, last = knots[k], knots[n]
    if step["outside"] == "edge":
        x = min(max(x, first), last)
    if step["outside"] == "period":
        x = first + (x - first) % (last - first)
    if math.isnan(x) or (step["outside"] == "missing" and not first <= x <= last):
        return [math.nan] * n
    within = min(max(bisect.bisect(knots, x) - 1, k), n - 1)

    def value(i: int, degree: int) -> float:
        if degree == 0:
            return float(i == within)
        left, right = knots[i + degree] - knots[i], knots[i + degree + 1] - knots[i + 1]
        up = (x - knots[i]) / left * value(i, degree - 1) if left else 0.0
        return up + ((knots[i + degree + 1] - x) / right * value(i + 1, degree - 1) if right else 0.0)

    found = [value(i, k) for i in range(n)]
    if step["outside"] != "period":
        return found
    return [y + (found[n - k + i] if i < k else 0.0) for i, y in enumerate(found[: n - k])]


def scale(step: Any, columns: list[Any], table: list[Any]) -> list[float]:
    def scaled(x: float, i: int) -> float:
        x = x - step["subtract"][i] if "subtract" in step else x
        x = x / step["divide"][i] if "divide" in step else x
        x = x * step["multiply"][i] if "multiply" in step else x
        x = x + step["add"][i] if "add" in step else x
        x = max(x, step["minimum"][i]) if "minimum" in step else x
        return min(x, step["maximum"][i]) if "maximum" in step else x

    return [scaled(x, i) for i, x in enumerate(columns)]


def normalize(step: Any, columns: list[Any], table: list[Any]) -> list[float]:
    norm = NORMS[step["norm"]](columns)
    if norm >= step["smallest"] if "smallest" in step else norm:
        return [x / norm for x in columns]
    return [1 / len(columns)] * len(columns) if step["norm"] == "sum" else columns


def line(x: float, xs: list[float], ys: list[float], first: bool = True) -> float:
    """Through the points, constant outside; at equal xs through the first or the last of them."""
    if x in xs:
        return ys[xs.index(x)] if first else ys[len(xs) - 1 - xs[::-1].index(x)]
    at = bisect.bisect(xs, x)
    if at in (0, len(xs)):
        return ys[0] if at == 0 else ys[-1]
    share = (x - xs[at - 1]) / (xs[at] - xs[at - 1])
    return ys[at - 1] + share * (ys[at] - ys[at - 1])


def single_line(x: float, xs: list[float], ys: list[float]) -> float:
    xs, ys = [single(x) for x in xs], [single(y) for y in ys]
    x = min(max(single(x), xs[0]), xs[-1])
    at = max(bisect.bisect_left(xs, x) - 1, 0)
    if at == len(xs) - 1:
        return ys[0]
    slope = single(single(ys[at + 1] - ys[at]) / single(xs[at + 1] - xs[at]))
    return single(single(slope * single(x - xs[at])) + ys[at])


def interpolate(step: Any, columns: list[Any], table: list[Any]) -> list[float]:
    through = single_line if step.get("input_type") == "float32" else line
    return [
        x if math.isnan(x) else through(x, xs, ys)
        for x, xs, ys in zip(columns, step["x"], step["y"], strict=True)
    ]


def quantiles(step: Any, columns: list[Any], table: list[Any]) -> list[float]:
    def rank(x: float, q: list[float]) -> float:
        if math.isnan(x):
            return x
        ranks = [i / (len(q) - 1) for i in range(len(q))]
        near = 1e-7 if step["distribution"] == "normal" else 0.0
        found = (line(x, q, ranks) + line(x, q, ranks, first=False)) / 2
        found = 1.0 if x + near > q[-1] or x == q[-1] else found
        found = 0.0 if x - near < q[0] or x == q[0] else found
        if step["distribution"] == "uniform":
            return found
        lowest = 1e-7 - 2**-52
        return NormalDist().inv_cdf(min(max(found, lowest), 1 - lowest))

    return [rank(x, q) for x, q in zip(columns, step["quantiles"], strict=True)]


def power(step: Any, columns: list[Any], table: list[Any]) -> list[float]:
    def box_cox(x: float, lmbda: float) -> float:
        if not x > 0:
            return math.nan
        return (x**lmbda - 1) / lmbda if lmbda else math.log(x)

    def yeo_johnson(x: float, lmbda: float) -> float:
        return box_cox(1 + x, lmbda) if x >= 0 else -box_cox(1 - x, 2 - lmbda)

    curve = box_cox if step["method"] == "box-cox" else yeo_johnson
    return [curve(x, lmbda) for x, lmbda in zip(columns, step["lambdas"], strict=True)]


def bins(step: Any, columns: list[Any], table: list[Any]) -> list[float]:
    return [
        x if math.isnan(x) else float(sum(e <= x for e in edges))
        for x, edges in zip(columns, step["edges"], strict=True)
    ]


def text(step: Any, columns: list[Any], table: list[Any]) -> list[float]:
    words = cut(step, table[step["column"]])
    hashing = step.get("hashing")
    known = {term: i for i, term in enumerate(hashing["buckets"] if hashing else step["terms"])}
    counts: dict[Any, float] = {}
    for word in words:
        h = murmurhash3_32(word.encode(), 0) if hashing else 0
        key = abs(int(h)) % hashing["n_features"] if hashing else word
        if hashing or key in known:
            sign = -1.0 if h < 0 and hashing["alternate_sign"] else 1.0
            counts[key] = counts.get(key, 0.0) + sign
    found = {key: 1.0 if step["binary"] else n for key, n in counts.items()} if "binary" in step else counts
    if step.get("sublinear_tf"):
        found = {key: 1 + math.log(n) for key, n in found.items()}
    if "idf" in step:
        found = {key: n * step["idf"][known.get(key, -1)] for key, n in found.items()}
    norm = NORMS[step["norm"]](list(found.values())) if "norm" in step and found else 0.0
    found = {key: n / norm for key, n in found.items()} if norm else found
    if "above" in step:
        found = {key: float(n > step["above"]) for key, n in found.items()}
    return [
        math.fsum(n * weights[known[key]] for key, n in found.items() if known.get(key, 1e9) < len(weights))
        for weights in step["weights"]
    ]


def cut(step: Any, text: str) -> list[str]:
    least, most = step["ngram_range"]
    text = text.lower() if step["lowercase"] else text
    accents = step.get("strip_accents")
    if accents == "ascii" or (accents and not text.isascii()):
        text = unicodedata.normalize("NFKD", text)
        text = "".join(
            c for c in text if (c.isascii() if accents == "ascii" else not unicodedata.combining(c))
        )
    if step["analyzer"] == "word":
        words = re.findall(step["token_pattern"], text)
        words = [word for word in words if word not in step.get("stop_words", [])]
        runs = [words[i : i + n] for n in range(least, most + 1) for i in range(len(words) - n + 1)]
        return list(map(" ".join, runs))
    text = re.sub(r"\s\s+", " ", text)
    if step["analyzer"] == "char":
        return [text[i : i + n] for n in range(least, most + 1) for i in range(len(text) - n + 1)]
    found = []
    for word in (f" {word} " for word in text.split()):
        sizes = [n for n in range(least, most + 1) if n < len(word)]
        found += [word[i : i + n] for n in sizes for i in range(len(word) - n + 1)]
        found += [word] if most >= len(word) else []
    return found


def require(step: Any, columns: list[Any], table: list[Any]) -> list[float]:
    assert not any(map(absent, columns))
    return []


def classify(step: Any, columns: list[Any], table: list[Any]) -> list[float]:
    inner = step["classifier"]
    label, likely = classified(inner, columns)
    classes = inner["classes"]
    several = isinstance(label, list)
    answers = {
        "label": [float(c in label) for c in classes] if several else [float(classes.index(label))],
        "probabilities": likely,
        "logits": numbers(inner, columns),
    }
    return [value for kind in step["gives"] for value in answers[kind]]


def summed(step: Any, columns: list[Any], table: list[Any]) -> list[float]:
    size = step["size"]
    weights = step.get("weights", [1.0] * (len(columns) // size))
    found = [0.0] * size
    for i, x in enumerate(columns):
        added = rounded(step.get("sum_type"), x * weights[i // size])
        found[i % size] = rounded(step.get("sum_type"), found[i % size] + added)
    return [rounded(step.get("sum_type"), x / step.get("divide", 1.0)) for x in found]


def votes(step: Any, columns: list[Any], table: list[Any]) -> list[float]:
    against = step.get("against", [0.0] * len(columns))
    return [
        sum(w if x == k else a for x, w, a in zip(columns, step["weights"], against, strict=True))
        for k in range(step["choices"])
    ]


STEPS: dict[str, Callable[[Any, list[Any], list[Any]], list[float]]] = {
    "impute": impute,
    "encode": encode,
    "one_hot": one_hot,
    "embed": embed,
    "coalesce": coalesce,
    "spline": spline,
    "bins": bins,
    "scale": scale,
    "linear": lambda step, columns, _: affine(columns, step["coefs"], step["intercepts"]),
    "normalize": normalize,
    "product": lambda step, _, table: [
        table[i] * table[j] for i, j in zip(step["left"], step["right"], strict=True)
    ],
    "quotient": lambda step, _, table: [
        table[i] / table[j] for i, j in zip(step["left"], step["right"], strict=True)
    ],
    "classify": classify,
    "sum": summed,
    "votes": votes,
    "constant": lambda step, *_: step["values"],
    "quantiles": quantiles,
    "power": power,
    "interpolate": interpolate,
    "function": lambda step, columns, _: [PLAIN[step["name"]](x) for x in columns],
    "require": require,
    "text": text,
    "forest": lambda step, columns, _: activated(step, sums(step["forest"], columns)),
}


def test_the_reader_knows_every_step() -> None:
    assert set(STEPS) == set(OPS)


RNG = np.random.default_rng(3)
TABLE = pd.DataFrame(
    {
        "a": RNG.gamma(2.0, 3.0, 90) + 0.1,
        "b": RNG.normal(size=90).round(2),
        "c": RNG.integers(0, 5, 90).astype(float),
        "t": RNG.choice(np.array(["x", "ß", "long text", None], dtype=object), 90),
        "f": RNG.integers(0, 2, 90).astype(bool),
    }
)
GAPS = TABLE.assign(**{name: TABLE[name].mask(RNG.random(90) < 0.2) for name in "abc"})
NUMBERS = TABLE[["a", "b", "c"]]
LABELS = RNG.choice(["one", "two", "three"], 90)
WORDS = ["no", "NA", "Straße", "café", "İn", "ὈΔΌΣ", "дом", "水", "a-b", "x"]
NOTES = pd.Series([" ".join(RNG.choice(WORDS, RNG.integers(0, 9))) for _ in range(90)], name="note")
SEVERAL = pd.DataFrame({"kind": LABELS, "odd": np.where(TABLE["c"] % 2, "yes", "no")})
ODD = np.where(TABLE["c"] % 2, "odd", "even")
MEMBERS = [
    ("linear", LogisticRegression()),
    ("forest", RandomForestClassifier(3, max_depth=3)),
    ("network", MLPClassifier((4,), max_iter=20)),
]
mixed = make_column_transformer(
    (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), PolynomialFeatures(2)), ["a", "b"]),
    (make_union(OneHotEncoder(handle_unknown="ignore"), OrdinalEncoder(encoded_missing_value=-1)), ["t"]),
    (make_pipeline(SimpleImputer(missing_values=-1.0), OneHotEncoder(drop="first")), ["f"]),
    (make_pipeline(SimpleImputer(strategy="median"), KBinsDiscretizer(3, strategy="uniform")), ["c"]),
)
PIPELINES: list[tuple[Any, Any, Any]] = [
    (make_pipeline(mixed, LogisticRegression()), GAPS, LABELS),
    (make_pipeline(mixed, MLPClassifier((5,), activation="tanh", max_iter=20)), GAPS, LABELS == "one"),
    (make_pipeline(QuantileTransformer(n_quantiles=30), LogisticRegression()), NUMBERS, LABELS),
    (
        make_pipeline(
            QuantileTransformer(n_quantiles=30, output_distribution="normal"), LogisticRegression()
        ),
        NUMBERS,
        LABELS,
    ),
    (make_pipeline(PowerTransformer(), LogisticRegression()), NUMBERS, LABELS),
    (make_pipeline(PowerTransformer("box-cox"), LogisticRegression()), NUMBERS[["a"]], LABELS),
    (make_pipeline(Normalizer("l1"), MinMaxScaler(clip=True), RidgeClassifier()), NUMBERS, LABELS),
    (make_pipeline(Normalizer("max"), LogisticRegression()), NUMBERS, LABELS == "two"),
    (make_pipeline(FunctionTransformer(np.cbrt), RidgeClassifier()), NUMBERS, LABELS == "two"),
    (make_pipeline(StandardScaler(), SGDClassifier(loss="modified_huber")), NUMBERS, LABELS),
    (make_pipeline(StandardScaler(), OneVsRestClassifier(SGDClassifier(loss="log_loss"))), NUMBERS, LABELS),
    (GaussianNB(), NUMBERS, LABELS),
    (CalibratedClassifierCV(LogisticRegression(), cv=2), NUMBERS, LABELS),
    (CalibratedClassifierCV(LogisticRegression(), method="isotonic", cv=2), NUMBERS, LABELS),
    (
        MLPClassifier((4, 3), activation="logistic", max_iter=20),
        NUMBERS,
        np.eye(3)[RNG.integers(0, 3, 90)].astype(int),
    ),
    (make_pipeline(StandardScaler(), MultiOutputClassifier(LogisticRegression())), NUMBERS, SEVERAL),
    *(
        (
            make_pipeline(SplineTransformer(4, degree, extrapolation=beyond), LogisticRegression()),
            NUMBERS,
            LABELS,
        )
        for degree, beyond in (
            *((2, "constant"), (3, "linear"), (1, "continue"), (3, "periodic"), (4, "error")),
        )
    ),
    (make_pipeline(IterativeImputer(max_iter=3), LogisticRegression()), GAPS[["a", "b", "c"]], LABELS),
    (make_pipeline(TargetEncoder(), LogisticRegression()), GAPS[["t", "c"]], LABELS),
    (RandomForestClassifier(5), GAPS[["a", "b", "c"]], LABELS),
    (AdaBoostClassifier(n_estimators=4), NUMBERS, LABELS),
    (GradientBoostingClassifier(n_estimators=3), NUMBERS, LABELS == "one"),
    (HistGradientBoostingClassifier(max_iter=4), GAPS.astype({"t": "category"})[["a", "t", "c"]], LABELS),
    (CalibratedClassifierCV(RandomForestClassifier(3), cv=2), NUMBERS, LABELS),
    (make_pipeline(CountVectorizer(ngram_range=(1, 2), stop_words=["no"]), RidgeClassifier()), NOTES, LABELS),
    (
        make_pipeline(
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), norm="l1"), LogisticRegression()
        ),
        NOTES,
        LABELS,
    ),
    (
        make_pipeline(
            TfidfVectorizer(analyzer="char", sublinear_tf=True, strip_accents="ascii"),
            TruncatedSVD(3, random_state=0),
            Normalizer(),
            LogisticRegression(),
        ),
        NOTES,
        LABELS,
    ),
    (
        make_pipeline(HashingVectorizer(n_features=50), TfidfTransformer(norm=None), MLPClassifier(4)),
        NOTES,
        LABELS,
    ),
    (
        make_pipeline(HashingVectorizer(n_features=50), Binarizer(threshold=0.2), RidgeClassifier()),
        NOTES,
        LABELS,
    ),
    (
        make_pipeline(
            make_column_transformer(
                (TfidfVectorizer(strip_accents="unicode", binary=True), "t"),
                (OneHotEncoder(handle_unknown="ignore"), ["t"]),
                (CountVectorizer(token_pattern=r"\w"), "u"),
                (StandardScaler(), ["a"]),
            ),
            SelectKBest(k=6),
            LogisticRegression(),
        ),
        TABLE.fillna({"t": ""}).assign(u=NOTES),
        LABELS,
    ),
    (VotingClassifier(MEMBERS, voting="soft", weights=[1, 2, 0.5]), NUMBERS, LABELS),
    (VotingClassifier(MEMBERS, weights=[1, 2, 0.5]), NUMBERS, LABELS),
    (StackingClassifier(MEMBERS, cv=2, passthrough=True), NUMBERS, LABELS),
    (BaggingClassifier(RidgeClassifier(), n_estimators=3), NUMBERS, LABELS),
    (AdaBoostClassifier(LogisticRegression(), n_estimators=3), NUMBERS, LABELS),
    (OneVsOneClassifier(LogisticRegression()), NUMBERS, LABELS),
    (OutputCodeClassifier(RandomForestClassifier(3), code_size=3, random_state=2), NUMBERS, LABELS),
    (FixedThresholdClassifier(LogisticRegression(), threshold=0.3), NUMBERS, LABELS == "one"),
    (FixedThresholdClassifier(BaggingClassifier(LogisticRegression(), 2), threshold=-0.1), NUMBERS, ODD),
    (FixedThresholdClassifier(RidgeClassifier(), threshold=0.1, pos_label="even"), NUMBERS, ODD),
    (
        ClassifierChain(LogisticRegression(), order=[1, 0]),
        NUMBERS,
        np.array([LABELS == "one", ODD == "odd"]).T * 1,
    ),
    (QuadraticDiscriminantAnalysis(), NUMBERS, LABELS),
    (NearestCentroid(), NUMBERS, LABELS),
    (NearestCentroid(metric="manhattan", priors="empirical"), NUMBERS, LABELS),
    (MultinomialNB(), NUMBERS.abs(), LABELS),
    (ComplementNB(), NUMBERS.abs(), LABELS),
    (BernoulliNB(binarize=1.0), NUMBERS, LABELS),
    (CategoricalNB(min_categories=9), NUMBERS[["c"]], LABELS),
]


@pytest.mark.parametrize(
    ("pipeline", "X", "y"), PIPELINES, ids=[" ".join(str(p).split())[-60:] for p, *_ in PIPELINES]
)
def test_a_reader_written_from_the_description_answers_as_ours_does(pipeline: Any, X: Any, y: Any) -> None:
    for name, value in pipeline.get_params().items():
        if name.endswith("random_state") and value is None:
            pipeline.set_params(**{name: 0})
    data = export(pipeline.fit(X, y), X, y if isinstance(y, pd.DataFrame) else None)
    assert_same_answers(data, json_rows(load(data).features, as_table(pipeline, X)))


@pytest.mark.parametrize("name", ["iris", "penguins", "digits", "sexes", "messages"])
def test_so_it_does_of_the_worked_examples(name: str) -> None:
    data = (MODELS / f"{name}.json").read_bytes()
    assert_same_answers(data, json.loads(data)["examples"]["rows"])


def assert_same_answers(data: bytes, instances: list[list[Any]]) -> None:
    document, classifier = json.loads(data), load(data)
    found = classifier.predict(rows.batch(classifier.schema, instances))
    assert not found.rejected
    near = 2e-7 if document.get("out_activation", "").endswith("32") else 1e-9
    for i, row in enumerate(instances):
        answers = answer(document, row)
        for (label, numbers), head, scores in zip(answers, classifier.heads, found.outputs, strict=True):
            np.testing.assert_allclose(numbers, scores.probabilities[:, i], rtol=1e-9, atol=near)
            if head.multilabel:
                applies = scores.mask[:, i]
                assert label == [c for c, chosen in zip(head.classes, applies, strict=True) if chosen]
            else:
                assert label == head.classes[scores.labels[i]]


def test_so_it_does_of_curves_of_single_precision() -> None:
    calibrated = CalibratedClassifierCV(RandomForestClassifier(3, random_state=0), method="isotonic", cv=2)
    document = json.loads(export(calibrated.fit(NUMBERS, LABELS), NUMBERS))
    for step in document["preprocessing"]["steps"]:
        step |= {"input_type": "float32"} if step["op"] == "interpolate" else {}
    del document["examples"]  # of double precision
    assert_same_answers(json.dumps(document).encode(), NUMBERS.to_numpy().tolist())


@pytest.mark.parametrize("trainer", ["xgboost", "lightgbm", "catboost"])
def test_so_it_does_of_other_trainers_forests(trainer: str) -> None:
    found = pytest.importorskip(trainer)
    estimators = {
        "xgboost": lambda: found.XGBClassifier(n_estimators=4),
        "lightgbm": lambda: found.LGBMClassifier(n_estimators=4, verbose=-1, zero_as_missing=True),
        "catboost": lambda: found.CatBoostClassifier(iterations=4, verbose=0, allow_writing_files=False),
    }
    X, y = GAPS[["a", "b", "c"]], np.unique(LABELS, return_inverse=True)[1]
    data = export(estimators[trainer]().fit(X, y), X, y)
    assert_same_answers(data, json_rows(load(data).features, X))
