"""Compute the scores of an estimator without probabilities, to compare its document's scores with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.metrics import pairwise_distances
from sklearn.multiclass import OutputCodeClassifier
from sklearn.neighbors import NearestCentroid

from thimble_model.wrappers import reached

Numbers = NDArray[np.float64]


def scores(estimator: Any, X: Any) -> Numbers:
    """Return a number for each class, the label's being the largest.

    With two classes, a decision function s becomes -s and s.
    """
    inner, rows = reached(estimator, X)
    if type(inner) is VotingClassifier:
        return _votes(inner, rows)
    if type(inner) is OutputCodeClassifier:
        return _nearness(inner, rows)
    if type(inner) is NearestCentroid and inner.metric == "manhattan":
        return _centred(inner, rows)
    if type(inner) is StackingClassifier and not hasattr(inner, "decision_function"):
        return scores(inner.final_estimator_, inner.transform(rows))
    found = np.asarray(estimator.decision_function(X))
    return np.column_stack([-found, found]) if found.ndim == 1 else found


def _votes(estimator: Any, X: Any) -> Numbers:
    n = len(estimator.classes_)
    weights = estimator._weights_not_none
    return np.array(
        [np.bincount(row, weights=weights, minlength=n) for row in estimator.transform(X)], np.float64
    )


def _nearness(estimator: Any, X: Any) -> Numbers:
    codes = estimator.code_book_
    answers = [
        np.ravel(one.decision_function(X))
        if hasattr(one, "decision_function")
        else one.predict_proba(X)[:, 1]
        for one in estimator.estimators_
    ]
    return np.asarray(2.0 * np.column_stack(answers) @ codes.T - (codes**2).sum(axis=1))


def _centred(estimator: Any, X: Any) -> Numbers:
    if np.isclose(estimator.class_prior_, 1 / len(estimator.classes_)).all():
        return np.asarray(-pairwise_distances(np.asarray(X), estimator.centroids_, metric="manhattan"))
    return np.asarray(estimator._decision_function(X))
