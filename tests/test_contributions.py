"""What features contribute to a score: laid beside shap and scikit-learn's own coefficients."""

from __future__ import annotations

import gc
import warnings
import weakref
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)
from sklearn.svm import LinearSVC

from thimble.errors import InvalidModel
from thimble.inference.asked import Asked
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.explain import back, contributions
from thimble.inference.explain.contributions import Contributions
from thimble_model.exporter import export

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its plots use what matplotlib will remove
    import shap

FloatArray = NDArray[np.float64]

X, Y = load_iris(return_X_y=True)
TWO = Y > 0
LINEAR: list[Any] = [
    LogisticRegression(max_iter=1000),
    OneVsRestClassifier(LogisticRegression()),
    SGDClassifier(random_state=0),
    SGDClassifier(loss="modified_huber", random_state=0),
    RidgeClassifier(),
    LinearSVC(),
    LinearDiscriminantAnalysis(),
    GaussianNB(),
    MultinomialNB(),
    ComplementNB(),
    BernoulliNB(binarize=2.0),
    CategoricalNB(min_categories=10),
    NearestCentroid(),
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(StandardScaler(), PCA(3), StandardScaler(), LogisticRegression()),
    make_pipeline(PolynomialFeatures(3), StandardScaler(), LogisticRegression(max_iter=2000)),
    make_pipeline(SplineTransformer(), LogisticRegression()),
    make_pipeline(Normalizer(), LogisticRegression()),
    make_pipeline(KBinsDiscretizer(4, strategy="uniform", quantile_method="linear"), LogisticRegression()),
    make_pipeline(
        FunctionTransformer(np.log1p), KBinsDiscretizer(3, strategy="uniform"), LogisticRegression()
    ),
    make_pipeline(
        PowerTransformer(), QuantileTransformer(n_quantiles=20), MinMaxScaler(), LogisticRegression()
    ),
]


def exported(estimator: Any, X: Any, y: Any, **keys: Any) -> Classifier:
    return load(export(estimator.fit(X, y), X, y, **keys))


def explained(classifier: Classifier, batch: Batch, of: str = "") -> Contributions:
    (found,) = contributions.of(classifier.document, batch, classifier.predict(batch), of)
    return found


def batch_of(X: Any) -> Batch:
    return Batch(np.ascontiguousarray(np.asarray(X, np.float64).T), {})


def require_sum(found: Contributions) -> None:
    error = np.abs(found.base + found.features.sum(axis=0) - found.score)
    assert (error <= 1e-9 * np.maximum(1.0, np.abs(found.score))).all()


def raw(classifier: Classifier, batch: Batch, classes: NDArray[np.intp]) -> FloatArray:
    """The scores that the classifier's own head makes probabilities of."""
    head, scorer = classifier.document.outputs[0]
    inputs, _, _ = classifier._inputs(batch)
    scores = scorer.scores(inputs)[:, : batch.rows] / head.temperature
    return np.where(classes == 0, -1, 1) * scores[0] if head.binary else scores[classes, range(batch.rows)]


@pytest.mark.parametrize("estimator", LINEAR, ids=str)
@pytest.mark.parametrize("y", [Y, TWO], ids=["three", "two"])
def test_base_and_contributions_are_the_score(estimator: Any, y: Any) -> None:
    classifier = exported(estimator, np.abs(X), y)
    assert contributions.refusal(classifier.document) == ""
    batch = batch_of(X)
    found = explained(classifier, batch)
    require_sum(found)
    assert found.classes.tolist() == classifier.predict(batch).outputs[0].labels.tolist()
    np.testing.assert_array_equal(found.score, raw(classifier, batch, found.classes))


@pytest.mark.parametrize("estimator", LINEAR, ids=str)
def test_a_row_alone_and_in_a_file_gets_the_same_contributions(estimator: Any) -> None:
    classifier, many = exported(estimator, X, Y), batch_of(np.tile(X, (40, 1)))
    together = explained(classifier, many)
    for i in (0, 1, 77, 5_003):
        alone = explained(classifier, many.take(slice(i, i + 1)))
        for one, among in zip(alone[:4], together[:4], strict=True):
            assert one[..., 0].tobytes() == np.ascontiguousarray(among[..., i]).tobytes()


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("y", [Y, TWO], ids=["three", "two"])
def test_linear_models_are_explained_as_shap_does(y: Any, scaled: bool) -> None:
    model = LogisticRegression(max_iter=2000)
    estimator = make_pipeline(StandardScaler(), model) if scaled else model
    classifier = exported(estimator, X, y)
    Z = estimator[0].transform(X) if scaled else X
    explainer = shap.LinearExplainer(model, shap.maskers.Independent(Z, max_samples=len(Z)))
    values = explainer(Z)
    for k, text in enumerate(classifier.heads[0].texts):
        found = explained(classifier, batch_of(X), text)
        if y is Y:
            expected, base = values.values[..., k], values.base_values[..., k]
        else:
            sign = -1.0 if k == 0 else 1.0
            expected, base = sign * values.values, sign * values.base_values
        np.testing.assert_allclose(found.features.T, expected, atol=1e-9)
        np.testing.assert_allclose(found.base, base, atol=1e-9)


@given(st.data())
def test_principal_components_are_taken_through(data: st.DataObject) -> None:
    """A second computation: the product of the coefficients of all steps."""
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    n = data.draw(st.integers(2, 8))
    rows = rng.normal(size=(60, n)) * rng.uniform(0.1, 100, n)
    y = rng.integers(0, data.draw(st.integers(2, 4)), 60)
    pca = PCA(data.draw(st.integers(1, n)), whiten=data.draw(st.booleans()))
    estimator = make_pipeline(StandardScaler(), pca, StandardScaler(), LogisticRegression())
    classifier = exported(estimator, rows, y)
    first, _, second, model = (step for _, step in estimator.steps)
    turned = pca.components_.T / (np.sqrt(pca.explained_variance_) if pca.whiten else 1.0)
    coefs = (turned / second.scale_) @ model.coef_.T / first.scale_[:, np.newaxis]
    found = explained(classifier, batch_of(rows))
    if len(model.classes_) == 2:
        weights = np.where(found.classes == 0, -coefs, coefs)
    else:
        weights = coefs[:, found.classes]
    np.testing.assert_allclose(found.features, weights * (rows - rows.mean(axis=0)).T, atol=1e-8)
    require_sum(found)


def test_gaussian_naive_bayes_is_its_densities() -> None:
    model = GaussianNB()
    classifier = exported(model, X, Y)
    found = explained(classifier, batch_of(X))
    theta, var = model.theta_[found.classes], model.var_[found.classes]
    logs = -0.5 * (X - theta) ** 2 / var
    means = np.array(
        [(-0.5 * (X - model.theta_[k]) ** 2 / model.var_[k]).mean(axis=0) for k in found.classes]
    )
    np.testing.assert_allclose(found.features.T, logs - means, rtol=1e-9, atol=1e-9)


def people(n: int = 200) -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "island": rng.choice(["a", "b", "c"], n),
            "mass": np.where(rng.random(n) < 0.1, np.nan, rng.normal(4000, 300, n)),
            "sex": rng.choice(["f", "m"], n),
            "idle": rng.normal(size=n),
        }
    )
    y = (table["island"] == "a").to_numpy(np.intp) + (table["mass"].fillna(0) > 4100).to_numpy(np.intp)
    return table, y


def of_people() -> Any:
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    prepared = make_column_transformer((OneHotEncoder(), ["island", "sex"]), (numbers, ["mass"]))
    return make_pipeline(prepared, LogisticRegression(max_iter=500))


def test_what_was_made_of_a_feature_goes_back_to_it() -> None:
    table, y = people()
    estimator = of_people()
    classifier = exported(estimator, table, y)
    batch = Batch.of(classifier.features, [table[name].tolist() for name in table])
    found = explained(classifier, batch)
    require_sum(found)
    Z = estimator[0].transform(table)
    beyond = (Z - Z.mean(axis=0)) * estimator[1].coef_[found.classes]
    names = [name.split("__")[1] for name in estimator[0].get_feature_names_out()]
    for k, feature in enumerate(table):
        mine = [
            i for i, name in enumerate(names) if name.removeprefix("missingindicator_").startswith(feature)
        ]
        np.testing.assert_allclose(found.features[k], beyond[:, mine].sum(axis=1), atol=1e-9)
    assert not found.features[3].any()


def test_a_step_that_only_checks_its_numbers_moves_no_contribution() -> None:
    bins = make_pipeline(FunctionTransformer(np.tanh), KBinsDiscretizer(3, strategy="uniform"))
    columns = make_column_transformer((bins, [3, 1]), (StandardScaler(), [0, 2]), sparse_threshold=0)
    estimator = make_pipeline(columns, LogisticRegression())
    classifier = exported(estimator, X, TWO)
    found = explained(classifier, batch_of(X), "true")
    Z = columns.transform(X)
    beyond = (Z - Z.mean(axis=0)) * estimator[-1].coef_
    places = [6, slice(3, 6), 7, slice(0, 3)]  # of what is made of each feature
    sums = [beyond[:, place].reshape(len(X), -1).sum(axis=1) for place in places]
    np.testing.assert_allclose(found.features, sums, atol=1e-9)


def test_a_product_is_shared_in_equal_parts() -> None:
    estimator = make_pipeline(
        PolynomialFeatures(2, interaction_only=True, include_bias=False), LogisticRegression()
    )
    rows = X[:, :2]
    classifier = exported(estimator, rows, TWO)
    found = explained(classifier, batch_of(rows), "true")
    Z = estimator[0].transform(rows)
    beyond = (Z - Z.mean(axis=0)) * estimator[1].coef_
    np.testing.assert_allclose(found.features.T, beyond[:, :2] + beyond[:, 2:] / 2, atol=1e-9)


def test_what_only_depends_on_whether_values_are_missing_is_shared_by_them() -> None:
    """A sum without weights is missing where one of its columns is; that is marked, and weighed."""
    steps = [
        {"op": "linear", "columns": [0, 1], "coefs": [[0.0], [0.0]], "intercepts": [1.0]},
        {"op": "encode", "column": 2, "categories": [None], "codes": [1.0], "unknown": 0.0},
    ]
    program = {"types": ["number", "number"], "missing": [0, 1], "steps": steps, "outputs": [3]}
    raw = {
        "format": "thimble",
        "format_version": 1,
        "preprocessing": program,
        "means": [None, None, None, 0.25],
    }
    raw |= {
        "classes": ["no", "yes"],
        "coefs": [[[2.0]]],
        "intercepts": [[-1.0]],
        "out_activation": "logistic",
    }
    classifier = load(orjson.dumps(raw))
    assert contributions.refusal(classifier.document) == ""
    found = explained(classifier, batch_of([[1.0, 2.0], [np.nan, 2.0], [1.0, np.nan]]), "yes")
    require_sum(found)
    assert found.score.tolist() == [-1.0, 1.0, 1.0]
    assert found.features.tolist() == [[-0.25, 0.75, 0.75]] * 2


def test_each_output_of_several_is_explained() -> None:
    classifier = exported(MultiOutputClassifier(LogisticRegression(max_iter=500)), X, np.c_[Y, TWO])
    batch = batch_of(X)
    found = contributions.of(classifier.document, batch, classifier.predict(batch), "2")
    assert [set(one.classes.tolist()) for one in found] == [{2}, {0, 1}]
    for one in found:
        require_sum(one)


def document(estimator: Any, X: Any = X, y: Any = Y, data: bool = True) -> Any:
    return load(export(estimator.fit(X, y), X if data else None)).document


@pytest.mark.parametrize(
    ("estimator", "told"),
    [
        (MLPClassifier((3,), max_iter=20), "hidden layers"),
        (QuadraticDiscriminantAnalysis(), "mixture of several features (step 'function')"),
        (make_pipeline(PCA(2), PolynomialFeatures(2), LogisticRegression()), "(step 'product')"),
        (make_pipeline(PCA(2), GaussianNB()), "(step 'function')"),
        (CalibratedClassifierCV(LogisticRegression(max_iter=500)), "mixture of several features"),
        (CalibratedClassifierCV(LogisticRegression(max_iter=500), ensemble=False), "(step 'normalize')"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_what_is_no_sum_is_refused_in_a_sentence(estimator: Any, told: str) -> None:
    assert told in contributions.refusal(document(estimator))


def test_a_document_without_means_says_so() -> None:
    assert (
        contributions.refusal(document(LogisticRegression(max_iter=500), data=False))
        == contributions.NO_MEANS
    )


def test_a_class_that_the_model_lacks_is_refused() -> None:
    found = document(LogisticRegression(max_iter=500))
    assert contributions.refusal(found, "2") == ""
    assert "none of the model's classes" in contributions.refusal(found, "3")


@pytest.mark.parametrize(
    ("means", "told"),
    [
        ([1.0], "means has 1 entries; 4 are needed"),
        ([1, 2, 3, "4"], "means[3] is not a number"),
        ({}, "means is not"),
    ],
)
def test_means_that_do_not_fit_are_refused(means: Any, told: str) -> None:
    raw = orjson.loads(export(LogisticRegression(max_iter=500).fit(X, Y), X))
    with pytest.raises(InvalidModel, match=told.replace("[", r"\[")):
        load(orjson.dumps(raw | {"means": means}))


def test_networks_with_hidden_layers_keep_no_means() -> None:
    model = MLPClassifier((3,), max_iter=2000, random_state=0, tol=1e-2).fit(X, Y)
    assert b'"means"' not in export(model, X)


def scaled(model: Any) -> Any:
    return make_pipeline(StandardScaler(), model)


ALONE: list[Any] = [
    LogisticRegression(max_iter=500),
    LinearSVC(),
    scaled(RidgeClassifier()),
    GradientBoostingClassifier(n_estimators=5, random_state=0),
    HistGradientBoostingClassifier(max_iter=5),
]


@pytest.mark.parametrize("method", ["sigmoid", "temperature"])
@pytest.mark.parametrize("model", ALONE, ids=str)
def test_a_calibration_by_one_curve_multiplies_what_each_feature_adds(model: Any, method: str) -> None:
    calibrated = CalibratedClassifierCV(model, method=method, ensemble=False)
    plain, classifier = exported(clone(model), X, TWO), exported(calibrated, X, TWO)
    curve = calibrated.calibrated_classifiers_[0].calibrators[0]
    times, added = (-curve.a_, -curve.b_) if method == "sigmoid" else (2 * curve.beta_, 0.0)
    batch = batch_of(X)
    for of, sign in (("true", 1.0), ("false", -1.0)):
        found, before = explained(classifier, batch, of), explained(plain, batch, of)
        require_sum(found)
        np.testing.assert_allclose(found.features, times * before.features, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.base, times * before.base + sign * added, rtol=1e-9, atol=1e-9)
        likely = calibrated.predict_proba(X)[:, int(sign > 0)]
        np.testing.assert_allclose(expit(found.score), likely, atol=1e-12)


@pytest.mark.parametrize("scaling", [False, True])
def test_calibrated_linear_models_are_explained_as_shap_does(scaling: bool) -> None:
    svc = LinearSVC()
    calibrated = CalibratedClassifierCV(scaled(svc) if scaling else svc, ensemble=False)
    classifier = exported(calibrated, X, TWO)
    (member,) = calibrated.calibrated_classifiers_
    Z = member.estimator[0].transform(X) if scaling else X
    model = member.estimator[1] if scaling else member.estimator
    values = shap.LinearExplainer(model, shap.maskers.Independent(Z, max_samples=len(Z)))(Z)
    found, a = explained(classifier, batch_of(X), "true"), member.calibrators[0].a_
    np.testing.assert_allclose(found.features.T, -a * values.values, atol=1e-9)
    np.testing.assert_allclose(found.base, -a * values.base_values - member.calibrators[0].b_, atol=1e-9)


@pytest.mark.parametrize(
    ("estimator", "told"),
    [
        (CalibratedClassifierCV(LinearSVC(), cv=2), "(step 'function')"),
        (CalibratedClassifierCV(LinearSVC(), method="isotonic", ensemble=False), "(step 'interpolate')"),
        (CalibratedClassifierCV(GaussianNB(), ensemble=False), "(step 'classify')"),
    ],
    ids=str,
)
def test_a_calibration_that_is_no_sum_is_refused(estimator: Any, told: str) -> None:
    """The mean of two curves, a curve of other shape, a curve of a probability."""
    assert told in contributions.refusal(document(estimator, y=TWO))


@pytest.mark.parametrize("y", [Y, TWO], ids=["three", "two"])
@pytest.mark.parametrize("model", [LogisticRegression(max_iter=500), GaussianNB(), *ALONE[-2:]], ids=str)
def test_a_soft_vote_of_one_is_explained_as_that_one(model: Any, y: Any) -> None:
    vote = exported(VotingClassifier([("one", model)], voting="soft"), X, y)
    alone = exported(clone(model), X, y)
    for one, other in zip(explained(vote, batch_of(X))[:4], explained(alone, batch_of(X))[:4], strict=True):
        np.testing.assert_array_equal(one, other)


GROWN: list[Any] = [
    RandomForestClassifier(10, random_state=0),
    GradientBoostingClassifier(n_estimators=10, random_state=0),
    HistGradientBoostingClassifier(max_iter=10),
    make_pipeline(StandardScaler(), ExtraTreesClassifier(10, random_state=0)),
    make_pipeline(PCA(3), RandomForestClassifier(10, random_state=0)),
    VotingClassifier(
        [
            ("a", RandomForestClassifier(5, random_state=0)),
            ("b", ExtraTreesClassifier(5, random_state=0)),
        ],
        voting="soft",
        weights=[2, 1],
    ),
]


@pytest.mark.parametrize("estimator", GROWN, ids=str)
@pytest.mark.parametrize("y", [Y, TWO], ids=["three", "two"])
def test_trees_add_up_in_the_features_too(estimator: Any, y: Any) -> None:
    classifier = exported(estimator, X, y)
    assert contributions.refusal(classifier.document) == ""
    batch = batch_of(X)
    for of in ("", *classifier.heads[0].texts):
        found = explained(classifier, batch, of)
        require_sum(found)
        np.testing.assert_array_equal(found.score, raw(classifier, batch, found.classes))
    alone = explained(classifier, batch.take(slice(77, 78)))
    assert alone.features[:, 0].tobytes() == explained(classifier, batch).features[:, 77].tobytes()


def test_trees_over_categories_are_explained_as_shap_does() -> None:
    """One-hot columns go back to their category, as the sum of shap's."""
    table, y = people()
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    prepared = make_column_transformer((OneHotEncoder(), ["island", "sex"]), (numbers, ["mass"]))
    forest = RandomForestClassifier(10, random_state=0)
    estimator = make_pipeline(prepared, forest)
    classifier = exported(estimator, table, y)
    batch = Batch.of(classifier.features, [table[name].tolist() for name in table])
    values = shap.TreeExplainer(forest)(estimator[0].transform(table), check_additivity=False).values
    for k, of in enumerate(classifier.heads[0].texts):
        found = explained(classifier, batch, of)
        require_sum(found)
        expected = [values[:, :3, k].sum(axis=1), values[:, 5, k], values[:, 3:5, k].sum(axis=1)]
        np.testing.assert_allclose(found.features[:3], expected, atol=1e-9)


def test_principal_components_before_trees_are_shared_in_equal_parts() -> None:
    estimator = make_pipeline(PCA(2), RandomForestClassifier(5, random_state=0))
    classifier = exported(estimator, X, Y)
    found = explained(classifier, batch_of(X))
    assert all((found.features == found.features[0]).all(axis=0))


def test_how_a_model_is_explained_is_found_once_and_goes_with_it() -> None:
    def plan(classifier: Classifier) -> back.Plan:
        return back.plan(classifier.document, classifier.document.outputs[0])

    one, *others = (  # more than any fixed number of models that would be kept
        exported(make_pipeline(StandardScaler(), LogisticRegression(C=0.1 * k)), X, Y) for k in range(1, 7)
    )
    first = plan(one)
    assert plan(one.asking(Asked(abstain_below=0.9, explain=1))) is first
    assert plan(others[0]).columns.weights.tobytes() != first.columns.weights.tobytes()
    assert len({id(found) for found in [first, *map(plan, others)]}) == 6
    assert plan(one) is first
    gone = weakref.ref(plan(others.pop()).columns.weights)
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    "scorer", [LogisticRegression(max_iter=500), RandomForestClassifier(5, random_state=0)]
)
def test_an_explanation_leaves_the_next_one_as_it_is(scorer: Any) -> None:
    table, y = people()
    estimator = make_pipeline(of_people()[0], scorer)
    batch = Batch.of(exported(estimator, table, y).features, [table[name].tolist() for name in table])
    asked, fresh = exported(estimator, table, y), exported(estimator, table, y)
    for of in ("", *asked.heads[0].texts):
        explained(asked, batch, of)
    for one, other in zip(explained(asked, batch)[:4], explained(fresh, batch)[:4], strict=True):
        assert one.tobytes() == other.tobytes()
