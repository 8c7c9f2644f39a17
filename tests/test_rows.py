"""Rows become columns by position or by name; what does not fit is named by its place."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from thimble.errors import UnprocessableRows
from thimble.inference.classifier import Classifier, load
from thimble.tables import rows
from thimble.tables.rows import Rows

IRIS = Path(__file__).parents[1] / "model" / "iris.json"
NAMES = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
ROW = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture(scope="module")
def iris() -> Classifier:
    return load(IRIS.read_bytes())


def read(model: Classifier, instances: list[Any]) -> NDArray[np.float64]:
    return rows.read(Rows(instances), model.schema, 100).numbers


def named(**changes: Any) -> dict[str, Any]:
    """A row as an object; `petal_width=...` takes that feature away."""
    row = (
        dict(zip(("sepal_length", "sepal_width", "petal_length", "petal_width"), ROW, strict=True)) | changes
    )
    spelled = {
        f"{key.replace('_', ' ')} (cm)" if key.count("_") else key: value for key, value in row.items()
    }
    return {key: value for key, value in spelled.items() if value is not ...}


REFUSED = [
    (named(petal_width=...), "instances[1].petal width (cm) is missing"),
    (named(colour=1), "instances[1].colour is no feature of the model"),
    (named(petal_width="0.2"), "instances[1].petal width (cm) is a string, not a number"),
    (named(petal_width=None), "instances[1].petal width (cm) is null, not a number"),
    (named(petal_width=True), "instances[1].petal width (cm) is a boolean, not a number"),
    (named(petal_width=float("nan")), "instances[1].petal width (cm) is NaN, not a finite number"),
    (named(petal_width=float("inf")), "instances[1].petal width (cm) is too large, not a finite number"),
    (named(petal_width=10**400), "instances[1].petal width (cm) is too large, not a finite number"),
    (ROW[:3], "instances[1] has 3 values; the model takes 4"),
    ([*ROW, 1], "instances[1] has 5 values; the model takes 4"),
    ([], "instances[1] has 0 values; the model takes 4"),
    ([5.1, 3.5, "1.4", 0.2], "instances[1][2] is a string, not a number"),
    ([5.1, 3.5, False, 0.2], "instances[1][2] is a boolean, not a number"),
    ([5.1, 3.5, [1.4], 0.2], "instances[1][2] is a list, not a number"),
    ([5.1, 3.5, {}, 0.2], "instances[1][2] is an object, not a number"),
    (5.1, "instances[1] is a number; a row is a list of numbers or an object"),
    ("5.1,3.5,1.4,0.2", "instances[1] is a string; a row is a list of numbers or an object"),
    (None, "instances[1] is null; a row is a list of numbers or an object"),
]


@pytest.mark.parametrize(("row", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_the_value_that_does_not_fit_is_named(iris: Classifier, row: Any, sentence: str) -> None:
    good = named() if isinstance(row, dict) else ROW
    with pytest.raises(UnprocessableRows) as refusal:
        read(iris, [good, row])
    assert str(refusal.value) == sentence


def test_objects_are_matched_by_name_in_any_order(iris: Classifier) -> None:
    backwards = dict(reversed(named().items()))
    expected = np.array([ROW, ROW, ROW]).T
    assert read(iris, [ROW, named(), backwards]).tolist() == expected.tolist()
    assert read(iris, [backwards, named(), backwards]).tolist() == expected.tolist()


def test_objects_need_a_model_with_names() -> None:
    nameless = load(
        IRIS.read_bytes().replace(b'"feature_names_in"', b'"names"').replace(b'"format', b'"was_format')
    )
    with pytest.raises(UnprocessableRows, match="the model has no feature names"):
        read(nameless, [named()])


cells: st.SearchStrategy[Any] = st.one_of(
    st.floats(-1e300, 1e300),
    st.integers(-(2**70), 2**70),
    st.sampled_from([True, None, "1", "x", [], {}, float("nan"), float("inf"), 10**400, 2**64 - 1]),
)


@given(table=st.lists(st.lists(cells, min_size=3, max_size=5), min_size=1, max_size=5))
def test_converting_at_once_agrees_with_converting_one_by_one(table: list[list[Any]]) -> None:
    schema = load(IRIS.read_bytes()).schema
    found, expected = rows.batch(schema, table), rows._one_by_one(schema, table)
    assert found.numbers.tolist() == expected.numbers.tolist()
    assert found.faults == expected.faults
