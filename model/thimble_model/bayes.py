"""Lower naive Bayes, quadratic discriminants and nearest centroids to steps and a network.

Squares and codes become columns of the program; the rest is linear. Where the log-likelihood is linear in the
features (multinomial, complement, Bernoulli) it is one layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import Binarizer

from thimble_model.labels import labels
from thimble_model.networks import Head, head
from thimble_model.program import Column, Program
from thimble_model.transformers import transform
from thimble_model.unsupported import Unsupported
from thimble_model.wrappers import Place

Columns = list[Column]


def _likeliest(columns: list[int], coefs: Any, intercepts: Any, estimator: Any, **keys: Any) -> Head:
    """A head of log-likelihoods: the largest gives the label, their softmax the probabilities."""
    return head(
        columns,
        [coefs],
        [intercepts],
        classes=labels(estimator.classes_),
        out_activation="softmax",
        **{"decision": "logits"} | keys,
    )


def _indices(columns: Columns) -> list[int]:
    return [column.index for column in columns]


def multinomial(program: Program, estimator: Any, columns: Columns, place: Place) -> Head:
    return _likeliest(_indices(columns), estimator.feature_log_prob_.T, estimator.class_log_prior_, estimator)


def complement(program: Program, estimator: Any, columns: Columns, place: Place) -> Head:
    n_classes = len(estimator.classes_)
    return _likeliest(_indices(columns), estimator.feature_log_prob_.T, np.zeros(n_classes), estimator)


def bernoulli(program: Program, estimator: Any, columns: Columns, place: Place) -> Head:
    """log P(c) + Σ x log p + (1 - x) log(1 - p), with each feature x 0 or 1."""
    absent = np.log(1 - np.exp(estimator.feature_log_prob_))
    if estimator.binarize is not None:
        columns = transform(program, Binarizer(threshold=estimator.binarize), columns, (*place, "binarize"))
    return _likeliest(
        _indices(columns),
        (estimator.feature_log_prob_ - absent).T,
        estimator.class_log_prior_ + absent.sum(axis=1),
        estimator,
    )


def categorical(program: Program, estimator: Any, columns: Columns, place: Place) -> Head:
    """One-hot columns of the codes. Codes unknown to the estimator are rejected, as by scikit-learn."""
    whole = program.add("function", _indices(columns), name="trunc")  # scikit-learn casts them to integers
    sizes = [table.shape[1] for table in estimator.feature_log_prob_]
    codes = [
        program.tabled(column, {float(code): float(code) for code in range(size)}, None).index
        for column, size in zip(whole, sizes, strict=True)
    ]
    ones = program.add("one_hot", codes, width=sum(sizes), sizes=sizes)
    return _likeliest(
        _indices(ones),
        np.hstack(estimator.feature_log_prob_).T,
        estimator.class_log_prior_,
        estimator,
    )


def gaussian(program: Program, estimator: Any, columns: Columns, place: Place) -> Head:
    """log P(c) - Σ log(2πv) / 2 - Σ (x - θ)² / 2v. The squares are columns, the rest is linear."""
    theta, var = estimator.theta_, estimator.var_
    n_classes, n_features = theta.shape
    centred = program.add("scale", _indices(columns) * n_classes, subtract=theta.ravel())
    squares = program.add("function", _indices(centred), name="square")
    weights = np.zeros((n_classes * n_features, n_classes))
    for k in range(n_classes):
        weights[k * n_features : (k + 1) * n_features, k] = -0.5 / var[k]
    with np.errstate(divide="ignore"):
        intercepts = np.log(estimator.class_prior_) - 0.5 * np.log(2.0 * np.pi * var).sum(axis=1)
    return _likeliest(_indices(squares), weights, intercepts, estimator)


def quadratic(program: Program, estimator: Any, columns: Columns, place: Place) -> Head:
    """-½ (|(x - μ) R S^-½|² + Σ log s) + log P(c)"""
    squares: list[int] = []
    n_classes = len(estimator.classes_)
    sums = []
    for k in range(n_classes):
        rotation = estimator.rotations_[k] * estimator.scalings_[k] ** -0.5
        centred = program.add("scale", _indices(columns), subtract=np.asarray(estimator.means_[k]))
        turned = program.add(
            "linear",
            _indices(centred),
            width=rotation.shape[1],
            coefs=rotation,
            intercepts=np.zeros(rotation.shape[1]),
        )
        squares += _indices(program.add("function", _indices(turned), name="square"))
        sums.append(rotation.shape[1])
    logs = np.array([np.log(scaling).sum() for scaling in estimator.scalings_])
    with np.errstate(divide="ignore"):
        intercepts = -0.5 * logs + np.log(estimator.priors_)
    return _likeliest(squares, _blocks(sums) * -0.5, intercepts, estimator)


def _blocks(sizes: list[int]) -> NDArray[np.float64]:
    """Return a matrix (columns, groups): 1 where the column belongs to the group."""
    return np.repeat(np.eye(len(sizes)), sizes, axis=0)


def nearest_centroid(program: Program, estimator: Any, columns: Columns, place: Place) -> Head:
    """Compare distances in units of the standard deviation within classes.

    If all classes are equally likely, scikit-learn chooses the label by plain distances instead.
    """
    if estimator.metric not in ("euclidean", "manhattan"):
        raise Unsupported(f"its metric is {estimator.metric!r}; supported are 'euclidean' and 'manhattan'")
    even = bool(np.isclose(estimator.class_prior_, 1 / len(estimator.classes_)).all())
    if estimator.metric == "manhattan":
        return _by_sums(program, estimator, columns, even)
    near, blocks = _differences(program, estimator, columns, "square", scaled=True)
    priors = 2.0 * np.log(estimator.class_prior_)
    if not even:
        return _likeliest(near, -blocks, priors, estimator)
    centroids = np.asarray(estimator.centroids_, dtype=np.float64)  # 2 x·c - c·c is largest
    n = len(centroids)
    coefs = np.zeros((len(near) + len(columns), 2 * n))
    coefs[: len(near), :n], coefs[len(near) :, n:] = -blocks, 2.0 * centroids.T
    intercepts = np.concatenate([priors, -(centroids**2).sum(axis=1)])
    return _likeliest(
        [*near, *_indices(columns)], coefs, intercepts, estimator, decision="probabilities", apart=True
    )


def _by_sums(program: Program, estimator: Any, columns: Columns, even: bool) -> Head:
    """A head without probabilities (metric="manhattan").

    The scores are the negative distances, or scikit-learn's decision function if the priors differ.
    """
    near, blocks = _differences(program, estimator, columns, "abs", scaled=not even)
    keys: dict[str, Any] = {"classes": labels(estimator.classes_), "decision": "scores"}
    if even:
        return head(near, [-blocks], [np.zeros(blocks.shape[1])], out_activation="identity", **keys)
    n = blocks.shape[1]
    distances = program.add("linear", near, width=n, coefs=blocks, intercepts=np.zeros(n))
    squares = program.add("function", _indices(distances), name="square")
    priors = 2.0 * np.log(estimator.class_prior_)
    return head(_indices(squares), [-np.eye(n)], [priors], out_activation="identity", **keys)


def _differences(
    program: Program, estimator: Any, columns: Columns, function: str, scaled: bool
) -> tuple[list[int], NDArray[np.float64]]:
    """Return columns of `function(x - centroid)` for each class and feature, and their `_blocks` by class."""
    centroids = np.asarray(estimator.centroids_, dtype=np.float64)
    n_classes, n_features = centroids.shape
    deviations = np.asarray(estimator.within_class_std_dev_, dtype=np.float64)
    divide = np.tile(np.where(deviations != 0, deviations, 1.0), n_classes) if scaled else None
    centred = program.add("scale", _indices(columns) * n_classes, subtract=centroids.ravel(), divide=divide)
    found = program.add("function", _indices(centred), name=function)
    return _indices(found), _blocks([n_features] * n_classes)
