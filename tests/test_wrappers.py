"""Wrappers that answer with another estimator, wherever they stand: its own document comes out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from thimble.inference.classifier import load
from thimble_model import Unsupported, export
from thimble_model.frames import as_batch
from thimble_model.parity import parity

imblearn = pytest.importorskip("imblearn")
pytestmark = pytest.mark.filterwarnings("ignore")

RNG = np.random.default_rng(8)
X = pd.DataFrame(RNG.normal(size=(160, 3)), columns=["a", "b", "c"])
Y = np.array(["no", "perhaps", "yes"])[np.digitize(X["a"] + RNG.normal(scale=0.3, size=160), [-0.4, 0.6])]
FORTY = X.assign(a=X["a"] * 40)
GRID = {"C": [0.1, 1.0]}
SEARCHES: dict[str, Callable[..., Any]] = {
    "grid": GridSearchCV,
    "random": lambda *args, **keys: RandomizedSearchCV(*args, n_iter=2, random_state=0, **keys),
    "halving": lambda *args, **keys: HalvingGridSearchCV(*args, min_resources=40, **keys),
    "halving random": lambda *args, **keys: HalvingRandomSearchCV(*args, random_state=0, **keys),
}


def fields(data: bytes) -> Any:
    """A document without what is said of its training."""
    return {key: value for key, value in orjson.loads(data).items() if key != "training"}


def assert_answers(estimator: Any, rows: pd.DataFrame = FORTY) -> None:
    """The document and the estimator agree, on rows that it was not fitted on too."""
    classifier = load(export(estimator, X))
    for table in (X, rows):
        found = parity(classifier, estimator, table)
        assert found.holds, str(found)
        assert not classifier.predict(as_batch(classifier.features, table)).rejected


@pytest.mark.parametrize("kind", SEARCHES)
def test_a_search_is_what_it_found_wherever_it_stands(kind: str) -> None:
    def search() -> Any:
        return SEARCHES[kind](LogisticRegression(), GRID, cv=2)

    whole = search().fit(X, Y)
    assert fields(export(whole, X, Y)) == fields(export(whole.best_estimator_, X, Y))
    for nested in (
        make_pipeline(StandardScaler(), search()),
        make_pipeline(StandardScaler(), make_pipeline(search())),
        CalibratedClassifierCV(search(), cv=2),
        OneVsRestClassifier(search()),
        GridSearchCV(make_pipeline(search()), {}, cv=2),
        FrozenEstimator(search().fit(X, Y)),
    ):
        assert_answers(nested.fit(X, Y))


def test_a_search_without_an_estimator_says_so_with_its_place() -> None:
    search = GridSearchCV(LogisticRegression(), GRID, refit=False, cv=2)
    pipeline = make_pipeline(StandardScaler(), search).fit(X, Y)
    for estimator in (search.fit(X, Y), pipeline, FrozenEstimator(search)):
        with pytest.raises(Unsupported, match=r"^GridSearchCV was fitted with refit=False, and so has no"):
            export(estimator)
    with pytest.raises(Unsupported, match=r"^GridSearchCV is not fitted: call its fit"):
        export(GridSearchCV(LogisticRegression(), GRID))


def test_a_search_of_ones_own_may_predict_in_its_own_way() -> None:
    class Contrary(GridSearchCV):  # type: ignore[misc]
        def predict(self, X: Any) -> Any:
            return np.repeat(self.classes_[:1], len(X))

    with pytest.raises(Unsupported, match=r"^Contrary is not supported"):
        export(Contrary(LogisticRegression(), GRID, cv=2).fit(X, Y))


def test_what_is_frozen_is_itself_as_a_step_and_as_a_member() -> None:
    scaler = FrozenEstimator(StandardScaler().fit(X))
    chosen = make_column_transformer((FrozenEstimator(StandardScaler().fit(X[["a"]])), ["a"]))
    frozen = FrozenEstimator(FrozenEstimator(LogisticRegression().fit(X, Y)))
    for estimator in (
        frozen,
        make_pipeline(scaler, LogisticRegression()),
        make_pipeline(chosen, LogisticRegression()),
        CalibratedClassifierCV(frozen),
        CalibratedClassifierCV(FrozenEstimator(RandomForestClassifier(4, max_depth=3).fit(X, Y))),
    ):
        assert_answers(estimator.fit(X, Y))


def test_outputs_may_each_have_found_another_kind() -> None:
    """Members of one classifier of several outputs share their columns, whatever each of them is."""
    several = pd.DataFrame({"kind": Y, "high": np.where(X["b"] > 0.3, "high", "low")})
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()),
        {
            "logisticregression": [
                LogisticRegression(),
                RandomForestClassifier(3, max_depth=2, random_state=0),
            ]
        },
        cv=2,
    )
    estimator = MultiOutputClassifier(search).fit(X, several)
    estimator.estimators_[0] = RandomForestClassifier(3, max_depth=2, random_state=0).fit(X, Y)
    estimator.estimators_[1] = make_pipeline(StandardScaler(), GaussianNB()).fit(X, several["high"])
    assert_answers(estimator)


@pytest.mark.parametrize("y", [Y, np.where(Y[0] == Y, 7, 3), np.where(Y[0] == Y, "x", "y")])
@pytest.mark.parametrize("strategy", ["prior", "most_frequent", "constant"])
def test_a_baseline_answers_every_row_alike(strategy: str, y: Any) -> None:
    constant = {"constant": y[0]} if strategy == "constant" else {}
    assert_answers(DummyClassifier(strategy=strategy, **constant).fit(X, y))
    assert_answers(make_pipeline(StandardScaler(), DummyClassifier(strategy=strategy, **constant)).fit(X, y))


@pytest.mark.parametrize("strategy", ["stratified", "uniform"])
def test_a_baseline_that_draws_its_labels_is_refused(strategy: str) -> None:
    with pytest.raises(Unsupported, match="drawn at random; supported are 'prior'"):
        export(DummyClassifier(strategy=strategy).fit(X, Y))


class TestImbalancedLearn:
    """Its pipelines are scikit-learn's without their samplers."""

    def samplers(self) -> list[Any]:
        from imblearn.combine import SMOTETomek
        from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
        from imblearn.under_sampling import NearMiss, RandomUnderSampler, TomekLinks

        return [
            RandomOverSampler(random_state=0),
            SMOTE(random_state=0, k_neighbors=3),
            ADASYN(random_state=0, n_neighbors=3, sampling_strategy="minority"),
            RandomUnderSampler(random_state=0),
            NearMiss(),
            TomekLinks(),
            SMOTETomek(random_state=0, smote=SMOTE(k_neighbors=3)),
        ]

    def test_samplers_do_nothing_to_the_rows_of_a_request(self) -> None:
        from imblearn.pipeline import make_pipeline as resampled

        for sampler in self.samplers():
            assert_answers(resampled(StandardScaler(), sampler, LogisticRegression()).fit(X, Y))

    def test_at_any_depth(self) -> None:
        from imblearn.over_sampling import SMOTE
        from imblearn.pipeline import Pipeline

        def inner() -> Any:
            steps = [("by", SMOTE(random_state=0, k_neighbors=3)), ("last", LogisticRegression())]
            return Pipeline([("scale", StandardScaler()), *steps])

        for estimator in (
            CalibratedClassifierCV(inner(), cv=2),
            GridSearchCV(inner(), {"last__C": [0.1, 1.0]}, cv=2),
            OneVsRestClassifier(inner()),
            MultiOutputClassifier(inner()),
        ):
            several = pd.DataFrame({"kind": Y, "high": np.where(X["b"] > 0.3, "high", "low")})
            assert_answers(estimator.fit(X, several if isinstance(estimator, MultiOutputClassifier) else Y))

    @pytest.mark.parametrize("classes", [2, 3])
    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("BalancedRandomForestClassifier", {"n_estimators": 5}),
            ("BalancedBaggingClassifier", {"n_estimators": 3}),
            ("BalancedBaggingClassifier", {"n_estimators": 3, "estimator": LogisticRegression()}),
            ("BalancedBaggingClassifier", {"n_estimators": 3, "estimator": LinearSVC(), "max_features": 0.7}),
            ("EasyEnsembleClassifier", {"n_estimators": 2}),
            ("RUSBoostClassifier", {"n_estimators": 4}),
            ("RUSBoostClassifier", {"n_estimators": 3, "estimator": LogisticRegression()}),
        ],
    )
    def test_its_ensembles_answer_as_those_of_scikit_learn(
        self, name: str, options: dict[str, Any], classes: int
    ) -> None:
        from imblearn import ensemble

        y = Y if classes == 3 else np.where(X["b"] > 0.3, "high", "low")
        estimator = getattr(ensemble, name)(random_state=0, **options)
        assert_answers(estimator.fit(X, y))
        assert_answers(CalibratedClassifierCV(estimator, cv=2).fit(X, y))

    def test_a_subclass_of_its_ensembles_is_refused(self) -> None:
        from imblearn.ensemble import RUSBoostClassifier

        class Own(RUSBoostClassifier):  # type: ignore[misc]
            pass

        with pytest.raises(Unsupported, match=r"^Own is not supported"):
            export(Own(n_estimators=2).fit(X, Y))

    def test_refusals_name_the_step(self) -> None:
        from imblearn.over_sampling import SMOTE
        from imblearn.pipeline import make_pipeline as resampled

        class Own(LinearSVC):  # type: ignore[misc]
            pass

        estimator = resampled(SMOTE(k_neighbors=3), Own()).fit(X, Y)
        with pytest.raises(Unsupported, match=r"^step 'own' \(Own\) is not supported"):
            export(estimator)


def test_a_regressor_is_told_that_this_classifies() -> None:
    for estimator, place in (
        (LinearRegression(), "LinearRegression"),
        (
            make_pipeline(StandardScaler(), RandomForestRegressor(3)),
            r"step 'randomforestregressor' \(Ran.*\)",
        ),
        (GridSearchCV(LinearRegression(), {}, cv=2), "LinearRegression"),
        (
            make_pipeline(StandardScaler(), GridSearchCV(LinearRegression(), {}, cv=2)),
            r"step 'gridsearchcv' > 'best_estimator_' \(LinearRegression\)",
        ),
    ):
        with pytest.raises(Unsupported, match=f"^{place} is a regressor: .* Thimble classifies; fit"):
            export(estimator.fit(X, X["a"]))


def test_boosters_that_are_regressors_are_told_so_too() -> None:
    for module, name, keys in (
        ("xgboost", "XGBRegressor", {"n_estimators": 2}),
        ("lightgbm", "LGBMRegressor", {"n_estimators": 2, "verbose": -1}),
        ("catboost", "CatBoostRegressor", {"iterations": 2, "verbose": 0, "allow_writing_files": False}),
    ):
        estimator = getattr(pytest.importorskip(module), name)(**keys).fit(X, X["a"])
        with pytest.raises(Unsupported, match=f"^{name} is a regressor: .* Thimble classifies; fit"):
            export(estimator)
