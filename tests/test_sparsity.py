"""What is said of a fitted transformer's matrix, sparse or not, beside the matrix that scikit-learn makes."""

from inspect import signature
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union

from thimble_model.sparsity import makes_sparse
from thimble_model.text import VECTORIZERS
from thimble_model.transformers import TRANSFORMERS

pytestmark = pytest.mark.filterwarnings("ignore")

TABLE = np.random.default_rng(0).integers(0, 3, (60, 4)).astype(float)
CLASSES = (TABLE[:, 0] > 0).astype(int)
GIVEN = {"dense": TABLE, "csr": sparse.csr_matrix(TABLE), "csc": sparse.csc_matrix(TABLE)}
FORMS = {  # the parameters that a class may have, and that settle it
    "dense_output": (False, True),
    "encode": ("onehot", "onehot-dense", "ordinal"),
    "sparse": (False, True, "auto"),
    "sparse_output": (False, True),
}
NEEDED = {"estimator": LogisticRegression(), "n_components": 1}  # where a class has such a parameter
OF_NUMBERS = sorted(
    (kind for kind in TRANSFORMERS if kind not in VECTORIZERS), key=lambda kind: kind.__name__
)


def variants(kind: type) -> list[Any]:
    """The class as it is built unasked, and with each form of its answers."""
    known = signature(kind).parameters
    needed = {name: value for name, value in NEEDED.items() if name in known}
    forms = [{name: value} for name, values in FORMS.items() if name in known for value in values]
    return [kind(**needed, **form) for form in ({}, *forms)]


@pytest.mark.parametrize("kind", OF_NUMBERS)
def test_what_is_said_of_a_transformer_is_what_it_makes(kind: type) -> None:
    compared = 0
    for transformer in variants(kind):
        for given in GIVEN.values():
            try:
                made = transformer.fit(given, CLASSES).transform(given)
            except (TypeError, ValueError):  # many take no sparse matrix
                continue
            compared += 1
            assert makes_sparse(transformer, sparse.issparse(given)) == sparse.issparse(made), transformer
    assert compared


@pytest.mark.parametrize("kind", OF_NUMBERS)
def test_inside_a_pipeline_and_a_union_too(kind: type) -> None:
    [transformer, *_] = variants(kind)
    for nest in (make_pipeline(transformer), make_union(transformer, "drop")):
        made = nest.fit(TABLE, CLASSES).transform(TABLE)
        assert makes_sparse(nest, False) == sparse.issparse(made)
