"""A batch: rows in the form that models take, whatever format they came in, and why some cannot be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray
from thimble.inference.features import Feature

Flags = NDArray[np.bool_]
Texts = NDArray[np.object_]  # str, or None where a text is missing
Value = float | str | None  # of one feature; None is missing


class Fault(NamedTuple):
    """Why a record cannot be read. The caller makes the sentence: only it knows whether to repeat a value."""

    problem: str  # what is wrong with the field: "is not a number"
    field: str = ""
    kind: str = ""  # what the value is instead: "a string"
    value: str = ""  # the value as it was written, in quotes
    malformed: bool = False  # the bytes cannot be parsed; otherwise, a value is wrong

    @property
    def discreet(self) -> str:
        """The problem, without the value: "is a string, not a number"."""
        return self._instead(self.kind)

    @property
    def quoting(self) -> str:
        """The field and the problem, with the value: `mass is "x", not a number`."""
        return f"{self.field} {self._instead(self.value or self.kind)}"

    def _instead(self, found: str) -> str:
        if not found:
            return self.problem
        verb, _, wanted = self.problem.partition(" ")
        return f"{verb} {found}, {wanted}"


class Batch(NamedTuple):
    """n rows, with a column per feature. `numbers` is 0.0 for features that are not numeric, because NaN
    would send the whole batch down the slow path. The values of faulty and blank rows are meaningless."""

    numbers: FloatArray  # (n_features, n), C order; booleans are 0 and 1, NaN is missing
    texts: Mapping[int, Texts]  # (n,) for each text feature
    faults: Mapping[int, Fault] = MappingProxyType({})  # by row: the records that cannot be read
    blank: frozenset[int] = frozenset()  # rows that are blank lines

    @staticmethod
    def empty(features: Iterable[Feature], n: int) -> Batch:
        """Return n rows to be filled in: numbers are zero, and texts are missing."""
        textual = [feature.textual for feature in features]
        texts = {k: np.full(n, None, np.object_) for k, is_text in enumerate(textual) if is_text}
        return Batch(np.zeros((len(textual), n)), texts)

    @staticmethod
    def alone(features: Iterable[Feature], values: Sequence[Value]) -> Batch:
        """Return a batch of one row."""
        batch = Batch.empty(features, 1)
        batch.put(0, values)
        return batch

    @staticmethod
    def of(features: Sequence[Feature], columns: Sequence[Any] | FloatArray) -> Batch:
        """Return a batch of columns, one per feature: numbers (NaN or None if missing) or texts (None if
        missing)."""
        batch = Batch.empty(features, len(columns[0]))
        for k, (feature, column) in enumerate(zip(features, columns, strict=True)):
            if feature.textual:
                batch.texts[k][:] = column
            elif feature.numeric:
                batch.numbers[k] = np.asarray(column, np.float64)  # turns None into NaN
        return batch

    @property
    def rows(self) -> int:
        n: int = self.numbers.shape[1]
        return n

    @property
    def readable(self) -> Flags:
        """A mask of the rows that are neither faulty nor blank, (n,)."""
        flags = np.ones(self.rows, np.bool_)
        if self.faults or self.blank:
            flags[[*self.faults, *self.blank]] = False
        return flags

    def take(self, rows: Flags | slice) -> Batch:
        """Return some of the rows, all of them readable."""
        texts = {k: column[rows] for k, column in self.texts.items()}
        if isinstance(rows, slice):
            return Batch(np.ascontiguousarray(self.numbers[:, rows]), texts)
        return Batch(np.compress(rows, self.numbers, axis=1), texts)

    def spread(self, rows: Flags) -> Batch:
        """Return a batch with these rows at the places marked in `rows`, and empty rows elsewhere: the
        inverse of `take`."""
        if rows.all():
            return self
        numbers = np.zeros((len(self.numbers), len(rows)))
        numbers[:, rows] = self.numbers
        texts = {k: np.full(len(rows), None, np.object_) for k in self.texts}
        for k, column in self.texts.items():
            texts[k][rows] = column
        return Batch(numbers, texts)

    def put(self, row: int, values: Sequence[Value]) -> None:
        """Set the values of a row, one per feature; None is missing."""
        for k, value in enumerate(values):
            if k in self.texts:
                self.texts[k][row] = value
            else:
                self.numbers[k, row] = np.nan if value is None else value
