"""The questions of trees: is an input above a threshold? Each is asked once per row, for all trees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MANY = 300  # rows; for fewer, one comparison answers all questions
TOGETHER = 128  # questions that are asked together: few enough for the cache
FEW = 8  # questions about an input; fewer are asked together with those about others
BUFFER = 512  # numbers; by default, numpy copies what it repeats, 8,192 at a time

Floats = NDArray[Any]  # float64, or float32 where the document says so
Indices = NDArray[np.intp]
Answers = NDArray[np.bool_]


class Questions(NamedTuple):
    inputs: Indices  # (questions,), in ascending order
    thresholds: Floats  # (questions, 1)
    parts: tuple[tuple[int | Indices, slice], ...]  # questions that are asked together, with their inputs

    @classmethod
    def distinct(cls, inputs: Indices, thresholds: Floats) -> tuple[Questions, Indices]:
        """Return the distinct questions among (n,), and which of them each one is, (n,)."""
        order = thresholds.argsort()
        narrow = inputs.astype(np.min_scalar_type(inputs.max(initial=0)))  # sorted faster
        order = order[narrow[order].argsort(kind="stable")]
        inputs, thresholds = inputs[order], thresholds[order]
        is_new = np.ones(len(order), np.bool_)
        is_new[1:] = (inputs[1:] != inputs[:-1]) | (thresholds[1:] != thresholds[:-1])
        which = np.empty(len(order), np.intp)
        which[order] = is_new.cumsum() - 1
        inputs = inputs[is_new]
        return cls(inputs, thresholds[is_new, np.newaxis], tuple(_parts(inputs))), which

    def answers(self, Z: Floats) -> Answers:
        """Return the answers for Z, (inputs, rows), as (questions, rows)."""
        if Z.shape[1] < MANY:
            return Z.take(self.inputs, axis=0) > self.thresholds
        found = np.empty((len(self.inputs), Z.shape[1]), np.bool_)
        with _short_buffers():
            for inputs, part in self.parts:
                np.greater(Z[inputs], self.thresholds[part], out=found[part])
        return found

    def bits(self, Z: Floats) -> NDArray[np.uint8]:
        """Return the answers for Z, (inputs, rows), as (questions, bytes): one byte holds those of eight
        rows."""
        if Z.shape[1] < MANY:
            return np.packbits(self.answers(Z), axis=1)
        found = np.empty((len(self.inputs), -(-Z.shape[1] // 8)), np.uint8)
        room = np.empty((TOGETHER, Z.shape[1]), np.bool_)
        with _short_buffers():
            for inputs, part in self.parts:
                answers = np.greater(Z[inputs], self.thresholds[part], out=room[: part.stop - part.start])
                found[part] = np.packbits(answers, axis=1)
        return found


@contextmanager
def _short_buffers() -> Iterator[None]:
    before = np.setbufsize(BUFFER)
    try:
        yield
    finally:
        np.setbufsize(before)


def _parts(inputs: Indices) -> Iterator[tuple[int | Indices, slice]]:
    """Yield questions to ask together: about one input, or about several inputs that have few each."""
    starts = np.flatnonzero(np.diff(inputs, prepend=-1)).tolist()
    first = 0  # the first of those that wait for others
    for start, end in pairwise([*starts, len(inputs)]):
        is_long = end - start >= FEW
        if start > first and (is_long or end - first > TOGETHER):
            yield inputs[first:start], slice(first, start)
            first = start
        if is_long:
            for at in range(start, end, TOGETHER):
                yield int(inputs[at]), slice(at, min(at + TOGETHER, end))
            first = end
    if first < len(inputs):
        yield inputs[first:], slice(first, len(inputs))
