"""The columns of a Parquet file that a model reads: nothing else of it is fetched or decoded.

Of a row group, the chunks of these columns become a small file with a footer of its own, which polars reads.
"""

from __future__ import annotations

import io
import json
import math
import sys
import tempfile
from bisect import bisect
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import accumulate, chain, islice
from typing import Any, NamedTuple

import numpy as np
import orjson
import polars as pl
from polars.exceptions import PanicException, PolarsError

from thimble.errors import InvalidFile
from thimble.inference.arrays import all_finite
from thimble.inference.batch import Batch, Fault
from thimble.inference.classifier import Classifier
from thimble.inference.features import WANTED, Feature, spelled
from thimble.tables import blocks, header
from thimble.tables.cells import Unfit, not_finite, text_value
from thimble.tables.fast import known_texts
from thimble.tables.parquet import arrow_schema
from thimble.tables.parquet.arrow_schema import ARROW_SCHEMA
from thimble.tables.parquet.footer import (
    BROKEN,
    MAGIC,
    Column,
    ColumnChunk,
    ColumnMeta,
    Footer,
    Read,
    RowGroup,
    moved,
    runs,
    span,
)
from thimble.tables.parquet.thrift import Struct, structs
from thimble.threads import ahead

IN_MEMORY = 64 << 20  # bytes of a row group's chunks; more go through a temporary file
MAX_FOOTERS = 1 << 30  # bytes of the footers of all row groups
READ_BYTES = 4 << 20  # with one request
READ_AHEAD = 4  # requests
SLICE_BYTES = 64 << 20  # of values held at once, about: a page that two slices share is decoded twice
LEAST_ROWS = 64  # of a slice
GLANCE_ROWS = 256  # that tell how long texts are
NUMBER_BYTES = 8
BOOLEANS = (0.0, 1.0)  # as numbers
MOST_DIGITS = 38
WIDE = (pl.UInt64, pl.Int128, pl.UInt128)  # integers that JSON may not have


class Rows(NamedTuple):
    """Some rows of a row group."""

    group: int
    first: int  # the number of the first, in the file
    frame: pl.DataFrame


class Slice(NamedTuple):
    """Rows of a row group that are decoded together."""

    group: int
    first: int
    height: int
    load: int  # one number for slices that may be in memory together
    decode: Callable[[], pl.DataFrame]

    def rows(self, most: int = sys.maxsize) -> Iterator[Rows]:
        """Decode the rows and yield them, at most so many at once."""
        frame = self.decode()
        for at in range(0, self.height, most):
            yield Rows(self.group, self.first + at, frame[at : at + most])


@dataclass(frozen=True)
class Features:
    """The columns that a model reads, by the features' positions in it."""

    features: tuple[Feature, ...]
    columns: dict[int, Column]
    footer: Footer
    read: Read

    def slices(
        self, start: int = 0, stop: int = sys.maxsize, first_line: int = 1
    ) -> Generator[Slice, None, None]:
        """Yield all rows of some row groups. A slice has to be decoded before the next one is asked for."""
        first = first_line + sum(group[RowGroup.ROWS] for group in self.footer.groups[:start])
        groups = self.footer.groups[start:stop]
        ranges = [self._ranges(group) for group in groups]
        load = held = 0
        with closing(ahead(lambda at: self.read(*at), chain.from_iterable(ranges), READ_AHEAD)) as fetched:
            for k, group in enumerate(groups, start):
                n = group[RowGroup.ROWS]
                with self._alone(group, islice(fetched, len(ranges[k - start]))) as file:
                    width = self._row_bytes(file, group, first)
                    step = max(LEAST_ROWS, SLICE_BYTES // width)
                    for at in range(0, n, step):
                        height = min(step, n - at)
                        held += height * width
                        if held > SLICE_BYTES:
                            load, held = load + 1, height * width
                        decode = partial(self._decoded, file, at, height, first)
                        yield Slice(k, first + at, height, load, decode)
                first += n

    def batch(self, frame: pl.DataFrame) -> Batch:
        batch, faults = Batch.empty(self.features, frame.height), dict[int, Fault]()
        unfit = np.zeros(frame.height, np.bool_)
        for k, column in self.columns.items():
            feature, series = self.features[k], frame[column.name]
            if feature.textual:
                batch.texts[k][:], none = known_texts(feature, series.cast(pl.String))
                doubtful = absent = none.to_numpy()
            else:
                numbers = batch.numbers[k] = series.cast(pl.Float64).to_numpy()
                if feature.type == "number" and all_finite(numbers):
                    continue
                fit = np.isin(numbers, BOOLEANS) if feature.type == "boolean" else np.isfinite(numbers)
                if fit.all():
                    continue
                doubtful, absent = ~fit, np.isnan(numbers)
            found = (doubtful & ~absent if feature.missing else doubtful) & ~unfit
            rows = np.flatnonzero(found).tolist()
            values = series.gather(rows).to_list()
            faults |= {i: _fault(feature, column.name, value) for i, value in zip(rows, values, strict=True)}
            unfit |= found
        return batch._replace(faults=faults)

    def bytes_of(self, group: Struct) -> int:
        return sum(stop - start for start, stop in runs(self._chunks(group)))

    def check(self) -> None:
        """InvalidFile unless all chunks lie within the file; their columns are of the features' types."""
        try:
            for group in self.footer.groups:
                for chunk in self._chunks(group):
                    start, stop = span(chunk)
                    if not len(MAGIC) <= start <= stop <= self.footer.start:
                        raise ValueError
                    if not isinstance(chunk[ColumnChunk.META][ColumnMeta.UNPACKED], int):
                        raise ValueError
                    moved(chunk, 0)
        except BROKEN as error:
            raise InvalidFile("the file's footer is broken") from error
        each, n = len(self.footer.only(self._columns)), len(self.footer.groups)
        if each * n > MAX_FOOTERS:
            raise InvalidFile(
                f"the file has {n:,} row groups, too many for a schema of {each:,} bytes: write fewer"
            )
        schema = self._schema()
        for k, column in self.columns.items():
            _refuse_other_type(self.features[k], schema[column.name], column.name)

    @cached_property
    def _columns(self) -> list[Column]:
        """In the order of the file."""
        return sorted(self.columns.values(), key=lambda column: column.leaves.start)

    def _chunks(self, group: Struct) -> list[Struct]:
        chunks = group[RowGroup.COLUMNS]
        return [chunk for column in self._columns for chunk in chunks[column.leaves]]

    def _schema(self) -> pl.Schema:
        places = {column.leaves.start: k for k, column in enumerate(self.footer.columns)}
        try:
            notes = [
                arrow_schema.only(note, [places[column.leaves.start] for column in self._columns])
                for key, note in self.footer.notes.items()
                if key == ARROW_SCHEMA
            ]
            end = self.footer.only(self._columns, (), notes)
            return pl.Schema(pl.read_parquet_schema(io.BytesIO(MAGIC + end)))
        except BROKEN as error:
            raise InvalidFile("the file's footer is broken") from error
        except (PolarsError, PanicException) as error:
            raise InvalidFile(f"the file's footer cannot be read: {error}") from None

    @contextmanager
    def _alone(self, group: Struct, fetched: Iterable[bytes]) -> Iterator[bytes | str]:
        """A row group's chunks, of which `fetched` are the bytes, as a file of their own: its bytes, or its
        name where these are many."""
        chunks = self._chunks(group)
        parts = runs(chunks)
        starts = [start for start, _ in parts]
        places = [*accumulate((stop - start for start, stop in parts), initial=len(MAGIC))]

        def alone(chunk: Struct) -> Struct:
            run = bisect(starts, span(chunk)[0]) - 1
            return moved(chunk, places[run] - starts[run])

        end = self.footer.only(self._columns, [group | {RowGroup.COLUMNS: structs(map(alone, chunks))}])
        pieces = chain([MAGIC], fetched, [end])
        if places[-1] <= IN_MEMORY:
            yield b"".join(pieces)
            return
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            file.writelines(pieces)
            file.flush()
            yield file.name

    def _ranges(self, group: Struct) -> list[tuple[int, int]]:
        """The ranges of the file that are read for a row group."""
        return [
            (at, min(at + READ_BYTES, stop))
            for start, stop in runs(self._chunks(group))
            for at in range(start, stop, READ_BYTES)
        ]

    def _row_bytes(self, file: bytes | str, group: Struct, first: int) -> int:
        """About. The footer says how long texts are, but for those that repeat and stand there once."""
        numbers = NUMBER_BYTES * max(len(self.columns), 1)
        if all(self.features[k].numeric for k in self.columns):
            return numbers
        n: int = group[RowGroup.ROWS]
        stored: int = sum(chunk[ColumnChunk.META][ColumnMeta.UNPACKED] for chunk in self._chunks(group))
        height = min(n, GLANCE_ROWS)
        seen = int(self._decoded(file, 0, height, first).estimated_size())
        return max(numbers, stored // n, seen // height)

    def _decoded(self, file: bytes | str, at: int, height: int, first: int) -> pl.DataFrame:
        if not self.columns:
            return pl.DataFrame(height=height)
        try:
            frame = pl.scan_parquet(file).slice(at, height).collect()
        except (PolarsError, PanicException) as error:
            raise InvalidFile(f"the rows from {first + at} on cannot be read: {error}") from None
        if frame.height != height:
            raise InvalidFile(
                f"from row {first + at} on there are {frame.height} rows, where the footer says {height}"
            )
        return frame


def find(found: Footer, read: Read, classifier: Classifier) -> Features:
    """InvalidFile unless there is a column for every feature, of the feature's type."""
    names = spelled([column.name for column in found.columns], classifier.feature_names or ())
    used = {
        k: found.columns[column]
        for k, column in header.features(names, classifier.schema).items()
        if classifier.features[k].type != "unused"
    }
    features = Features(classifier.features, used, found, read)
    features.check()
    return features


def _fault(feature: Feature, name: str, value: Any) -> Fault:
    """Why a value will not do."""
    if value is None:
        return Fault("is null", name)
    if feature.textual:
        try:
            text_value(feature, name, value)
        except Unfit as error:
            return error.fault
    if isinstance(value, float) and not math.isfinite(value):
        return Fault(not_finite(value), name)
    return Fault(f"is not {WANTED[feature.type]}", name, "a number")


def _refuse_other_type(feature: Feature, dtype: pl.DataType, name: str) -> None:
    if isinstance(dtype, pl.Decimal) and (dtype.precision or 0) > MOST_DIGITS:
        digits = f"decimals of {dtype.precision} digits, and the most that are read is {MOST_DIGITS}"
        raise InvalidFile(f'"{name}" cannot be read: it holds {digits}')
    fits = {
        "number": dtype.is_numeric(),
        "boolean": dtype == pl.Boolean or dtype.is_numeric(),
        "text": isinstance(dtype, pl.String | pl.Categorical | pl.Enum),
    }
    kind = "text" if feature.textual else feature.type
    if not fits[kind] and dtype != pl.Null:  # a column without a value, which has no other type
        raise InvalidFile(f'"{name}" is a column of {dtype}, and the model takes a {kind} there')


def rejections(rows: Rows, reasons: Mapping[int, str]) -> list[bytes]:
    """A line of JSON for each rejected row, which tells of it what the model reads."""
    if not reasons:
        return []
    columns = {series.name: _sayable(series) for series in rows.frame[list(reasons)]}
    told = ({name: values[k] for name, values in columns.items()} for k in range(len(reasons)))
    return [
        blocks.rejection(rows.first + i, reason, orjson.dumps(record, default=str).decode())
        for (i, reason), record in zip(reasons.items(), told, strict=True)
    ]


def _sayable(series: pl.Series) -> list[Any]:
    """The values as JSON has them: a number that it has none for is a text."""
    values = series.to_list()
    if series.dtype.is_float() and not np.isfinite(series.to_numpy()).all():
        return [value if value is None or math.isfinite(value) else json.dumps(value) for value in values]
    if series.dtype in WIDE:
        return [str(value) if value is not None and abs(value) >> 63 else value for value in values]
    return values
