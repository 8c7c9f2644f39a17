"""Generated pipelines against scikit-learn: what it answers we answer, what it refuses we reject."""

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, FactorAnalysis, FastICA, IncrementalPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_selection import SelectKBest, SelectPercentile, VarianceThreshold
from sklearn.impute import IterativeImputer, MissingIndicator, SimpleImputer
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression, Perceptron, Ridge, RidgeClassifier, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
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
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.random_projection import GaussianRandomProjection
from sklearn.svm import LinearSVC

from thimble.inference.classifier import Classifier, load
from thimble.inference.predictions import Alone, Predictions
from thimble.tables import rows
from thimble_model import Unsupported, export
from thimble_model.frames import as_batch, json_rows
from thimble_model.parity import parity

pytestmark = pytest.mark.filterwarnings("ignore")

NUMBERS = ("body mass (g)", 'count "of", all', "a.b", "größe", "year", "empty")
TEXTS = ("island", "sex", "colour", "same everywhere")
NAMES = (*NUMBERS, "flag", *TEXTS, "level")
N_TRAIN = 80
TEXT_DTYPES = ("object", "None", "str", "category")


def frame(
    rng: np.random.Generator, n: int, missing: float, dtype: str = "object", odd: bool = False
) -> pd.DataFrame:
    """Mixed columns, some values missing; `odd` ones hold categories that the training never showed."""
    texts = {
        "island": ["Biscoe", "Dream", "Torgersen"],
        "sex": ["female", "male"],
        "colour": ["red", "green", "blue", "very rare", "rarer"],
        "same everywhere": ["Ώ 🐧"],
    }
    table = pd.DataFrame(
        {
            "body mass (g)": rng.normal(4200, 800, n).round(0),
            'count "of", all': rng.poisson(3, n).astype(float),
            "a.b": rng.normal(size=n).round(3),
            "größe": np.ones(n),
            "year": rng.integers(2007, 2010, n).astype(float if missing else int),
            "empty": np.full(n, np.nan) if missing else np.zeros(n),
            "flag": rng.integers(0, 2, n).astype(bool),
            **{
                name: rng.choice([*values, "odd one"] if odd else values, n).astype(object)
                for name, values in texts.items()
            },
            "level": rng.integers(1, 5, n).astype(float),
        }
    )
    for name in table.columns.drop("flag") if missing else ():
        table.loc[rng.random(n) < missing, name] = np.nan
    for name in texts if dtype != "object" else ():
        column = table[name].replace({np.nan: None})
        if dtype != "None":
            kind: Any = dtype
            column = column.astype(kind).where(column.notna())  # before pandas 3, "str" makes a text of None
        table[name] = column
    return table[list(NAMES)]


def target(rng: np.random.Generator, n: int, n_classes: int) -> NDArray[Any]:
    labels = np.array(["a", "b", "c", "d"])[:n_classes]
    return np.concatenate([labels, rng.choice(labels, n - n_classes)])


imputers = st.one_of(
    st.builds(
        SimpleImputer,
        strategy=st.sampled_from(["mean", "median", "most_frequent", "constant"]),
        add_indicator=st.booleans(),
        keep_empty_features=st.booleans(),
    ),
    st.builds(
        IterativeImputer,
        st.sampled_from([None, Ridge()]),
        max_iter=st.sampled_from([0, 2]),
        min_value=st.sampled_from([-np.inf, 0.0]),
        skip_complete=st.booleans(),
        add_indicator=st.booleans(),
    ),
)
scalers = st.one_of(
    st.builds(StandardScaler, with_mean=st.booleans(), with_std=st.booleans()),
    st.builds(MinMaxScaler, feature_range=st.sampled_from([(0, 1), (-2, 3)]), clip=st.booleans()),
    st.builds(MaxAbsScaler),
    st.builds(RobustScaler, with_centering=st.booleans(), with_scaling=st.booleans()),
)
reshapers = st.one_of(
    scalers,
    st.builds(Normalizer, norm=st.sampled_from(["l1", "l2", "max"])),
    st.builds(PCA, n_components=st.just(1), whiten=st.booleans()),
    st.builds(TruncatedSVD, n_components=st.just(1)),
    st.builds(
        KBinsDiscretizer,
        n_bins=st.integers(2, 4),
        encode=st.sampled_from(["onehot", "onehot-dense", "ordinal"]),
        strategy=st.sampled_from(["uniform", "quantile", "kmeans"]),
    ),
    st.builds(
        PolynomialFeatures,
        degree=st.sampled_from([2, 3, (2, 2), (0, 2)]),
        interaction_only=st.booleans(),
        include_bias=st.booleans(),
    ),
    st.builds(
        QuantileTransformer,
        n_quantiles=st.integers(2, 30),
        output_distribution=st.sampled_from(["uniform", "normal"]),
    ),
    st.builds(
        SplineTransformer,
        n_knots=st.sampled_from([3, 5]),
        degree=st.sampled_from([2, 3]),
        extrapolation=st.sampled_from(["constant", "linear", "error"]),
        include_bias=st.booleans(),
    ),
    st.builds(IncrementalPCA, n_components=st.just(1)),
    st.builds(FastICA, n_components=st.just(1)),
    st.builds(FactorAnalysis, n_components=st.just(1)),
    st.builds(GaussianRandomProjection, n_components=st.just(1)),
    st.builds(RBFSampler, n_components=st.just(3)),
    st.builds(PowerTransformer, standardize=st.booleans()),
    st.builds(Binarizer, threshold=st.sampled_from([0.0, 2.0, 4000.0])),
    st.builds(SelectKBest, k=st.just(1)),
    st.builds(SelectPercentile, percentile=st.just(60)),
    st.builds(VarianceThreshold),
    st.builds(FunctionTransformer, func=st.sampled_from([None, np.tanh, np.cbrt, np.arctan])),
    st.builds(
        lambda inner, rest: ColumnTransformer([("first", inner, [0])], remainder=rest),
        inner=st.sampled_from([StandardScaler(), Binarizer(), "drop"]),
        rest=st.sampled_from(["passthrough", MaxAbsScaler()]),
    ),
    st.just("passthrough"),
)
before_imputing = st.one_of(
    scalers,
    st.builds(QuantileTransformer, n_quantiles=st.just(10)),
    st.builds(PowerTransformer),
    st.builds(FunctionTransformer, func=st.sampled_from([np.log1p, np.sqrt, np.sign])),
)
encoders = st.one_of(
    st.builds(
        OneHotEncoder,
        handle_unknown=st.sampled_from(["error", "ignore", "infrequent_if_exist"]),
        drop=st.sampled_from([None, "first", "if_binary"]),
        min_frequency=st.sampled_from([None, 12]),
        max_categories=st.sampled_from([None, 3]),
        sparse_output=st.booleans(),
    ),
    st.builds(OrdinalEncoder, encoded_missing_value=st.sampled_from([-1, -7.5])),
    st.builds(TargetEncoder, smooth=st.sampled_from(["auto", 2.0])),
    st.builds(
        OrdinalEncoder,
        handle_unknown=st.just("use_encoded_value"),
        unknown_value=st.sampled_from([-2, 99]),
        encoded_missing_value=st.just(-1),
        min_frequency=st.sampled_from([None, 12]),
    ),
)


@st.composite
def numeric_branches(draw: st.DrawFn) -> Any:
    steps = [*draw(st.lists(before_imputing, max_size=1)), draw(imputers)]
    steps += draw(st.lists(reshapers, max_size=3))
    if draw(st.booleans()):
        steps.append(
            make_union(
                *draw(st.lists(reshapers.filter(lambda s: s != "passthrough"), min_size=1, max_size=2))
            )
        )
    return make_pipeline(*steps)


@st.composite
def text_branches(draw: st.DrawFn, null: Any) -> Any:
    encoder = draw(encoders)
    imputer = draw(
        st.one_of(
            st.none(),
            st.builds(
                SimpleImputer,
                missing_values=st.just(null),
                strategy=st.just("most_frequent"),
                add_indicator=st.booleans(),
            ),
            st.builds(
                SimpleImputer,
                missing_values=st.just(null),
                strategy=st.just("constant"),
                fill_value=st.just("none"),
            ),
        )
    )
    if imputer is not None and imputer.add_indicator:
        return make_union(
            make_pipeline(clone(imputer).set_params(add_indicator=False), encoder),
            MissingIndicator(missing_values=null, features="all"),
        )
    return encoder if imputer is None else make_pipeline(imputer, encoder)


linear = st.sampled_from([LogisticRegression(max_iter=20), RidgeClassifier(), LinearSVC(max_iter=20)])
classifiers = st.one_of(
    st.builds(
        MLPClassifier,
        hidden_layer_sizes=st.sampled_from([(), (4,), (5, 3)]),
        activation=st.sampled_from(["relu", "tanh", "logistic", "identity"]),
        max_iter=st.just(5),
    ),
    st.builds(LogisticRegression, max_iter=st.just(20)),
    st.builds(GaussianNB, var_smoothing=st.just(1e-2)),
    st.builds(LinearDiscriminantAnalysis, solver=st.sampled_from(["svd", "lsqr"]), shrinkage=st.none()),
    st.builds(
        SGDClassifier, loss=st.sampled_from(["hinge", "log_loss", "modified_huber"]), max_iter=st.just(5)
    ),
    linear,
    st.builds(Perceptron, max_iter=st.just(5)),
    st.builds(
        OneVsRestClassifier,
        st.one_of(linear, st.sampled_from([GaussianNB(var_smoothing=1e-2), MLPClassifier((3,), max_iter=3)])),
    ),
    st.builds(
        CalibratedClassifierCV,
        linear,
        method=st.sampled_from(["sigmoid", "isotonic"]),
        ensemble=st.booleans(),
        cv=st.just(2),
    ),
)


@st.composite
def column_transformers(draw: st.DrawFn, null: Any, depth: int = 1) -> Any:
    """Branches over columns chosen in every way, a nest among them or not, and a remainder."""
    branches: list[tuple[str, Any, Any]] = []
    if draw(st.booleans()):
        chosen = draw(st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=5, unique=True))
        branches.append(("numbers", draw(numeric_branches()), chosen))
    if draw(st.booleans()):
        chosen = draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4, unique=True))
        branches.append(("texts", draw(text_branches(null)), chosen))
    if draw(st.booleans()):
        branches.append(("flag", draw(st.sampled_from(["passthrough", "drop"])), ["flag"]))
    if depth and draw(st.booleans()):
        branches.append(
            ("nested", draw(column_transformers(null, depth - 1)), list(draw(st.permutations(NAMES))))
        )
    if draw(st.booleans()) or not [branch for branch in branches if branch[1] != "drop"]:
        level = draw(
            st.sampled_from(
                [
                    OneHotEncoder(handle_unknown="ignore"),
                    SimpleImputer(),
                    make_pipeline(SimpleImputer(), OneHotEncoder(handle_unknown="ignore")),
                ]
            )
        )
        branches.append(("level", level, draw(st.sampled_from(LEVELS))))
    remainder = draw(
        st.sampled_from(["drop", "drop", OneHotEncoder(handle_unknown="ignore", max_categories=4)])
    )
    weights = draw(st.sampled_from([None, {branches[0][0]: 0.5}]))
    return ColumnTransformer(branches, remainder=remainder, transformer_weights=weights, sparse_threshold=0)


LEVELS: list[Any] = [
    ["level"],
    [-1],
    slice(len(NAMES) - 1, None),
    slice("level", "level"),
    [name == "level" for name in NAMES],
    lambda table: ["level"],
]


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[Any, str]:
    """A ColumnTransformer or a union of two, something after it or not, and a classifier; and what kind of
    texts it is for: scikit-learn tells None from NaN."""
    dtype = draw(st.sampled_from(TEXT_DTYPES))
    null = None if dtype == "None" else np.nan
    first = draw(column_transformers(null))
    if draw(st.booleans()):
        first = FeatureUnion(
            [("one", first), ("two", draw(column_transformers(null))), ("none", "drop")],
            transformer_weights=draw(st.sampled_from([None, {"two": 2.0}])),
        )
    steps = [first, *draw(st.lists(st.one_of(scalers, st.builds(VarianceThreshold)), max_size=1))]
    return make_pipeline(*steps, draw(classifiers)), dtype


def fit(
    estimator: Any, seed: int, n_classes: int, missing: float, dtype: str
) -> tuple[Any, pd.DataFrame] | None:
    """None where scikit-learn itself cannot."""
    rng = np.random.default_rng(seed)
    table = frame(rng, N_TRAIN, missing, dtype)
    for part in estimator.get_params().values():
        if hasattr(part, "random_state"):
            part.random_state = 0
    try:
        fitted = estimator.fit(table, target(rng, N_TRAIN, n_classes))
        answers_at_all = np.isfinite(numbers_of(fitted, table)).all()
    except (TypeError, ValueError, IndexError, ArithmeticError, RuntimeError, np.linalg.LinAlgError):
        return None
    weights = [
        w for w in vars(fitted.steps[-1][1]).values() if isinstance(w, np.ndarray) and w.dtype.kind == "f"
    ]
    return (fitted, table) if answers_at_all and all(np.isfinite(w).all() for w in weights) else None


def numbers_of(classifier: Any, table: Any) -> NDArray[np.float64]:
    method = (
        classifier.predict_proba if hasattr(classifier, "predict_proba") else classifier.decision_function
    )
    return np.asarray(method(table))


def noise(fitted: Any, table: pd.DataFrame) -> float:
    """By how much scikit-learn's own answers move with the last digits of the numbers, of what reaches the
    classifier and of what was fitted: much at singular covariances, the sign of a whitened zero, the steps of
    an isotonic regression. And with the rows beside them: of a table whose every value is missing,
    IterativeImputer leaves what it fills at first."""
    before, rng = numbers_of(fitted, table), np.random.default_rng(0)
    X = np.asarray(fitted[:-1].transform(table), dtype=float)
    afters = []
    for _ in range(4):
        numbers = table.assign(**{name: nudged(table[name].to_numpy(float), rng) for name in NUMBERS})
        afters += [numbers_of(fitted, numbers), numbers_of(fitted[-1], nudged(X, rng))]
        with suppress(ValueError):  # a number beyond the knots
            afters += [numbers_of(refitted(fitted, rng), table)]
    filled = table.assign(**{name: table[name].fillna(0.0) for name in NUMBERS})
    with suppress(ValueError):
        afters += [numbers_of(fitted, pd.concat([table, filled]))[: len(table)]]
    return max(float((np.abs(before - after) / np.maximum(1.0, np.abs(before))).max()) for after in afters)


LAST_DIGITS = 2e-15


def nudged(numbers: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    return numbers * (1 + rng.uniform(-LAST_DIGITS, LAST_DIGITS, numbers.shape))


def refitted(fitted: Any, rng: np.random.Generator) -> Any:
    """The same estimator with every fitted number off by a few of its last bits."""
    other = copy.deepcopy(fitted)
    for part in parts(other):
        for name, value in vars(part).items():
            if name.endswith("_") and isinstance(value, np.ndarray) and value.dtype.kind == "f":
                setattr(part, name, nudged(value, rng))
    return other


def parts(value: Any) -> Iterator[Any]:
    """An estimator and all that were fitted inside it."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from parts(item)
    elif type(value).__module__.startswith("sklearn.") and hasattr(value, "__dict__"):  # a loss has none
        yield value
        yield from parts(vars(value))


REFUSALS = ("not finite", "more than 20000 columns", "a row; the most is", "leaves zeros as they are")


@settings(max_examples=settings().max_examples // 8, suppress_health_check=list(HealthCheck))
@given(
    case=pipelines(),
    seed=st.integers(0, 2**32 - 1),
    n_classes=st.integers(2, 4),
    missing=st.sampled_from([0.0, 0.1]),
)
def test_a_generated_pipeline_answers_as_scikit_learn_does(
    case: tuple[Any, str], seed: int, n_classes: int, missing: float
) -> None:
    estimator, dtype = case
    trained = fit(estimator, seed, n_classes, missing, dtype)
    if trained is None:
        return
    fitted, table = trained
    try:
        classifier = load(export(fitted, table))
    except Unsupported as refusal:  # weights, a size or a matrix that no document has; rows that are noise
        known = any(reason in str(refusal) for reason in REFUSALS)
        if not known and noise(fitted, table) < 1e-12:
            raise
        return
    new = frame(np.random.default_rng(seed + 1), 20, 0.15, dtype, odd=True)
    assert_same_row_by_row(classifier, fitted, new)
    assert_same_bits(classifier, new, np.random.default_rng(seed))


def assert_same_row_by_row(classifier: Classifier, fitted: Any, table: pd.DataFrame) -> None:
    """Where scikit-learn raises, the row is rejected; where it answers, the answer is the same."""
    for i in range(len(table)):
        row = table.iloc[[i]]
        try:
            fitted.predict(row)
            answered = True
        except ValueError:
            answered = False
        rejected = rejects(classifier, row)
        assert rejected is not answered, row.iloc[0].to_dict()
        if answered:
            found = parity(classifier, fitted, row)
            assert found.holds or found.worst <= 100 * noise(fitted, row), found


def rejects(classifier: Classifier, row: pd.DataFrame) -> bool:
    """By the features' own rule, or by the preprocessing."""
    return not fits(classifier, row)[0] or bool(answers(classifier, row).rejected)


def fits(classifier: Classifier, table: pd.DataFrame) -> list[bool]:
    """Rows that lack nothing that may not be missing."""
    return [
        all(
            value is not None or feature.missing
            for feature, value in zip(classifier.features, row, strict=True)
        )
        for row in json_rows(classifier.features, table)
    ]


def answers(classifier: Classifier, table: pd.DataFrame) -> Predictions:
    return classifier.predict(as_batch(classifier.features, table))


def assert_same_bits(classifier: Classifier, table: pd.DataFrame, rng: np.random.Generator) -> None:
    """Alone, together, in other company, and as objects whose names come in another order."""
    table = table[fits(classifier, table)]
    if not len(table):
        return
    together = answers(classifier, table)
    order = rng.integers(0, len(table), 1200)
    shuffled = answers(classifier, table.iloc[order])
    for i in range(len(table)):
        for alone in (answers(classifier, table.iloc[[i]]), by_name(classifier, table.iloc[[i]], rng)):
            assert bool(alone.rejected) == (i in together.rejected)
            if not alone.rejected:
                assert bits(alone) == bits(together.take(slice(i, i + 1)))
        straight = straight_answer(classifier, *json_rows(classifier.features, table.iloc[[i]]))
        if straight is not None:
            assert i not in together.rejected
            assert bits(Predictions.alone(*straight)) == bits(together.take(slice(i, i + 1)))
    answered = np.flatnonzero(~np.isin(order, list(together.rejected)))
    same = shuffled.outputs[0].probabilities[:, answered]
    assert same.tobytes() == together.outputs[0].probabilities[:, order[answered]].tobytes()


def straight_answer(classifier: Classifier, row: list[Any]) -> Alone | None:
    values = rows.alone(classifier.schema, [row])
    return None if values is None else classifier.predict_alone(values)


def bits(predictions: Predictions) -> list[bytes]:
    return [scores.probabilities.tobytes() for scores in predictions.outputs]


def by_name(classifier: Classifier, row: pd.DataFrame, rng: np.random.Generator) -> Predictions:
    """As a request has it."""
    [values] = json_rows(classifier.features, row)
    pairs = list(zip(classifier.feature_names or (), values, strict=True))
    instance = dict(pairs[i] for i in rng.permutation(len(pairs)))
    return classifier.predict(rows.batch(classifier.schema, [json.loads(json.dumps(instance))]))
