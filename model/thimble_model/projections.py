"""Fitted transformers that are weighted sums of their columns, some of them through a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.decomposition import PCA, TruncatedSVD

from thimble_model.program import Column, Program

Columns = list[Column]


def pca(program: Program, estimator: Any, columns: Columns) -> Columns:
    made = _linear(program, columns, estimator.components_, -(estimator.mean_ @ estimator.components_.T))
    if not estimator.whiten:
        return made
    scale = np.sqrt(estimator.explained_variance_)
    scale = np.maximum(scale, np.finfo(scale.dtype).eps)
    return program.add("scale", program.numbers(made), foldable=True, divide=scale)


def truncated_svd(program: Program, estimator: TruncatedSVD, columns: Columns) -> Columns:
    return _linear(program, columns, estimator.components_, np.zeros(len(estimator.components_)))


def _linear(program: Program, columns: Columns, weights: Any, intercepts: Any) -> Columns:
    return program.add(
        "linear",
        program.numbers(columns),
        width=len(intercepts),
        foldable=True,
        coefs=weights.T,
        intercepts=intercepts,
    )


PROJECTIONS: dict[type, Callable[[Program, Any, Columns], Columns]] = {
    PCA: pca,
    TruncatedSVD: truncated_svd,
}
