"""What each column adds to a forest's sums, beside the trainers', shap's, and the definition itself."""

import math
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier

from tests.test_another_reader import goes_right, rounded
from tests.test_boosters import thimble
from tests.test_forests import (
    BINARY,
    CASES,
    CATEGORIES,
    EXACT,
    FOREST,
    Rows,
    cat,
    lgb,
    made,
    rows_around,
    xgb,
)
from tests.test_forests import NO_MISSING as TAKE_NONE
from thimble.errors import InvalidInput
from thimble.inference import explained as explained_answers
from thimble.inference import forest_keys
from thimble.inference.asked import ALL, Asked
from thimble.inference.classifier import load
from thimble.inference.explain import trees
from thimble.inference.forest import Forest
from thimble_model import export
from thimble_model.frames import as_batch

catboost = pytest.importorskip("catboost")
lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")
pytestmark = pytest.mark.filterwarnings("ignore")


def forest_of(data: bytes) -> Forest:
    found = load(data).document.outputs[0].scorer
    assert isinstance(found, Forest)
    return found


def explained(forest: Forest, X: Rows) -> tuple[Rows, Rows]:
    """Rows as they stand in a table: (outputs,) and (outputs, rows, inputs)."""
    base, phi = trees.contributions(forest, np.ascontiguousarray(X.T))
    return base, phi.transpose(0, 2, 1)


# The definition: over all subsets of the columns, of the mean where only these are known.


def known_only(forest: Any, tree: int, x: list[float], known: set[int]) -> list[float]:
    """The mean of a tree's leaves where only these columns of a row are known."""
    oblivious = "depths" in forest
    depth = forest["depths"][tree] if oblivious else 0
    first_split = sum(forest["depths"][:tree]) if oblivious else 0
    first_leaf = sum(2**d for d in forest["depths"][:tree]) if oblivious else 0
    splits = np.cumsum([letter != "." for letter in forest["nodes"]]) - 1
    leaves = np.cumsum([letter == "." for letter in forest["nodes"]]) - 1

    def at(node: Any) -> tuple[float, list[float]]:
        """The weight of the training rows, and the mean."""
        if oblivious:
            level, code = node
            leaf = level < 0
            split, index = first_split + level, first_leaf + code
            children = [(level - 1, code), (level - 1, code + (1 << level if level >= 0 else 0))]
        else:
            leaf, split, index = forest["nodes"][node] == ".", int(splits[node]), int(leaves[node])
            children = [forest["trees"] + 2 * split, forest["trees"] + 2 * split + 1]
        if leaf:
            value = forest["values"][forest["leaves"][index] if "leaves" in forest else index]
            return forest["counts"][index], value if isinstance(value, list) else [value]
        sides = [at(child) for child in children]
        weight = sides[0][0] + sides[1][0]
        if forest["columns"][split] in known:
            letter = forest["nodes"][split if oblivious else node]
            return weight, sides[goes_right(forest, split, letter, x)][1]
        shares = [side[0] / weight for side in sides] if weight else [0.5, 0.5]
        return weight, [shares[0] * a + shares[1] * b for a, b in zip(sides[0][1], sides[1][1], strict=True)]

    return at((depth - 1, 0) if oblivious else tree)[1]


def by_definition(forest: Any, row: list[float]) -> tuple[Rows, Rows]:
    """(outputs,) and (outputs, inputs)."""
    x = [rounded(forest.get("input_type"), value) for value in row]
    x = [0.0 if abs(value) <= forest.get("zero", 0.0) else value for value in x]
    if "absent" in forest:
        for i in forest["absent"].get("columns", range(len(x))):
            x[i] = math.nan if x[i] == forest["absent"]["value"] else x[i]
    n, n_trees = len(x), len(forest["depths"]) if "depths" in forest else forest["trees"]

    def total(known: set[int]) -> Rows:
        sums = np.array(forest["base"], float)
        for tree in range(n_trees):
            found = known_only(forest, tree, x, known)
            if "tree_outputs" in forest:
                sums[forest["tree_outputs"][tree]] += found[0]
            else:
                sums += found
        found_sums: Rows = sums / forest.get("divide", 1.0)
        return found_sums

    totals = {
        frozenset(subset): total(set(subset)) for k in range(n + 1) for subset in combinations(range(n), k)
    }
    phi = np.zeros((len(forest["base"]), n))
    for subset, value in totals.items():
        for i in set(range(n)) - subset:
            weight = 1 / (n * math.comb(n - 1, len(subset)))
            phi[:, i] += weight * (totals[subset | {i}] - value)
    base: Rows = totals[frozenset()]
    return base, phi


SMALL = [case for case in CASES if "many" not in case[0] and "deep" not in case[0]]


@pytest.mark.parametrize(("name", "n_classes", "make"), SMALL, ids=[f"{n}, {k}" for n, k, _ in SMALL])
def test_contributions_are_shapleys_of_the_means(name: str, n_classes: int, make: Callable[[], Any]) -> None:
    missing = name.split(",")[0] not in TAKE_NONE
    X, y, weights = made(n_classes, n_classes, missing)
    X = X[:, [0, 2, 3, 4]]
    size = "iterations" if "catboost" in name else "max_iter" if name == "histograms" else "n_estimators"
    estimator = make()
    if size in estimator.get_params():
        estimator.set_params(**{size: 2})
    estimator.fit(X, y, sample_weight=weights)
    data = export(estimator)
    found = orjson.loads(data)["forest"]
    rows = X[:3]
    base, phi = explained(forest_of(data), rows)
    tolerance = 1e-9 if "sum_type" not in found else 1e-6
    for i, row in enumerate(rows.tolist()):
        expected_base, expected = by_definition(found, row)
        np.testing.assert_allclose(base, expected_base, rtol=0, atol=tolerance)
        np.testing.assert_allclose(phi[:, i], expected, rtol=0, atol=tolerance)


@st.composite
def grown(draw: st.DrawFn) -> dict[str, Any]:
    """A forest whose trees ask any column any number of times, with leaves that no training row reached."""
    n_trees, n_inputs, n_outputs = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 2))
    waiting, nodes, splits = n_trees, "", 0
    while waiting:
        asks = splits < 7 and draw(st.booleans())
        nodes += draw(st.sampled_from("lr")) if asks else "."
        splits, waiting = splits + asks, waiting - 1 + 2 * asks
    n_leaves = nodes.count(".")
    some = st.integers(-3, 3)
    each = some if n_outputs == 1 else st.lists(some, min_size=2, max_size=2)
    return {
        "inputs": n_inputs,
        "trees": n_trees,
        "nodes": nodes,
        "columns": draw(st.lists(st.integers(0, n_inputs - 1), min_size=splits, max_size=splits)),
        "thresholds": draw(st.lists(some, min_size=splits, max_size=splits)),
        "values": draw(st.lists(each, min_size=n_leaves, max_size=n_leaves)),
        "counts": draw(st.lists(st.integers(0, 5), min_size=n_leaves, max_size=n_leaves)),
        "base": [1.0] * n_outputs,
    }


@settings(max_examples=60, deadline=None)
@given(forest=grown(), data=st.data())
def test_of_any_small_forest_they_are_shapleys(forest: dict[str, Any], data: st.DataObject) -> None:
    values = st.integers(-4, 4).map(float) | st.just(math.nan)
    n = forest["inputs"]
    rows = data.draw(st.lists(st.lists(values, min_size=n, max_size=n), min_size=1, max_size=3))
    base, phi = explained(forest_keys.parse(forest, "forest"), np.array(rows))
    for i, row in enumerate(rows):
        expected_base, expected = by_definition(forest, row)
        np.testing.assert_allclose(base, expected_base, rtol=0, atol=1e-12)
        np.testing.assert_allclose(phi[:, i], expected, rtol=0, atol=1e-12)


# The trainers' own, and shap's


def many(n_classes: int, missing: bool) -> tuple[Rows, Any]:
    rng = np.random.default_rng(n_classes)
    X = rng.normal(size=(1500, 6))
    y = np.clip(np.floor(X[:, 0] + X[:, 1] * X[:, 2] + 1), 0, n_classes - 1).astype(int)
    if missing:
        X[rng.random(X.shape) < 0.1] = np.nan
    return X, y


def assert_explained(data: bytes, X: Rows, expected: Any, tolerance: float) -> None:
    """`expected`: (outputs, rows, inputs and last the base)."""
    base, phi = explained(forest_of(data), X)
    np.testing.assert_allclose(phi, expected[..., :-1], rtol=0, atol=tolerance)
    np.testing.assert_allclose(base, expected[:, 0, -1], rtol=0, atol=tolerance)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("missing", [False, True])
def test_xgboosts_and_lightgbms_own_are_the_same(n_classes: int, missing: bool) -> None:
    X, y = many(n_classes, missing)
    rows, outputs = X[:200], 1 if n_classes == 2 else n_classes
    booster = xgb(n_estimators=20, max_depth=6).fit(X, y)
    own = booster.get_booster().predict(xgboost.DMatrix(rows), pred_contribs=True)
    assert_explained(export(booster), rows, own.reshape(200, outputs, 7).transpose(1, 0, 2), 2e-5)
    booster = lgb(n_estimators=20).fit(X, y)
    own = booster.booster_.predict(rows, pred_contrib=True)
    assert_explained(export(booster), rows, own.reshape(200, outputs, 7).transpose(1, 0, 2), 1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_catboosts_own_are_the_same_where_each_leaf_had_rows(n_classes: int) -> None:
    X, y = many(n_classes, False)
    booster = cat(iterations=20, depth=4, border_count=1).fit(X, y)
    data = export(booster)
    assert min(orjson.loads(data)["forest"]["counts"][:300]) > 0
    own = booster.get_feature_importance(catboost.Pool(X[:200]), type="ShapValues")
    assert_explained(data, X[:200], own.reshape(200, -1, 7).transpose(1, 0, 2), 1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "make",
    [
        lambda: DecisionTreeClassifier(random_state=0),
        lambda: RandomForestClassifier(8, random_state=0),
        lambda: RandomForestClassifier(8, class_weight="balanced", random_state=0),
        lambda: ExtraTreesClassifier(8, random_state=0),
        lambda: GradientBoostingClassifier(n_estimators=8, random_state=0),
        lambda: HistGradientBoostingClassifier(max_iter=8, random_state=0),
    ],
    ids=["a tree", "a forest", "a forest of weights", "extra trees", "gradient boosting", "histograms"],
)
def test_shaps_are_the_same(make: Callable[[], Any], n_classes: int) -> None:
    import shap  # which warns as it is imported

    estimator = make()

    if n_classes > 2 and isinstance(estimator, GradientBoostingClassifier):
        pytest.skip("shap explains gradient boosting of two classes only")
    X, y = many(n_classes, False)
    X = X.astype(np.float32).astype(np.float64)  # some trainers round rows
    estimator.fit(X, y)
    explainer = shap.TreeExplainer(estimator, feature_perturbation="tree_path_dependent")
    own, base = explainer.shap_values(X[:50], check_additivity=False), np.ravel(explainer.expected_value)
    own = own[..., np.newaxis] if own.ndim == 2 else own
    expected = np.concatenate([own, np.broadcast_to(base, (50, 1, len(base)))], axis=1).transpose(2, 0, 1)
    assert_explained(export(estimator), X[:50], expected, 1e-6)


@pytest.mark.parametrize("name", ["xgboost, one by one", "xgboost, by sets", "lightgbm"])
def test_a_category_has_one_contribution(name: str) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=600)})
    table["town"] = pd.Categorical(rng.choice(np.array(["Ulm", "Bonn", "Trier", "Kiel", None], object), 600))
    table["zone"] = pd.Categorical(rng.integers(3, 20, 600))
    y = (table["town"].cat.codes + table["zone"].cat.codes + rng.integers(0, 4, 600)) % 2
    estimator = CATEGORIES[name]().fit(table, y)
    classifier = load(export(estimator, table, y))
    document = classifier.document
    codes = np.column_stack(
        [table["x"], *(table[name].cat.codes.where(table[name].cat.codes >= 0) for name in ("town", "zone"))]
    )
    forest = document.outputs[0].scorer
    assert isinstance(forest, Forest)
    assert not classifier.predict(as_batch(classifier.features, table)).rejected
    base, phi = explained(forest, codes)
    if name == "lightgbm":
        own = estimator.booster_.predict(table, pred_contrib=True)
    else:
        matrix = xgboost.DMatrix(table, enable_categorical=True)
        own = estimator.get_booster().predict(matrix, pred_contribs=True)
    np.testing.assert_allclose(phi[0], own[:, :-1], rtol=0, atol=1e-5)
    np.testing.assert_allclose(base[0], own[0, -1], rtol=0, atol=1e-5)


# What they promise


@pytest.mark.parametrize(("name", "n_classes", "make"), CASES, ids=[f"{n}, {k}" for n, k, _ in CASES])
def test_base_and_contributions_add_up_to_the_score(
    name: str, n_classes: int, make: Callable[[], Any]
) -> None:
    missing = name.split(",")[0] not in TAKE_NONE
    X, y, weights = made(7, n_classes, missing)
    estimator = make()
    estimator.fit(X, y, sample_weight=weights)
    data = export(estimator)
    rows = rows_around(orjson.loads(data), X.shape[1], 7, missing)[:200]
    forest = forest_of(data)
    base, phi = explained(forest, rows)
    scores = forest.scores(np.ascontiguousarray(rows.T))
    np.testing.assert_allclose(base[:, np.newaxis] + phi.sum(axis=2), scores, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "make",
    [EXACT["a forest"], EXACT["xgboost"], cat, BINARY["catboost, a bias"], lgb],
    ids=["a forest", "xgboost", "catboost", "catboost, a bias", "lightgbm"],
)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), n=st.integers(1, 600))
def test_a_row_is_explained_by_the_same_bits_alone_and_in_company(
    make: Callable[[], Any], seed: int, n: int
) -> None:
    X, y, _ = made(seed, 2, False)
    forest = forest_of(export(make().fit(X, y)))
    rng = np.random.default_rng(seed)
    rows = X[rng.integers(0, len(X), n)] + rng.normal(size=(n, 6))
    start, end = sorted(rng.integers(0, n + 1, 2).tolist())
    _, together = explained(forest, rows)
    for part in (slice(start, start + 1), slice(start, end)):
        _, alone = explained(forest, rows[part])
        assert alone.tobytes() == np.ascontiguousarray(together[:, part]).tobytes()


def test_without_counts_the_document_says_so_and_answers_the_same() -> None:
    X, y = many(2, False)
    estimator = xgb().fit(X, y)
    lean, full = export(estimator, X, explain=False), export(estimator, X)
    assert "counts" not in orjson.loads(lean)["forest"]
    assert len(lean) < len(full)
    forest = forest_of(lean)
    assert trees.refusal(forest) == trees.WITHOUT
    assert "export the model again" in trees.WITHOUT
    with pytest.raises(InvalidInput, match="no counts"):
        explained(forest, X[:4])
    rows = np.ascontiguousarray(X.T)
    assert forest.scores(rows).tobytes() == forest_of(full).scores(rows).tobytes()
    assert trees.refusal(forest_of(full)) == ""


def test_export_leaves_counts_out_where_it_is_told_to(tmp_path: Path) -> None:
    X, y = many(2, False)
    joblib.dump(RandomForestClassifier(3).fit(X, y), tmp_path / "forest.joblib")
    for option, kept in (("--no-explain", False), ("--explain", True)):
        output = tmp_path / f"{kept}.json"
        assert thimble("export", str(tmp_path / "forest.joblib"), "-o", str(output), option).exit_code == 0
        assert ("counts" in orjson.loads(output.read_bytes())["forest"]) is kept


def test_a_forest_inside_another_keeps_its_counts_or_none() -> None:
    from sklearn.ensemble import VotingClassifier
    from sklearn.linear_model import LogisticRegression

    X, y = many(2, False)
    estimator = VotingClassifier(
        [("f", RandomForestClassifier(3)), ("l", LogisticRegression())], voting="soft"
    )
    estimator.fit(X, y)
    assert b'"counts"' in export(estimator)
    assert b'"counts"' not in export(estimator, explain=False)


def test_too_much_work_is_refused_before_it_begins() -> None:
    n = 400
    chain = {"trees": 1, "nodes": "l" + ".l" * (n - 1) + "..", "columns": list(range(n)), "inputs": n}
    chain |= {"thresholds": [0.5] * n, "values": [0.0] * n + [1.0], "counts": [1] * (n + 1), "base": [0.0]}
    forest = forest_keys.parse(chain, "forest")
    assert trees.refusal(forest) == ""
    most = trees.most_rows(forest)
    with pytest.raises(InvalidInput, match=f"send at most {most:,}"):
        trees.contributions(forest, np.zeros((n, most + 1)))
    many_trees = {
        "trees": 60,
        "nodes": "l" * 60 + ".l" * 60 * (n - 1) + "." * 120,
        "columns": [k // 60 for k in range(60 * n)],
        "thresholds": [0.5] * 60 * n,
        "values": [0.0] * 60 * (n + 1),
        "counts": [1] * 60 * (n + 1),
    }
    assert "limit" in trees.refusal(forest_keys.parse(chain | many_trees, "forest"))


def test_a_request_of_more_rows_than_can_be_explained_is_told_how_many_can() -> None:
    X, y = many(2, False)
    document = load(export(RandomForestClassifier(250, random_state=0).fit(X, y))).document
    forest = document.outputs[0].scorer
    assert isinstance(forest, Forest)
    most = trees.most_rows(forest)
    assert most < 10_000
    (asked,) = explained_answers.questions(document, Asked(explain=ALL))
    assert asked.most_rows == most


def test_a_forest_of_leaves_alone_adds_nothing() -> None:
    lone = FOREST | {"nodes": "..", "columns": [], "thresholds": [], "values": [0.5, 1.0], "counts": [3, 0]}
    base, phi = explained(forest_keys.parse(lone, "forest"), np.zeros((4, 1)))
    assert base.tolist() == [1.5]
    assert not phi.any()
