"""The fast path for one row: from its values to an answer in Python's own floats, since a call of numpy costs
more than computing with a few numbers.

A row gets the same bits as among others, where `Head.decide` computes them: products and exponentials are
numpy's, of a block (or `single`'s), and sums run in the order of `numpy.add.reduce` over the first axis. Only
plain heads have this path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from math import isfinite
from operator import add
from struct import Struct
from typing import Any

import numpy as np

from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Value
from thimble.inference.document import Document
from thimble.inference.head import Head
from thimble.inference.network import BLOCK
from thimble.inference.outputs import Scorer
from thimble.inference.predictions import Alone

MOST_CLASSES = 64  # with more, numpy is faster
PADDED = f"d{8 * (BLOCK - 1)}x"  # a number, and zeros for the block's other rows

Activation = Callable[[list[float]], list[float]]  # of one row's scores
Decide = Callable[[list[float]], Alone | None]


def _exponentials(n: int) -> Activation:
    """Return a function that computes numpy's exponentials of n numbers, in an array that it reuses."""
    powers = np.empty(n)
    put, exp = partial(Struct(f"{n}d").pack_into, powers.data, 0), partial(np.exp, powers, powers)

    def exponentials(numbers: list[float]) -> list[float]:
        put(*numbers)
        exp()
        found: list[float] = powers.tolist()
        return found

    return exponentials


def _softmax(n: int) -> Activation:
    exponentials = _exponentials(n)

    def softmax(scores: list[float]) -> list[float]:
        most = max(scores)
        powers = exponentials([z - most for z in scores])
        total = reduce(add, powers)
        return [power / total for power in powers]

    return softmax


def _logistic(n: int) -> Activation:
    exponentials = _exponentials(n)
    return lambda scores: [1.0 / (power + 1.0) for power in exponentials([-z for z in scores])]


def _identity(n: int) -> Activation:
    return lambda scores: scores


def _logistic32(n: int) -> Activation:
    from thimble.inference import single  # only here: a network's cold start does not need it

    return single.logistic_alone


def _softmax32(n: int) -> Activation:
    from thimble.inference import single

    return single.softmax_alone


ACTIVATIONS: dict[str, Callable[[int], Activation]] = {
    "identity": _identity,
    "logistic": _logistic,
    "logistic32": _logistic32,
    "softmax": _softmax,
    "softmax32": _softmax32,
}


class Desk:
    """A block that is reused, and what answers its first row. Only one thread at a time may use it."""

    def __init__(self, head: Head, scorer: Scorer) -> None:
        self.block = np.zeros((scorer.n_inputs, BLOCK))
        self.put = partial(Struct(PADDED * scorer.n_inputs).pack_into, self.block.data, 0)
        self.scores = scorer.alone(self.block)
        self.decide = _of_two(head) if head.binary else _of_several(head)

    def of_block(self, X: FloatArray) -> Alone | None:
        np.copyto(self.block, X)
        return self.decide(self.scores())

    def of_values(self, values: Sequence[float]) -> Alone | None:
        self.put(*values)
        return self.decide(self.scores())


class Straight:
    """Answers one row, from a block or from its values.

    The answer is None if the row needs `predict`: a number is too large, or the preprocessing rejects it.
    """

    def __init__(self, document: Document) -> None:
        [self.output] = document.outputs
        self.program = document.preprocessing and document.preprocessing.alone
        self.takes_values = document.preprocessing is None or self.program is not None
        self.free: list[Desk] = []

    def of_block(self, X: FloatArray) -> Alone | None:
        return self._answer(Desk.of_block, X)

    def of_values(self, values: Sequence[Value]) -> Alone | None:
        inputs = values if self.program is None else self.program.apply(values)
        return None if inputs is None else self._answer(Desk.of_values, inputs)

    def _answer(self, ask: Callable[[Desk, Any], Alone | None], row: Any) -> Alone | None:
        try:
            desk = self.free.pop()
        except IndexError:  # other threads use them all
            desk = Desk(*self.output)
        found = ask(desk, row)
        self.free.append(desk)
        return found


def of(document: Document) -> Straight | None:
    """Return the fast path of a model; None if it has none."""
    head = document.outputs[0].head
    own_rule = head.apart or head.threshold is not None or head.abstain_below is not None
    plain = not (head.multilabel or own_rule) and head.normalize is None and head.temperature == 1.0
    known = head.out_activation in ACTIVATIONS and len(head.classes) <= MOST_CLASSES
    return Straight(document) if len(document.outputs) == 1 and plain and known else None


def _of_several(head: Head) -> Decide:
    activate = ACTIVATIONS[head.out_activation](len(head.classes))
    by_probability = head.decision == "probabilities"

    def decide(scores: list[float]) -> Alone | None:
        numbers = activate(scores)
        compared = numbers if by_probability else scores
        return (compared.index(max(compared)), numbers) if isfinite(sum(numbers)) else None

    return decide


def _of_two(head: Head) -> Decide:
    """Decide by one number, which is the second class's."""
    activate, by_probability = ACTIVATIONS[head.out_activation](1), head.decision == "probabilities"
    n_classes, both = len(head.classes), 1.0 if head.has_probabilities else 0.0
    precision = np.float32 if head.out_activation == "logistic32" else float
    bar = head.bar

    def decide(scores: list[float]) -> Alone | None:
        [p] = activate(scores)
        if not isfinite(p):
            return None
        compared = p if by_probability else scores[0]
        second = compared > bar or (head.at_bar and compared == bar)
        return min(int(second), n_classes - 1), [float(precision(both - p)), p][:n_classes]

    return decide
