"""Forests beside their trainers: the same numbers to the bit where that is promised, the same labels, and the
same bits whatever stands beside a row."""

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from tests.test_table_rules import dropped, parquet
from thimble.errors import InvalidModel
from thimble.inference import forest_keys
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble_model import Unsupported, export
from thimble_model.frames import as_batch

catboost = pytest.importorskip("catboost")
lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")
pytestmark = pytest.mark.filterwarnings("ignore")

Rows = NDArray[np.float64]
LARGEST32 = float(np.finfo(np.float32).max)


def xgb(**keys: Any) -> Any:
    return xgboost.XGBClassifier(**{"n_estimators": 4, "n_jobs": 1} | keys)


def lgb(**keys: Any) -> Any:
    return lightgbm.LGBMClassifier(**{"n_estimators": 4, "verbose": -1, "n_jobs": 1} | keys)


def cat(**keys: Any) -> Any:
    return catboost.CatBoostClassifier(
        **{"iterations": 4, "depth": 3, "verbose": 0, "allow_writing_files": False, "thread_count": 1} | keys
    )


EXACT: dict[str, Callable[[], Any]] = {  # their probabilities are the trainer's to the bit
    "a tree": DecisionTreeClassifier,
    "a stump": lambda: DecisionTreeClassifier(max_depth=1),
    "an extra tree": ExtraTreeClassifier,
    "a forest": lambda: RandomForestClassifier(5),
    "a forest of weights": lambda: RandomForestClassifier(5, class_weight="balanced"),
    "extra trees": lambda: ExtraTreesClassifier(5),
    "bagging": lambda: BaggingClassifier(n_estimators=4, max_features=0.6, max_samples=0.5),
    "votes": lambda: AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=4),
    "xgboost": xgb,
    "xgboost, deep": lambda: xgb(max_depth=0, max_leaves=20, grow_policy="lossguide"),
    "xgboost, a base score": lambda: xgb(base_score=0.3),
    "xgboost, several trees at once": lambda: xgb(num_parallel_tree=2, subsample=0.5),
    "xgboost, missing is 3": lambda: xgb(missing=3.0),
    "xgboost, a forest": lambda: xgboost.XGBRFClassifier(n_estimators=4, n_jobs=1),
    "a forest of many": lambda: RandomForestClassifier(400, max_depth=1),
    "xgboost, many trees": lambda: xgb(n_estimators=130, max_depth=2),
}
CLOSE: dict[str, Callable[[], Any]] = {  # ... but for the last bit of an exponential
    "gradient boosting": lambda: GradientBoostingClassifier(n_estimators=4),
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=4),
    "lightgbm": lgb,
    "lightgbm, each against all": lambda: lgb(objective="multiclassova"),
    "lightgbm, goss": lambda: lgb(data_sample_strategy="goss"),
    "lightgbm, a forest": lambda: lgb(boosting_type="rf", bagging_freq=1, bagging_fraction=0.5),
    "lightgbm, zeros are missing": lambda: lgb(zero_as_missing=True),
    "lightgbm, nothing is missing": lambda: lgb(use_missing=False),
    "catboost": cat,
    "catboost, deep": lambda: cat(depth=10),
    "catboost, missing is most": lambda: cat(nan_mode="Max"),
    "catboost, unlike sides": lambda: cat(grow_policy="Depthwise"),
}
NO_MISSING = ("votes", "gradient boosting")
BINARY = {
    "gradient boosting, exponential": lambda: GradientBoostingClassifier(n_estimators=4, loss="exponential"),
    "lightgbm, a slope": lambda: lgb(sigmoid=1.7),
    "catboost, a bias": lambda: cat(boost_from_average=True),
}
SEVERAL = {"catboost, each against all": lambda: cat(loss_function="MultiClassOneVsAll")}


def made(seed: int, n_classes: int, missing: bool) -> tuple[Rows, NDArray[np.int64], Rows]:
    """Rows to train on: wide and narrow, constant, few values, zeros; labels; weights."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(120, 6)) * [1.0, 1e-3, 1e6, 1.0, 1.0, 1.0]
    X[:, 3], X[:, 4], X[:, 5] = X[:, 3].round(), np.where(X[:, 4] > 0.5, X[:, 4], 0.0), 3.0
    y = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, len(X) - n_classes)])
    if missing:
        X[:, :5][rng.random((len(X), 5)) < 0.1] = np.nan
        X[0, :5] = np.nan  # so that every trainer has seen it in each
    return X, y, rng.random(len(X)) + 0.1


def rows_around(document: Any, width: int, seed: int, missing: bool) -> Rows:
    """Each threshold of each column, its neighbours in both precisions, and the edges of numbers."""
    rng, forest = np.random.default_rng(seed), document["forest"]
    columns, thresholds = np.array(forest["columns"], int), np.array(forest["thresholds"], float)
    edges = [0.0, -0.0, 1e-40, -1e-36, 1e-35, 2e-35, 3.0, 2.0**53 + 2, -(2.0**60), LARGEST32, -LARGEST32]
    parts = []
    for column in range(width):
        t = np.unique(thresholds[columns == column])[:60]
        t32 = t.astype(np.float32)
        up, down = np.nextafter(t32, np.float32(np.inf)), np.nextafter(t32, np.float32(-np.inf))
        near = [t, np.nextafter(t, np.inf), np.nextafter(t, -np.inf), up, down, edges, [np.nan] * missing]
        parts.append(np.clip(np.concatenate(near).astype(np.float64), -LARGEST32, LARGEST32))
    n = max(map(len, parts)) + 40
    X = np.column_stack([rng.choice(part, n) for part in parts])
    for column, part in enumerate(parts):
        X[: len(part), column] = part
    X[:, 5] = np.where(np.isnan(X[:, 5]), 3.0, X[:, 5])
    return X


def labels_of(estimator: Any, X: Any) -> list[Any]:
    return np.ravel(estimator.predict(X)).tolist()  # type: ignore[no-any-return]


def assert_answers(classifier: Classifier, estimator: Any, X: Rows, exact: bool) -> None:
    found = classifier.predict(Batch.of(classifier.features, X.T))
    assert not found.rejected
    (scores,) = found.outputs
    expected = np.asarray(estimator.predict_proba(X), np.float64)
    np.testing.assert_allclose(scores.probabilities.T, expected, rtol=0, atol=0 if exact else 2.3e-16)
    assert [classifier.heads[0].classes[k] for k in scores.labels] == labels_of(estimator, X)


CASES = [
    (name, n_classes, make)
    for table, counts in ((EXACT | CLOSE, (2, 3)), (BINARY, (2,)), (SEVERAL, (3,)))
    for name, make in table.items()
    for n_classes in counts
    if not (name == "lightgbm, each against all" and n_classes == 2)
]


@pytest.mark.parametrize(("name", "n_classes", "make"), CASES, ids=[f"{n}, {k}" for n, k, _ in CASES])
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), missing=st.booleans())
def test_the_answers_are_the_trainers_at_every_threshold(
    name: str, n_classes: int, make: Callable[[], Any], seed: int, missing: bool
) -> None:
    missing = missing and name.split(",")[0] not in NO_MISSING
    X, y, weights = made(seed, n_classes, missing)
    estimator = make()
    estimator.fit(X, y, sample_weight=weights)
    data = export(estimator)
    rows = rows_around(orjson.loads(data), X.shape[1], seed, missing)
    assert_answers(load(data), estimator, rows, exact=name in EXACT)


ALONE = ("a forest", "a forest of many", "xgboost", "xgboost, many trees", "catboost", "histograms")


@pytest.mark.parametrize("name", ALONE)
@settings(max_examples=5, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    n=st.integers(1, 1200),
    n_classes=st.sampled_from([2, 3]),
    missing=st.booleans(),
)
def test_a_row_gets_the_same_bits_alone_and_in_company(
    name: str, seed: int, n: int, n_classes: int, missing: bool
) -> None:
    X, y, _ = made(seed, n_classes, missing)
    classifier = load(export((EXACT | CLOSE)[name]().fit(X, y)))
    rng = np.random.default_rng(seed)
    rows = X[rng.integers(0, len(X), n)].T + rng.normal(size=(6, n)).round(1)

    def bits(part: Rows) -> bytes:
        found = classifier.predict(Batch.of(classifier.features, part)).outputs[0]
        return found.probabilities.T.copy().tobytes()

    together, cut = bits(rows), int(rng.integers(0, n))
    one = together[8 * n_classes * cut :][: 8 * n_classes]
    assert bits(rows[:, :cut]) + bits(rows[:, cut:]) == together
    assert bits(rows[:, cut : cut + 1]) == one
    if not np.isnan(rows[:, cut]).any():
        alone = classifier.predict_alone(rows[:, cut].tolist())
        assert alone is not None
        assert np.array(alone[1]).tobytes() == one


LABELS = {
    "strings": ["b", "a", "c"],
    "integers": [30, -2, 7],
    "floats": [3.0, -1.0, 2.0],
    "booleans": [True, False],
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize(
    "make", [EXACT["a forest"], CLOSE["histograms"], CLOSE["lightgbm"], CLOSE["catboost"]]
)
def test_labels_keep_their_type(make: Callable[[], Any], labels: list[Any]) -> None:
    X, y, _ = made(0, len(labels), False)
    estimator = make().fit(X, np.array(labels)[y])
    assert_answers(load(export(estimator)), estimator, X, exact=False)


TRAINS_ONE_CLASS = pytest.mark.skipif(
    xgboost.__version__.startswith("3.1."), reason="XGBoost 3.1 trains on two classes or more"
)


@pytest.mark.parametrize(
    "name",
    [
        *("a forest", "bagging", "votes", "histograms", "lightgbm"),
        pytest.param("xgboost", marks=TRAINS_ONE_CLASS),
    ],
)
def test_one_class_alone_is_answered(name: str) -> None:
    X, y, _ = made(0, 2, False)
    estimator = (EXACT | CLOSE)[name]().fit(X, np.zeros_like(y))
    classifier = load(export(estimator, X))
    (scores,) = classifier.predict(Batch.of(classifier.features, X.T)).outputs
    assert scores.probabilities.tobytes() == estimator.predict_proba(X)[:, 0].astype(np.float64).tobytes()
    assert set(scores.labels.tolist()) == {0}


def test_a_tie_is_the_trainers() -> None:
    X, y = np.zeros((8, 1)), np.arange(8) % 2
    for make in (EXACT["a forest"], EXACT["a stump"], *CLOSE.values()):
        estimator = make()
        if estimator.__class__.__name__ == "CatBoostClassifier" or "ova" in str(
            getattr(estimator, "objective", "")
        ):
            continue  # one refuses constant columns, the other two classes
        estimator.fit(X, y)
        assert_answers(load(export(estimator)), estimator, X, exact=False)


WRAPPED = [
    *(("calibrated", lambda m: CalibratedClassifierCV(m, cv=2)),),
    *(("calibrated, isotonic", lambda m: CalibratedClassifierCV(m, cv=2, method="isotonic")),),
    *(
        ("one against all", OneVsRestClassifier),
        ("after an imputer", lambda m: make_pipeline(SimpleImputer(), m)),
    ),
]


@pytest.mark.parametrize(("_", "wrap"), WRAPPED, ids=[name for name, _ in WRAPPED])
@pytest.mark.parametrize("name", ["a forest", "votes", "xgboost", "histograms", "lightgbm", "catboost"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_forests_are_exported_inside_others(_: str, wrap: Any, name: str, n_classes: int) -> None:
    X, y, _weights = made(1, n_classes, False)
    estimator = wrap((EXACT | CLOSE)[name]()).fit(X, y)
    classifier = load(export(estimator, X))
    (scores,) = classifier.predict(Batch.of(classifier.features, X.T)).outputs
    np.testing.assert_allclose(scores.probabilities.T, estimator.predict_proba(X), rtol=0, atol=1e-12)
    assert [classifier.heads[0].classes[k] for k in scores.labels] == labels_of(estimator, X)


SINGLE: dict[str, Callable[[], Any]] = {  # their probabilities are of single precision
    "xgboost": xgb,
    "a vote": lambda: VotingClassifier([("a", xgb()), ("b", xgb(max_depth=2))], voting="soft"),
    "a vote of votes": lambda: VotingClassifier([("a", SINGLE["a vote"]()), ("b", xgb())], voting="soft"),
    "one against all": lambda: OneVsRestClassifier(xgb()),
    "after an imputer": lambda: make_pipeline(SimpleImputer(), xgb()),
}


@settings(max_examples=settings().max_examples // 4)
@given(
    name=st.sampled_from(list(SINGLE)),
    n_classes=st.integers(2, 4),
    ensemble=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_isotonic_curves_of_single_precision_are_scikit_learns(
    name: str, n_classes: int, ensemble: bool, seed: int
) -> None:
    X, y, _ = made(seed, n_classes, False)
    y[: 3 * n_classes] = np.tile(np.arange(n_classes), 3)  # each class is in each part
    estimator = CalibratedClassifierCV(SINGLE[name](), method="isotonic", ensemble=ensemble, cv=2).fit(X, y)
    classifier = load(export(estimator, X))
    others = np.vstack([X, made(seed + 1, n_classes, False)[0]])
    assert_answers(classifier, estimator, others, exact=True)


@settings(max_examples=settings().max_examples // 4)
@given(
    steps=st.lists(st.floats(2**-20, 1.0, width=32), min_size=1, max_size=5),
    likely=st.lists(st.floats(0.0, 1.0, width=32), min_size=6, max_size=6),
)
@example(steps=[0.1], likely=[2 / 15] * 6)
def test_a_curve_that_rounds_above_1_is_scikit_learns(steps: list[float], likely: list[float]) -> None:
    """There it answers with a probability a little below 0 beside 1."""
    X, y, _ = made(3, 2, False)
    estimator = CalibratedClassifierCV(xgb(), method="isotonic", cv=2).fit(X, y)
    for member in estimator.calibrated_classifiers_:
        [curve] = member.calibrators
        curve.X_thresholds_ = np.cumsum([0.0, *steps], dtype=np.float32)
        curve.y_thresholds_ = np.sort(np.array([*likely[: len(steps)], 1.0], np.float32))
        curve.X_min_, curve.X_max_ = curve.X_thresholds_[[0, -1]]
        curve._build_f(curve.X_thresholds_, curve.y_thresholds_)
    assert_answers(load(export(estimator, X)), estimator, X, exact=True)


@pytest.mark.parametrize("name", ["a forest", "histograms", "lightgbm"])
def test_several_questions_are_a_forest_each(name: str) -> None:
    X, y, _ = made(2, 3, False)
    Y = np.column_stack([y, y % 2])
    estimator = MultiOutputClassifier((EXACT | CLOSE)[name]()).fit(X, Y)
    classifier = load(export(estimator, X))
    found = classifier.predict(Batch.of(classifier.features, X.T))
    for scores, expected in zip(found.outputs, estimator.predict_proba(X), strict=True):
        np.testing.assert_allclose(scores.probabilities.T, expected, rtol=0, atol=2.3e-16)


CATEGORIES: dict[str, Callable[[], Any]] = {
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=8, min_samples_leaf=5),
    "xgboost, one by one": lambda: xgb(enable_categorical=True, max_cat_to_onehot=100),
    "xgboost, by sets": lambda: xgb(enable_categorical=True, max_cat_to_onehot=1),
    "lightgbm": lambda: lgb(min_child_samples=5, cat_smooth=1.0),
}


@pytest.mark.parametrize("make", CATEGORIES.values(), ids=CATEGORIES)
def test_a_category_is_the_text_or_number_that_was_trained_on(make: Callable[[], Any]) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=300)})
    table["town"] = pd.Categorical(rng.choice(np.array(["Ulm", "Bonn", "Trier", "Kiel", None], object), 300))
    table["zone"] = pd.Categorical(rng.integers(3, 20, 300))
    y = (table["town"].cat.codes + table["zone"].cat.codes + rng.integers(0, 4, 300)) % 3
    estimator = make().fit(table, y)
    classifier = load(export(estimator, table, y))
    assert [feature.type for feature in classifier.features] == ["number", "text", "number"]
    found = classifier.predict(as_batch(classifier.features, table))
    assert not found.rejected
    np.testing.assert_allclose(
        found.outputs[0].probabilities.T, estimator.predict_proba(table), rtol=0, atol=2.3e-16
    )


def test_early_stopping_answers_with_the_best_iteration() -> None:
    X, y, _ = made(3, 2, True)
    stopped = xgb(n_estimators=60, early_stopping_rounds=3)
    stopped.fit(X[:80], y[:80], eval_set=[(X[80:], y[80:])], verbose=False)
    assert_answers(load(export(stopped)), stopped, X, exact=True)
    stopped = lgb(n_estimators=60)
    stop = lightgbm.early_stopping(3, verbose=False)
    stopped.fit(X[:80], y[:80], eval_set=[(X[80:], y[80:])], callbacks=[stop])
    assert_answers(load(export(stopped)), stopped, X, exact=False)


def test_a_number_beyond_single_precision_rejects_its_row_alone() -> None:
    X, y, _ = made(0, 2, False)
    classifier = load(export(EXACT["a forest"]().fit(X, y)))
    X[3, 0] = 1e39
    assert set(classifier.predict(Batch.of(classifier.features, X.T)).rejected) == {3}


REFUSED = [
    (lambda: xgb(booster="dart", rate_drop=0.5, n_estimators=20), "dart"),
    (lambda: xgb(booster="gblinear"), "gblinear"),
    (lambda: xgb(n_estimators=0), "no trees"),
    (lambda: xgb(objective="binary:hinge"), "binary:hinge"),
    (lambda: lgb(linear_tree=True), "linear_tree"),
    (lambda: cat(loss_function="CrossEntropy"), "CrossEntropy"),
    (lambda: GradientBoostingClassifier(n_estimators=2, init=LogisticRegression()), "init"),
]


@pytest.mark.parametrize(("make", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_what_has_no_exact_form_is_refused_by_name(make: Callable[[], Any], why: str) -> None:
    X, y, _ = made(0, 2, False)
    with pytest.raises(Unsupported, match=why):
        export(make().fit(X, y))


def test_trees_of_several_outputs_are_refused_with_a_way_out() -> None:
    X, y, _ = made(0, 2, False)
    with pytest.raises(Unsupported, match="MultiOutputClassifier"):
        export(RandomForestClassifier(2).fit(X, np.column_stack([y, y])))


FOREST: dict[str, Any] = {
    "inputs": 1,
    "trees": 2,
    "nodes": "l...",
    "columns": [0],
    "thresholds": [2.5],
    "values": [0.1, 0.7, -0.7],
    "base": [0.0],
}
OBLIVIOUS = {key: value for key, value in FOREST.items() if key != "trees"} | {"depths": [1], "nodes": "l"}
HOSTILE = [
    (FOREST | {"nodes": "l.."}, "forest.nodes has 3 letters"),
    (FOREST | {"trees": 1, "nodes": ".l."}, "forest.nodes[1] stands after its children"),
    (FOREST | {"nodes": "x..."}, 'forest.nodes[0] is "x"'),
    (FOREST | {"nodes": 3}, "forest.nodes is not a text"),
    (FOREST | {"trees": 0}, "forest.trees is 0"),
    (FOREST | {"trees": 10**12}, "forest.trees is 1000000000000"),
    (FOREST | {"inputs": 10**9}, "forest.inputs is 1000000000"),
    (FOREST | {"columns": [1]}, "forest.columns[0] is 1"),
    (FOREST | {"columns": [-1]}, "forest.columns[0] is -1"),
    (FOREST | {"columns": []}, "forest.columns has 0 entries"),
    (FOREST | {"thresholds": [None]}, "forest.thresholds[0] is not a number"),
    (FOREST | {"thresholds": [1e300], "input_type": "float32"}, "forest.thresholds[0] is 1e+300"),
    (FOREST | {"values": [0.1, 0.7]}, "forest.values has 2 entries"),
    (FOREST | {"values": [0.1, True, 0.2]}, "forest.values[1] is not a number"),
    (FOREST | {"leaves": [0, 1, 3]}, "forest.leaves[2] is 3"),
    (FOREST | {"base": []}, "forest.base is empty"),
    (FOREST | {"tree_outputs": [0, 1]}, "forest.tree_outputs[1] is 1"),
    (FOREST | {"divide": 0}, "forest.divide is 0"),
    (FOREST | {"gain": [1.0, 2.0]}, "forest.gain has 2 entries; 1 are needed"),
    (FOREST | {"gain": ["much"]}, "forest.gain[0] is not a number"),
    (FOREST | {"counts": [1, 2]}, "forest.counts has 2 entries; 3 are needed"),
    (FOREST | {"counts": [1, "2", 3]}, "forest.counts[1] is not a number"),
    (FOREST | {"counts": [1, 2, -0.5]}, "forest.counts[2] is -0.5; a count is 0 or more"),
    (FOREST | {"counts": 3}, "forest.counts is not a list"),
    (FOREST | {"categorical": [0], "sets": [[0]]}, "forest.thresholds[0] is 2.5"),
    (FOREST | {"thresholds": [0], "categorical": [0], "sets": [[10**9]]}, "forest.sets[0][0] is 1000000000"),
    (FOREST | {"absent": {"value": 0}, "nodes": "n..."}, "forest.absent stands beside"),
    (FOREST | {"branches": []}, 'forest."branches"'),
    (OBLIVIOUS | {"depths": [1000]}, "forest.depths[0] is 1000"),
    (OBLIVIOUS | {"depths": [20] * 3, "nodes": "l" * 60}, "forest"),
    ([], "forest is not an object"),
]


@pytest.mark.parametrize(("forest", "sentence"), HOSTILE, ids=[sentence for _, sentence in HOSTILE])
def test_a_wrong_forest_is_refused_by_its_path(forest: Any, sentence: str) -> None:
    document = {"classes": ["a", "b"], "out_activation": "logistic", "forest": forest}
    with pytest.raises(InvalidModel) as refusal:
        load(orjson.dumps(document))
    assert str(refusal.value).startswith(sentence)


class Counted(np.ndarray[Any, Any]):
    """An array that counts the elements that are looked at."""

    looked_at = 0

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keys: Any) -> Any:
        Counted.looked_at += sum(np.size(one) for one in inputs)
        return getattr(ufunc, method)(*map(np.asarray, inputs), **keys)

    def __array_function__(self, func: Any, types: Any, arguments: Any, keys: Any) -> Any:
        Counted.looked_at += sum(one.size for one in arguments if isinstance(one, np.ndarray))
        return super().__array_function__(func, types, arguments, keys)


@pytest.mark.parametrize("codes", [[0], [0, 1] * 1_000])
def test_columns_of_categories_are_read_in_one_pass(
    codes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = forest_keys._places
    monkeypatch.setattr(forest_keys, "_places", lambda *arguments: read(*arguments).view(Counted))

    def work(n_columns: int) -> int:
        n, Counted.looked_at = 3_000, 0
        forest_keys.parse(
            FOREST
            | {"inputs": n_columns, "columns": [i % n_columns for i in range(n)], "thresholds": [0] * n}
            | {"trees": n, "nodes": "l" * n + "." * 2 * n, "values": [0.0] * 2 * n}
            | {"categorical": list(range(n_columns)), "sets": [codes]},
            "forest",
        )
        return Counted.looked_at

    assert work(1_000) < 2 * work(1) + 100 * 1_000


def test_a_chain_that_is_too_deep_is_refused() -> None:
    n = 1001
    chain = {"trees": 1, "nodes": "l" + ".l" * (n - 1) + "..", "columns": [0] * n, "thresholds": [0.5] * n}
    document = {"classes": ["a", "b"], "out_activation": "logistic"}
    forest = FOREST | chain | {"values": [0.0] * (n + 1)}
    with pytest.raises(InvalidModel, match=r"forest\.nodes makes trees of more than 1,000 levels"):
        load(orjson.dumps(document | {"forest": forest}))


def test_coefs_beside_a_forest_are_refused() -> None:
    document = {"classes": ["a", "b"], "out_activation": "logistic", "forest": FOREST, "coefs": [[[1.0]]]}
    with pytest.raises(InvalidModel, match="stands beside"):
        load(orjson.dumps(document))


@settings(max_examples=200, deadline=None)
@given(
    key=st.sampled_from(sorted(FOREST)),
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-2, 5) | st.floats() | st.text("lrn.x", max_size=6),
        lambda inner: st.lists(inner, max_size=5),
        max_leaves=6,
    ),
)
def test_no_forest_does_anything_but_answer_or_be_refused(key: str, value: Any) -> None:
    document = {"classes": ["a", "b"], "out_activation": "logistic", "forest": FOREST | {key: value}}
    try:
        classifier = load(orjson.dumps(document))
    except InvalidModel:
        return
    X = np.zeros((classifier.n_features, 3))
    assert classifier.predict(Batch.of(classifier.features, X)).n_rows == 3


def test_a_document_is_smaller_than_the_trainers_own() -> None:
    X, y, _ = made(0, 2, False)
    boosted = xgb(n_estimators=40).fit(X, y)
    assert len(export(boosted)) * 3 < len(boosted.get_booster().save_raw("json"))
    forest = RandomForestClassifier(40).fit(X, y)
    import pickle

    assert len(export(forest)) * 4 < len(pickle.dumps(forest))


@pytest.mark.parametrize(
    "make", [EXACT["a forest"], xgb, lgb, cat], ids=["scikit-learn", "xgb", "lgb", "cat"]
)
def test_no_rows_are_answered_by_no_answers(make: Callable[[], Any]) -> None:
    X, y, _ = made(0, 2, False)
    classifier = load(export(make().fit(X, y)))
    assert classifier.predict(Batch.empty(classifier.features, 0)).n_rows == 0


@pytest.mark.parametrize(
    ("key", "data", "counts"),
    [
        ("bad.csv", b"a,b\nx,1\ny,2\n", (0, 2)),
        ("bad.jsonl", b'{"a":"x","b":1}\n', (0, 1)),
        ("none.json", b"[]", (0, 0)),
        ("half.csv", b"a,b\n" + b"x,1\n" * 400_000 + b"1,2\n" * 10, (10, 400_000)),
        ("good.parquet", parquet({"a": 1.0, "b": 2.0}), (1, 0)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_of_which_a_part_has_no_answer_is_finished(
    key: str, data: bytes, counts: tuple[int, int]
) -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
    model = load(export(RandomForestClassifier(3).fit(X, X["a"] > 0), X))
    summary, _, _ = dropped(key, data, model)
    assert (summary["predictions"], summary["rejections"]) == counts
