"""The forward pass of a multilayer perceptron; a linear model is one without hidden layers.

Features lie along the first axis and rows along the last, so that every operation runs over whole columns. A
plain BLAS product gives a row other last bits alone than among many. So rows are padded and multiplied in
blocks of 4, each block by a product of its own, all of the same shape: a row's bits depend neither on its
position nor on the other rows. Four is the smallest block for this: BLAS takes other paths for products as
narrow as one or two. Larger blocks make a single row slower, and many rows hardly faster.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from thimble.errors import InvalidModel
from thimble.inference import cost
from thimble.inference.arrays import FloatArray
from thimble.inference.cost import Cost
from thimble.inference.fields import Fields, matrix, vector

KEYS = ("coefs", "intercepts", "activation", "n_layers")
MAX_LAYERS = 64

BLOCK = 4
CHUNK = 2018 * BLOCK  # rows at once, which fit the cache; no power of two, as columns would collide in it
MAX_AT_ONCE = 1_000_000  # numbers at once, of all rows


def relu(z: FloatArray) -> None:
    """Compare with a row of zeros, which is faster than with a single zero."""
    np.maximum(z, np.zeros(z.shape[1]), out=z)


def tanh(z: FloatArray) -> None:
    np.tanh(z, out=z)


def logistic(z: FloatArray) -> None:
    with np.errstate(over="ignore"):  # exp(710) is inf, and 1 / inf is 0, which is right
        np.negative(z, out=z)
        np.exp(z, out=z)
        z += 1.0
        np.reciprocal(z, out=z)


def softmax(z: FloatArray) -> None:
    z -= np.maximum.reduce(z)  # the same as z.max(axis=0), with fewer calls
    np.exp(z, out=z)
    z /= np.add.reduce(z)


def modified_huber(z: FloatArray) -> None:
    """Turn scores into probabilities as scikit-learn does for the modified Huber loss."""
    np.clip(z, -1.0, 1.0, out=z)
    z += 1.0
    z /= 2.0


def identity(z: FloatArray) -> None:
    pass


def logistic32(z: FloatArray) -> None:
    """XGBoost's logistic function, in single precision."""
    from thimble.inference import single  # only here: a network's cold start does not need it

    single.logistic(z)


def softmax32(z: FloatArray) -> None:
    """XGBoost's softmax, in single precision."""
    from thimble.inference import single

    single.softmax(z)


ACTIVATIONS: dict[str, Callable[[FloatArray], None]] = {
    "identity": identity,
    "logistic": logistic,
    "relu": relu,
    "tanh": tanh,
}
OUT_ACTIVATIONS: dict[str, Callable[[FloatArray], None]] = {
    "identity": identity,
    "logistic": logistic,
    "logistic32": logistic32,
    "modified_huber": modified_huber,
    "softmax": softmax,
    "softmax32": softmax32,
}


class Network(NamedTuple):
    """`weights[i]` is `coefs_[i]` transposed, (fan_out, fan_in); `biases[i]` is (fan_out, BLOCK), every
    column the same."""

    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]
    activation: str  # of the hidden layers, one of ACTIVATIONS

    @classmethod
    def of(
        cls, coefs: tuple[FloatArray, ...], intercepts: tuple[FloatArray, ...], activation: str
    ) -> Network:
        """Return a network from scikit-learn's shapes: `coefs[i]` is (fan_in, fan_out), `intercepts[i]` is
        (fan_out,)."""
        weights = tuple(np.ascontiguousarray(W.T) for W in coefs)
        return cls(weights, tuple(map(repeated, intercepts)), activation)

    @property
    def n_inputs(self) -> int:
        return int(self.weights[0].shape[1])

    @property
    def n_outputs(self) -> int:
        return len(self.weights[-1])

    @property
    def takes_missing(self) -> bool:
        return False

    @property
    def cost(self) -> Cost:
        """The cost of a row; the last layer's numbers are kept."""
        layers = [W.shape[::-1] for W in self.weights]
        return cost.beside(cost.product(layers), self.n_outputs)

    @property
    def card(self) -> dict[str, Any]:
        return {"layers": [self.n_inputs, *map(len, self.biases)], "activation": self.activation}

    def scores(self, h: FloatArray) -> FloatArray:
        """Return the last layer before its activation, (n_outputs, rows), for h, (n_inputs, rows in whole
        blocks)."""
        activate = ACTIVATIONS[self.activation]
        *hidden, last = zip(self.weights, self.biases, strict=True)
        for W, b in hidden:
            h = affine(W, b, h)
            activate(h)
        return affine(*last, h)

    def alone(self, h: FloatArray) -> Callable[[], list[float]]:
        """Return a function that scores the first row of a block, with what the block holds at the call. The
        arrays between the layers are reused: only one thread at a time may call it."""
        calls: list[Callable[[], object]] = []
        for W, b in zip(self.weights, self.biases, strict=True):
            z = np.empty(b.shape)
            calls += [partial(W.dot, h, z), partial(np.add, z, b, z), _in_place(self.activation, z)]
            h = z
        calls.pop()  # the last layer has no activation here
        first: Callable[[], list[float]] = h[:, 0].tolist

        def scores() -> list[float]:
            for call in calls:
                call()
            return first()

        return scores


def _in_place(activation: str, z: FloatArray) -> Callable[[], object]:
    """Return an activation of z, in place. relu's zeros to compare with are reused too."""
    if activation == "relu":
        zeros = np.zeros(z.shape)
        return lambda: np.maximum(z, zeros, out=z)
    return partial(ACTIVATIONS[activation], z)


def rows_at_once(numbers: int) -> int:
    """Return how many rows of so many numbers each to compute at once, in whole blocks."""
    return max(BLOCK, min(CHUNK, MAX_AT_ONCE // numbers // BLOCK * BLOCK))


def padded(X: FloatArray) -> FloatArray:
    """Return X, (k, n), padded with columns of zeros to whole blocks."""
    k, n = X.shape
    if n % BLOCK == 0:
        return X
    with_zeros = np.zeros((k, n + -n % BLOCK))
    with_zeros[:, :n] = X
    return with_zeros


def affine(W: FloatArray, b: FloatArray, X: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """Compute W, (m, k), times X, (k, rows), plus b, (m, BLOCK), block by block, into `out`, (m, rows)."""
    if out is None:
        out = np.empty((len(W), X.shape[1]))
    if X.shape[1] == BLOCK:
        W.dot(X, out)  # the same product, without the cost of two views
        np.add(out, b, out=out)
    else:
        np.matmul(W, _blocks(X), out=_blocks(out))
        np.add(out, b[:, :1], out=out)
    return out


def repeated(biases: FloatArray) -> FloatArray:
    """Repeat biases, (m,), to (m, BLOCK), as `affine` takes them."""
    return np.repeat(biases[:, np.newaxis], BLOCK, axis=1)


def _blocks(columns: FloatArray) -> FloatArray:
    """Return a view of (k, rows) as (rows / BLOCK, k, BLOCK), for one product per block."""
    k, rows = columns.shape
    return columns.reshape(k, rows // BLOCK, BLOCK).swapaxes(0, 1)


def parse(fields: Fields) -> Network:
    """Read the network of an output. Raises InvalidModel, which says what is wrong with it."""
    coefs = _coefs(fields)
    intercepts = _intercepts(fields, coefs)
    fields.check_count("n_layers", len(coefs) + 1)
    return Network.of(coefs, intercepts, fields.choice("activation", ACTIVATIONS, "relu"))


def _coefs(fields: Fields) -> tuple[FloatArray, ...]:
    path = fields.at("coefs")
    coefs = [matrix(layer, f"{path}[{i}]") for i, layer in enumerate(_layers(fields, "coefs"))]
    for i, (before, W) in enumerate(pairwise(coefs), 1):
        if len(W) != before.shape[1]:
            raise InvalidModel(
                f"{path}[{i}] has {len(W)} rows; the layer before it has {before.shape[1]} outputs"
            )
    return tuple(coefs)


def _intercepts(fields: Fields, coefs: tuple[FloatArray, ...]) -> tuple[FloatArray, ...]:
    path, layers = fields.at("intercepts"), _layers(fields, "intercepts")
    if len(layers) != len(coefs):
        raise InvalidModel(f"{path} has {len(layers)} layers, coefs has {len(coefs)}")
    intercepts = tuple(vector(layer, f"{path}[{i}]") for i, layer in enumerate(layers))
    for i, (b, W) in enumerate(zip(intercepts, coefs, strict=True)):
        if len(b) != W.shape[1]:
            raise InvalidModel(f"{path}[{i}] has {len(b)} numbers; coefs[{i}] has {W.shape[1]} columns")
    return intercepts


def _layers(fields: Fields, key: str) -> list[Any]:
    layers = fields.items(key)
    if len(layers) > MAX_LAYERS:
        raise InvalidModel(f"{fields.at(key)} has {len(layers)} layers; the most is {MAX_LAYERS}")
    return layers
