"""The forward pass of a multilayer perceptron; a linear model is one without hidden layers.

Features lie along the first axis and rows along the last, so that every operation runs over whole
columns. A plain BLAS product gives a row other last bits alone than among many; here rows are
multiplied in blocks of 16, padded, each block by a product of its own and of one shape, so that a row's
bits depend on neither its position nor its company.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

BLOCK = 16
CHUNK = 63 * BLOCK  # rows at once: few enough for the cache; no power of two, at which columns collide in it


def relu(z: FloatArray) -> None:
    np.maximum(z, 0.0, out=z)


def tanh(z: FloatArray) -> None:
    np.tanh(z, out=z)


def logistic(z: FloatArray) -> None:
    with np.errstate(over="ignore"):  # exp(710) is inf, and 1 / inf the right 0
        np.negative(z, out=z)
        np.exp(z, out=z)
        z += 1.0
        np.reciprocal(z, out=z)


def softmax(z: FloatArray) -> None:
    z -= z.max(axis=0)
    np.exp(z, out=z)
    z /= z.sum(axis=0)


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


@dataclass(frozen=True)
class Network:
    """`weights[i]` is `coefs_[i]` transposed, (fan_out, fan_in); `biases[i]` is (fan_out, 1)."""

    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]
    activation: Callable[[FloatArray], None]

    def logits(self, h: FloatArray) -> FloatArray:
        """(fan_in, rows) to the last layer before its activation, (n_outputs, rows); rows in sixteens."""
        last = len(self.weights) - 1
        for i, (W, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = np.empty((len(b), h.shape[1]))  # (fan_out, rows)
            product(W, h, z)
            z += b
            if i != last:
                self.activation(z)
            h = z
        return h


def padded(X: FloatArray) -> FloatArray:
    """X, (k, n), with columns of zeros up to the next multiple of 16."""
    k, n = X.shape
    if n % BLOCK == 0:
        return X
    with_zeros = np.zeros((k, n + -n % BLOCK))
    with_zeros[:, :n] = X
    return with_zeros


def product(W: FloatArray, X: FloatArray, out: FloatArray) -> None:
    """W (m, k) times X (k, rows) into out (m, rows), block by block."""
    if X.shape[1] == BLOCK:
        np.matmul(W, X, out=out)  # the same product, without the price of two views
    else:
        np.matmul(W, _blocks(X), out=_blocks(out))


def _blocks(columns: FloatArray) -> FloatArray:
    """(k, rows) seen as (rows / 16, k, 16), without a copy: one product a block."""
    k, rows = columns.shape
    stride, item = columns.strides
    return np.lib.stride_tricks.as_strided(columns, (rows // BLOCK, k, BLOCK), (BLOCK * item, stride, item))


def network(coefs: tuple[FloatArray, ...], intercepts: tuple[FloatArray, ...], activation: str) -> Network:
    """From scikit-learn's shapes: `coefs[i]` is (fan_in, fan_out), `intercepts[i]` is (fan_out,)."""
    return Network(
        weights=tuple(np.ascontiguousarray(W.T) for W in coefs),
        biases=tuple(b[:, np.newaxis] for b in intercepts),
        activation=ACTIVATIONS[activation],
    )
