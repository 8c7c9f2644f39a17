"""The smallest change of one feature that gives another label: sent, it does; and nothing smaller does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, SplineTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from thimble.errors import InvalidInput
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.explain import what_if
from thimble.inference.explain.what_if import Change
from thimble_model.exporter import export

X, Y = load_iris(return_X_y=True)


def exported(estimator: Any, X: Any = X, y: Any = Y) -> Classifier:
    return load(export(estimator.fit(X, y), X, y))


def batch_of(X: Any) -> Batch:
    return Batch(np.array(X, np.float64).T.copy(), {})


def changes(classifier: Classifier, batch: Batch) -> list[Change | None]:
    (found,) = what_if.of(classifier, batch, classifier.predict(batch))
    return found


def sent(classifier: Classifier, batch: Batch, row: int, change: Change) -> int:
    """The label of the row with this change, by itself."""
    alone = batch.take(np.arange(batch.rows) == row)
    if change.feature in alone.texts:
        alone.texts[change.feature][0] = change.to
    else:
        alone.numbers[change.feature, 0] = change.to
    predictions = classifier.predict(alone)
    assert not predictions.rejected
    return int(predictions.outputs[0].labels[0])


def require_flips(classifier: Classifier, batch: Batch) -> list[Change | None]:
    found, own = changes(classifier, batch), classifier.predict(batch).outputs[0].labels
    for row, change in enumerate(found):
        if change is not None:
            assert sent(classifier, batch, row, change) == change.label != own[row]
    return found


CALIBRATED = [
    CalibratedClassifierCV(LogisticRegression(max_iter=1000), ensemble=False),
    CalibratedClassifierCV(HistGradientBoostingClassifier(max_iter=10), ensemble=False),
]
MODELS: list[Any] = [
    LogisticRegression(max_iter=1000),
    GaussianNB(),
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(SplineTransformer(), LogisticRegression()),
    make_pipeline(KBinsDiscretizer(4, strategy="uniform", quantile_method="linear"), LogisticRegression()),
    DecisionTreeClassifier(random_state=0),
    RandomForestClassifier(10, random_state=0),
    HistGradientBoostingClassifier(max_iter=10),
    make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)),
]


@pytest.mark.parametrize("estimator", MODELS, ids=str)
@pytest.mark.parametrize("y", [Y, Y > 0], ids=["three", "two"])
def test_every_change_gives_the_label_it_says(estimator: Any, y: Any) -> None:
    classifier = exported(estimator, X, y)
    batch = batch_of(X[::7])
    found = require_flips(classifier, batch)
    assert any(found)
    for change in found:
        if change is not None:
            column = X[:, change.feature]
            assert column.min() <= float(change.to) <= column.max()


@pytest.mark.parametrize("estimator", MODELS, ids=str)
def test_a_number_one_step_nearer_keeps_the_label(estimator: Any) -> None:
    classifier = exported(estimator)
    batch = batch_of(X[::7])
    own = classifier.predict(batch).outputs[0].labels
    for row, change in enumerate(changes(classifier, batch)):
        if change is not None:
            nearer = np.nextafter(float(change.to), float(change.value))
            if nearer != change.value:
                assert sent(classifier, batch, row, change._replace(to=float(nearer))) == own[row]


@pytest.mark.parametrize("estimator", CALIBRATED, ids=str)
def test_a_calibrated_model_changes_its_label_at_its_own_half(estimator: Any) -> None:
    classifier, batch = exported(estimator, X, Y > 1), batch_of(X[::7])
    for row, change in zip(X[::7], require_flips(classifier, batch), strict=True):
        if change is not None:
            changed = row.copy()
            changed[change.feature] = change.to
            assert estimator.predict([changed])[0] == bool(change.label)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 3), st.integers(1, 4))
def test_no_smaller_change_flips_a_tree(seed: int, n_classes: int, n_features: int) -> None:
    """Of all thresholds of the trainer's own tree, and the numbers just above them."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 12, (80, n_features)).astype(np.float64)
    y = rng.integers(0, n_classes, 80)
    tree = DecisionTreeClassifier(max_depth=5, random_state=0).fit(rows, y)
    classifier, batch = exported(tree, rows, y), batch_of(rows[:10])
    found = require_flips(classifier, batch)
    for row, change in zip(rows[:10], found, strict=True):
        sizes = list(_flips(tree, row, rows))
        if change is None:
            assert not sizes
        else:
            span = np.ptp(rows[:, change.feature])
            assert abs(float(change.to) - float(change.value)) / span <= min(sizes) + 1e-6


def _flips(tree: Any, row: NDArray[np.float64], rows: NDArray[np.float64]) -> Any:
    """The sizes of changes that flip the trainer's own prediction."""
    own = tree.predict([row])[0]
    for k in range(rows.shape[1]):
        low, high = rows[:, k].min(), rows[:, k].max()
        edges = tree.tree_.threshold[tree.tree_.feature == k]
        tried = np.concatenate([[low, high], edges, edges + 1e-6])
        for value in tried[(tried >= low) & (tried <= high)]:
            changed = row.copy()
            changed[k] = value
            if tree.predict([changed])[0] != own:
                yield abs(value - row[k]) / (high - low)


def test_of_a_linear_model_it_is_where_the_score_is_zero() -> None:
    model = LogisticRegression(max_iter=1000)
    rows, y = X[:, :2], Y > 0
    classifier = exported(model, rows, y)
    low, high = rows.min(axis=0), rows.max(axis=0)
    for row, change in zip(rows, changes(classifier, batch_of(rows)), strict=True):
        to = row - model.decision_function([row])[0] / model.coef_[0]
        sizes = np.where((to >= low) & (to <= high), np.abs(to - row) / (high - low), np.inf)
        if change is None:
            assert np.isinf(sizes).all()
        else:
            assert change.feature == sizes.argmin()
            np.testing.assert_allclose(float(change.to), to[change.feature], rtol=1e-9)


def people() -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "island": rng.choice(["a", "b", "c"], 120),
            "mass": np.where(rng.random(120) < 0.2, np.nan, rng.normal(4000, 300, 120)),
            "ringed": rng.random(120) < 0.5,
        }
    )
    return table, ((table["island"] == "a") | (table["mass"] > 4200)).to_numpy()


@pytest.mark.parametrize("model", [LogisticRegression(), DecisionTreeClassifier(max_depth=4)], ids=str)
def test_categories_change_to_others_and_missing_values_stay(model: Any) -> None:
    table, y = people()
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    prepared = make_column_transformer(
        (OneHotEncoder(), ["island"]), (numbers, ["mass"]), remainder="passthrough"
    )
    classifier = exported(make_pipeline(prepared, model), table, y)
    batch = Batch.of(classifier.features, [table[name].tolist() for name in table])
    found = require_flips(classifier, batch)
    assert {type(change.to) for change in found if change} >= {str, float}
    missing = np.flatnonzero(table["mass"].isna())
    kept = [found[row] for row in missing.tolist()]
    assert all(change is None or change.feature != 1 for change in kept)


@pytest.mark.parametrize("gone", [np.nan, -1.0])
def test_a_number_whose_absence_is_marked_is_a_number(gone: float) -> None:
    rows = X.copy()
    rows[::9] = gone
    marked = SimpleImputer(missing_values=gone, add_indicator=True)
    classifier = exported(make_pipeline(marked, LogisticRegression(max_iter=1000)), rows)
    found = require_flips(classifier, batch_of(X))
    assert sum(change is not None for change in found) > 100


@pytest.mark.parametrize("filled", [False, True])
def test_a_number_that_is_a_category_becomes_another_one(filled: bool) -> None:
    rows = np.random.default_rng(0).choice([1.0, 2.0, 7.0], (80, 2))
    encoder = OneHotEncoder(handle_unknown="ignore")
    prepared = make_pipeline(SimpleImputer(strategy="most_frequent"), encoder) if filled else encoder
    classifier = exported(make_pipeline(prepared, LogisticRegression()), rows, rows[:, 0] == 2.0)
    for change in require_flips(classifier, batch_of(rows)):
        assert change is not None
        assert change.to in (1.0, 2.0, 7.0)


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
@pytest.mark.parametrize("model", [LogisticRegression(), DecisionTreeClassifier()], ids=str)
def test_a_number_that_fills_gaps_is_none_to_change_to(strategy: str, model: Any) -> None:
    values = [10.0, 20.0, 70.0, 80.0]
    rows = np.random.default_rng(1).choice(values, (120, 2))
    y = np.isnan(np.where(rows == 70.0, np.nan, rows)).any(axis=1)
    gaps = rows.copy()
    gaps[::3, 0], gaps[1::3, 1] = np.nan, np.nan
    y = y | np.isnan(gaps[:, 0])  # so that what fills the gap would give another label
    prepared = make_pipeline(SimpleImputer(strategy=strategy), OneHotEncoder(handle_unknown="ignore"))
    classifier = exported(make_pipeline(prepared, model), gaps, y)
    offered = {change.to for change in require_flips(classifier, batch_of(gaps)) if change}
    assert offered
    assert offered <= set(values)
    tried = {one.feature: one.values.tolist() for one in what_if.points(classifier.document)}
    assert tried == {0: values, 1: values}


def test_what_stands_for_a_missing_category_is_none_to_change_to() -> None:
    table = pd.DataFrame({"a": ["x", "y", np.nan, "x"] * 20, "b": ["u", "v"] * 40}, dtype=object)
    y = table["a"].isna().to_numpy()
    filling = make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), OneHotEncoder())
    classifier = exported(make_pipeline(filling, LogisticRegression()), table, y)
    batch = Batch.of(
        classifier.features, [table[name].where(table[name].notna(), None).tolist() for name in table]
    )
    assert all(
        change is None or change.to in ("x", "y", "u", "v") for change in require_flips(classifier, batch)
    )


def test_a_row_alone_and_in_a_file_gets_the_same_change() -> None:
    classifier, batch = exported(RandomForestClassifier(10, random_state=0)), batch_of(X)
    together = changes(classifier, batch)
    for row in range(0, 150, 11):
        assert changes(classifier, batch.take(slice(row, row + 1))) == [together[row]]


OUTSIDE = st.lists(st.floats(-40.0, 40.0), min_size=4, max_size=4)


@pytest.mark.parametrize("estimator", [LogisticRegression(max_iter=500), GaussianNB()], ids=str)
@given(row=OUTSIDE)
@settings(max_examples=40, deadline=None)
def test_a_value_outside_the_range_is_changed_to_one_within(estimator: Any, row: list[float]) -> None:
    classifier = exported(estimator)
    batch = batch_of([row])
    (change,) = changes(classifier, batch)
    if change is not None:
        low, high = X[:, change.feature].min(), X[:, change.feature].max()
        assert low <= change.to <= high
        assert sent(classifier, batch, 0, change) == change.label


def test_each_output_has_a_change_of_its_own() -> None:
    classifier = exported(MultiOutputClassifier(LogisticRegression(max_iter=500)), X, np.c_[Y, Y > 0])
    batch = batch_of(X[:5])
    found = what_if.of(classifier, batch, classifier.predict(batch))
    assert [len(one) for one in found] == [5, 5]


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_what_cannot_be_told_is_refused_in_a_sentence() -> None:
    network = exported(MLPClassifier((3,), max_iter=20))
    assert what_if.refusal(network.document) == (
        "the model is a network with hidden layers: where the label changes with one feature is not known, "
        "and what_if finds no smallest change"
    )
    bare = load(export(LogisticRegression(max_iter=500).fit(X, Y)))
    assert what_if.refusal(bare.document) == what_if.NO_RANGE
    assert what_if.refusal(exported(LogisticRegression(max_iter=500)).document) == ""
    texts = load(Path(__file__).parents[1].joinpath("model", "messages.json").read_bytes())
    assert what_if.refusal(texts.document) == what_if.TEXTS_ALONE


def test_more_rows_than_can_be_looked_at_are_refused() -> None:
    classifier = exported(RandomForestClassifier(50, random_state=0))
    batch = batch_of(np.tile(X, (200, 1)))
    with pytest.raises(InvalidInput, match="rows can be asked at once"):
        what_if.of(classifier, batch, classifier.predict(batch))
