"""The answers' columns of a row group, gathered block by block."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Flags
from thimble.inference.classifier import Classifier
from thimble.inference.head import Head
from thimble.tables.answers import AddedColumn, FurtherColumn, LabelColumn, NumberColumn, cell_text

WIDE = pl.Decimal(38, 0)
NUMBER_BYTES = 8
IN_MEMORY = 64 << 20  # bytes of a row group's answers; more wait in temporary files


def dtype(head: Head) -> pl.DataType:
    """The type of a label column. Integers that no integer type of Parquet holds all of are decimals."""
    classes: Sequence[Any] = head.classes
    found: pl.DataType = pl.Series(classes[:1]).dtype
    if type(classes[0]) is int:
        least, most = min(classes), max(classes)
        if not -(1 << 63) <= least <= most < 1 << 63:
            found = pl.UInt64() if least >= 0 and most < 1 << 64 else WIDE
    return pl.List(found) if head.multilabel else found


def schema(classifier: Classifier) -> pl.Schema:
    found: dict[str, pl.DataType] = {}
    for head in classifier.heads:
        label, *numbers = head.columns
        found |= {label: dtype(head), **dict.fromkeys(numbers, pl.Float64())}
    for one in classifier.further:
        found |= {column.name: pl.Float64() if column.numbers else pl.String() for column in one.columns}
    return pl.Schema(found)


def labels(column: LabelColumn, answered: Flags) -> pl.Series:
    """A label, or null, for each row. Text goes by its number: the file has it in a dictionary anyway."""
    wanted = dtype(column.head)
    if wanted in (pl.UInt64, WIDE):
        texts = [None if label is None else str(label) for label in column.distinct]
        distinct = pl.Series([*texts, None]).cast(wanted)
    else:
        stored = pl.Enum(column.head.texts) if wanted == pl.String else wanted
        distinct = pl.Series([*column.distinct, None], dtype=stored)
    places = np.full(len(answered), len(column.distinct))
    places[answered] = column.which
    return distinct[places].alias(column.name)


def further(column: FurtherColumn, answered: Flags) -> pl.Series:
    """A number or a text, or null, for each row."""
    if column.numbers:
        cells = pl.Series([*column.cells, None], dtype=pl.Float64)
    else:
        texts = [None if cell is None else cell_text(cell) for cell in column.cells]
        cells = pl.Series([*texts, None], dtype=pl.String)
    places = np.full(len(answered), len(column.cells))
    places[answered] = np.arange(len(column.cells))
    return cells[places].alias(column.name)


class Waiting:
    """The answers to a row group's rows, block by block, until all are there."""

    def __init__(self, rows: int, names: Sequence[str]) -> None:
        self.answered = np.zeros(rows, np.bool_)
        self._names = names
        self._labels: dict[str, list[pl.Series]] = defaultdict(list)
        self._numbers = _room(len(self._names), rows)
        self._rows = self._kept = 0

    def add(self, columns: Iterable[AddedColumn], answered: Flags) -> None:
        end, kept = self._rows + len(answered), self._kept + int(np.count_nonzero(answered))
        for k, column in enumerate(columns):
            if isinstance(column, NumberColumn):
                self._numbers[k, self._kept : kept] = column.values
            elif isinstance(column, FurtherColumn):
                self._labels[column.name].append(further(column, answered))
            else:
                self._labels[column.name].append(labels(column, answered))
        self.answered[self._rows : end] = answered
        self._rows, self._kept = end, kept

    def __iter__(self) -> Iterator[tuple[str, pl.Series | FloatArray]]:
        """Yield each column: the labels of all rows, or the numbers of those that are answered."""
        for name, numbers in zip(self._names, self._numbers, strict=True):
            yield name, pl.concat(self._labels[name]) if name in self._labels else numbers[: self._kept]


def _room(columns: int, rows: int) -> FloatArray:
    """Memory for so many numbers; if they are very many, on the disk."""
    if columns * rows * NUMBER_BYTES <= IN_MEMORY:
        return np.empty((columns, rows))
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float64, "w+", shape=(columns, rows))
