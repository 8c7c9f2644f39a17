"""The straight way for one row: from its values to an answer in Python's own floats, since to call numpy
costs more than to compute with a few numbers.

A row gets the bits that it gets among others, by `Head.decide`: products and exponentials are numpy's, of a
block, and sums run in the order that `numpy.add.reduce` has over the first axis. A head that is not plain has
no such way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import isfinite
from operator import add
from struct import Struct
from typing import NamedTuple

import numpy as np

from thimble.inference.arrays import FloatArray
from thimble.inference.head import Head
from thimble.inference.network import BLOCK
from thimble.inference.outputs import Output
from thimble.inference.predictions import Alone

MOST_CLASSES = 64  # of more, numpy is quicker
PADDED = f"d{8 * (BLOCK - 1)}x"  # a number, and zeros in its place of the block's other rows

Activation = Callable[
    [FloatArray, list[float]], list[float]
]  # a block and its first row, to that row's numbers


def softmax(z: FloatArray, row: list[float]) -> list[float]:
    z -= max(row)
    np.exp(z, z)
    powers: list[float] = z[:, 0].tolist()
    total = reduce(add, powers)
    return [power / total for power in powers]


def logistic(z: FloatArray, row: list[float]) -> list[float]:
    np.negative(z, z)
    np.exp(z, z)
    powers: list[float] = z[:, 0].tolist()
    return [1.0 / (power + 1.0) for power in powers]


def identity(z: FloatArray, row: list[float]) -> list[float]:
    return row


ACTIVATIONS: dict[str, Activation] = {"identity": identity, "logistic": logistic, "softmax": softmax}


class Straight(NamedTuple):
    """The answer to the first row of a block, and to a row that has no missing value. None if a number of the
    answer is not finite: `Head.decide` knows what to say."""

    of_block: Callable[[FloatArray], Alone | None]
    of_values: Callable[[Sequence[float]], Alone | None]


def of(outputs: Sequence[Output]) -> Straight | None:
    """The straight way of a model; None if it has none."""
    head, scorer = outputs[0]
    own_rule = head.apart or head.threshold is not None or head.abstain_below is not None
    plain = not (head.multilabel or own_rule) and head.normalize is None and head.temperature == 1.0
    known = head.out_activation in ACTIVATIONS and len(head.classes) <= MOST_CLASSES
    if len(outputs) > 1 or not plain or not known:
        return None
    scores, decide = scorer.scores, _of_two(head) if head.binary else _of_several(head)
    pack, shape = Struct(PADDED * scorer.n_inputs).pack, (scorer.n_inputs, BLOCK)

    def of_block(X: FloatArray) -> Alone | None:
        return decide(scores(X))

    def of_values(values: Sequence[float]) -> Alone | None:
        return decide(scores(np.ndarray(shape, np.float64, pack(*values))))

    return Straight(of_block, of_values)


def _of_several(head: Head) -> Callable[[FloatArray], Alone | None]:
    activate, by_probability = ACTIVATIONS[head.out_activation], head.decision == "probabilities"

    def decide(z: FloatArray) -> Alone | None:
        row: list[float] = z[:, 0].tolist()
        numbers = activate(z, row)
        compared = numbers if by_probability else row
        return Alone(compared.index(max(compared)), numbers) if isfinite(sum(numbers)) else None

    return decide


def _of_two(head: Head) -> Callable[[FloatArray], Alone | None]:
    """One number, which is of the second class."""
    activate, by_probability = ACTIVATIONS[head.out_activation], head.decision == "probabilities"
    n_classes, both = len(head.classes), 1.0 if head.has_probabilities else 0.0
    bar = head.bar

    def decide(z: FloatArray) -> Alone | None:
        row: list[float] = z[:, 0].tolist()
        [p] = activate(z, row)
        if not isfinite(p):
            return None
        compared = p if by_probability else row[0]
        second = compared > bar or (head.at_bar and compared == bar)
        return Alone(min(int(second), n_classes - 1), [both - p, p][:n_classes])

    return decide
