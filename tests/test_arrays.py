import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thimble.inference.arrays import MANY, first_largest


@given(st.data())
@pytest.mark.parametrize("columns", [1, MANY - 1, MANY, 2 * MANY + 1])
def test_the_first_of_the_largest_is_numpys(columns: int, data: st.DataObject) -> None:
    rows, seed = data.draw(st.integers(1, 12)), data.draw(st.integers(0, 1 << 32))
    values = np.array([-np.inf, -1.0, -0.0, 0.0, 0.25, 1.0, np.inf])
    X = values[np.random.default_rng(seed).integers(0, len(values), (rows, columns))]
    assert np.array_equal(first_largest(X), X.argmax(0))
