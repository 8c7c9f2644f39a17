"""Fitted classifiers as networks: the document's keys that say what a model computes.

A linear model is a network without hidden layers. A multilayer perceptron decides on probabilities and
a linear model on logits, which matters where two of them round to a tie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.neural_network import MLPClassifier
from sklearn.utils.validation import check_is_fitted

from model.support import Unsupported, class_name, names
from thimble.document import Label

Keys = dict[str, Any]

LOSS_CURVE_POINTS = 100
HISTORY = ("n_iter", "t", "loss", "best_loss", "best_validation_score", "loss_curve", "validation_scores")


def classifier_keys(estimator: Any) -> Keys:
    """classes, weights, activations and the decision rule; Unsupported if there is no exact form."""
    if type(estimator) not in CLASSIFIERS:  # a subclass may predict in its own way
        supported = names(kind.__name__ for kind in CLASSIFIERS)
        raise Unsupported(f"{class_name(estimator)} is not supported; supported are {supported}")
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        raise Unsupported(f"{class_name(estimator)} is not fitted") from None
    if len(estimator.classes_) < 2:
        raise Unsupported(f"{class_name(estimator)} was fitted on one class only; it tells nothing apart")
    return CLASSIFIERS[type(estimator)](estimator)


def _mlp(estimator: MLPClassifier) -> Keys:
    return network_keys(
        classes=labels(estimator.classes_),
        coefs=estimator.coefs_,
        intercepts=estimator.intercepts_,
        activation=estimator.activation,
        out_activation=estimator.out_activation_,
    )


def _logistic_regression(estimator: LogisticRegression) -> Keys:
    binary = len(estimator.classes_) == 2
    return linear_keys(estimator, out_activation="logistic" if binary else "softmax")


CLASSIFIERS: dict[type, Callable[[Any], Keys]] = {
    LogisticRegression: _logistic_regression,
    LogisticRegressionCV: _logistic_regression,
    MLPClassifier: _mlp,
}


def linear_keys(estimator: Any, out_activation: str) -> Keys:
    coef = estimator.coef_.toarray() if hasattr(estimator.coef_, "toarray") else estimator.coef_  # sparsify()
    return network_keys(
        classes=labels(estimator.classes_),
        coefs=[coef.T],
        intercepts=[np.broadcast_to(estimator.intercept_, len(coef))],
        out_activation=out_activation,
        decision="logits",
    )


def network_keys(coefs: list[NDArray[Any]], intercepts: list[NDArray[Any]], **keys: Any) -> Keys:
    if not all(np.isfinite(weights).all() for weights in (*coefs, *intercepts)):
        raise Unsupported("The estimator has weights that are not finite: its training diverged")
    return {
        **keys,
        "n_features_in": coefs[0].shape[0],
        "n_layers": len(coefs) + 1,
        "n_outputs": coefs[-1].shape[1],
        "coefs": [np.asarray(W, dtype=np.float64).tolist() for W in coefs],  # float32 is exact in float64
        "intercepts": [np.asarray(b, dtype=np.float64).tolist() for b in intercepts],
    }


def labels(classes: NDArray[Any]) -> list[Label]:
    """The classes as JSON has them, each of its own type."""
    plain: list[Label] = classes.tolist()
    for label in plain:
        if not isinstance(label, str | bool | int | float):
            raise Unsupported(
                f"The label {label!r} is a {class_name(label)}; labels are strings, numbers or booleans"
            )
    return plain


def history(estimator: Any) -> Keys:
    """How the training went, as far as the estimator knows; a long loss curve is thinned evenly."""
    found = {key: getattr(estimator, f"{key}_", None) for key in HISTORY}
    return {key: _plain(value) for key, value in found.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [float(v) for v in _thinned(value)]
    return int(np.max(value)) if np.asarray(value).dtype.kind in "iu" else float(value)


def _thinned(curve: list[Any]) -> list[Any]:
    if len(curve) <= LOSS_CURVE_POINTS:
        return curve
    kept = np.linspace(0, len(curve) - 1, LOSS_CURVE_POINTS).round().astype(int)
    return [curve[i] for i in kept]
