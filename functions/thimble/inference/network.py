"""The forward pass of a multilayer perceptron; a linear model is one without hidden layers.

Features lie along the first axis and rows along the last, so that every operation runs over whole
columns. A plain BLAS product gives a row other last bits alone than among many; here rows are
multiplied in blocks of 4, padded, each block by a product of its own and of one shape, so that a row's
bits depend on neither its position nor its company. Four is the least that does: BLAS takes other paths for
products as narrow as one or two. Larger blocks make a row alone dearer and many rows hardly cheaper.
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
CHUNK = 1008 * BLOCK  # rows at once, which the cache holds; no power of two, at which columns collide in it
MAX_AT_ONCE = 1_000_000  # numbers, of all rows at once


def relu(z: FloatArray) -> None:
    """Compare with a row of zeros: that is quicker than with one."""
    np.maximum(z, np.zeros(z.shape[1]), out=z)


def tanh(z: FloatArray) -> None:
    np.tanh(z, out=z)


def logistic(z: FloatArray) -> None:
    with np.errstate(over="ignore"):  # exp(710) is inf, and 1 / inf the right 0
        np.negative(z, out=z)
        np.exp(z, out=z)
        z += 1.0
        np.reciprocal(z, out=z)


def softmax(z: FloatArray) -> None:
    z -= np.maximum.reduce(z)  # over the first axis, as z.max(axis=0), by a shorter way
    np.exp(z, out=z)
    z /= np.add.reduce(z)


def modified_huber(z: FloatArray) -> None:
    """The probability that stochastic gradient descent on the modified Huber loss gives a score."""
    np.clip(z, -1.0, 1.0, out=z)
    z += 1.0
    z /= 2.0


def identity(z: FloatArray) -> None:
    pass


def logistic32(z: FloatArray) -> None:
    """XGBoost's, in single precision."""
    from thimble.inference import single  # only here: a cold start of a network is spared it

    single.logistic(z)


def softmax32(z: FloatArray) -> None:
    """XGBoost's, in single precision."""
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
    activation: str  # of ACTIVATIONS, of the hidden layers

    @classmethod
    def of(
        cls, coefs: tuple[FloatArray, ...], intercepts: tuple[FloatArray, ...], activation: str
    ) -> Network:
        """From scikit-learn's shapes: `coefs[i]` is (fan_in, fan_out), `intercepts[i]` is (fan_out,)."""
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
        """Of a row; the last layer's numbers are kept."""
        layers = [W.shape[::-1] for W in self.weights]
        return cost.beside(cost.product(layers), self.n_outputs)

    @property
    def card(self) -> dict[str, Any]:
        return {"layers": [self.n_inputs, *map(len, self.biases)], "activation": self.activation}

    def scores(self, h: FloatArray) -> FloatArray:
        """(n_inputs, rows in whole blocks) to the last layer before its activation, (n_outputs, rows)."""
        activate = ACTIVATIONS[self.activation]
        *hidden, last = zip(self.weights, self.biases, strict=True)
        for W, b in hidden:
            h = affine(W, b, h)
            activate(h)
        return affine(*last, h)

    def alone(self, h: FloatArray) -> Callable[[], list[float]]:
        """The scores of the first row of a block, whatever the block holds at the call. The arrays between
        are kept: for one thread at a time."""
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
    """An activation of numbers that stay where they are; relu has zeros to compare with that do so too."""
    if activation == "relu":
        zeros = np.zeros(z.shape)
        return lambda: np.maximum(z, zeros, out=z)
    return partial(ACTIVATIONS[activation], z)


def rows_at_once(numbers: int) -> int:
    """How many rows of so many numbers each, in whole blocks."""
    return max(BLOCK, min(CHUNK, MAX_AT_ONCE // numbers // BLOCK * BLOCK))


def padded(X: FloatArray) -> FloatArray:
    """X, (k, n), with columns of zeros up to the next whole block."""
    k, n = X.shape
    if n % BLOCK == 0:
        return X
    with_zeros = np.zeros((k, n + -n % BLOCK))
    with_zeros[:, :n] = X
    return with_zeros


def affine(W: FloatArray, b: FloatArray, X: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """W (m, k) times X (k, rows) plus b (m, BLOCK), block by block, into `out`, (m, rows)."""
    if out is None:
        out = np.empty((len(W), X.shape[1]))
    if X.shape[1] == BLOCK:
        W.dot(X, out)  # the same product, without the price of two views
        np.add(out, b, out=out)
    else:
        np.matmul(W, _blocks(X), out=_blocks(out))
        np.add(out, b[:, :1], out=out)
    return out


def repeated(biases: FloatArray) -> FloatArray:
    """(m,) to (m, BLOCK), as `affine` adds them."""
    return np.repeat(biases[:, np.newaxis], BLOCK, axis=1)


def _blocks(columns: FloatArray) -> FloatArray:
    """(k, rows) seen as (rows / BLOCK, k, BLOCK), without a copy: one product a block."""
    k, rows = columns.shape
    return columns.reshape(k, rows // BLOCK, BLOCK).swapaxes(0, 1)


def parse(fields: Fields) -> Network:
    """The network of an output; InvalidModel says what is wrong with it."""
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
