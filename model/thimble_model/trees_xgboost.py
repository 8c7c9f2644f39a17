"""Turn XGBoost's boosters into the document's `forest`, read from XGBoost's own JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble_model import trees
from thimble_model.forests import Grow, Grown, categories, numbers
from thimble_model.program import Column, Program
from thimble_model.trees import Sets, Tree
from thimble_model.unsupported import Unsupported

Keys = dict[str, Any]

ARGMAX = "multi:softmax"  # predicts the class of the largest sum
LINKS = {"binary:logistic": "logistic", "multi:softprob": "softmax", ARGMAX: "softmax"}


class Model(NamedTuple):
    """The parts of a booster's JSON that matter here."""

    objective: str
    n_features: int
    base: tuple[float, ...]  # the raw scores before the first tree
    trees: Sequence[Any]
    tree_outputs: tuple[int, ...]
    iterations: tuple[int, ...]  # the index of each iteration's first tree, and the end of the last
    types: tuple[str, ...]  # the features' types: "c" is a category
    encodings: Sequence[Any]  # the categories that each feature was trained on
    best_iteration: int | None


def read(booster: Any) -> Model:
    """Read a booster. Raises Unsupported if its answer is not a sum of leaves."""
    raw = json.loads(bytes(booster.save_raw("json")))
    learner = raw["learner"]
    objective, gradient_booster = learner["objective"]["name"], learner["gradient_booster"]
    if gradient_booster["name"] != "gbtree":
        raise Unsupported(
            f"its booster is {gradient_booster['name']}; supported is gbtree: train it with that"
        )
    if any(float(weight) != 1.0 for weight in gradient_booster["model"].get("weight_drop", ())):
        raise Unsupported("its trees are weighted by dropout (dart); train it without rate_drop")
    if objective not in LINKS:
        raise Unsupported(
            f"its objective is {objective}; supported are {', '.join(LINKS)}: train it with one of these"
        )
    model, parameters = gradient_booster["model"], learner["learner_model_param"]
    if any(int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in model["trees"]):
        raise Unsupported(
            "its trees have several outputs (multi_strategy); train it with one_output_per_tree"
        )
    best = learner["attributes"].get("best_iteration")
    return Model(
        objective=objective,
        n_features=int(parameters["num_feature"]),
        base=_base(booster, raw),
        trees=model["trees"],
        tree_outputs=tuple(model["tree_info"]),
        iterations=tuple(model["iteration_indptr"]),
        types=tuple(learner["feature_types"]),
        encodings=model.get("cats", {}).get("enc", ()),
        best_iteration=None if best is None else int(best),
    )


def _base(booster: Any, raw: Keys) -> tuple[float, ...]:
    """Return the raw scores before the first tree.

    XGBoost computes them, on a copy of the booster whose only tree adds 0. `base_score` may be a probability,
    and another library's logarithm of it may differ in the last bits.
    """
    import xgboost

    model = raw["learner"]["gradient_booster"]["model"]
    if not model["trees"]:
        raise Unsupported("the booster has no trees: fit it with n_estimators of 1 or more")
    bare = model | {"trees": [_nothing(model["trees"][0])], "tree_info": [0], "iteration_indptr": [0, 1]}
    bare.pop("weight_drop", None)  # one per tree since XGBoost 3.4
    bare["gbtree_model_param"] = model["gbtree_model_param"] | {"num_trees": "1", "num_parallel_tree": "1"}
    learner = raw["learner"] | {"gradient_booster": raw["learner"]["gradient_booster"] | {"model": bare}}
    learner["feature_names"] = []  # XGBoost cannot read letters outside ASCII as json.dumps writes them
    empty = type(booster)(model_file=bytearray(json.dumps(raw | {"learner": learner}).encode()))
    types, n = learner["feature_types"] or None, int(learner["learner_model_param"]["num_feature"])
    row = xgboost.DMatrix(np.zeros((1, n), np.float32), feature_types=types, enable_categorical=True)
    return tuple(np.ravel(empty.predict(row, output_margin=True)).astype(np.float64).tolist())


def _nothing(tree: Keys) -> Keys:
    """Return a tree of one leaf that adds 0."""
    alone = {
        key: [type(value[0])(0)] if isinstance(value, list) and value else value
        for key, value in tree.items()
    }
    alone |= {key: [] for key in tree if key.startswith("categories")}
    alone |= {"left_children": [-1], "right_children": [-1], "parents": [2147483647], "id": 0}
    return alone | {"tree_param": tree["tree_param"] | {"num_nodes": "1", "num_deleted": "0"}}


def forest(model: Model, missing: float, n_iterations: int | None) -> Keys:
    """Return the forest of the first n iterations, or of all if None.

    `missing` is the number that counts as missing besides NaN.
    """
    end = model.iterations[-1 if n_iterations is None else n_iterations]
    sets = Sets()
    return trees.forest(
        [_tree(tree, sets) for tree in model.trees[:end]],
        model.n_features,
        model.base,
        takes_missing=True,
        tree_outputs=model.tree_outputs[:end],
        single=True,
        single_sums=True,
        categorical=[i for i, type_ in enumerate(model.types) if type_ == "c"],
        sets=sets,
        absent=None if np.isnan(missing) else {"value": float(np.float32(missing))},
    )


def _tree(tree: Keys, sets: Sets) -> Tree:
    """Return a tree. XGBoost sends a category in the node's set right, so such a node is mirrored."""
    left, right = (np.array(tree[f"{side}_children"], np.int64) for side in ("left", "right"))
    numbers = np.array(tree["split_conditions"], np.float32)
    thresholds, missing_left = trees.below32(numbers), np.array(tree["default_left"], np.bool_)
    segments = zip(
        tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
    )
    for node, start, size in segments:
        thresholds[node] = sets.place(tree["categories"][start : start + size])
        missing_left[node] = not missing_left[node]
        left[node], right[node] = right[node], left[node]
    return Tree(
        columns=np.where(left < 0, -1, np.array(tree["split_indices"], np.int64)),
        thresholds=thresholds,
        missing_left=missing_left,
        left=left,
        right=right,
        values=numbers.astype(np.float64)[:, np.newaxis],
        gains=np.array(tree["loss_changes"], np.float64),
        counts=np.array(tree["sum_hessian"], np.float32),
    )


def grow(program: Program, estimator: Any, columns: list[Column]) -> Grown:
    return _grown(program, estimator.get_booster(), float(estimator.missing), columns)


def grow_booster(program: Program, booster: Any, columns: list[Column]) -> Grown:
    return _grown(program, booster, np.nan, columns)


def _grown(program: Program, booster: Any, missing: float, columns: list[Column]) -> Grown:
    model = read(booster)
    if len(columns) != model.n_features:
        raise Unsupported(f"it takes {model.n_features} columns, and {len(columns)} reach it")
    keys: Keys = {"out_activation": f"{LINKS[model.objective]}32"}
    if model.objective == ARGMAX:
        keys["decision"] = "logits"
    return Grown(encoded(program, model, columns), forest(model, missing, _iterations(model)), keys)


def _iterations(model: Model) -> int | None:
    """Return the number of iterations up to the best one after early stopping; None for all."""
    return None if model.best_iteration is None else model.best_iteration + 1


def encoded(program: Program, model: Model, columns: list[Column]) -> list[Column]:
    """Read the columns. A category is a text or number that it was trained on; XGBoost refuses others."""
    found = []
    for i, column in enumerate(columns):
        known = _categories(model.encodings[i]) if i < len(model.encodings) else []
        if known:
            found.append(categories(program, column, known, takes_unknown=False))
        else:
            found += numbers(program, [column], True)
    return found


def trained_categories(estimator: Any) -> dict[int, list[Any]]:
    return categories_of(estimator.get_booster())


def categories_of(booster: Any) -> dict[int, list[Any]]:
    """Return the categories by column index."""
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    gradient_booster = learner["gradient_booster"]
    encodings = gradient_booster.get("model", {}).get("cats", {}).get("enc", ())
    found = {i: _categories(encoding) for i, encoding in enumerate(encodings)}
    return {i: known for i, known in found.items() if known}


def _categories(encoding: Keys) -> list[Any]:
    """Return a feature's categories. Texts are stored as their joined bytes and the offset of each."""
    if "offsets" not in encoding:
        return list(encoding["values"])
    text, offsets = bytes(value % 256 for value in encoding["values"]), encoding["offsets"]
    if not text.isascii():
        raise Unsupported(
            "XGBoost keeps categories of other letters than ASCII's in part only; rename them, or encode the "
            "column before it (OrdinalEncoder), and fit again"
        )
    return [text[start:end].decode() for start, end in pairwise(offsets)]


def opened(data: bytes) -> Any:
    import xgboost

    return xgboost.Booster(model_file=bytearray(data))


def n_features(booster: Any) -> int:
    return int(booster.num_features())


def names(booster: Any) -> list[str]:
    return list(booster.feature_names or ())


def probabilities(booster: Any, rows: Any) -> NDArray[Any]:
    """Return a booster's probabilities, after early stopping those of the best iteration.

    `multi:softmax` would answer with labels, so a copy is asked for `multi:softprob`.
    """
    import xgboost

    asked = booster
    if json.loads(booster.save_config())["learner"]["objective"]["name"] == ARGMAX:
        asked = booster.copy()
        asked.set_param({"objective": "multi:softprob"})
    best = booster.attr("best_iteration")
    found: NDArray[Any] = asked.predict(
        xgboost.DMatrix(rows, enable_categorical=True),
        iteration_range=(0, 0 if best is None else int(best) + 1),
        validate_features=False,
    )
    return found


GROW: Mapping[str, Grow] = {"XGBClassifier": grow, "XGBRFClassifier": grow}
