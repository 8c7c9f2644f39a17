"""Tell where a fitted pipeline predicts with sparse matrices, for which scikit-learn computes differently.

Fitting settles this, not the rows of a request: a `ColumnTransformer` measures the density of its training
data once and keeps the result.
"""

from __future__ import annotations

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer
from sklearn.impute import MissingIndicator
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, OrdinalEncoder, SplineTransformer
from sklearn.random_projection import SparseRandomProjection

from thimble_model.projections import PROJECTIONS
from thimble_model.wrappers import through


def makes_sparse(estimator: Any, given: bool) -> bool:
    """Return whether a transformer's answer is sparse if its input is sparse or not, as `given` says.

    Most transformers keep what they get.
    """
    if found := through(estimator):
        for _, step in (*found.steps, (found.name, found.last)):
            given = makes_sparse(step, given)
        return given
    match estimator:
        case FeatureUnion():
            return any(makes_sparse(step, given) for _, step in estimator.transformer_list if step != "drop")
        case ColumnTransformer():
            return getattr(estimator, "sparse_output_", False)  # absent if all columns are dropped
        case CountVectorizer() | HashingVectorizer() | TfidfTransformer():
            return True
        case OneHotEncoder() | SplineTransformer():
            return bool(estimator.sparse_output)
        case KBinsDiscretizer():
            return bool(estimator.encode == "onehot")
        case MissingIndicator():
            return given if estimator.sparse == "auto" else bool(estimator.sparse)
        case OrdinalEncoder():
            return False
        case SparseRandomProjection():
            return given and not estimator.dense_output
        case _ if type(estimator) in PROJECTIONS:
            return False
        case _:
            return given
