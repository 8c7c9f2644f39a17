"""The same row gets the same bits, whatever its company: bytes are compared, not numbers."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thimble.inference.arrays import FloatArray
from thimble.inference.network import ACTIVATIONS, BLOCK, CHUNK, OUT_ACTIVATIONS, Network, padded

SHAPES = [(4, 10, 3), (4, 3), (4, 1), (1, 1), (1, 5, 2), (64, 100, 10), (13, 7, 1), (300, 2), (7, 130, 33, 5)]


def random_network(shape: tuple[int, ...], activation: str = "relu") -> Network:
    rng = np.random.default_rng(sum(shape))
    coefs = tuple(rng.normal(size=fans) for fans in itertools.pairwise(shape))
    return Network.of(coefs, tuple(rng.normal(size=(W.shape[1],)) for W in coefs), activation)


def outputs(net: Network, X: FloatArray, out_activation: str) -> FloatArray:
    """(n_outputs, n), as the classifier evaluates it: padded, then activated in place."""
    z = net.scores(padded(X))
    OUT_ACTIVATIONS[out_activation](z)
    return z[:, : X.shape[1]]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("out_activation", OUT_ACTIVATIONS)
def test_a_row_gets_the_same_bits_alone_and_in_every_position(
    shape: tuple[int, ...], activation: str, out_activation: str
) -> None:
    net = random_network(shape, activation)
    X = np.random.default_rng(1).normal(scale=3, size=(shape[0], CHUNK))
    together = outputs(net, X, out_activation)
    for j in (*range(4 * BLOCK), CHUNK - 1):
        alone = outputs(net, X[:, [j]], out_activation)
        assert alone.tobytes() == np.ascontiguousarray(together[:, [j]]).tobytes()


@given(data=st.data(), shape=st.sampled_from(SHAPES))
def test_any_subset_in_any_order_gets_the_same_bits(data: st.DataObject, shape: tuple[int, ...]) -> None:
    net = random_network(shape)
    X = np.random.default_rng(2).normal(scale=3, size=(shape[0], 160))
    chosen = data.draw(st.lists(st.integers(0, 159), min_size=1, max_size=80))
    expected = outputs(net, X, "softmax")[:, chosen]
    actual = outputs(net, np.ascontiguousarray(X[:, chosen]), "softmax")
    assert np.ascontiguousarray(actual).tobytes() == np.ascontiguousarray(expected).tobytes()


@given(
    inputs=st.integers(1, 300), hidden=st.integers(1, 150), classes=st.integers(1, 40), at=st.integers(0, 99)
)
def test_a_network_of_any_shape_gives_a_row_the_same_bits(
    inputs: int, hidden: int, classes: int, at: int
) -> None:
    net = random_network((inputs, hidden, classes))
    X = np.random.default_rng(inputs).normal(size=(inputs, 100))
    together, alone = outputs(net, X, "softmax"), outputs(net, X[:, [at]], "softmax")
    assert alone.tobytes() == np.ascontiguousarray(together[:, [at]]).tobytes()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_forward_pass_is_the_formula(shape: tuple[int, ...]) -> None:
    net = random_network(shape, "tanh")
    X = np.random.default_rng(3).normal(size=(shape[0], 50))
    h = X
    for i, (W, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        h = W @ h + b[:, :1]
        if i < len(net.weights) - 1:
            h = np.tanh(h)
    np.testing.assert_allclose(net.scores(padded(X))[:, :50], h, rtol=0, atol=1e-12)


def test_the_logistic_function_saturates_without_a_warning() -> None:
    z = np.array([[-1e308, -800.0, 0.0, 800.0, 1e308]])
    ACTIVATIONS["logistic"](z)
    assert z.tolist() == [[0.0, 0.0, 0.5, 1.0, 1.0]]


def test_softmax_of_large_logits_is_finite() -> None:
    z = np.array([[1e300], [1e300], [-1e300]])
    OUT_ACTIVATIONS["softmax"](z)
    assert z.tolist() == [[0.5], [0.5], [0.0]]
