"""scikit-learn's trees, forests and boosting as the document's `forest`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thimble_model import trees
from thimble_model.trees import Sets, Tree
from thimble_model.unsupported import Unsupported, class_name

Keys = dict[str, Any]


def tree_of(estimator: Any, values: NDArray[np.float64], columns: Sequence[int] | None = None) -> Tree:
    """A fitted tree with these values, (nodes, outputs); `columns` are those that it was given."""
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
    )


def voting(
    members: Sequence[Any],
    n_inputs: int,
    n_classes: int,
    takes_missing: bool,
    subsets: Sequence[Any] | None = None,
) -> Keys:
    """The mean of what trees answer; each tells the classes that it knows, by their numbers."""
    made = [
        tree_of(member, _shares(member, n_classes), None if subsets is None else subsets[i])
        for i, member in enumerate(members)
    ]
    return trees.forest(
        made, n_inputs, [0.0] * n_classes, takes_missing=takes_missing, divide=len(made), single=True
    )


def _shares(member: Any, n_classes: int) -> NDArray[np.float64]:
    """Of each node the share of each class, of all that the forest knows."""
    found = member.tree_.value[:, 0, :]
    if found.shape[1] == n_classes:
        return found  # type: ignore[no-any-return]
    shares = np.zeros((len(found), n_classes))
    shares[:, np.asarray(member.classes_, dtype=np.intp)] = found
    return shares


def require_one_output(estimator: Any) -> None:
    if getattr(estimator, "n_outputs_", 1) > 1:
        raise Unsupported(
            "its trees have several outputs; fit a MultiOutputClassifier over it, a forest an output"
        )


def ada_boost(estimator: Any, n_inputs: int, takes_missing: bool) -> Keys:
    """Each tree's vote: its weight for the class, and -1 / (K - 1) of it for the others."""
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


def gradient_boosting(estimator: Any, n_inputs: int, takes_missing: bool) -> Keys:
    """The prior, then each stage's trees, a class each, times the learning rate."""
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


def histogram_boosting(estimator: Any, n_inputs: int) -> Keys:
    """The baseline, then each iteration's trees; a category in the bit set goes left."""
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
    )
