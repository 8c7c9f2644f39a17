"""Columns of many categories are looked up; targets, splines and guesses are what scikit-learn makes."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_selection import SelectKBest
from sklearn.impute import IterativeImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    OneHotEncoder,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeRegressor

from thimble.inference.classifier import Classifier, load
from thimble_model import Unsupported, export
from thimble_model.frames import as_batch
from thimble_model.parity import parity

pytestmark = pytest.mark.filterwarnings("ignore")

RNG = np.random.default_rng(21)
N, CITIES = 900, 300
ROWS = pd.DataFrame(
    {
        "city": [f"Köln {i}" for i in np.r_[np.arange(CITIES), RNG.integers(0, CITIES, N - CITIES)]],
        "code": np.r_[np.arange(CITIES), RNG.integers(0, CITIES, N - CITIES)] * 7,
        "age": RNG.normal(size=N),
    }
)
LABELS = np.array(["a", "b", "c"])[(ROWS["code"] // 7 + RNG.integers(0, 2, N)) % 3]
ODD = ROWS.iloc[:40].assign(city=lambda rows: rows["city"].where(rows.index % 3 > 0, "nowhere"))


def encoded(**keys: Any) -> Any:
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", **keys)
    return make_column_transformer((encoder, ["city", "code"]), (StandardScaler(), ["age"]))


def steps_of(data: bytes) -> list[str]:
    return [step["op"] for step in json.loads(data)["preprocessing"]["steps"]]


def assert_alone_as_in_company(classifier: Classifier, rows: pd.DataFrame) -> None:
    whole = classifier.predict(as_batch(classifier.features, rows))
    for at in range(0, len(rows), 7):
        alone = classifier.predict(as_batch(classifier.features, rows.iloc[[at]]))
        assert (at in whole.rejected) == (0 in alone.rejected)
        for many, one in zip(whole.outputs, alone.outputs, strict=True):
            assert many.probabilities[:, [at]].tobytes() == one.probabilities.tobytes()


LOOKED_UP: dict[str, Any] = {
    "linear": lambda: make_pipeline(encoded(), LogisticRegression()),
    "one category dropped": lambda: make_pipeline(encoded(drop="first"), LogisticRegression()),
    "seldom ones together": lambda: make_pipeline(encoded(min_frequency=3), LogisticRegression()),
    "scaled": lambda: make_pipeline(encoded(), MaxAbsScaler(), LogisticRegression()),
    "network": lambda: make_pipeline(encoded(), MLPClassifier((5, 3), max_iter=4, random_state=0)),
    "calibrated": lambda: CalibratedClassifierCV(make_pipeline(encoded(), LogisticRegression()), cv=2),
    "one vs rest": lambda: make_pipeline(encoded(), OneVsRestClassifier(RidgeClassifier())),
    "bins": lambda: make_pipeline(
        make_column_transformer((KBinsDiscretizer(280, quantile_method="averaged_inverted_cdf"), ["age"])),
        LogisticRegression(),
    ),
    "chosen": lambda: make_pipeline(encoded(), SelectKBest(k=290), LogisticRegression()),
}


@pytest.mark.parametrize("build", LOOKED_UP.values(), ids=LOOKED_UP)
def test_many_categories_are_looked_up_with_the_same_answers(build: Any) -> None:
    fitted = build().fit(ROWS, LABELS)
    data = export(fitted, ROWS, LABELS)
    classifier = load(data)
    assert "embed" in steps_of(data)
    assert "one_hot" not in steps_of(data)
    assert classifier.document.cost.numbers < CITIES
    assert parity(classifier, fitted, ODD).worst <= 1e-12
    assert parity(classifier, fitted, ODD).holds
    assert_alone_as_in_company(classifier, ODD)


def test_of_several_outputs_each_adds_its_own_weights() -> None:
    several = np.column_stack([LABELS, LABELS[::-1]])
    fitted = make_pipeline(encoded(), MultiOutputClassifier(LogisticRegression())).fit(ROWS, several)
    data = export(fitted, ROWS)
    assert steps_of(data).count("embed") == 1
    assert parity(load(data), fitted, ODD).holds


def test_few_categories_stay_columns_and_so_do_those_that_a_forest_asks_of() -> None:
    few = ROWS.assign(city=ROWS["city"].str[-1], code=ROWS["code"] % 3)
    assert "one_hot" in steps_of(export(make_pipeline(encoded(), LogisticRegression()).fit(few, LABELS), few))
    grown = make_pipeline(encoded(), RandomForestClassifier(3)).fit(ROWS, LABELS)
    assert "one_hot" in steps_of(export(grown, ROWS))


def test_more_categories_export_than_a_document_has_columns() -> None:
    n = 30_000
    rows = pd.DataFrame({"city": [f"city {i}" for i in range(n)], "age": RNG.normal(size=n)})
    labels = np.array(["a", "b"])[np.arange(n) % 2]
    encoder = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    fitted = make_pipeline(encoder, LogisticRegression(max_iter=5)).fit(rows, labels)
    data = export(fitted, rows[:50], labels[:50])
    classifier = load(data)
    assert len(data) < 70 * n
    assert classifier.document.cost.multiplications < 2_000
    assert parity(classifier, fitted, rows[-300:]).holds
    unknown = classifier.predict(as_batch(classifier.features, rows[:1].assign(city="nowhere")))
    assert "city is not a category that the model knows" in unknown.rejected[0]


@pytest.mark.parametrize("labels", [LABELS, LABELS == "a", np.where(LABELS == "a", 1, 0)], ids=str)
def test_a_target_encoder_gives_each_category_its_means(labels: Any) -> None:
    seldom: Any = [None if age > 1 else "x" for age in ROWS["age"]]
    rows = ROWS.assign(seldom=seldom)
    fitted = make_pipeline(
        make_column_transformer((TargetEncoder(random_state=0), ["city", "code", "seldom"])),
        LogisticRegression(),
    ).fit(rows, labels)
    classifier = load(export(fitted, rows, labels))
    others: Any = ["x", None, "y", "x"] * 10
    odd = rows.iloc[:40].assign(city="nowhere", seldom=others)
    assert parity(classifier, fitted, odd).worst <= 1e-12
    assert_alone_as_in_company(classifier, odd)


@pytest.mark.parametrize("beyond", ["constant", "linear", "continue", "periodic"])
@pytest.mark.parametrize("degree", [1, 2, 3, 5])
@pytest.mark.parametrize("knots", ["uniform", "quantile"])
def test_splines_are_scikit_learns_within_and_beyond_their_knots(
    beyond: str, degree: int, knots: str
) -> None:
    spline = SplineTransformer(6, degree, knots=knots, extrapolation=beyond, handle_missing="zeros")
    rows = ROWS[["age"]].mask(ROWS[["age"]] > 2.5)
    fitted = make_pipeline(spline, LogisticRegression()).fit(rows, LABELS)
    classifier = load(export(fitted, rows, LABELS))
    edges = fitted[0].bsplines_[0].t
    beside = np.concatenate([edges, np.nextafter(edges, -9), np.nextafter(edges, 9), [-9.0, 9.0, np.nan]])
    far = pd.DataFrame({"age": beside})
    assert parity(classifier, fitted, far).worst <= 1e-12
    assert_alone_as_in_company(classifier, far)


def test_a_spline_that_refuses_what_is_beyond_its_knots_rejects_the_row() -> None:
    rows = ROWS[["age"]]
    fitted = make_pipeline(SplineTransformer(extrapolation="error"), LogisticRegression()).fit(rows, LABELS)
    classifier = load(export(fitted, rows, LABELS))
    found = classifier.predict(as_batch(classifier.features, pd.DataFrame({"age": [0.0, 99.0, -99.0]})))
    assert list(found.rejected) == [1, 2]


REFUSED: dict[str, Any] = {
    "degree=0": (SplineTransformer(degree=0), "KBinsDiscretizer makes them too"),
    "of several": (SplineTransformer(degree=1, extrapolation="linear"), "fit one for each column"),
    "zeros": (SplineTransformer(handle_missing="zeros", extrapolation="error"), "impute before it"),
    "trees": (
        IterativeImputer(DecisionTreeRegressor(), max_iter=1),
        "its estimator is DecisionTreeRegressor",
    ),
    "drawn": (IterativeImputer(sample_posterior=True, max_iter=1), "sample_posterior=True makes up"),
    "zero is missing": (IterativeImputer(missing_values=0, max_iter=1), "make them NaN"),
}


@pytest.mark.parametrize(("transformer", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_exact_form_is_refused_with_what_to_do(transformer: Any, sentence: str) -> None:
    rows = ROWS[["age", "code"]]
    fitted = make_pipeline(transformer, LogisticRegression()).fit(rows, LABELS)
    with pytest.raises(Unsupported, match=sentence):
        export(fitted, rows, LABELS)


DAYS = pd.date_range("2024-01-01", periods=N, freq="7h")
DATES: dict[str, Any] = {
    "timestamps": (DAYS, "X['signed'].dt.year"),
    "with gaps": (DAYS.where(np.arange(N) % 5 > 0), "X['signed'].dt.year"),
    "of Python": ([day.date() for day in DAYS], "X['signed'].dt.year"),
    "texts": (DAYS.strftime("%Y-%m-%d %H:%M"), "pandas.to_datetime(X['signed']).dt.year"),
    "texts with points": (DAYS.strftime("%m.%d.%Y"), "pandas.to_datetime(X['signed']).dt.year"),
}


def months(rows: pd.DataFrame) -> pd.DataFrame:
    columns = {name: pd.to_datetime(rows[name], format="mixed").dt.month.fillna(0) for name in rows.columns}
    return pd.DataFrame(columns)


@pytest.mark.parametrize(("dates", "way"), DATES.values(), ids=DATES)
def test_of_dates_the_refusal_shows_what_to_do_before_the_pipeline(dates: Any, way: str) -> None:
    rows = ROWS[["age"]].assign(signed=dates)
    prepare = make_column_transformer((FunctionTransformer(months), ["signed"]), remainder="passthrough")
    fitted = make_pipeline(prepare, LogisticRegression()).fit(rows, LABELS)
    with pytest.raises(Unsupported) as refusal:
        export(fitted, rows, LABELS)
    assert f"X['signed_year'] = {way}, leave 'signed' out, fit again" in str(refusal.value)
    assert "step 'columntransformer' > 'functiontransformer' (FunctionTransformer): its f" in str(
        refusal.value
    )
    made = ROWS[["age"]].assign(signed_year=DAYS.year)
    export(LogisticRegression(max_iter=500).fit(made, LABELS), made, LABELS)


def test_texts_that_are_no_dates_are_not_taken_for_them() -> None:
    rows = ROWS[["age"]].assign(signed=["1.2.3", "2024-01-01x" * 9] * (N // 2))
    lengths = FunctionTransformer(lambda rows: rows.apply(lambda column: column.str.len()))
    prepare = make_column_transformer((lengths, ["signed"]), remainder="passthrough")
    with pytest.raises(Unsupported, match="do anything else before the pipeline"):
        export(make_pipeline(prepare, LogisticRegression()).fit(rows, LABELS), rows, LABELS)
