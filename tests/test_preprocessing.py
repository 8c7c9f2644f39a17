"""Each transformer and classifier as steps: scikit-learn's answers, and every refusal with its place."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA, KernelPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import (
    RFE,
    RFECV,
    GenericUnivariateSelect,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline, make_union
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
from sklearn.svm import SVC, LinearSVC

from tests.examples import EXAMPLES
from thimble.errors import UnprocessableRows
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.normal import inverse_normal
from thimble.inference.steps.curves import HIGHEST, LOWEST, Bins
from thimble.inference.steps.ops import OPS
from thimble.tables import rows
from thimble.tables.answers import answers
from thimble_model import Unsupported, export
from thimble_model.frames import as_batch
from thimble_model.parity import parity, tolerance
from thimble_model.transformers import FUNCTIONS

pytestmark = pytest.mark.filterwarnings("ignore")

SKLEARN = tuple(map(int, sklearn.__version__.split(".")[:2]))
TEMPERATURE = pytest.mark.skipif(
    SKLEARN < (1, 8), reason="scikit-learn calibrates by temperature from 1.8 on"
)
RNG = np.random.default_rng(0)
N = 120
NUMBERS = pd.DataFrame(
    {
        "positive": RNG.gamma(2.0, 3.0, N) + 0.01,
        "any": RNG.normal(size=N),
        "few": RNG.integers(0, 4, N).astype(float),
        "constant": np.full(N, 2.5),
        "large": RNG.normal(5000, 300, N).round(1),
    }
)
GAPS = NUMBERS.mask(RNG.random(NUMBERS.shape) < 0.15)
MIXED = pd.DataFrame(
    {
        "island name": RNG.choice(["Biscoe", "Dream", "Torgersen"], N),
        "mass.in.g": RNG.normal(4200, 800, N).round(0),
        "größe": RNG.choice(np.array(["S", "M", "L", None], dtype=object), N),
        "alive": RNG.integers(0, 2, N).astype(bool),
        "year": RNG.integers(2007, 2010, N),
        "note": RNG.choice(["x", "y"], N),
    }
)
LABELS = np.array(["a", "b", "c"])[np.digitize(NUMBERS["any"] + RNG.normal(size=N), [-0.7, 0.7])]


def exported(estimator: Any, X: pd.DataFrame, y: Any = LABELS) -> tuple[Classifier, Any]:
    """Fitted, exported (which compares all rows) and loaded."""
    fitted = estimator.fit(X, y)
    return load(export(fitted, X)), fitted


def steps_of(classifier: Classifier) -> list[str]:
    ops = {kind: op for op, kind in OPS.items()}
    preprocessing = classifier.document.preprocessing
    return [ops[type(step)] for step, _ in preprocessing.steps] if preprocessing else []


TRANSFORMERS: list[Any] = [
    StandardScaler(),
    StandardScaler(with_mean=False),
    StandardScaler(with_std=False),
    StandardScaler(with_mean=False, with_std=False),
    MinMaxScaler(),
    MinMaxScaler((-3, 7), clip=True),
    MaxAbsScaler(),
    RobustScaler(),
    RobustScaler(with_centering=False, quantile_range=(10, 90), unit_variance=True),
    Normalizer("l1"),
    Normalizer("l2"),
    Normalizer("max"),
    PCA(2, random_state=0),
    PCA(3, whiten=True, random_state=0),
    PCA(0.9, svd_solver="full"),
    TruncatedSVD(3, algorithm="arpack", random_state=0),
    TruncatedSVD(2, random_state=0),
    KBinsDiscretizer(3, encode="onehot"),
    KBinsDiscretizer(4, encode="onehot-dense", strategy="uniform"),
    KBinsDiscretizer(5, encode="ordinal", strategy="kmeans", random_state=0),
    PolynomialFeatures(2),
    PolynomialFeatures(3, interaction_only=True, include_bias=False),
    PolynomialFeatures((2, 3)),
    PolynomialFeatures((0, 1)),
    PolynomialFeatures(0),
    PolynomialFeatures((3, 3), interaction_only=True),
    PolynomialFeatures(2, order="F", include_bias=False),
    make_pipeline(StandardScaler(), PolynomialFeatures(4)),
    QuantileTransformer(n_quantiles=40, random_state=0),
    QuantileTransformer(n_quantiles=100, output_distribution="normal", random_state=0),
    PowerTransformer(),
    PowerTransformer(standardize=False),
    Binarizer(threshold=2.5),
    Binarizer(),
    SelectKBest(k=2),
    SelectPercentile(percentile=40),
    SelectFpr(alpha=0.9),
    SelectFdr(alpha=0.99),
    SelectFwe(alpha=0.99),
    GenericUnivariateSelect(mode="k_best", param=3),
    SelectFromModel(LogisticRegression()),
    RFE(LogisticRegression(), n_features_to_select=2),
    RFECV(LogisticRegression(), cv=2, min_features_to_select=2),
    SequentialFeatureSelector(LogisticRegression(), n_features_to_select=2, cv=2),
    VarianceThreshold(),
    FunctionTransformer(),
    FunctionTransformer(np.log1p, validate=True),
    make_union(ColumnTransformer([("none", "drop", [0])]), MinMaxScaler()),  # the first makes no columns
    make_union(StandardScaler(), MinMaxScaler(), "passthrough"),
    make_union(PCA(1), make_pipeline(MinMaxScaler(), PolynomialFeatures(2)), "drop"),
    make_pipeline(PCA(3), StandardScaler(), Normalizer()),
]


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=lambda t: " ".join(str(t).split())[:70])
def test_a_transformer_of_numbers(transformer: Any) -> None:
    X = NUMBERS.assign(any=NUMBERS["any"].abs())  # for the logarithm
    exported(make_pipeline(transformer, MaxAbsScaler(), LogisticRegression()), X)
    exported(make_pipeline(MinMaxScaler(), transformer, MLPClassifier((4,), max_iter=20, random_state=0)), X)


@pytest.mark.parametrize("lambda_of", ["box-cox"])
def test_box_cox_rejects_what_is_not_positive(lambda_of: str) -> None:
    X = NUMBERS[["positive", "large"]]
    classifier, fitted = exported(make_pipeline(PowerTransformer(lambda_of), LogisticRegression()), X)
    rows_of_all_kinds = pd.DataFrame({"positive": [1.0, 0.0, -1.0, 2.0], "large": [5000.0, 5000, 5000, 5000]})
    found = classifier.predict(as_batch(classifier.features, rows_of_all_kinds))
    assert sorted(found.rejected) == [1, 2]
    assert found.rejected[1].startswith("positive")
    with pytest.raises(ValueError, match="positive"):
        fitted.predict(rows_of_all_kinds)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_every_function_of_the_allow_list(function: Any) -> None:
    X = NUMBERS[["any"]].abs() % 1 * 0.98 + 0.01
    X = X + 1 if function is np.arccosh else X
    classifier, _ = exported(make_pipeline(FunctionTransformer(function), LogisticRegression()), X)
    assert steps_of(classifier) == ["function"]


IMPUTERS: list[Any] = [
    SimpleImputer(),
    SimpleImputer(strategy="median", add_indicator=True),
    SimpleImputer(strategy="most_frequent"),
    SimpleImputer(strategy="constant", fill_value=-7.0, add_indicator=True),
    make_union(SimpleImputer(), MissingIndicator()),
    make_union(SimpleImputer(), MissingIndicator(features="all")),
    make_union(SimpleImputer(), MissingIndicator(error_on_new=False)),
    make_pipeline(SimpleImputer(add_indicator=True), PolynomialFeatures(2, include_bias=False)),
    make_pipeline(MaxAbsScaler(), MinMaxScaler(clip=True), SimpleImputer(strategy="median")),
    make_pipeline(SimpleImputer(add_indicator=True), SelectKBest(k=3)),
    make_pipeline(StandardScaler(), SimpleImputer()),
    make_pipeline(RobustScaler(), MaxAbsScaler(), SimpleImputer(add_indicator=True)),
    make_pipeline(QuantileTransformer(n_quantiles=20), SimpleImputer()),
    make_pipeline(PowerTransformer(), SimpleImputer()),
    make_pipeline(VarianceThreshold(), SimpleImputer()),
]


@pytest.mark.parametrize("imputer", IMPUTERS, ids=lambda t: " ".join(str(t).split())[:70])
def test_missing_numbers_are_fine_where_the_pipeline_handles_them(imputer: Any) -> None:
    classifier, _ = exported(make_pipeline(imputer, StandardScaler(), LogisticRegression()), GAPS)
    assert all(feature.missing for feature in classifier.features)


def test_a_column_without_any_value_is_left_out_as_scikit_learn_does() -> None:
    X = GAPS.assign(empty=np.nan)
    for keep in (True, False):
        exported(make_pipeline(SimpleImputer(keep_empty_features=keep), LogisticRegression()), X)


def test_other_missing_values_than_nan() -> None:
    X = GAPS.fillna(-1.0)
    classifier, _ = exported(make_pipeline(SimpleImputer(missing_values=-1.0), LogisticRegression()), X)
    assert not any(feature.missing for feature in classifier.features)
    texts = MIXED[["island name", "note"]].replace("x", "?")
    imputer = SimpleImputer(missing_values="?", strategy="most_frequent", add_indicator=True)
    union = make_union(
        make_pipeline(SimpleImputer(missing_values="?", strategy="most_frequent"), OneHotEncoder())
    )
    exported(make_pipeline(union, LogisticRegression()), texts)
    with pytest.raises(Unsupported, match="text"):
        exported(Pipeline([("i", imputer), ("p", "passthrough"), ("c", NoFit())]), texts)


class NoFit(LogisticRegression):  # type: ignore[misc]
    """Takes anything at fit, so that export has to refuse."""

    def fit(self, X: Any, y: Any) -> Any:
        self.classes_ = np.array(["a", "b"])
        self.coef_ = np.zeros((1, 2))
        self.__class__ = LogisticRegression
        return self


def test_a_new_gap_is_rejected_where_the_indicator_says_so() -> None:
    X = NUMBERS.assign(gaps=GAPS["any"])
    pipeline = make_pipeline(
        make_union(SimpleImputer(), MissingIndicator(error_on_new=True)), LogisticRegression(max_iter=1000)
    )
    classifier, _ = exported(pipeline, X)
    assert [feature.name for feature in classifier.features if feature.missing] == ["gaps"]


ENCODERS: list[Any] = [
    OneHotEncoder(),
    OneHotEncoder(drop="first"),
    OneHotEncoder(drop="if_binary", sparse_output=False),
    OneHotEncoder(drop=["Dream", "M", "y"]),
    OneHotEncoder(handle_unknown="ignore"),
    OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=35),
    OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=2, drop="first"),
    OneHotEncoder(handle_unknown="ignore", max_categories=2),
    OneHotEncoder(min_frequency=0.3, handle_unknown="infrequent_if_exist"),
    OneHotEncoder(min_frequency=35, max_categories=3, drop="if_binary", handle_unknown="ignore"),
    OneHotEncoder(dtype=np.int64),
    OneHotEncoder(handle_unknown="warn", max_categories=2),
    OneHotEncoder(
        categories=[["Torgersen", "Biscoe", "Dream"], ["S", None, "L", "M"], ["y", "x", "z"]],
    ),
    OrdinalEncoder(encoded_missing_value=-1),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
    OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=99, max_categories=2, encoded_missing_value=5
    ),
    OrdinalEncoder(
        categories=[["Torgersen", "Dream", "Biscoe"], ["L", "M", "S", None], ["y", "x"]],
        encoded_missing_value=7,
        dtype=np.int32,
    ),
    OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=0.3, encoded_missing_value=-2
    ),
    make_pipeline(
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan),
        SimpleImputer(strategy="constant", fill_value=-5, add_indicator=True),
    ),
    make_pipeline(OrdinalEncoder(), SimpleImputer()),
    make_pipeline(SimpleImputer(missing_values=None, strategy="most_frequent"), OneHotEncoder()),
    make_pipeline(
        SimpleImputer(missing_values=None, strategy="constant", fill_value="none"), OrdinalEncoder()
    ),
    make_union(
        make_pipeline(SimpleImputer(missing_values=None, strategy="most_frequent"), OneHotEncoder()),
        MissingIndicator(missing_values=None, features="all"),
    ),
    make_pipeline(OneHotEncoder(), TruncatedSVD(2)),
    make_pipeline(OneHotEncoder(), MaxAbsScaler(), SelectKBest(k=3)),
]


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda t: " ".join(str(t).split())[:90])
def test_an_encoder_of_texts_known_missing_and_unknown(encoder: Any) -> None:
    X = MIXED[["island name", "größe", "note"]].astype(object).replace({np.nan: None})
    classifier, fitted = exported(make_pipeline(encoder, LogisticRegression(max_iter=1000)), X)
    odd = pd.DataFrame(
        {
            "island name": ["Atlantis", "Dream", "Dream", None, "dream"],
            "größe": ["S", None, "XXL", "M", "L"],
            "note": ["x", "y", "x", "y", ""],
        },
        dtype=object,
    )
    for i in range(len(odd)):
        assert_same(classifier, fitted, odd.iloc[[i]])


def assert_same(classifier: Classifier, fitted: Any, row: pd.DataFrame) -> None:
    """The same answer, or no answer from either."""
    instance = {name: None if pd.isna(v) else v for name, v in row.iloc[0].to_dict().items()}
    try:
        fitted.predict(row)
        answered = True
    except ValueError:
        answered = False
    try:
        rejected = bool(classifier.predict(rows.batch(classifier.schema, [instance])).rejected)
    except UnprocessableRows:
        rejected = True
    assert rejected is not answered, instance
    if answered:
        assert parity(classifier, fitted, row).holds


def test_encoders_of_numbers_and_booleans() -> None:
    X = pd.DataFrame({"level": NUMBERS["few"], "year": MIXED["year"], "alive": MIXED["alive"]})
    X.loc[3:9, "level"] = np.nan
    for encoder in (
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
    ):
        classifier, fitted = exported(make_pipeline(encoder, LogisticRegression()), X)
        assert [feature.type for feature in classifier.features] == ["number", "number", "boolean"]
        for level in (0.0, 2.0, 2.5, np.nan):
            assert_same(classifier, fitted, pd.DataFrame({"level": [level], "year": [2008], "alive": [True]}))


SELECTIONS: list[Any] = [
    ["mass.in.g", "year"],
    [1, 4],
    slice("year", "year"),
    slice(1, 2),
    [False, True, False, False, True, False],
    make_column_selector(dtype_include=np.number),
    lambda X: ["year"],
]


@pytest.mark.parametrize(
    "selection", SELECTIONS, ids=lambda s: getattr(s, "__name__", type(s).__name__ if callable(s) else str(s))
)
@pytest.mark.parametrize("remainder", ["drop", "passthrough", StandardScaler()], ids=str)
def test_columns_are_chosen_in_every_way(selection: Any, remainder: Any) -> None:
    texts = ("texts", OneHotEncoder(handle_unknown="ignore"), ["island name", "größe", "note"])
    preparation = ColumnTransformer([("chosen", StandardScaler(), selection), texts], remainder=remainder)
    classifier, _ = exported(make_pipeline(preparation, LogisticRegression(max_iter=1000)), MIXED)
    if remainder == "drop":
        assert {f.name for f in classifier.features if f.type == "unused"} >= {"alive"}


def test_nested_transformers_with_weights() -> None:
    inner = ColumnTransformer([("last", MinMaxScaler(), [-1])], remainder="passthrough")
    preparation = ColumnTransformer(
        [
            ("numbers", make_pipeline(StandardScaler(), inner, PolynomialFeatures(2)), ["mass.in.g", "year"]),
            ("island", make_pipeline(OneHotEncoder(sparse_output=False), "passthrough"), ["island name"]),
            ("again", OneHotEncoder(drop="first", sparse_output=False), ["island name", "note"]),
            ("none", StandardScaler(), []),
            ("gone", "drop", ["größe"]),
        ],
        transformer_weights={"numbers": 0.25, "again": 2.0},
        remainder="passthrough",
    )
    for output in ("default", "pandas"):
        preparation.set_params(sparse_threshold=0).set_output(transform=output)
        exported(make_pipeline(preparation, LogisticRegression(max_iter=1000)), MIXED)


BINARY, SEVERAL = LABELS == "a", RNG.integers(0, 2, (N, 3))
CLASSIFIERS: list[Any] = [
    MLPClassifier((5,), activation="tanh", max_iter=20, random_state=0),
    LogisticRegression(),
    LogisticRegressionCV(Cs=2, cv=2, scoring="accuracy"),
    SGDClassifier(random_state=0),
    SGDClassifier(loss="log_loss", random_state=0),
    SGDClassifier(loss="modified_huber", random_state=0),
    SGDClassifier(loss="squared_error", random_state=0),
    Perceptron(random_state=0),
    RidgeClassifier(),
    RidgeClassifierCV(),
    LinearSVC(random_state=0),
    LinearSVC(multi_class="crammer_singer", random_state=0, fit_intercept=False),
    LinearDiscriminantAnalysis(),
    LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    LinearDiscriminantAnalysis(solver="eigen", n_components=1),
    GaussianNB(),
    CalibratedClassifierCV(LinearSVC(random_state=0), cv=3),
    CalibratedClassifierCV(LogisticRegression(), method="isotonic", cv=2),
    CalibratedClassifierCV(LinearSVC(random_state=0), method="isotonic", ensemble=False, cv=3),
    CalibratedClassifierCV(RidgeClassifier(), ensemble=False, cv=3),
    CalibratedClassifierCV(make_pipeline(MinMaxScaler(), SGDClassifier(random_state=0)), cv=2),
    OneVsRestClassifier(LogisticRegression()),
    OneVsRestClassifier(LinearSVC(random_state=0)),
    OneVsRestClassifier(SGDClassifier(loss="modified_huber", random_state=0)),
    OneVsRestClassifier(MLPClassifier((3, 2), max_iter=20, random_state=0)),
    OneVsRestClassifier(GaussianNB()),
    OneVsRestClassifier(CalibratedClassifierCV(LogisticRegression(), cv=2)),
    OneVsRestClassifier(make_pipeline(PCA(2), LogisticRegression())),
]


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda t: " ".join(str(t).split())[:90])
@pytest.mark.parametrize("y", [LABELS, BINARY], ids=["three", "two"])
def test_a_classifier(classifier: Any, y: Any) -> None:
    pipeline = make_pipeline(StandardScaler(), classifier)
    loaded, fitted = exported(pipeline, NUMBERS.drop(columns="constant"), y)
    assert loaded.heads[0].has_probabilities == hasattr(fitted, "predict_proba")


@pytest.mark.parametrize(
    "classifier",
    [
        MLPClassifier((5,), max_iter=20, random_state=0),
        RidgeClassifier(),
        RidgeClassifierCV(),
        OneVsRestClassifier(LogisticRegression()),
        OneVsRestClassifier(LinearSVC(random_state=0)),
        OneVsRestClassifier(SGDClassifier(loss="modified_huber", random_state=0)),
        OneVsRestClassifier(MLPClassifier((3,), max_iter=20, random_state=0)),
        OneVsRestClassifier(GaussianNB()),
    ],
    ids=lambda t: " ".join(str(t).split())[:90],
)
def test_a_multilabel_classifier(classifier: Any) -> None:
    loaded, _ = exported(
        make_pipeline(StandardScaler(), classifier), NUMBERS.drop(columns="constant"), SEVERAL
    )
    assert loaded.heads[0].multilabel


def test_classes_that_no_member_sees_likely_stay_at_zero_or_become_uniform_as_in_scikit_learn() -> None:
    far = NUMBERS[["any"]] + 1e6
    for classifier in (SGDClassifier(loss="log_loss"), OneVsRestClassifier(SGDClassifier(loss="log_loss"))):
        fitted = classifier.fit(NUMBERS[["any"]], LABELS)
        linear = fitted.estimators_ if hasattr(fitted, "estimators_") else [fitted]
        for one in linear:
            one.coef_ = -np.abs(one.coef_) - 1.0
        loaded = load(export(fitted, NUMBERS[["any"]]))
        assert parity(loaded, fitted, far).holds
        sums = fitted.predict_proba(far).sum(axis=1)
        if np.isnan(sums).all():  # of an older scikit-learn; the newest answers what we do
            sums = np.full(N, float(isinstance(classifier, SGDClassifier)))
        found = loaded.predict(as_batch(loaded.features, far))
        assert not found.rejected
        np.testing.assert_allclose(found.outputs[0].probabilities.sum(axis=0), sums, atol=1e-12)


TEXT_OUTPUTS = pd.DataFrame({"species": LABELS, "heavy": np.where(BINARY, "yes", "no")})
NUMBER_OUTPUTS = pd.DataFrame({"level": NUMBERS["few"].astype(int), "heavy": BINARY.astype(int)})


@pytest.mark.parametrize(
    "member",
    [
        LogisticRegression(),
        LinearSVC(random_state=0),
        MLPClassifier((3,), max_iter=20, random_state=0),
        GaussianNB(),
        make_pipeline(KBinsDiscretizer(3), LogisticRegression()),
    ],
    ids=lambda t: " ".join(str(t).split())[:60],
)
@pytest.mark.parametrize("outputs", [TEXT_OUTPUTS, NUMBER_OUTPUTS], ids=["texts", "numbers"])
def test_several_outputs_are_answered_by_name(member: Any, outputs: pd.DataFrame) -> None:
    X = NUMBERS.drop(columns="constant")
    fitted = make_pipeline(StandardScaler(), MultiOutputClassifier(member)).fit(X, outputs)
    loaded = load(export(fitted, X, outputs))
    assert parity(loaded, fitted, X).holds
    answer = answers(loaded, loaded.predict(as_batch(loaded.features, X.iloc[:1])))[0]["outputs"]
    assert list(answer) == list(outputs)
    assert [answer[name]["label"] for name in answer] == fitted.predict(X.iloc[:1])[0].tolist()


def test_without_probabilities_the_answer_has_scores_and_says_so() -> None:
    X = NUMBERS.drop(columns="constant")
    for y in (LABELS, BINARY):
        loaded, fitted = exported(make_pipeline(StandardScaler(), LinearSVC(random_state=0)), X, y)
        answer = answers(loaded, loaded.predict(as_batch(loaded.features, X.iloc[:1])))[0]
        assert set(answer) == {"label", "score", "scores"}
        decision = fitted.decision_function(X.iloc[:1])[0]
        expected = decision if decision.ndim else [-decision, decision]
        np.testing.assert_allclose(list(answer["scores"].values()), expected, rtol=1e-12)


class TestFolding:
    """Affine steps go into the first layer, where that costs no digits."""

    def test_a_pipeline_of_affine_steps_is_a_plain_network(self) -> None:
        pipeline = make_pipeline(
            StandardScaler(), PCA(3), MinMaxScaler(), MLPClassifier((4,), max_iter=5, random_state=0)
        )
        loaded, _ = exported(pipeline, NUMBERS)
        assert loaded.document.preprocessing is None

    def test_columns_far_from_zero_keep_their_scaling(self) -> None:
        X = pd.DataFrame({"time": 1.7e9 + RNG.normal(size=N), "any": NUMBERS["any"]})
        loaded, fitted = exported(make_pipeline(StandardScaler(), LogisticRegression()), X)
        assert steps_of(loaded) == ["scale"]
        assert loaded.document.preprocessing is not None
        assert loaded.document.preprocessing.steps[0][0].columns == [0]
        assert parity(loaded, fitted, X).worst <= 1e-15

    def test_nothing_folds_through_what_is_not_affine(self) -> None:
        loaded, _ = exported(make_pipeline(StandardScaler(), Normalizer(), LogisticRegression()), NUMBERS)
        assert steps_of(loaded) == ["scale", "normalize"]

    def test_columns_that_nothing_reads_are_not_computed(self) -> None:
        pipeline = make_pipeline(
            KBinsDiscretizer(3, encode="ordinal"),
            SelectKBest(k=1),
            LogisticRegression(),
        )
        loaded, _ = exported(pipeline, NUMBERS)
        assert loaded.document.preprocessing is not None
        [(bins, _)] = loaded.document.preprocessing.steps
        assert isinstance(bins, Bins)
        assert len(bins.columns) == len(bins.edges) == 1


class TestRejections:
    """A row that the pipeline cannot take is rejected by name, and the others are answered."""

    @pytest.fixture(scope="class")
    def penguins(self) -> Classifier:
        X, y, estimator = EXAMPLES["penguins"]()
        return load(export(estimator, X, y))

    ROW = {  # noqa: RUF012
        "island": "Dream",
        "bill_length_mm": 40.1,
        "bill_depth_mm": 18,
        "flipper_length_mm": None,
        "body_mass_g": 3700,
        "sex": None,
    }

    def test_nulls_are_fine_where_the_pipeline_imputes(self, penguins: Classifier) -> None:
        assert not penguins.predict(rows.batch(penguins.schema, [self.ROW])).rejected

    def test_an_unknown_category_names_the_column_and_those_that_are_known_but_not_the_data(
        self, penguins: Classifier
    ) -> None:
        found = penguins.predict(
            rows.batch(penguins.schema, [self.ROW, {**self.ROW, "island": "Atlantis"}, self.ROW])
        )
        sentence = "island is not a category that the model knows ('Biscoe', 'Dream', 'Torgersen')"
        assert found.rejected == {1: sentence}

    @pytest.mark.parametrize(
        ("known", "odd", "sentence"),
        [
            ([1.0, 2.5] * 8, 3.0, "size is not a category that the model knows (1, 2.5)"),
            (list("abcdefghijklmnop"), "q", "size is not a category that the model knows"),
            (["a", "b" * 50] * 8, "q", "size is not a category that the model knows"),
        ],
    )
    def test_a_few_short_categories_are_named(self, known: list[Any], odd: Any, sentence: str) -> None:
        X = pd.DataFrame({"size": known})
        fitted = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(X, [0, 1] * 8)
        loaded = load(export(fitted, X))
        assert loaded.predict(rows.batch(loaded.schema, [{"size": odd}])).rejected == {0: sentence}

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"island": 3}, "instances[0].island is a number, not a string"),
            ({"island": True}, "instances[0].island is a boolean, not a string"),
            ({"body_mass_g": "3700"}, "instances[0].body_mass_g is a string, not a number"),
            ({"body_mass_g": float("inf")}, "instances[0].body_mass_g is too large, not a finite number"),
            ({"wings": 2}, "instances[0].wings is no feature of the model"),
        ],
    )
    def test_a_value_of_another_type_is_named(
        self, penguins: Classifier, change: dict[str, Any], sentence: str
    ) -> None:
        with pytest.raises(UnprocessableRows) as refusal:
            rows.read(rows.Rows([{**self.ROW, **change}]), penguins.schema, 9)
        assert str(refusal.value) == sentence

    def test_nan_is_missing_where_that_is_fine(self, penguins: Classifier) -> None:
        both = [{**self.ROW, "body_mass_g": value} for value in (None, float("nan"))]
        p = penguins.predict(rows.batch(penguins.schema, both)).outputs[0].probabilities
        assert p[:, 0].tobytes() == p[:, 1].tobytes()

    def test_missing_is_rejected_by_name_where_nothing_handles_it(self) -> None:
        X = NUMBERS[["positive", "any"]]
        loaded, _ = exported(make_pipeline(KBinsDiscretizer(3), LogisticRegression()), X)
        with pytest.raises(UnprocessableRows, match=r"instances\[0\].any is null, not a number"):
            rows.read(rows.Rows([{"positive": 1.0, "any": None}]), loaded.schema, 9)

    def test_a_column_that_the_pipeline_drops_may_be_absent_or_anything(self) -> None:
        preparation = ColumnTransformer([("kept", StandardScaler(), ["mass.in.g"])])
        loaded, _ = exported(make_pipeline(preparation, LogisticRegression()), MIXED)
        found = loaded.predict(
            rows.batch(loaded.schema, [{"mass.in.g": 4000}, {"mass.in.g": 4000, "note": [{}]}])
        )
        assert (
            found.outputs[0].probabilities[:, 0].tobytes() == found.outputs[0].probabilities[:, 1].tobytes()
        )

    def test_what_a_function_makes_no_number_of_is_rejected(self) -> None:
        X = NUMBERS[["positive", "any"]]
        for after in ("passthrough", Binarizer(), PolynomialFeatures(2)):
            pipeline = make_pipeline(FunctionTransformer(np.log1p), after, LogisticRegression())
            fitted = pipeline.fit(X.abs(), LABELS)
            loaded = load(export(fitted, X.abs()))
            odd = pd.DataFrame({"positive": [1.0, 1.0, 2.0, 3.0], "any": [0.5, -3.0, -1.0, 0.0]})
            found = loaded.predict(as_batch(loaded.features, odd))
            assert sorted(found.rejected) == [1, 2], after
            assert found.rejected[1].startswith("any")

    def test_a_gap_that_a_function_makes_may_be_imputed(self) -> None:
        X = NUMBERS[["any"]]
        fitted = make_pipeline(FunctionTransformer(np.sqrt), SimpleImputer(), LogisticRegression()).fit(
            X, LABELS
        )
        assert parity(load(export(fitted, X)), fitted, X).holds

    def test_a_row_too_large_is_rejected_alone(self) -> None:
        loaded, _ = exported(make_pipeline(PolynomialFeatures(3), LogisticRegression(max_iter=10)), NUMBERS)
        table = NUMBERS.iloc[:4].copy()
        table.loc[2, "any"] = 1e200
        found = loaded.predict(as_batch(loaded.features, table))
        assert list(found.rejected) == [2]
        assert "too large" in found.rejected[2]


class Odd(BaseEstimator):  # type: ignore[misc]
    """A transformer of somebody's own."""

    def fit(self, X: Any, y: Any = None) -> Any:
        return self

    def transform(self, X: Any) -> Any:
        return X


def nested(transformer: Any) -> Any:
    inner = Pipeline([("first", transformer), ("scale", MaxAbsScaler())])
    preparation = ColumnTransformer([("numbers", inner, ["positive", "any"])])
    return Pipeline([("prepare", preparation), ("classify", LogisticRegression())])


REFUSED: list[Any] = [  # what makes an estimator, and a sentence
    (
        lambda: nested(Nystroem(n_components=2)),
        "step 'prepare' > 'numbers' > 'first' (Nystroem) is not supported: what it makes of a row needs ",
    ),
    (lambda: nested(KNNImputer()), "(KNNImputer) is not supported: what it fills in are means of "),
    (lambda: nested(KernelPCA(2)), "(KernelPCA) is not supported"),
    (lambda: nested(Odd()), "(Odd) is not supported; supported are BernoulliRBM, "),
    (
        lambda: nested(FunctionTransformer(lambda X: X * 2)),
        "'first' (FunctionTransformer): its function has no name",
    ),
    (
        lambda: nested(FunctionTransformer(np.tanh, kw_args={"casting": "unsafe"})),
        "its function has no name",
    ),
    (lambda: nested(KBinsDiscretizer(3, dtype=np.float32)), "'first' (KBinsDiscretizer): it bins in float32"),
    (
        lambda: make_pipeline(PolynomialFeatures(3), PolynomialFeatures(3), LogisticRegression(max_iter=1)),
        "The document would be refused: preprocessing.steps[",
    ),
    (lambda: Pipeline([("s", MaxAbsScaler()), ("c", SVC())]), "step 'c' (SVC) is not supported"),
    (lambda: Pipeline([("c", OneVsRestClassifier(SVC()))]), "step 'c' > 'estimator' (SVC) is not supported"),
    pytest.param(
        lambda: CalibratedClassifierCV(LogisticRegression(), method="temperature"),
        "CalibratedClassifierCV: method='temperature' of three classes or more",
        marks=TEMPERATURE,
    ),
]


@pytest.mark.parametrize(("build", "sentence"), REFUSED)
def test_what_has_no_exact_form_is_refused_with_its_place(build: Callable[[], Any], sentence: str) -> None:
    fitted = build().fit(NUMBERS, LABELS)
    with pytest.raises(Unsupported) as refusal:
        export(fitted, NUMBERS)
    assert sentence in str(refusal.value)


@TEMPERATURE
@pytest.mark.parametrize("ensemble", [True, False])
@pytest.mark.parametrize(
    "member", [LinearSVC(random_state=0), LogisticRegression(), LinearDiscriminantAnalysis()]
)
def test_temperature_scaling_of_two_classes_is_exact(member: Any, ensemble: bool) -> None:
    calibrated = CalibratedClassifierCV(member, method="temperature", ensemble=ensemble, cv=3)
    loaded, fitted = exported(
        make_pipeline(StandardScaler(), calibrated), NUMBERS.drop(columns="constant"), BINARY
    )
    far = NUMBERS.drop(columns="constant") * 3 + 1
    assert parity(loaded, fitted, far).worst <= 1e-12


@pytest.mark.parametrize("y", [LABELS, BINARY], ids=["three", "two"])
@pytest.mark.parametrize("ensemble", [True, False])
def test_isotonic_calibration_is_as_exact_as_the_rest(y: Any, ensemble: bool) -> None:
    calibrated = CalibratedClassifierCV(LogisticRegression(), method="isotonic", ensemble=ensemble, cv=3)
    X = NUMBERS.drop(columns="constant")
    loaded, fitted = exported(make_pipeline(StandardScaler(), calibrated), X, y)
    found = parity(loaded, fitted, pd.concat([X * scale for scale in (-2, 0.5, 1, 1.01, 3)]))
    assert found.holds
    assert found.worst <= 1e-12


def test_isotonic_calibration_over_rows_of_single_precision_is_refused() -> None:
    """Its curve rounds scores to float32: the last digit of a score would show in the answer."""
    X = NUMBERS.drop(columns="constant")
    network = MLPClassifier((4,), max_iter=5)
    calibrated = CalibratedClassifierCV(network, method="isotonic", cv=2).fit(X.astype(np.float32), BINARY)
    with pytest.raises(Unsupported, match=r"fitted on columns of single precision.*fit it on float64"):
        export(calibrated, X)


def test_a_curve_of_single_precision_is_scikit_learns_to_the_bit() -> None:
    rng = np.random.default_rng(5)
    for n in (1, 2, 3, 10, 200):
        x = rng.normal(size=n).astype(np.float32)
        curve = IsotonicRegression(out_of_bounds="clip").fit(x, rng.integers(0, 2, n))
        points = {"x": [curve.X_thresholds_.tolist()], "y": [curve.y_thresholds_.tolist()]}
        step = {"op": "interpolate", "columns": [0], **points, "input_type": "float32"}
        loaded = load(
            json.dumps(
                {
                    "classes": ["a", "b"],
                    "coefs": [[[1]]],
                    "intercepts": [[0]],
                    "out_activation": "identity",
                    "decision": "scores",
                    "preprocessing": {"types": ["number"], "missing": [], "steps": [step], "outputs": [1]},
                }
            ).encode()
        )
        near = np.concatenate([curve.X_thresholds_, rng.normal(size=500), [-1e30, 1e30]])
        asked = np.concatenate([near, np.nextafter(near.astype(np.float32), np.float32(9))]).astype(float)
        (found,) = loaded.predict(Batch.of(loaded.features, [asked])).outputs
        assert found.probabilities[1].tobytes() == curve.predict(asked).astype(np.float64).tobytes()


def test_isotonic_calibration_promises_no_more_than_its_steepest_line_leaves() -> None:
    """Two scores a hair apart with other probabilities: the scores' own last digits show."""
    X = NUMBERS.drop(columns="constant")
    loaded, fitted = exported(CalibratedClassifierCV(LogisticRegression(max_iter=1000), method="isotonic"), X)
    assert tolerance(loaded.document, fitted) == 1e-12
    document = json.loads(export(fitted, X))
    [curves] = [step for step in document["preprocessing"]["steps"] if step["op"] == "interpolate"][:1]
    curves["x"][0], curves["y"][0] = [0.0, 1e-6], [0.0, 1.0]
    steep = {key: value for key, value in document.items() if key != "examples"}
    assert tolerance(load(json.dumps(steep).encode()).document, fitted) == pytest.approx(2e-9)


@pytest.mark.parametrize(
    ("estimator", "allowed"),
    [
        (LinearDiscriminantAnalysis(), 1e-12),
        (make_pipeline(StandardScaler(), LinearDiscriminantAnalysis()), 1e-12),
        (GridSearchCV(LinearDiscriminantAnalysis(), {"solver": ["svd", "lsqr"]}, cv=2), 1e-12),
        (GridSearchCV(make_pipeline(StandardScaler(), LinearDiscriminantAnalysis()), {}, cv=2), 1e-12),
        (make_pipeline(LinearDiscriminantAnalysis(), LogisticRegression()), 1e-9),
        (make_pipeline(LinearDiscriminantAnalysis(), LinearDiscriminantAnalysis()), 1e-9),
    ],
    ids=["alone", "last", "found", "last in what was found", "before another", "before its like"],
)
def test_what_is_both_classifier_and_transformer_promises_what_it_is_used_for(
    estimator: Any, allowed: float
) -> None:
    loaded, fitted = exported(estimator, NUMBERS.drop(columns="constant"))
    assert tolerance(loaded.document, fitted) == allowed


def test_a_frozen_estimator_is_what_it_holds() -> None:
    frozen = FrozenEstimator(LogisticRegression().fit(NUMBERS, LABELS))
    exported(CalibratedClassifierCV(frozen), NUMBERS)


@pytest.mark.parametrize("search", [GridSearchCV, partial(RandomizedSearchCV, n_iter=2)])
def test_a_search_over_hyper_parameters_is_the_best_that_it_found(search: Any) -> None:
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    fitted = search(pipeline, {"logisticregression__C": [0.1, 1.0, 10.0]}).fit(NUMBERS, LABELS)
    assert export(fitted, NUMBERS, LABELS) == export(fitted.best_estimator_, NUMBERS, LABELS)


def test_a_search_that_kept_no_estimator_is_refused() -> None:
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, refit=False).fit(NUMBERS, LABELS)
    with pytest.raises(Unsupported, match="GridSearchCV was fitted with refit=False"):
        export(search)


def test_without_data_the_encoders_tell_the_types() -> None:
    preparation = ColumnTransformer(
        [("texts", OneHotEncoder(), ["island name", "note"]), ("numbers", MaxAbsScaler(), ["year", "alive"])]
    )
    fitted = make_pipeline(preparation, LogisticRegression()).fit(MIXED, LABELS)
    loaded = load(export(fitted))
    types = {feature.name: feature.type for feature in loaded.features}
    assert types == {
        "island name": "text",
        "mass.in.g": "unused",
        "größe": "unused",
        "alive": "number",
        "year": "number",
        "note": "text",
    }
    assert loaded.document.examples is not None


def test_categories_and_bins_are_stored_once() -> None:
    X = pd.DataFrame({"text": RNG.choice([f"a rather long category {i}" for i in range(30)], 600)})
    fitted = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(X, RNG.choice(["a", "b"], 600))
    data = export(fitted, X, with_history=False)
    assert data.count(b"a rather long category 17") <= 2  # the table, and perhaps an example
    assert len(data) < 3 * sum(len(text) for text in X["text"].unique()) + 2000


@pytest.mark.parametrize("name", ["penguins", "digits"])
def test_the_worked_examples_answer_as_their_estimators(name: str) -> None:
    X, y, estimator = EXAMPLES[name]()
    loaded = load(export(estimator, X, y))
    found = parity(loaded, estimator, X)
    assert found.holds
    assert found.rows == len(X)


def test_names_and_order_of_columns_do_not_matter_to_a_row() -> None:
    X, y, estimator = EXAMPLES["penguins"]()
    loaded = load(export(estimator, X, y))
    row = {"sex": "male", "body_mass_g": 3750, "island": "Dream", "bill_depth_mm": None}
    row |= {"flipper_length_mm": 181, "bill_length_mm": 39.1}
    instance = json.loads(json.dumps(row))
    expected = estimator.predict_proba(pd.DataFrame([row]).astype({"bill_depth_mm": float})[X.columns])
    found = loaded.predict(rows.batch(loaded.schema, [instance])).outputs[0].probabilities.T
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_the_inverse_normal_distribution_is_exact_to_the_last_digits() -> None:
    norm = pytest.importorskip("scipy.stats").norm
    p: Any = np.concatenate([np.linspace(LOWEST, HIGHEST, 10_001), 10.0 ** np.arange(-6.9, -1, 0.1)])
    np.testing.assert_allclose(inverse_normal(p), norm.ppf(p), rtol=5e-15, atol=1e-15)
