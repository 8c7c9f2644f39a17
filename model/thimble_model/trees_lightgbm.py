"""Turn LightGBM's boosters into the document's `forest`, read from LightGBM's own text format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble_model import trees
from thimble_model.forests import Grow, Grown, categories, numbers
from thimble_model.program import Column, Program
from thimble_model.trees import Sets, Tree
from thimble_model.unsupported import Unsupported

Keys = dict[str, Any]

LINKS = {"binary": "logistic", "multiclass": "softmax", "multiclassova": "logistic"}
ZERO = float(np.float32(1e-35))  # numbers of at most this size count as 0
CATEGORICAL, DEFAULT_LEFT = 1, 2  # bits of a decision type
NO_MISSING, ZERO_MISSING, NAN_MISSING = 0, 1, 2  # values of its next two bits


class Model(NamedTuple):
    """The parts of a booster's text that matter here."""

    objective: str
    sigmoid: float
    n_features: int
    n_outputs: int
    average: bool  # for a random forest, whose sum is divided by the number of iterations
    categorical: tuple[int, ...]  # indices of features
    trees: Sequence[Keys]


def read(text: str) -> Model:
    """Read a booster. Raises Unsupported if its answer is not a sum of leaves."""
    header, *sections = text.partition("\nend of trees")[0].split("\nTree=")
    keys = _keys(header)
    if keys.get("", "tree") != "tree" or "objective" not in keys:
        raise Unsupported("it has no objective of its own, so nothing says what its scores mean")
    objective, *parameters = keys["objective"].split()
    if objective not in LINKS:
        raise Unsupported(
            f"its objective is {objective}; supported are {', '.join(LINKS)}: train it with one of these"
        )
    said = dict(parameter.partition(":")[::2] for parameter in parameters)
    found = [_keys(section) for section in sections]
    if any(int(tree.get("is_linear", 0)) for tree in found):
        raise Unsupported("its leaves are linear models (linear_tree); train it without")
    infos = keys["feature_infos"].split()
    return Model(
        objective=objective,
        sigmoid=float(said.get("sigmoid", 1.0)),
        n_features=len(infos),
        n_outputs=int(keys["num_tree_per_iteration"]),
        average="average_output" in keys,
        categorical=tuple(i for i, info in enumerate(infos) if info != "none" and not info.startswith("[")),
        trees=found,
    )


def _keys(section: str) -> dict[str, str]:
    """Return the values of the lines `key=value`; a line of one word has the value ""."""
    return {key: value for key, _, value in (line.partition("=") for line in section.splitlines())}


def forest(model: Model) -> Keys:
    sets = Sets()
    made = [_tree(tree, sets) for tree in model.trees]
    absent = sorted({column for tree in model.trees for column in _zero_is_missing(tree)})
    return trees.forest(
        made,
        model.n_features,
        [0.0] * model.n_outputs,
        takes_missing=True,
        tree_outputs=[i % model.n_outputs for i in range(len(made))],
        divide=len(made) / model.n_outputs if model.average else 1.0,
        categorical=model.categorical,
        sets=sets,
        zero=ZERO,
        absent={"value": 0.0, "columns": absent} if absent else None,
    )


def _array(tree: Keys, key: str, dtype: Any) -> NDArray[Any]:
    return np.array(tree.get(key, "").split(), dtype=np.float64).astype(dtype)


def _zero_is_missing(tree: Keys) -> set[int]:
    """Return the features whose zeros count as missing, which holds for all of a feature's nodes or none."""
    columns, decisions = _array(tree, "split_feature", np.int64), _array(tree, "decision_type", np.int64)
    return set(columns[(decisions >> 2 == ZERO_MISSING) & (decisions & CATEGORICAL == 0)].tolist())


def _tree(tree: Keys, sets: Sets) -> Tree:
    """Return a tree: its inner nodes, then its leaves. A missing category goes right."""
    columns, decisions = _array(tree, "split_feature", np.int64), _array(tree, "decision_type", np.int64)
    thresholds, values = _array(tree, "threshold", np.float64), _array(tree, "leaf_value", np.float64)
    is_category, missing = decisions & CATEGORICAL > 0, decisions >> 2
    missing_left = np.where(missing == NO_MISSING, thresholds >= 0.0, decisions & DEFAULT_LEFT > 0)
    starts, words = (_array(tree, f"cat_{name}", np.uint32) for name in ("boundaries", "threshold"))
    for node in np.flatnonzero(is_category):
        place = int(thresholds[node])
        thresholds[node] = sets.place(trees.codes(words[starts[place] : starts[place + 1]]))
        missing_left[node] = False
    n, leaves = len(columns), len(values)
    children = [_array(tree, f"{side}_child", np.int64) for side in ("left", "right")]
    left, right = (np.where(child < 0, n - 1 - child, child) for child in children)  # -1 is the first leaf
    of_leaves = np.full(leaves, -1)
    return Tree(
        columns=np.concatenate([columns, of_leaves]),
        thresholds=np.concatenate([thresholds, np.zeros(leaves)]),
        missing_left=np.concatenate([missing_left, np.zeros(leaves, np.bool_)]),
        left=np.concatenate([left, of_leaves]),
        right=np.concatenate([right, of_leaves]),
        values=np.concatenate([np.zeros(n), values])[:, np.newaxis],
        gains=np.concatenate([_array(tree, "split_gain", np.float64), np.zeros(leaves)]),
        counts=np.concatenate([np.zeros(n), _leaf_counts(tree, leaves)]),
    )


def _leaf_counts(tree: Keys, leaves: int) -> NDArray[np.float64]:
    """Return the leaves' counts; 0 for a tree of one leaf, for which LightGBM writes none."""
    counts: NDArray[np.float64] = _array(tree, "leaf_count", np.float64)
    return counts if len(counts) else np.zeros(leaves)


def grow(program: Program, estimator: Any, columns: list[Column]) -> Grown:
    return grow_booster(program, estimator.booster_, columns)


def grow_booster(program: Program, booster: Any, columns: list[Column]) -> Grown:
    """Read a booster's forest, after early stopping only up to the best iteration."""
    best = booster.best_iteration
    model = read(booster.model_to_string(num_iteration=best if best else None))
    known = iter(_categories(model, booster.pandas_categorical, columns, program))
    prepared = [
        categories(program, column, next(known), takes_unknown=True)
        if i in model.categorical and booster.pandas_categorical
        else numbers(program, [column], True)[0]
        for i, column in enumerate(columns)
    ]
    keys: Keys = {"out_activation": LINKS[model.objective]}
    keys |= {"multilabel": False} if model.objective == "multiclassova" else {}
    if model.objective != "multiclass" and model.sigmoid != 1.0:
        keys |= {"temperature": 1.0 / model.sigmoid}
    return Grown(prepared, forest(model), keys, sums=model.average)


def trained_categories(estimator: Any) -> dict[int, list[Any]]:
    return categories_of(estimator.booster_)


def categories_of(booster: Any) -> dict[int, list[Any]]:
    """Return pandas' categories by column index."""
    known = booster.pandas_categorical or []
    model = read(booster.model_to_string(num_iteration=1))
    return dict(zip(model.categorical, known, strict=False))


def _categories(model: Model, known: Any, columns: list[Column], program: Program) -> list[Any]:
    """Return the categories of pandas' categorical columns, in the order of the columns."""
    if not known:
        return []
    if len(known) != len(model.categorical):
        raise Unsupported(
            f"it was trained on {len(known)} columns of categories, uses {len(model.categorical)} of them, "
            "and does not say which; leave out the columns that are all alike, and fit again"
        )
    return list(known)


def opened(data: bytes) -> Any:
    import lightgbm

    return lightgbm.Booster(params={"verbosity": -1}, model_str=data.decode())


def n_features(booster: Any) -> int:
    return int(booster.num_feature())


def names(booster: Any) -> list[str]:
    """Return the features' names; [] if LightGBM made them up."""
    found: list[str] = booster.feature_name()
    return [] if found == [f"Column_{i}" for i in range(len(found))] else found


def probabilities(booster: Any, rows: Any) -> NDArray[Any]:
    return np.asarray(booster.predict(rows))


GROW: Mapping[str, Grow] = {"LGBMClassifier": grow}
