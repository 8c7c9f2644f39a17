"""Turn scikit-learn's trees, forests and boosting into the document's `forest`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from thimble_model import trees
from thimble_model.forests import Grow, Grown, numbers
from thimble_model.program import Column, Program
from thimble_model.transformers import transform
from thimble_model.trees import Sets, Tree
from thimble_model.unsupported import Unsupported, class_name

Keys = dict[str, Any]


def tree_of(estimator: Any, values: NDArray[np.float64], columns: Sequence[int] | None = None) -> Tree:
    """Return a fitted tree with these values (nodes, outputs). `columns` are those that it was given."""
    fitted = estimator.tree_
    is_leaf = fitted.children_left < 0
    looked_at = fitted.feature if columns is None else np.asarray(columns)[np.maximum(fitted.feature, 0)]
    return Tree(
        columns=np.where(is_leaf, -1, looked_at).astype(np.int64),
        thresholds=trees.floor32(fitted.threshold),
        missing_left=fitted.missing_go_to_left.astype(np.bool_),
        left=fitted.children_left.astype(np.int64),
        right=fitted.children_right.astype(np.int64),
        values=values,
        counts=fitted.weighted_n_node_samples,
    )


def _mean(
    members: Sequence[Any],
    n_inputs: int,
    n_classes: int,
    takes_missing: bool,
    subsets: Sequence[Any] | None = None,
) -> Keys:
    """Return the forest whose answer is the mean of the trees' answers. `subsets` are their columns."""
    made = [
        tree_of(member, _shares(member, n_classes), None if subsets is None else subsets[i])
        for i, member in enumerate(members)
    ]
    return trees.forest(
        made, n_inputs, [0.0] * n_classes, takes_missing=takes_missing, divide=len(made), single=True
    )


def _shares(member: Any, n_classes: int) -> NDArray[np.float64]:
    """Return each node's share of each of the forest's classes; a tree may know fewer."""
    found = member.tree_.value[:, 0, :]
    if found.shape[1] == n_classes:
        return found  # type: ignore[no-any-return]
    shares = np.zeros((len(found), n_classes))
    shares[:, np.asarray(member.classes_, dtype=np.intp)] = found
    return shares


def _votes(estimator: Any, n_inputs: int, takes_missing: bool) -> Keys:
    """Count votes: a tree adds its weight to the class it names, and -1 / (K - 1) of it to the others."""
    n_classes = len(estimator.classes_)
    made = []
    for member, weight in zip(estimator.estimators_, estimator.estimator_weights_, strict=False):
        winner = member.classes_.searchsorted(member.classes_)[member.tree_.value[:, 0, :].argmax(axis=1)]
        place = np.searchsorted(estimator.classes_, member.classes_)[winner]
        votes = np.full((len(place), n_classes), -1 / (n_classes - 1) * weight)
        votes[np.arange(len(place)), place] = weight
        made.append(tree_of(member, votes))
    return trees.forest(
        made,
        n_inputs,
        [0.0] * n_classes,
        takes_missing=takes_missing,
        divide=float(estimator.estimator_weights_.sum()),
        single=True,
    )


def _stages(estimator: Any, n_inputs: int, takes_missing: bool) -> Keys:
    """Add to the prior each stage's trees, one for each output, times the learning rate."""
    members = estimator.estimators_  # (stages, outputs)
    made = [
        tree_of(member, estimator.learning_rate * member.tree_.value[:, 0, :]) for member in members.ravel()
    ]
    return trees.forest(
        made,
        n_inputs,
        estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), np.float32))[0].tolist(),
        takes_missing=takes_missing,
        tree_outputs=np.tile(np.arange(members.shape[1]), len(members)).tolist(),
        single=True,
    )


def _iterations(estimator: Any, n_inputs: int) -> Keys:
    """Add each iteration's trees to the baseline. A category in the bit set goes left."""
    sets = Sets()
    made = [_histogram_tree(member, sets) for stage in estimator._predictors for member in stage]
    remapped = estimator._is_categorical_remapped
    return trees.forest(
        made,
        n_inputs,
        np.ravel(estimator._baseline_prediction).tolist(),
        takes_missing=True,
        tree_outputs=np.tile(
            np.arange(estimator.n_trees_per_iteration_), len(estimator._predictors)
        ).tolist(),
        categorical=[] if remapped is None else np.flatnonzero(remapped).tolist(),
        sets=sets,
    )


def _histogram_tree(member: Any, sets: Sets) -> Tree:
    nodes = member.nodes
    is_leaf = nodes["is_leaf"].astype(np.bool_)
    thresholds = nodes["num_threshold"].astype(np.float64)
    for i in np.flatnonzero(nodes["is_categorical"].astype(np.bool_) & ~is_leaf):
        thresholds[i] = sets.place(trees.codes(member.raw_left_cat_bitsets[nodes["bitset_idx"][i]]))
    return Tree(
        columns=np.where(is_leaf, -1, nodes["feature_idx"].astype(np.int64)),
        thresholds=thresholds,
        missing_left=nodes["missing_go_to_left"].astype(np.bool_),
        left=nodes["left"].astype(np.int64),
        right=nodes["right"].astype(np.int64),
        values=nodes["value"].astype(np.float64)[:, np.newaxis],
        counts=nodes["count"],
    )


def _takes_missing(estimator: Any) -> bool:
    """Return whether the estimator takes missing values, by asking it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            estimator.predict(np.full((1, estimator.n_features_in_), np.nan))
        except ValueError:
            return False
    return True


def _averaged(
    program: Program, estimator: Any, columns: list[Column], members: Sequence[Any], subsets: Any = None
) -> Grown:
    takes_missing, n_classes = _takes_missing(estimator), len(estimator.classes_)
    return Grown(
        numbers(program, columns, takes_missing),
        _mean(members, len(columns), n_classes, takes_missing, subsets),
        {"out_activation": "identity" if n_classes > 1 else "softmax"},
    )


def tree(program: Program, estimator: Any, columns: list[Column]) -> Grown:
    return _averaged(program, estimator, columns, [estimator])


def random_forest(program: Program, estimator: Any, columns: list[Column]) -> Grown:
    return _averaged(program, estimator, columns, estimator.estimators_)


def bagging(program: Program, estimator: Any, columns: list[Column]) -> Grown:
    for member in estimator.estimators_:
        _require_tree(member)
    return _averaged(program, estimator, columns, estimator.estimators_, estimator.estimators_features_)


def ada_boost(program: Program, estimator: Any, columns: list[Column]) -> Grown:
    for member in estimator.estimators_:
        _require_tree(member)
    n_classes = len(estimator.classes_)
    if n_classes == 1:
        return _averaged(program, estimator, columns, estimator.estimators_)
    takes_missing = _takes_missing(estimator)
    keys: Keys = {"out_activation": "softmax", "decision": "logits"}
    return Grown(
        numbers(program, columns, takes_missing),
        _votes(estimator, len(columns), takes_missing),
        keys | ({"temperature": n_classes - 1.0} if n_classes > 2 else {}),
    )


def _require_tree(member: Any) -> None:
    if type(member) not in (DecisionTreeClassifier, ExtraTreeClassifier):
        raise Unsupported(
            f"it is made of {class_name(member)}; supported are DecisionTreeClassifier and "
            "ExtraTreeClassifier"
        )


def gradient_boosting(program: Program, estimator: Any, columns: list[Column]) -> Grown:
    if estimator.init is not None and not isinstance(estimator.init, str):
        raise Unsupported(
            f"it begins with what {class_name(estimator.init)} answers (init); supported are None and 'zero'"
        )
    takes_missing, several = _takes_missing(estimator), len(estimator.classes_) > 2
    keys: Keys = {"out_activation": "softmax" if several else "logistic", "decision": "logits"}
    keys |= {} if several else {"ties": "last"}
    return Grown(
        numbers(program, columns, takes_missing),
        _stages(estimator, len(columns), takes_missing),
        keys | ({"temperature": 0.5} if estimator.loss == "exponential" else {}),
    )


def histogram_boosting(program: Program, estimator: Any, columns: list[Column]) -> Grown:
    prepared = columns
    if estimator._preprocessor is not None:
        is_category = estimator.is_categorical_
        encoder = estimator._preprocessor.named_transformers_["encoder"]
        plain = [column for column, categorical in zip(columns, is_category, strict=True) if not categorical]
        chosen = [column for column, categorical in zip(columns, is_category, strict=True) if categorical]
        prepared = [*transform(program, encoder, chosen, ("encoder",)), *numbers(program, plain, True)]
    else:
        numbers(program, columns, True)
    several = len(estimator.classes_) > 2
    keys: Keys = {"out_activation": "softmax" if several else "logistic", "decision": "logits"}
    return Grown(prepared, _iterations(estimator, len(prepared)), keys)


GROW: Mapping[str, Grow] = {
    "AdaBoostClassifier": ada_boost,
    "BaggingClassifier": bagging,
    "DecisionTreeClassifier": tree,
    "ExtraTreeClassifier": tree,
    "ExtraTreesClassifier": random_forest,
    "GradientBoostingClassifier": gradient_boosting,
    "HistGradientBoostingClassifier": histogram_boosting,
    "RandomForestClassifier": random_forest,
}
