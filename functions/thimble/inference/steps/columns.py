"""The table that steps read and fill, the base class of steps, and the keys that a step reads.

A table is one matrix, features along the first axis and rows along the last. A step works on whole columns,
element by element or along the features, so that a row's results depend on nothing but the row. A missing
number is NaN.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble.errors import InvalidModel
from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Texts
from thimble.inference.cost import Cost
from thimble.inference.fields import Fields

Selection = slice | NDArray[np.intp]
Row = list[Any]  # all columns of one row: floats, and of the features texts, or None where one is missing


class Table(NamedTuple):
    """All columns of some rows, padded to whole blocks with meaningless rows of zeros."""

    numbers: FloatArray  # (columns, rows in whole blocks)
    texts: Mapping[int, Texts]  # by text feature
    rows: int
    rejected: dict[int, str]  # the first fault of a row
    unknown: dict[int, FloatArray]  # by free text, (rows,): the share of terms that the vocabulary lacks

    def reject(self, row: int, sentence: str) -> None:
        if row < self.rows:
            self.rejected.setdefault(row, sentence)

    def reject_where(self, wrong: NDArray[np.bool_], sentence: Callable[[int], str]) -> None:
        """Reject the rows with a fault in `wrong`, (k, rows), each with the sentence for its first one."""
        for row in np.flatnonzero(wrong.any(axis=0)).tolist():
            self.reject(row, sentence(int(wrong[:, row].argmax())))


def no_number(name: str) -> str:
    return f"{name} is not a number after preprocessing"


class StepFields(Fields):
    """The keys of one step. `names` are the names of the columns before it. `texts` are the columns that hold
    text; only `encode` reads them. `free_texts` are those among them that `text` reads too."""

    def __init__(
        self,
        value: Any,
        path: str,
        names: Sequence[str],
        texts: frozenset[int],
        free_texts: frozenset[int],
    ) -> None:
        super().__init__(value, path)
        self.names = names
        self.texts = texts
        self.free_texts = free_texts

    def columns(self, key: str = "columns") -> NDArray[np.intp]:
        found = self.indices(key, len(self.names))
        listed = found.tolist()
        if not self.texts.isdisjoint(listed):
            i, column = next((i, column) for i, column in enumerate(listed) if column in self.texts)
            raise InvalidModel(f"{self.at(key)}[{i}] is column {column}, which holds text")
        return found


class Step(ABC):
    """An op with the settings of a document. It reads `columns` and appends `width` columns."""

    KEYS: ClassVar[tuple[str, ...]]  # beside `op`

    columns: list[int]
    width: int
    cost: Cost  # of a row
    categories: frozenset[str] = frozenset()  # the texts that it tells apart, of the one column that it reads
    knows: int | None = None  # the free text whose terms it looks up in a vocabulary
    plain: bool = False  # whether `alone` computes it

    @abstractmethod
    def __init__(self, fields: StepFields) -> None:
        """Read the keys. Raises InvalidModel, which says what is wrong with them."""

    def _declare(self, columns: Sequence[NDArray[np.intp]], width: int, cost: Cost) -> None:
        self.columns = [column for part in columns for column in part.tolist()]
        self.width = width
        self.cost = cost

    @abstractmethod
    def fill(self, table: Table, out: FloatArray) -> None:
        """Compute the columns into `out`, (width, rows)."""

    def alone(self, row: Row) -> list[float]:
        """Return the columns of one row, with the bits of `fill`, without numpy. What is infinite, or raises
        an ArithmeticError, is for `fill` to refuse."""
        raise NotImplementedError


def listed(selection: Selection) -> list[int]:
    if isinstance(selection, slice):
        return list(range(selection.start, selection.stop))
    return list(map(int, selection))


def selection(columns: NDArray[np.intp]) -> Selection:
    """Return adjacent columns as a slice, which needs no copy; return others as they are."""
    start = int(columns[0])
    if np.array_equal(columns, np.arange(start, start + len(columns))):
        return slice(start, start + len(columns))
    return columns
