"""The answers' columns of a row group, gathered block by block."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

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
        decimals = [None if label is None else str(label) for label in column.distinct]
        distinct = pl.Series([*decimals, None]).cast(wanted)
    else:
        stored = pl.Enum(column.head.texts) if wanted == pl.String else wanted
        distinct = pl.Series([*column.distinct, None], dtype=stored)
    return distinct[spread(column.which, answered, len(column.distinct))].alias(column.name)


def texts(column: FurtherColumn, answered: Flags) -> pl.Series:
    """A text, or null, for each row."""
    cells = [None if cell is None else cell_text(cell) for cell in column.cells]
    found = spread(np.array(cells, np.object_), answered, None)
    return pl.Series(column.name, found.tolist(), pl.String)


def spread(values: NDArray[Any], answered: Flags, nothing: Any) -> NDArray[Any]:
    """The answered rows' values in their places among all rows."""
    if len(values) == len(answered):
        return values
    found = np.full(len(answered), nothing)
    found[answered] = values
    return found


class Waiting:
    """The answers to a row group's rows, block by block, until all are there."""

    def __init__(self, rows: int, names: Sequence[str]) -> None:
        self._names, self._filled = names, 0
        self._series: dict[str, list[pl.Series]] = defaultdict(list)
        self._numbers = _room(len(names), rows)  # NaN where there is none

    def add(self, columns: Iterable[AddedColumn], answered: Flags) -> None:
        start, self._filled = self._filled, self._filled + len(answered)
        for numbers, column in zip(self._numbers[:, start : self._filled], columns, strict=True):
            if isinstance(column, LabelColumn):
                self._series[column.name].append(labels(column, answered))
            elif isinstance(column, FurtherColumn) and not column.numbers:
                self._series[column.name].append(texts(column, answered))
            else:
                known = column.values if isinstance(column, NumberColumn) else column.cells
                numbers[:] = spread(np.asarray(known, np.float64), answered, np.nan)

    def __iter__(self) -> Iterator[pl.Series | tuple[str, FloatArray]]:
        """Yield each column; of numbers, NaN is null."""
        for name, numbers in zip(self._names, self._numbers, strict=True):
            yield pl.concat(self._series[name]) if name in self._series else (name, numbers)


def _room(columns: int, rows: int) -> FloatArray:
    """Memory for so many numbers; if they are very many, on the disk."""
    if columns * rows * NUMBER_BYTES <= IN_MEMORY:
        return np.empty((columns, rows))
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float64, "w+", shape=(columns, rows))
