"""Rows that nobody expects beside scikit-learn: at thresholds and next to them, huge, tiny, missing, unknown.

What scikit-learn answers is answered alike, and what it refuses is rejected. Pipelines and rows are drawn by
hypothesis, always the same ones.
"""

import warnings
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.steps.arithmetic import FUNCTIONS
from thimble.tables import rows
from thimble_model import Unsupported, export
from thimble_model.frames import as_batch, json_rows

pytestmark = pytest.mark.filterwarnings("ignore")

RNG = np.random.default_rng(11)
N = 40
STAMPS = np.array([1_700_000_000_000_000_000, 1_600_000_000_000_000_000, 2**60, 2**53], np.float64)
TRAINED = {
    "ordinary": RNG.normal(size=N).round(2),
    "few": RNG.integers(0, 4, N).astype(float),
    "constant": np.full(N, 3.0),
    "times": RNG.choice(STAMPS, N),
    "tiny": RNG.choice([1e-19, -1e-19, 3e-18, 0.0], N),
    "large": RNG.choice([1e150, -2e150, 1e149], N),
}
NAMES = list(TRAINED)
TABLE = pd.DataFrame(TRAINED)
LABELS = RNG.choice(["one", "two"], N)
ANYWHERE = [0.0, -0.0, 5e-324, -1e-300, 1e-16, 1e300, -1.7e308, 1.7976931348623157e308, 2.0**53 + 2]


def strange(name: str) -> st.SearchStrategy[float]:
    """A value of the training data, or a double next to one, one far off, or none."""
    known = np.unique(TRAINED[name])
    beside = np.concatenate([known, np.nextafter(known, np.inf), np.nextafter(known, -np.inf)])
    middles = (known[:-1] / 2 + known[1:] / 2).tolist()
    return st.sampled_from([*beside.tolist(), *middles, *ANYWHERE, np.nan])


def classifiers() -> st.SearchStrategy[Any]:
    return st.sampled_from([LogisticRegression(), MLPClassifier((3,), max_iter=3, random_state=0)])


IMPUTERS = [SimpleImputer(), SimpleImputer(add_indicator=True), SimpleImputer(strategy="most_frequent")]
SHAPERS: list[Any] = [
    StandardScaler(),
    MinMaxScaler(),
    MinMaxScaler(clip=True),
    MaxAbsScaler(),
    RobustScaler(),
    Normalizer("l1"),
    Normalizer("l2"),
    Normalizer("max"),
    PCA(1),
    PolynomialFeatures(2),
    Binarizer(threshold=3.0),
    Binarizer(threshold=0.0),
    KBinsDiscretizer(3, encode="onehot", strategy="uniform", quantile_method="averaged_inverted_cdf"),
    KBinsDiscretizer(3, encode="ordinal", strategy="uniform", quantile_method="averaged_inverted_cdf"),
    QuantileTransformer(n_quantiles=7),
    QuantileTransformer(n_quantiles=7, output_distribution="normal"),
    PowerTransformer(),
    FunctionTransformer(np.log1p),
    FunctionTransformer(np.sign),
    FunctionTransformer(np.tanh),
    OneHotEncoder(handle_unknown="ignore"),
    OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    OneHotEncoder(handle_unknown="error"),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    OrdinalEncoder(),
]


@st.composite
def branches(draw: st.DrawFn) -> Any:
    chosen = draw(st.lists(st.sampled_from(range(len(SHAPERS))), min_size=1, max_size=3, unique=True))
    steps = [clone(SHAPERS[i]) for i in chosen]
    if draw(st.booleans()):
        steps.insert(draw(st.integers(0, 1)), clone(draw(st.sampled_from(IMPUTERS))))
    return make_pipeline(*steps)


@st.composite
def estimators(draw: st.DrawFn) -> Any:
    """Branches side by side, which may become one sparse matrix, and what is done with it."""
    halves = draw(st.permutations(NAMES))
    at = draw(st.integers(1, len(NAMES)))
    parts = [("first", draw(branches()), list(halves[:at]))]
    if at < len(NAMES):
        parts.append(("second", draw(branches()), list(halves[at:])))
    first: Any = ColumnTransformer(parts, sparse_threshold=draw(st.sampled_from([0.0, 0.3, 1.0])))
    if draw(st.booleans()):
        first = FeatureUnion([("one", first), ("two", draw(branches()))])
    after = draw(
        st.sampled_from([None, Normalizer("l1"), Normalizer("l2"), Normalizer("max"), MaxAbsScaler()])
    )
    return make_pipeline(first, *([clone(after)] if after else []), clone(draw(classifiers())))


SAID = ("zeros as they are", "would not answer", "no double holds")


def numbers_of(fitted: Any, row: pd.DataFrame | NDArray[Any]) -> NDArray[np.float64] | None:
    """None where scikit-learn has no answer."""
    try:
        found = np.asarray(fitted.predict_proba(row))
    except (ValueError, FloatingPointError):
        return None
    return found if np.isfinite(found).all() else None


def ours(classifier: Classifier, row: pd.DataFrame) -> NDArray[np.float64] | None:
    [values] = json_rows(classifier.features, row)
    fits = [feature.takes(value) for feature, value in zip(classifier.features, values, strict=True)]
    if not all(fits):
        return None
    found = classifier.predict(rows.batch(classifier.schema, [dict(zip(NAMES, values, strict=True))]))
    by_position = classifier.predict(as_batch(classifier.features, row))
    assert found.outputs[0].probabilities.tobytes() == by_position.outputs[0].probabilities.tobytes()
    return None if found.rejected else found.outputs[0].probabilities.T


def leeway(fitted: Any, row: pd.DataFrame) -> float:
    """By how much the answer moves with the last digits of what reaches the classifier."""
    X = fitted[:-1].transform(row)
    X = np.asarray(X.toarray() if sparse.issparse(X) else X, np.float64)
    nudged = [np.nan_to_num(X * (1 + digit)) for digit in (-1e-14, 1e-14)]
    answers = [fitted[-1].predict_proba(numbers) for numbers in nudged]
    return float(np.ptp(answers, axis=0).max())


def overflows(fitted: Any, row: pd.DataFrame) -> bool:
    """Whether a number gets too large between two steps. A document rejects every infinite column, and has
    none where a scale went into the network, which then answers with its limit."""
    with np.errstate(over="raise", invalid="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            fitted.predict_proba(row)
        except (FloatingPointError, RuntimeWarning):
            return True
        except ValueError as error:
            return "infinity" in str(error)
    return False


@settings(
    max_examples=40,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # shrinking would take minutes
)
@given(data=st.data(), estimator=estimators())
def test_a_strange_row_is_answered_or_refused_alike(data: st.DataObject, estimator: Any) -> None:
    try:
        fitted = estimator.fit(TABLE, LABELS)
    except (TypeError, ValueError, IndexError, np.linalg.LinAlgError):  # of no sense to scikit-learn
        return
    if numbers_of(fitted, TABLE) is None:
        return
    try:
        classifier = load(export(fitted, TABLE))
    except Unsupported as refusal:
        if not any(reason in str(refusal) for reason in SAID):
            raise
        return
    for _ in range(6):
        row = pd.DataFrame({name: [data.draw(strange(name))] for name in NAMES})
        wanted, found = numbers_of(fitted, row), ours(classifier, row)
        if (wanted is None) != (found is None):
            assert overflows(fitted, row), row.iloc[0].to_dict()
        elif wanted is not None and found is not None:
            error = float(np.abs(wanted - found).max())
            assert error <= 1e-9 + 100 * leeway(fitted, row), row.iloc[0].to_dict()


def assert_alike(fitted: Any, table: pd.DataFrame, strangers: pd.DataFrame) -> None:
    classifier = load(export(fitted, table))
    found = classifier.predict(as_batch(classifier.features, strangers))
    for i in range(len(strangers)):
        wanted = numbers_of(fitted, strangers.iloc[[i]])
        assert (wanted is None) == (i in found.rejected)
        if wanted is not None:
            [head], [scores] = classifier.heads, found.outputs
            np.testing.assert_allclose(scores.probabilities[:, [i]].T, wanted, rtol=0, atol=1e-12)
            assert head.classes[scores.labels[i]] == fitted.predict(strangers.iloc[[i]])[0]


ENCODERS = {
    "one hot, ignoring": OneHotEncoder(handle_unknown="ignore"),
    "one hot, refusing": OneHotEncoder(handle_unknown="error"),
    "one hot, infrequent": OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=10),
    "ordinal, -1": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    "ordinal, NaN": make_pipeline(
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan), SimpleImputer()
    ),
    "ordinal, refusing": OrdinalEncoder(),
}
LARGEST = {
    "nanoseconds": [1_700_000_000_000_000_000, 1_600_000_000_000_000_000, 1_500_000_000_000_000_000],
    "ids beyond 2^53": [2**53, 2**53 + 2, 2**60],
    "the largest double": [1.7976931348623157e308, 1.0, 2.0],
    "negative": [-(2**60), -(2**61), -(2**53)],
    "halves": [0.5, 1.5, 2.5],
}


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize("known", LARGEST.values(), ids=LARGEST)
def test_an_unknown_number_is_never_a_known_category(encoder: Any, known: list[float]) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"n": rng.choice(np.array(known), N), "x": rng.normal(size=N)})
    fitted = make_pipeline(
        ColumnTransformer([("n", clone(encoder), ["n"])], remainder="passthrough"), LogisticRegression()
    ).fit(table, np.where(table["n"] == max(known), "largest", "other"))
    numbers = np.array(known, np.float64)
    unknown = [*np.nextafter(numbers, np.inf), *np.nextafter(numbers, -np.inf), 0.0, 3.5, 7e17]
    finite = [value for value in unknown if np.isfinite(value)]
    values = [*numbers, *finite]
    assert_alike(fitted, table, pd.DataFrame({"n": values, "x": np.zeros(len(values))}))


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize("way", ["dense", "union", "sparse columns", "dense columns", "sparse given"])
def test_a_tiny_row_is_normalized_where_scikit_learn_does(norm: str, way: str) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(N, 3)) * 1e-3, columns=list("abc")).assign(
        k=rng.integers(0, 9, N).astype(float)
    )
    numbers, codes = FunctionTransformer(), OneHotEncoder(handle_unknown="ignore")
    before: dict[str, Any] = {
        "dense": FunctionTransformer(),
        "union": make_union(FunctionTransformer(), MissingIndicator(features="all", sparse=True)),
        "sparse columns": ColumnTransformer(
            [("x", numbers, list("abc")), ("k", codes, ["k"])], sparse_threshold=1.0
        ),
        "dense columns": ColumnTransformer(
            [("x", numbers, list("abc")), ("k", codes, ["k"])], sparse_threshold=0.0
        ),
        "sparse given": FunctionTransformer(),
    }
    y = np.where(table["a"] > table["b"], "a", "b")
    X: Any = sparse.csr_matrix(table.to_numpy()) if way == "sparse given" else table
    fitted = make_pipeline(before[way], Normalizer(norm), LogisticRegression(C=1e4)).fit(X, y)
    eps = 10 * np.finfo(np.float64).eps
    scales = [1.6e-19, 1e-300, 0.0, np.nextafter(eps, 0), eps, np.nextafter(eps, 1), 1e-14, 1.0, 1e200]
    one = pd.DataFrame([[s, 0.0, 0.0, -1.0] for s in scales], columns=table.columns)
    two = pd.DataFrame([[s, -s / 1.6, 0.0, -1.0] for s in scales], columns=table.columns)
    strangers = pd.concat([one, two], ignore_index=True)
    if way in ("dense", "union", "sparse given"):
        strangers["k"] = 0.0
    classifier = load(export(fitted, X))
    rows_given = sparse.csr_matrix(strangers.to_numpy()) if way == "sparse given" else strangers
    [head], [scores] = (
        classifier.heads,
        classifier.predict(
            Batch.of(classifier.features, [strangers[name].to_numpy() for name in strangers])
        ).outputs,
    )
    np.testing.assert_allclose(scores.probabilities.T, fitted.predict_proba(rows_given), rtol=0, atol=1e-12)
    assert [head.classes[i] for i in scores.labels] == fitted.predict(rows_given).tolist()


def test_one_bin_holds_the_largest_number_too() -> None:
    table = pd.DataFrame({"one": np.ones(N), "x": np.arange(float(N))})
    bins = KBinsDiscretizer(4, encode="ordinal", strategy="uniform", quantile_method="averaged_inverted_cdf")
    fitted = make_pipeline(bins, LogisticRegression()).fit(table, LABELS)
    fitted[-1].coef_ = np.array([[2.0, 1.0]])
    strangers = pd.DataFrame({"one": [1.0, 1.7976931348623157e308, -1e308], "x": [1.0, 2.0, 30.0]})
    assert_alike(fitted, table, strangers)


def test_what_is_clipped_may_be_too_large_before() -> None:
    table = pd.DataFrame({"x": np.linspace(0.0, 0.1, N)})
    fitted = make_pipeline(MinMaxScaler(clip=True), LogisticRegression()).fit(table, LABELS)
    assert_alike(fitted, table, pd.DataFrame({"x": [1e308, -1e308, 0.05]}))


STEPS: list[dict[str, Any]] = [
    {"op": "one_hot", "columns": [0], "sizes": [2]},
    {"op": "bins", "columns": [0], "edges": [[1.0]]},
    {"op": "scale", "columns": [0], "subtract": [1.0], "minimum": [0.0], "maximum": [1.0]},
    {"op": "linear", "columns": [0], "coefs": [[0.0]], "intercepts": [1.0]},
    *({"op": "normalize", "columns": [0, 1], "norm": norm} for norm in ("l1", "l2", "max", "sum")),
    {"op": "normalize", "columns": [0, 1], "norm": "l2", "smallest": 1e-15},
    {"op": "product", "left": [0], "right": [1]},
    *(
        {"op": "quantiles", "columns": [0], "quantiles": [q], "distribution": d}
        for q in ([0.0, 1.0], [2.0, 2.0])
        for d in ("uniform", "normal")
    ),
    *(
        {"op": "power", "columns": [0], "method": m, "lambdas": [v]}
        for m in ("box-cox", "yeo-johnson")
        for v in (0.0, 0.5, 2.0)
    ),
    {"op": "interpolate", "columns": [0], "x": [[1.0]], "y": [[2.0]]},
    {"op": "interpolate", "columns": [0], "x": [[1.0, 2.0]], "y": [[2.0, 2.0]]},
    *(
        {"op": "interpolate", "columns": [0], "x": [x], "y": [x], "input_type": "float32"}
        for x in ([1.0], [1.0, 1.0], [1.0, 1.0 + 2**-40, 2.0])
    ),
    {"op": "impute", "columns": [0], "values": [1.0], "missing": -1.0},
    *({"op": "function", "columns": [0], "name": name} for name in FUNCTIONS),
]


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_no_step_makes_a_number_of_a_missing_one_unasked(step: dict[str, Any]) -> None:
    """Only `impute` and `encode` may, which say what becomes of it."""
    document = {
        "classes": ["a", "b"],
        "coefs": [[[0.5]]],
        "intercepts": [[0.0]],
        "out_activation": "logistic",
        "preprocessing": {"types": ["number"] * 2, "missing": [0], "steps": [step], "outputs": [2]},
    }
    model = load(orjson.dumps(document))
    found = model.predict(Batch.of(model.features, [np.array([np.nan, 0.5]), np.array([1.0, 1.0])]))
    assert found.rejected[0].endswith("is not a number after preprocessing")
    assert 1 not in found.rejected or step.get("name") == "arccosh"  # of 0.5


def test_an_isotonic_curve_of_equal_scores_answers_no_missing_value() -> None:
    """Its one point is a curve of one point, of which numpy makes a number wherever it is asked."""
    given = np.tile([[1.0, 1.0]], (N, 1)) + np.eye(2)[RNG.integers(0, 2, N)]
    fitted = CalibratedClassifierCV(LogisticRegression(), method="isotonic", cv=2).fit(given, LABELS)
    for member in fitted.calibrated_classifiers_:
        for calibrator in member.calibrators:
            calibrator.fit([0.0, 0.0], [0.0, 1.0])
    classifier = load(export(fitted))
    found = classifier.predict(
        Batch.of(classifier.features, np.array([[np.nan, 1.0, 1.0, 2.0], [1.0, np.nan, 1.0, 1.0]]))
    )
    assert sorted(found.rejected) == [0, 1]
    with pytest.raises(ValueError, match="contains NaN"):
        fitted.predict([[np.nan, 1.0]])
