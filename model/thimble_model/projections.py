"""Turn fitted transformers that are weighted sums of their columns, or functions of such sums, into steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.cluster import FeatureAgglomeration
from sklearn.decomposition import PCA, FactorAnalysis, FastICA, IncrementalPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.kernel_approximation import RBFSampler, SkewedChi2Sampler
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.neural_network import BernoulliRBM
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from thimble_model.program import Column, Program
from thimble_model.unsupported import Unsupported

Columns = list[Column]


def pca(program: Program, estimator: Any, columns: Columns) -> Columns:
    made = centred(program, columns, estimator.mean_, estimator.components_.T)
    if not estimator.whiten:
        return made
    scale = np.sqrt(estimator.explained_variance_)
    scale = np.maximum(scale, np.finfo(scale.dtype).eps)
    return program.add("scale", program.numbers(made), foldable=True, divide=scale)


def components(program: Program, estimator: Any, columns: Columns) -> Columns:
    found = estimator.components_
    return _linear(program, columns, (found.toarray() if hasattr(found, "toarray") else found).T)


def factor_analysis(program: Program, estimator: FactorAnalysis, columns: Columns) -> Columns:
    weighted = estimator.components_ / estimator.noise_variance_
    precision = np.linalg.inv(np.eye(len(weighted)) + weighted @ estimator.components_.T)
    return centred(program, columns, estimator.mean_, weighted.T @ precision)


def fast_ica(program: Program, estimator: FastICA, columns: Columns) -> Columns:
    if not estimator.whiten:
        return components(program, estimator, columns)
    return centred(program, columns, estimator.mean_, estimator.components_.T)


def discriminants(program: Program, estimator: LinearDiscriminantAnalysis, columns: Columns) -> Columns:
    if estimator.solver == "lsqr":
        raise Unsupported("solver='lsqr' has no transform; fit it with solver='svd'")
    weights = estimator.scalings_[:, : estimator._max_components]
    if estimator.solver == "eigen":
        return _linear(program, columns, weights)
    return centred(program, columns, estimator.xbar_, weights)


def agglomeration(program: Program, estimator: FeatureAgglomeration, columns: Columns) -> Columns:
    if estimator.pooling_func is not np.mean:
        raise Unsupported("a pooling_func other than np.mean; fit it with that one")
    groups = np.eye(estimator.labels_.max() + 1)[estimator.labels_]
    sums = _linear(program, columns, groups)
    return program.add("scale", program.numbers(sums), foldable=True, divide=groups.sum(axis=0))


def hidden_units(program: Program, estimator: BernoulliRBM, columns: Columns) -> Columns:
    sums = _linear(program, columns, estimator.components_.T, estimator.intercept_hidden_)
    return program.add("function", program.numbers(sums), name="logistic")


def rbf_sampler(program: Program, estimator: RBFSampler, columns: Columns) -> Columns:
    return _waves(program, columns, estimator, (2.0 / estimator.n_components) ** 0.5)


def skewed_chi2_sampler(program: Program, estimator: SkewedChi2Sampler, columns: Columns) -> Columns:
    """Reject numbers of -skewedness or less, which have no logarithm; scikit-learn refuses them."""
    shift = np.full(len(columns), float(estimator.skewedness))
    shifted = program.add("scale", program.numbers(columns), add=shift)
    logs = program.add("function", program.numbers(shifted), name="log")
    program.doubtful |= {column.index for column in logs}
    program.refuse_missing(logs)
    return _waves(program, logs, estimator, np.sqrt(2.0) / np.sqrt(estimator.n_components))


def _waves(program: Program, columns: Columns, estimator: Any, height: float) -> Columns:
    sums = _linear(program, columns, estimator.random_weights_, estimator.random_offset_)
    waves = program.add("function", program.numbers(sums), name="cos")
    return program.add(
        "scale", program.numbers(waves), foldable=True, multiply=np.full(len(waves), float(height))
    )


def centred(program: Program, columns: Columns, mean: Any, weights: Any) -> Columns:
    """Return the columns of (columns - mean) · weights."""
    return _linear(program, columns, weights, -(mean @ weights))


def _linear(program: Program, columns: Columns, weights: Any, intercepts: Any = None) -> Columns:
    n = weights.shape[1]
    return program.add(
        "linear",
        program.numbers(columns),
        width=n,
        foldable=True,
        coefs=weights,
        intercepts=np.zeros(n) if intercepts is None else intercepts,
    )


PROJECTIONS: dict[type, Callable[[Program, Any, Columns], Columns]] = {
    BernoulliRBM: hidden_units,
    FactorAnalysis: factor_analysis,
    FastICA: fast_ica,
    FeatureAgglomeration: agglomeration,
    GaussianRandomProjection: components,
    IncrementalPCA: pca,
    LinearDiscriminantAnalysis: discriminants,
    NeighborhoodComponentsAnalysis: components,
    PCA: pca,
    RBFSampler: rbf_sampler,
    SkewedChi2Sampler: skewed_chi2_sampler,
    SparseRandomProjection: components,
    TruncatedSVD: components,
}
