"""The forward pass of a multilayer perceptron; a linear model is one without hidden layers.

Features lie along the first axis and rows along the last, so that every operation runs over whole
columns. A plain BLAS product gives a row other last bits alone than among many; here rows are
multiplied in blocks of 4, padded, each block by a product of its own and of one shape, so that a row's
bits depend on neither its position nor its company. Four is the least that does: BLAS takes other paths for
products as narrow as one or two. Larger blocks make a row alone dearer and many rows hardly cheaper.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from thimble.inference import cost
from thimble.inference.arrays import FloatArray
from thimble.inference.cost import Cost

BLOCK = 4
CHUNK = 252 * BLOCK  # rows at once: few enough for the cache; no power of two, at which columns collide in it
MAX_AT_ONCE = 1_000_000  # numbers, of all rows at once
ZERO = np.zeros(())  # of a plain 0.0 numpy would make this at every call


def relu(z: FloatArray) -> None:
    np.maximum(z, ZERO, out=z)


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


ACTIVATIONS: dict[str, Callable[[FloatArray], None]] = {
    "identity": identity,
    "logistic": logistic,
    "relu": relu,
    "tanh": tanh,
}
OUT_ACTIVATIONS: dict[str, Callable[[FloatArray], None]] = {
    "identity": identity,
    "logistic": logistic,
    "modified_huber": modified_huber,
    "softmax": softmax,
}


class Network(NamedTuple):
    """`weights[i]` is `coefs_[i]` transposed, (fan_out, fan_in); `biases[i]` is (fan_out, BLOCK), every
    column the same."""

    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]
    activation: Callable[[FloatArray], None]

    @property
    def cost(self) -> Cost:
        """Of a row; the last layer's numbers are kept."""
        layers = [W.shape[::-1] for W in self.weights]
        return cost.beside(cost.product(layers), len(self.weights[-1]))

    def logits(self, h: FloatArray) -> FloatArray:
        """(fan_in, rows) to the last layer before its activation, (n_outputs, rows); rows in whole blocks."""
        *hidden, last = zip(self.weights, self.biases, strict=True)
        for W, b in hidden:
            h = affine(W, b, h)
            self.activation(h)
        return affine(*last, h)


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
    stride, item = columns.strides
    return np.lib.stride_tricks.as_strided(columns, (rows // BLOCK, k, BLOCK), (BLOCK * item, stride, item))


def network(coefs: tuple[FloatArray, ...], intercepts: tuple[FloatArray, ...], activation: str) -> Network:
    """From scikit-learn's shapes: `coefs[i]` is (fan_in, fan_out), `intercepts[i]` is (fan_out,)."""
    return Network(
        weights=tuple(np.ascontiguousarray(W.T) for W in coefs),
        biases=tuple(map(repeated, intercepts)),
        activation=ACTIVATIONS[activation],
    )
