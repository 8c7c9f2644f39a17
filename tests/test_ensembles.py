"""Ensembles of anything that exports: scikit-learn is the oracle, its ties included; a row's bits depend on
nothing but the row."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, ClassVar

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from thimble.errors import InvalidModel
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble_model import Unsupported, export
from thimble_model.catalogue import CLOSE as TOLERANCE
from thimble_model.frames import as_batch, as_table, estimator_input
from thimble_model.scores import scores as scores_of

pytestmark = pytest.mark.filterwarnings("ignore")

Rows = NDArray[np.float64]
Maker = Callable[[], Any]

RNG = np.random.default_rng(17)
X = RNG.normal(size=(90, 3))
OTHERS = RNG.normal(scale=2.0, size=(150, 3))
THREE = np.array(["a", "b", "c"])[np.digitize(X[:, 0] + RNG.normal(scale=0.4, size=90), [-0.5, 0.5])]
TWO = np.where(X[:, 1] + RNG.normal(scale=0.4, size=90) > 0, "yes", "no")
SEVERAL = (X + RNG.normal(scale=0.5, size=(90, 3)) > 0).astype(int)
CODES, OTHER_CODES = (RNG.integers(0, 4, (n, 3)).astype(float) for n in (90, 150))


def forest() -> Any:
    return RandomForestClassifier(3, max_depth=3, random_state=0)


def network() -> Any:
    return MLPClassifier((4,), max_iter=20, random_state=0)


def boosted() -> Any:
    return GradientBoostingClassifier(n_estimators=3, max_depth=2, random_state=0)


def binned() -> Any:
    return HistGradientBoostingClassifier(max_iter=3)


def linear() -> Any:
    return LogisticRegression()


def margin() -> Any:
    return LinearSVC(random_state=0)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def named(*found: Any) -> list[tuple[str, Any]]:
    return [(f"m{i}", one) for i, one in enumerate(found)]


def voting(*found: Any, **keys: Any) -> Any:
    return VotingClassifier(named(*found), **keys)


def stacking(*found: Any, **keys: Any) -> Any:
    return StackingClassifier(named(*found), **{"cv": 2} | keys)


def bagging(one: Any, **keys: Any) -> Any:
    return BaggingClassifier(one, **{"n_estimators": 3, "random_state": 0} | keys)


ENSEMBLES: dict[str, Maker] = {
    "a soft vote of families": lambda: voting(linear(), forest(), network(), boosted(), voting="soft"),
    "a weighted soft vote": lambda: voting(linear(), forest(), network(), voting="soft", weights=[1, 2, 0.3]),
    "a vote without one": lambda: voting(linear(), "drop", forest(), voting="soft", weights=[1, 5, 2]),
    "a soft vote of a linear model": lambda: voting(linear(), voting="soft"),
    "a soft vote of each against all": lambda: voting(OneVsRestClassifier(linear()), voting="soft"),
    "a soft vote of a forest": lambda: voting("drop", forest(), voting="soft"),
    "a soft vote of a stack": lambda: voting(stacking(linear(), margin()), voting="soft"),
    "a soft vote of bags": lambda: voting(bagging(linear()), voting="soft"),
    "a hard vote": lambda: voting(linear(), margin(), forest(), network()),
    "a weighted hard vote": lambda: voting(linear(), margin(), forest(), weights=[0.1, 0.2, 0.3]),
    "a vote of votes": lambda: voting(voting(linear(), forest()), stacking(linear(), forest()), margin()),
    "a stack of families": lambda: stacking(linear(), forest(), network(), margin()),
    "a stack with the features": lambda: stacking(
        linear(), forest(), passthrough=True, final_estimator=boosted()
    ),
    "a stack of labels": lambda: stacking(linear(), forest(), stack_method="predict"),
    "a stack of scores": lambda: stacking(
        margin(), boosted(), stack_method="decision_function", final_estimator=network()
    ),
    "a stack under a vote": lambda: stacking(linear(), forest(), final_estimator=voting(linear(), margin())),
    "bags of features": lambda: bagging(linear(), max_features=0.7),
    "bags without probabilities": lambda: bagging(margin()),
    "bags of networks": lambda: bagging(network()),
    "bags of votes": lambda: bagging(voting(linear(), margin())),
    "boosted linear models": lambda: AdaBoostClassifier(LogisticRegression(C=0.1), n_estimators=4),
    "boosted naive Bayes": lambda: AdaBoostClassifier(GaussianNB(), n_estimators=3),
    "pairs of linear models": lambda: OneVsOneClassifier(linear()),
    "pairs of forests": lambda: OneVsOneClassifier(forest()),
    "pairs of boosters": lambda: OneVsOneClassifier(boosted()),
    "codes by scores": lambda: OutputCodeClassifier(linear(), random_state=1, code_size=2),
    "codes by probabilities": lambda: OutputCodeClassifier(forest(), random_state=1, code_size=3),
    "quadratic": QuadraticDiscriminantAnalysis,
    "linear discriminants": LinearDiscriminantAnalysis,
    "centroids": NearestCentroid,
    "centroids with priors": lambda: NearestCentroid(priors="empirical"),
    "centroids by absolute differences": lambda: NearestCentroid(metric="manhattan"),
    "those with priors": lambda: NearestCentroid(metric="manhattan", priors="empirical"),
    "shrunken centroids": lambda: NearestCentroid(shrink_threshold=0.3),
    "naive Bayes of what is there": lambda: BernoulliNB(binarize=0.3),
    "a calibrated vote": lambda: CalibratedClassifierCV(voting(linear(), forest(), voting="soft"), cv=2),
    "bags calibrated at once": lambda: CalibratedClassifierCV(bagging(linear()), ensemble=False, cv=2),
    "calibrated bags": lambda: CalibratedClassifierCV(bagging(linear()), cv=2, method="isotonic"),
    "calibrated densities": lambda: CalibratedClassifierCV(QuadraticDiscriminantAnalysis(), cv=2),
    "calibrated naive Bayes": lambda: CalibratedClassifierCV(GaussianNB(), cv=2),
    "calibrated networks": lambda: CalibratedClassifierCV(network(), cv=2),
    "each against all, votes": lambda: OneVsRestClassifier(voting(linear(), forest(), voting="soft")),
    "each against all, bags": lambda: OneVsRestClassifier(bagging(linear())),
    "each against all, margins in bags": lambda: OneVsRestClassifier(bagging(margin())),
    "each against all, centroids": lambda: OneVsRestClassifier(NearestCentroid()),
    "each against all, boosted": lambda: OneVsRestClassifier(AdaBoostClassifier(linear(), n_estimators=2)),
    "each against all, thresholds": lambda: OneVsRestClassifier(
        FixedThresholdClassifier(linear(), threshold=0.2)
    ),
    "a search of ensembles": lambda: GridSearchCV(
        voting(linear(), forest(), voting="soft"), {"weights": [[1, 2], [2, 1]]}, cv=2
    ),
}
COUNTED: dict[str, Maker] = {
    "multinomial": MultinomialNB,
    "complement": ComplementNB,
    "complement, normed": lambda: ComplementNB(norm=True),
    "Bernoulli": BernoulliNB,
    "Bernoulli, as it is": lambda: make_pipeline(Binarizer(threshold=1.0), BernoulliNB(binarize=None)),
    "categorical": lambda: CategoricalNB(min_categories=4),
    "boosted multinomial": lambda: AdaBoostClassifier(MultinomialNB(), n_estimators=3),
    "a vote of all": lambda: voting(
        MultinomialNB(), ComplementNB(), BernoulliNB(), CategoricalNB(min_categories=4), voting="soft"
    ),
}


def chained(make: Maker, method: str) -> Maker:
    return lambda: ClassifierChain(make(), order=[2, 0, 1], chain_method=method)


CHAINS: dict[str, Maker] = {
    f"a chain of {kind} by {method}": chained(make, method)
    for kind, make, methods in (
        ("linear models", linear, ("predict", "predict_proba", "predict_log_proba", "decision_function")),
        ("forests", forest, ("predict", "predict_proba")),
        ("margins", margin, ("predict", "decision_function")),
        ("thresholds", lambda: FixedThresholdClassifier(linear(), threshold=0.2), ("predict",)),
        ("votes", lambda: voting(linear(), forest(), voting="soft"), ("predict_proba",)),
    )
    for method in methods
}
CASES = [
    *((name, make, X, y, OTHERS) for name, make in ENSEMBLES.items() for y in (THREE, TWO)),
    *((name, make, CODES, y, OTHER_CODES) for name, make in COUNTED.items() for y in (THREE, TWO)),
    *((name, make, X, SEVERAL, OTHERS) for name, make in CHAINS.items()),
]


def document(estimator: Any, rows: Any) -> Classifier:
    return load(export(estimator, rows))


def labels(classifier: Classifier, rows: Any) -> list[Any]:
    found = classifier.predict(as_batch(classifier.features, rows))
    assert not found.rejected
    (head,), (scores,) = classifier.heads, found.outputs
    return scores.mask.T.tolist() if head.multilabel else [head.classes[k] for k in scores.labels]


def expected(classifier: Classifier, estimator: Any, rows: Any) -> Rows:
    if classifier.heads[0].has_probabilities:
        return np.asarray(estimator.predict_proba(rows), np.float64)
    return scores_of(estimator, rows)


def assert_answers(classifier: Classifier, estimator: Any, rows: Any, tolerance: float = TOLERANCE) -> None:
    (scores,) = classifier.predict(as_batch(classifier.features, rows)).outputs
    given = estimator_input(estimator, rows)
    wanted = expected(classifier, estimator, given)
    sound = np.isfinite(wanted).all(axis=1)  # all rows, but for a one-vs-rest of an older scikit-learn
    assert sound.mean() > 0.5
    allowed = tolerance * np.maximum(1.0, np.abs(wanted)) if tolerance else np.zeros(wanted.shape)
    assert (np.abs(scores.probabilities.T - wanted) <= allowed)[sound].all()
    found = np.array(labels(classifier, rows), object)
    assert found[sound].tolist() == np.asarray(estimator.predict(given), object)[sound].tolist()


def assert_same_bits(classifier: Classifier, rows: Rows) -> None:
    together = classifier.predict(Batch.of(classifier.features, rows.T)).outputs[0]
    order = np.random.default_rng(1).permutation(len(rows))
    shuffled = classifier.predict(Batch.of(classifier.features, rows[order].T)).outputs[0]
    assert shuffled.probabilities.tobytes() == together.probabilities[:, order].tobytes()
    for k in range(0, len(rows), 7):
        alone = classifier.predict(Batch.of(classifier.features, rows[[k]].T)).outputs[0]
        assert alone.probabilities.tobytes() == together.probabilities[:, [k]].tobytes()
        assert alone.labels[0] == together.labels[k]
        assert (alone.mask[:, 0] == together.mask[:, k]).all()


@pytest.mark.parametrize(
    ("name", "make", "rows", "y", "others"), CASES, ids=[f"{c[0]}, {len(np.unique(c[3]))}" for c in CASES]
)
def test_an_ensemble_answers_as_scikit_learn_s_does(
    name: str, make: Maker, rows: Rows, y: Any, others: Rows
) -> None:
    estimator = make().fit(rows, y)
    classifier = document(estimator, rows)
    assert_answers(classifier, estimator, others)
    assert_same_bits(classifier, others[:30])


GRID = np.array([*product([-1.0, 0.0, 1.0], repeat=3)] * 3)
TIES: dict[str, Maker] = {
    "votes": lambda: voting(linear(), DecisionTreeClassifier(max_depth=1), margin(), GaussianNB()),
    "weights that add up to a tie but for rounding": lambda: voting(
        linear(), DecisionTreeClassifier(max_depth=1), margin(), weights=[0.1, 0.2, 0.3]
    ),
    "trees that are sure": lambda: voting(
        *(DecisionTreeClassifier(max_features=1, random_state=k) for k in range(4)), voting="soft"
    ),
    "with weights": lambda: voting(
        *(DecisionTreeClassifier(max_features=1, random_state=k) for k in range(3)),
        voting="soft",
        weights=[0.1, 0.2, 0.3],
    ),
    "bags": lambda: bagging(RidgeClassifier(), n_estimators=4, max_samples=0.2),
    "pairs": lambda: OneVsOneClassifier(DecisionTreeClassifier(max_depth=1)),
    "codes that are alike": lambda: OutputCodeClassifier(RidgeClassifier(), code_size=0.7, random_state=3),
    "centroids": NearestCentroid,
    "labels on top of labels": lambda: stacking(
        linear(), margin(), stack_method="predict", final_estimator=DecisionTreeClassifier(max_depth=1)
    ),
    "categories": lambda: CategoricalNB(min_categories=3),
    "counts": MultinomialNB,
    "what is there": BernoulliNB,
}


@pytest.mark.parametrize("kind", TIES)
def test_ties_go_to_scikit_learn_s_class(kind: str) -> None:
    """On a grid of small whole numbers, whose labels go round: most answers tie somewhere."""
    rows = GRID + 1.0 if kind in ("categories", "counts", "what is there") else GRID
    for n in (2, 3, 4):
        y = np.array(["p", "q", "r", "s"])[np.arange(len(rows)) % n]
        estimator = TIES[kind]().fit(rows, y)
        assert labels(document(estimator, rows), rows) == estimator.predict(rows).tolist()


def test_boosted_members_of_one_weight_tie_where_they_differ() -> None:
    for y in (TWO, THREE):
        estimator = AdaBoostClassifier(GaussianNB(), n_estimators=4).fit(X, y)
        estimator.estimator_weights_[:] = 1.0
        assert labels(document(estimator, X), OTHERS) == estimator.predict(OTHERS).tolist()


class TestThresholds:
    """FixedThresholdClassifier and TunedThresholdClassifierCV."""

    BASES: ClassVar[dict[str, Maker]] = {
        "a linear model": linear,
        "a forest": forest,
        "a booster": boosted,
        "exponential boosting": lambda: GradientBoostingClassifier(n_estimators=3, loss="exponential"),
        "a margin": margin,
        "a network": network,
        "boosted trees": lambda: AdaBoostClassifier(n_estimators=3),
        "bags": lambda: bagging(linear()),
        "densities": QuadraticDiscriminantAnalysis,
        "a vote": lambda: voting(linear(), forest(), voting="soft"),
        "the modified Huber loss": lambda: SGDClassifier(loss="modified_huber", random_state=0),
        "a threshold": lambda: FixedThresholdClassifier(linear(), threshold=0.9),
    }

    @pytest.mark.parametrize("base", BASES)
    @pytest.mark.parametrize("method", ["auto", "predict_proba", "decision_function"])
    def test_decide_as_scikit_learn_does(self, base: str, method: str) -> None:
        if method != "auto" and not hasattr(self.BASES[base]().fit(X, TWO), method):
            pytest.skip("the estimator has no such method")
        for bar, positive in product((0.3, "auto"), (None, "no")):
            estimator = FixedThresholdClassifier(
                self.BASES[base](), threshold=bar, pos_label=positive, response_method=method
            ).fit(X, TWO)
            classifier = document(estimator, X)
            assert_answers(classifier, estimator, OTHERS)
            assert classifier.heads[0].threshold is not None

    @pytest.mark.parametrize("base", BASES)
    def test_what_was_tuned_is_in_the_document(self, base: str) -> None:
        tuned = TunedThresholdClassifierCV(self.BASES[base](), cv=2, scoring="balanced_accuracy").fit(X, TWO)
        classifier = document(tuned, X)
        assert classifier.heads[0].threshold == tuned.best_threshold_
        assert_answers(classifier, tuned, OTHERS)

    def test_a_probability_that_is_the_threshold_reaches_it(self) -> None:
        tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, TWO)
        for bar in np.unique(tree.predict_proba(X)):
            for positive in ("no", "yes"):
                frozen = FixedThresholdClassifier(FrozenEstimator(tree), threshold=bar, pos_label=positive)
                estimator = frozen.fit(X, TWO)
                assert labels(document(estimator, X), X) == estimator.predict(X).tolist()

    def test_of_single_precision_too(self) -> None:
        xgboost = pytest.importorskip("xgboost")
        y = (TWO == "yes").astype(int)
        base = xgboost.XGBClassifier(n_estimators=2, max_depth=1, n_jobs=1).fit(X, y)
        for bar in np.unique(base.predict_proba(X)[:, 1]):
            for value in (float(bar), float(str(bar)), np.float64(str(bar))):
                estimator = FixedThresholdClassifier(FrozenEstimator(base), threshold=value).fit(X, y)
                assert labels(document(estimator, X), X) == estimator.predict(X).tolist()

    def test_stand_anywhere(self) -> None:
        def half() -> Any:
            return FixedThresholdClassifier(linear(), threshold=0.2)

        for estimator in (
            make_pipeline(StandardScaler(), half()),
            voting(half(), forest(), margin()),
            stacking(linear(), forest(), final_estimator=FixedThresholdClassifier(linear(), threshold=0.7)),
            stacking(half(), forest(), stack_method="predict"),
            bagging(half()),
            FrozenEstimator(half().fit(X, TWO)),
            GridSearchCV(half(), {"threshold": [0.2, 0.4]}, cv=2),
        ):
            assert_answers(document(estimator.fit(X, TWO), X), estimator, OTHERS)


def test_labels_may_be_of_any_type_and_of_another_order_in_a_member() -> None:
    for kind in (np.array([30, -2, 7]), np.array([2.0, 0.0, 1.0]), np.array(["z", "y", "x"])):
        y = kind[np.unique(THREE, return_inverse=True)[1]]
        for make in ("a hard vote", "a stack of labels", "boosted naive Bayes", "pairs of forests"):
            estimator = ENSEMBLES[make]().fit(X, y)
            assert_answers(document(estimator, X), estimator, OTHERS)


def test_members_that_were_fitted_before() -> None:
    ready = named(*(one.fit(X, THREE) for one in (linear(), forest(), network())))
    estimator = StackingClassifier(ready, cv="prefit").fit(X, THREE)
    assert_answers(document(estimator, X), estimator, OTHERS)
    frozen = voting(*(FrozenEstimator(one) for _, one in ready), voting="soft").fit(X, THREE)
    assert_answers(document(frozen, X), frozen, OTHERS)


def test_bags_that_lack_a_class() -> None:
    y = THREE.copy()
    y[:2] = "rare"
    for base in (linear(), margin(), forest()):  # in a pipeline, which takes no weights in place of rows
        estimator = bagging(make_pipeline(base), n_estimators=6, max_samples=0.2).fit(X, y)
        assert any(len(one.classes_) < 4 for one in estimator.estimators_)
        assert_answers(document(estimator, X), estimator, OTHERS)


def test_single_precision_stays_what_it_is() -> None:
    xgboost = pytest.importorskip("xgboost")

    def single(depth: int) -> Any:
        return xgboost.XGBClassifier(n_estimators=3, max_depth=depth, n_jobs=1)

    y = np.unique(THREE, return_inverse=True)[1]
    for keys, exact in (({}, True), ({"weights": [2, 1, 0.5]}, False)):
        alike = voting(single(1), single(2), single(3), voting="soft", **keys).fit(X, y)
        assert_answers(document(alike, X), alike, OTHERS, 0.0 if exact else TOLERANCE)
    mixed = voting(single(2), linear(), voting="soft").fit(X, y)
    assert_answers(document(mixed, X), mixed, OTHERS)
    beside = stacking(single(2), linear()).fit(X, y)
    assert_answers(document(beside, X), beside, OTHERS)
    with pytest.raises(Unsupported, match="single precision, and so is what it computes; fit it with pass"):
        export(stacking(single(1), single(2)).fit(X, y), X)
    with pytest.raises(Unsupported, match="single precision, and so is what it computes; fit it with pass"):
        export(stacking(voting(single(1), single(2), voting="soft"), single(2)).fit(X, y), X)


def test_categories_that_a_booster_takes_reach_it_in_an_ensemble() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    kinds = pd.Categorical(RNG.choice(["ant", "bee", "cat"], 90))
    table = pd.DataFrame({"kind": kinds, "x": X[:, 0]})

    def by_category() -> Any:
        return lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1, min_child_samples=2)

    coded = make_pipeline(make_column_transformer((OneHotEncoder(), ["kind"])), linear())
    for estimator in (
        voting(by_category(), coded, voting="soft"),
        stacking(coded, by_category()),
        FixedThresholdClassifier(by_category(), threshold=0.3),
    ):
        estimator.fit(table, TWO)
        classifier = document(estimator, table)
        assert classifier.features[0].type == "text"
        assert_answers(classifier, estimator, table)


class TestMissingValues:
    def test_go_to_the_members_that_take_them(self) -> None:
        rows = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
        filled = make_pipeline(SimpleImputer(), linear())
        for estimator in (
            voting(binned(), filled, forest(), voting="soft"),
            stacking(binned(), filled),
            stacking(filled, binned(), final_estimator=binned(), passthrough=True),
            bagging(filled),
            OneVsOneClassifier(binned()),
        ):
            assert_answers(document(estimator.fit(rows, THREE), rows), estimator, rows)

    def test_that_one_member_refuses_reject_the_row(self) -> None:
        estimator = voting(binned(), linear(), voting="soft").fit(X, THREE)
        classifier = document(estimator, X)
        assert [feature.missing for feature in classifier.features] == [False] * 3

    def test_a_row_too_large_for_a_forest_is_no_missing_value_to_what_follows(self) -> None:
        estimator = stacking(forest(), linear(), final_estimator=binned()).fit(X, THREE)
        classifier = document(estimator, X)
        found = classifier.predict(Batch.of(classifier.features, [[1e300, 0.1], [0.1, 0.1], [0.1, 0.1]]))
        assert dict(found.rejected) == {0: "the values are too large for the model"}

    def test_outputs_of_several_kinds_each_take_their_own(self) -> None:
        rows = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
        y = np.column_stack([TWO, THREE])
        estimator = MultiOutputClassifier(binned()).fit(rows, y)
        estimator.estimators_[1] = make_pipeline(SimpleImputer(), linear()).fit(rows, THREE)
        classifier = load(export(estimator, rows))
        found = classifier.predict(as_batch(classifier.features, rows))
        assert not found.rejected
        for k, one in enumerate(estimator.estimators_):
            assert [classifier.heads[k].classes[i] for i in found.outputs[k].labels] == one.predict(
                rows
            ).tolist()


def test_naive_bayes_over_texts_and_categories() -> None:
    table = pd.DataFrame({"kind": RNG.choice(np.array(["ant", "bee", "cat"], object), 90), "n": CODES[:, 0]})
    for estimator in (
        make_pipeline(OrdinalEncoder(), CategoricalNB()),
        make_pipeline(OneHotEncoder(handle_unknown="ignore"), MultinomialNB()),
        make_pipeline(OneHotEncoder(), ComplementNB()),
        make_pipeline(OneHotEncoder(handle_unknown="ignore"), BernoulliNB()),
    ):
        classifier = document(estimator.fit(table, THREE), table)
        assert_answers(classifier, estimator, table)


WORDS = np.array([f"{k}" for k in range(1500)])
TEXTS = [" ".join(RNG.choice(WORDS[k % 3 * 400 : k % 3 * 400 + 700], 30)) for k in range(90)]


def by_weights() -> Any:
    return make_pipeline(TfidfVectorizer(), linear())


BY_TEXT = np.array(["a", "b", "c"])[np.arange(90) % 3]


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(CountVectorizer(), MultinomialNB()),
        make_pipeline(TfidfVectorizer(), ComplementNB()),
        make_pipeline(CountVectorizer(), BernoulliNB()),
        make_pipeline(TfidfVectorizer(), BernoulliNB()),
        make_pipeline(TfidfVectorizer(), voting(linear(), MultinomialNB(), voting="soft")),
        voting(make_pipeline(CountVectorizer(), margin()), make_pipeline(TfidfVectorizer(), MultinomialNB())),
        stacking(
            make_pipeline(CountVectorizer(), MultinomialNB()), make_pipeline(TfidfVectorizer(), linear())
        ),
        make_pipeline(TfidfVectorizer(), OneVsOneClassifier(margin())),
        make_pipeline(TfidfVectorizer(), AdaBoostClassifier(MultinomialNB(), n_estimators=2)),
    ],
    ids=lambda one: " ".join(str(one).split())[:70],
)
def test_over_more_terms_than_could_be_columns(estimator: Any) -> None:
    estimator.fit(TEXTS, BY_TEXT)
    classifier = document(estimator, TEXTS)
    assert_answers(classifier, estimator, as_table(estimator, TEXTS))


def test_a_category_that_was_not_counted_is_rejected() -> None:
    classifier = document(CategoricalNB().fit(CODES, THREE), CODES)
    found = classifier.predict(Batch.of(classifier.features, [[4.0, -1.0, 1.9], [0.0] * 3, [0.0] * 3]))
    assert sorted(found.rejected) == [0, 1]  # 1.9 is 1, as it is to scikit-learn
    assert "is not a category that the model knows (0, 1, 2, 3)" in found.rejected[0]


def test_refusals_name_the_member() -> None:
    class Own(Perceptron):  # type: ignore[misc]
        pass

    estimator = make_pipeline(StandardScaler(), voting(linear(), stacking(linear(), Own()))).fit(X, TWO)
    with pytest.raises(Unsupported, match=r"^step 'votingclassifier' > 'm1' > 'm1' \(Own\) is not supported"):
        export(estimator, X)


STEP = {"op": "classify", "columns": [0], "gives": ["label"]}
INNER = {"classes": ["a", "b"], "out_activation": "logistic", "coefs": [[[1.0]]], "intercepts": [[0.0]]}
LINE = {"op": "interpolate", "columns": [0], "x": [[0, 1]], "y": [[0, 1]]}
HOSTILE: list[tuple[dict[str, Any], str]] = [
    (STEP, "preprocessing.steps[0].classifier is missing"),
    (STEP | {"classifier": 3}, "preprocessing.steps[0].classifier is not an object"),
    (STEP | {"classifier": INNER, "columns": [0, 0]}, "preprocessing.steps[0].columns has 2 entries; 1 are"),
    (STEP | {"classifier": INNER, "columns": [7]}, "preprocessing.steps[0].columns[0] is 7; there are"),
    (STEP | {"classifier": INNER, "gives": []}, "preprocessing.steps[0].gives is empty"),
    (STEP | {"classifier": INNER, "gives": ["odds"]}, "preprocessing.steps[0].gives[0] is not one of label"),
    (STEP | {"classifier": INNER, "gives": ["label"] * 2}, 'preprocessing.steps[0].gives[1] repeats "label"'),
    (
        STEP | {"classifier": INNER | {"name": "x"}},
        'preprocessing.steps[0].classifier."name" is not a key',
    ),
    (
        STEP | {"classifier": INNER | {"outputs": []}},
        'preprocessing.steps[0].classifier."outputs" is not a key',
    ),
    (STEP | {"classifier": INNER | {"classes": ["a"]}}, "preprocessing.steps[0].classifier.classes has one"),
    (
        STEP | {"classifier": INNER | {"coefs": [[[None]]]}},
        "preprocessing.steps[0].classifier.coefs[0][0][0] is not a number",
    ),
    ({"op": "sum", "columns": [0, 0], "size": 0}, "preprocessing.steps[0].size is 0; it is from 1 to"),
    ({"op": "sum", "columns": [0, 0, 0], "size": 2}, "preprocessing.steps[0].columns has 3 entries, not"),
    ({"op": "sum", "columns": [0], "size": 10**9}, "preprocessing.steps[0].size is 1000000000; it is from"),
    ({"op": "sum", "columns": [0], "size": 1, "divide": 0}, "preprocessing.steps[0].divide is 0; it is ab"),
    ({"op": "sum", "columns": [0], "size": 1, "weights": [1, 2]}, "preprocessing.steps[0].weights has 2 en"),
    ({"op": "sum", "columns": [0], "size": 1, "sum_type": "float16"}, "preprocessing.steps[0].sum_type is"),
    (LINE | {"input_type": "float16"}, 'preprocessing.steps[0].input_type is "float16"; use one of float64,'),
    (LINE | {"input_type": None}, "preprocessing.steps[0].input_type is null; use one of float64, float32"),
    (
        LINE | {"x": [[-1e39, 0]], "input_type": "float32"},
        "preprocessing.steps[0].x[0][0] is -1e+39, too large for float32",
    ),
    (
        LINE | {"y": [[0, 1e39]], "input_type": "float32"},
        "preprocessing.steps[0].y[0][1] is 1e+39, too large for float32",
    ),
    ({"op": "votes", "columns": [0], "choices": 0, "weights": [1]}, "preprocessing.steps[0].choices is 0"),
    ({"op": "votes", "columns": [0], "choices": 20_000, "weights": []}, "preprocessing.steps[0].weights is"),
    (
        {"op": "votes", "columns": [0] * 300, "choices": 20_000, "weights": [1] * 300},
        "preprocessing.steps[0]",
    ),
    ({"op": "quotient", "left": [0], "right": [0, 0]}, "preprocessing.steps[0].right has 2 entries; 1 are"),
]


@pytest.mark.parametrize(("step", "sentence"), HOSTILE)
def test_a_hostile_step_is_refused_with_its_path(step: dict[str, Any], sentence: str) -> None:
    program = {"types": ["number"], "missing": [], "steps": [step], "outputs": [0]}
    with pytest.raises(InvalidModel) as raised:
        load(orjson.dumps(INNER | {"preprocessing": program}))
    assert str(raised.value).startswith(sentence)


leaves = st.sampled_from([linear, forest, network, boosted, GaussianNB, QuadraticDiscriminantAnalysis])


def nests(inner: st.SearchStrategy[Maker]) -> st.SearchStrategy[Maker]:
    """An ensemble or a wrapper around others."""

    def of_two(make: Callable[[Any, Any], Any]) -> st.SearchStrategy[Maker]:
        return st.tuples(inner, inner).map(lambda pair: lambda: make(pair[0](), pair[1]()))

    def of_one(make: Callable[[Any], Any]) -> st.SearchStrategy[Maker]:
        return inner.map(lambda one: lambda: make(one()))

    return st.one_of(
        of_two(lambda a, b: voting(a, b, voting="soft")),
        of_two(lambda a, b: voting(a, b, linear(), weights=[1, 2, 2])),
        of_two(lambda a, b: stacking(a, b, linear())),
        of_two(lambda a, b: stacking(a, b, linear(), passthrough=True, final_estimator=forest())),
        of_one(lambda a: bagging(a, n_estimators=2)),
        of_one(lambda a: OneVsRestClassifier(a)),
        of_one(lambda a: make_pipeline(StandardScaler(), a)),
        of_one(lambda a: make_pipeline(MinMaxScaler(), FrozenEstimator(a))),
        of_one(lambda a: FixedThresholdClassifier(a, threshold=0.4, pos_label="no")),
        of_one(lambda a: CalibratedClassifierCV(a, cv=2)),
        of_one(lambda a: OneVsOneClassifier(a)),
    )


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(make=nests(st.one_of(leaves, nests(leaves))), classes=st.sampled_from([2, 3]))
def test_nests_of_everything_answer_as_scikit_learn_s_do(make: Maker, classes: int) -> None:
    y = TWO if classes == 2 else THREE
    try:
        estimator = make().fit(X, y)
        estimator.predict(OTHERS)
    except (ValueError, AttributeError, TypeError):
        return  # scikit-learn does not put these together
    classifier = load(export(estimator, X))
    assert_answers(classifier, estimator, OTHERS[:60])
    assert_same_bits(classifier, OTHERS[:30])
