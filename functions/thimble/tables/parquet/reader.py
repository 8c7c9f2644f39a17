"""Parquet, row group by row group: columns in, the same columns and the answer's out.

A row group is fetched alone, given a footer of its own and read as a small file; what is written for it is
such a file too, without its footer. So neither reading nor writing needs more than a row group, and the
result's row groups are the same however many functions write them.
"""

from __future__ import annotations

import io
import json
import math
import sys
import tempfile
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import orjson
import polars as pl
from polars.exceptions import PanicException, PolarsError

from thimble.errors import InvalidFile
from thimble.inference.batch import Batch, Fault
from thimble.inference.classifier import Classifier
from thimble.inference.features import WANTED, Feature, normal, spelled
from thimble.inference.predictions import Predictions
from thimble.tables import header
from thimble.tables.answers import LabelColumn, NumberColumn, added, counts
from thimble.tables.blocks import MOST_RANGES, Answered, Part, answer
from thimble.tables.cells import Unfit, not_finite, text_value
from thimble.tables.fast import known_texts
from thimble.tables.parquet import thrift
from thimble.tables.parquet.thrift import Struct, Value

MAGIC = b"PAR1"
ARROW_SCHEMA = b"ARROW:schema"  # of the result, another one
MAX_FOOTER = 16 << 20  # bytes; read, it takes seventy times as much memory
MAX_FOOTERS = 1 << 30  # bytes of the footers of all row groups
TAIL = 8  # the footer's length, and the magic again
SLICE_BYTES = 32 << 20  # of values at once, about
SLICE_ROWS = 1 << 17
LEAST_ROWS = 64  # of a slice
GLANCE_ROWS = 256  # that tell how large rows are
WHOLE_BYTES = 64 << 20  # of values in a row group that is decoded as a whole
IN_MEMORY = 64 << 20  # bytes of a row group as it is stored; a larger one goes through a temporary file
BOOLEANS = (0.0, 1.0)  # as numbers
WIDE = pl.Decimal(38, 0)
LEVELS = {"zstd": 1}  # no larger than at the usual 3, and a third quicker
CODECS = {0: "uncompressed", 1: "snappy", 2: "gzip", 4: "brotli", 5: "lz4", 6: "zstd", 7: "lz4"}

# Fields of the footer's structs, by their numbers in parquet.thrift.
SCHEMA, NUM_ROWS, ROW_GROUPS, KEY_VALUES = 2, 3, 4, 5
GROUP_COLUMNS, GROUP_ROWS, GROUP_OFFSET, GROUP_ORDINAL = 1, 3, 5, 7
CHUNK_OFFSET, CHUNK_META, CHUNK_INDEXES = 2, 3, (4, 5, 6, 7)
ELEMENT_NAME, ELEMENT_CHILDREN, ELEMENT_PRECISION = 4, 5, 8
META_PATH = 3
META_CODEC, META_UNPACKED, META_SIZE, META_OFFSETS, META_BLOOM = 4, 6, 7, (9, 10, 11), (14, 15)

Read = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Footer:
    struct: Struct

    @cached_property
    def groups(self) -> list[Struct]:
        return [group.value for group in self.struct[ROW_GROUPS].value]

    def of(self, groups: list[Struct]) -> bytes:
        """The end of a file with other row groups."""
        rows = sum(group[GROUP_ROWS].value for group in groups)
        elements = [Value(thrift.STRUCT, group) for group in groups]
        struct = thrift.dumps(
            self.struct
            | {NUM_ROWS: Value(thrift.I64, rows), ROW_GROUPS: Value(thrift.LIST, elements, thrift.STRUCT)}
        )
        return struct + len(struct).to_bytes(4, "little") + MAGIC

    @property
    def columns(self) -> list[list[Struct]]:
        """The schema's elements: the root alone, then each column with all that is in it."""
        elements = [element.value for element in self.struct[SCHEMA].value]
        columns, at = [elements[:1]], 1
        while at < len(elements):
            begin, open_ = at, 1
            while open_:
                open_ += elements[at][ELEMENT_CHILDREN].value - 1 if ELEMENT_CHILDREN in elements[at] else -1
                at += 1
            columns.append(elements[begin:at])
        return columns

    def only(self, columns: list[list[Struct]]) -> Footer:
        """The root and some columns, in the schema and in every row group."""
        (root,), *kept = columns
        names = {column[0][ELEMENT_NAME].value for column in kept}
        root = root | {ELEMENT_CHILDREN: Value(thrift.I32, len(kept))}
        elements = [Value(thrift.STRUCT, element) for element in (root, *chain.from_iterable(kept))]
        groups = [
            Value(thrift.STRUCT, group | {GROUP_COLUMNS: _of(group[GROUP_COLUMNS], names)})
            for group in self.groups
        ]
        notes = [note for key, note in _key_values(self.struct).items() if key != ARROW_SCHEMA]
        return Footer(
            self.struct
            | {
                SCHEMA: Value(thrift.LIST, elements, thrift.STRUCT),
                ROW_GROUPS: Value(thrift.LIST, groups, thrift.STRUCT),
                KEY_VALUES: Value(thrift.LIST, notes, thrift.STRUCT),
            }
        )

    @cached_property
    def bare(self) -> Footer:
        """What it takes to read a row group: without the notes of other tools."""
        notes = [note for key, note in _key_values(self.struct).items() if key == ARROW_SCHEMA]
        return Footer(self.struct | {KEY_VALUES: Value(thrift.LIST, notes, thrift.STRUCT)})


def footer(size: int, read: Read) -> Footer:
    """InvalidFile if there is none."""
    end = read(max(size - (64 << 10), 0), size)
    if size < len(MAGIC) + TAIL or not end.endswith(MAGIC):
        raise InvalidFile("the file is not Parquet, or was cut short")
    length = int.from_bytes(end[-TAIL:-4], "little") + TAIL
    if length > min(size, MAX_FOOTER):
        raise InvalidFile(
            "the file's footer is broken" if length > size else "the file's footer is too large"
        )
    if length > len(end):
        end = read(size - length, size)
    try:
        return Footer(thrift.loads(end[-length:-TAIL]))
    except (IndexError, ValueError, KeyError) as error:
        raise InvalidFile("the file's footer is broken") from error


def extent(group: Struct) -> tuple[int, int]:
    """Where a row group's bytes begin and end."""
    metas = [chunk.value[CHUNK_META].value for chunk in group[GROUP_COLUMNS].value]
    starts = [min(meta[k].value for k in META_OFFSETS if k in meta and meta[k].value) for meta in metas]
    ends = [start + meta[META_SIZE].value for start, meta in zip(starts, metas, strict=True)]
    return min(starts), max(ends)


def moved(group: Struct, by: int) -> Struct:
    """A row group whose bytes stand elsewhere; indexes, which stood outside of it, are left behind."""
    group = deepcopy(group)
    if GROUP_OFFSET in group:
        group[GROUP_OFFSET].value += by
    group.pop(GROUP_ORDINAL, None)
    for chunk in group[GROUP_COLUMNS].value:
        chunk.value[CHUNK_OFFSET].value += by
        meta = chunk.value[CHUNK_META].value
        for k in (k for k in META_OFFSETS if k in meta):
            meta[k].value += by
        for k in CHUNK_INDEXES:
            chunk.value.pop(k, None)
        for k in META_BLOOM:
            meta.pop(k, None)
    return group


@dataclass(frozen=True)
class Parquet:
    """One file being classified. The row groups written so far are what the closing lists."""

    classifier: Classifier
    read: Read
    footer: Footer
    schema: pl.Schema
    features: dict[int, str]  # which column a feature is, by its position in the model
    name: str = "parquet"
    opening: bytes = MAGIC
    joint: bytes = b""
    body: int = 0
    first_line: int = 1
    left_out: tuple[tuple[str, str], ...] = ()
    written: list[Struct] = field(default_factory=list)

    @property
    def closing(self) -> bytes:
        return self._template.of(self.written)

    def follow(self, closing: bytes) -> None:
        """The row groups that another's closing lists come after those written so far."""
        for group in footer(len(closing), lambda start, stop: closing[start:stop]).groups:
            self.written.append(moved(group, self._end - extent(group)[0]))

    def bounds(self, size: int) -> list[int]:
        """Ranges of whole row groups, each closed when it has the size."""
        extents = [stop - start for start, stop in map(extent, self.footer.groups)]
        size = max(size, -(-sum(extents) // MOST_RANGES))
        found, held = [0], 0
        for k, length in enumerate(extents[:-1], 1):
            held += length
            if held >= size:
                found.append(k)
                held = 0
        return [*found, len(extents)]

    def first_record(self, start: int, stop: int) -> int:
        return start

    def parts(
        self, start: int = 0, stop: int = sys.maxsize, first_line: int = 1, workers: int = 1
    ) -> Iterator[Part]:
        """Slice by slice, one after the other: polars keeps all processors busy."""
        for k, row, frame in self.frames(start, stop, first_line):
            yield self._part(frame, row, k + 1)

    def frames(
        self, start: int = 0, stop: int = sys.maxsize, first_line: int = 1
    ) -> Iterator[tuple[int, int, pl.DataFrame]]:
        """Slices of row groups: of which group each is, the number of its first row, and the rows."""
        row = first_line + sum(group[GROUP_ROWS].value for group in self.footer.groups[:start])
        for k, group in enumerate(self.footer.groups[start:stop], start):
            with self._opened(group) as rows:
                for at, frame in self._slices(rows, group, row):
                    yield k, row + at, frame
            row += group[GROUP_ROWS].value

    def _slices(self, rows: pl.LazyFrame, group: Struct, row: int) -> Iterator[tuple[int, pl.DataFrame]]:
        """Of a row group: decoded once if it is small, else as far as each slice takes it."""
        n = group[GROUP_ROWS].value
        row_bytes = self._row_bytes(rows, group, row)
        if row_bytes * n <= WHOLE_BYTES:
            rows = _collected(rows, row, n).lazy()
        step = max(LEAST_ROWS, min(SLICE_ROWS, SLICE_BYTES // row_bytes))
        for at in range(0, max(n, 1), step):  # of no rows too, which are a part with an end
            height = min(step, n - at)
            yield at, _collected(rows.slice(at, height), row + at, height)

    def _row_bytes(self, rows: pl.LazyFrame, group: Struct, row: int) -> int:
        """About. The footer says how long texts are, but for those that repeat and stand there once."""
        n: int = group[GROUP_ROWS].value
        columns, height = max(8 * len(self.schema), 1), min(n, GLANCE_ROWS)
        if height == 0 or all(map(_is_fixed, self.schema.dtypes())):
            return columns
        metas = [chunk.value[CHUNK_META].value for chunk in group[GROUP_COLUMNS].value]
        stored: int = sum(meta[META_UNPACKED].value for meta in metas) // n
        seen = int(_collected(rows.head(height), row, height).estimated_size()) // height
        return max(columns, stored, seen)

    @contextmanager
    def _opened(self, group: Struct) -> Iterator[pl.LazyFrame]:
        """A row group as a file of its own; if it is large, on the disk."""
        start, stop = extent(group)
        end = self.footer.bare.of([moved(group, len(MAGIC) - start)])
        if stop - start <= IN_MEMORY:
            yield pl.scan_parquet(io.BytesIO(MAGIC + self.read(start, stop) + end))
            return
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            file.write(MAGIC)
            for at in range(start, stop, IN_MEMORY // 8):
                file.write(self.read(at, min(at + IN_MEMORY // 8, stop)))
            file.write(end)
            file.flush()
            yield pl.scan_parquet(file.name)

    def _part(self, frame: pl.DataFrame, row: int, end: int) -> Part:
        outcome = answer(self.classifier, self.batch(frame))
        rejected = [_rejection(frame, i, row + i, reason) for i, reason in outcome.rejected.items()]
        answered = Answered(
            result=self._written(frame.filter(pl.Series(outcome.answered)), outcome.predictions),
            rejected=b"".join(rejected),
            predictions=outcome.predictions.n_rows,
            rejections=len(rejected),
            blank=0,
            classes=counts(self.classifier, outcome.predictions),
            observed=outcome.observed,
        )
        return Part(frame.height, 0, answered, end)

    def batch(self, frame: pl.DataFrame) -> Batch:
        batch = Batch.empty(self.classifier.features, frame.height)
        unfit = np.zeros(frame.height, np.bool_)
        for k, name in self.features.items():
            feature, series = self.classifier.features[k], frame[name]
            if feature.textual:
                batch.texts[k][:], none = known_texts(feature, series.cast(pl.String))
                doubtful = absent = none.to_numpy()
            elif feature.type != "unused":
                numbers = batch.numbers[k] = series.cast(pl.Float64).to_numpy()
                doubtful = ~(
                    np.isin(numbers, BOOLEANS) if feature.type == "boolean" else np.isfinite(numbers)
                )
                absent = np.isnan(numbers)
            else:
                continue
            unfit |= doubtful & ~absent if feature.missing else doubtful
        return batch._replace(faults={i: self._fault(frame, i) for i in np.flatnonzero(unfit).tolist()})

    def _fault(self, frame: pl.DataFrame, i: int) -> Fault:
        """Which value of a row will not do."""
        try:
            self._check(frame, i)
        except Unfit as error:
            return error.fault
        return Fault("has a value that is no number", "the row")

    def _check(self, frame: pl.DataFrame, i: int) -> None:
        for k, name in self.features.items():
            feature, value = self.classifier.features[k], frame[i, name]
            if value is None and not feature.missing and feature.type != "unused":
                raise Unfit(Fault("is null", name))
            if feature.textual and value is not None:
                text_value(feature, name, value)
            if isinstance(value, float) and not (
                math.isfinite(value) or (feature.missing and math.isnan(value))
            ):
                raise Unfit(Fault(not_finite(value), name))
            if feature.type == "boolean" and not (value is None or math.isnan(value) or value in BOOLEANS):
                raise Unfit(Fault(f"is not {WANTED['boolean']}", name, "a number"))

    def _written(self, frame: pl.DataFrame, predictions: Predictions) -> bytes:
        """The bytes of a row group, which the closing will list."""
        if frame.height == 0:
            return b""
        data = self._file(frame, predictions)
        (group,) = footer(len(data), lambda start, stop: data[start:stop]).groups
        start, stop = extent(group)
        self.written.append(moved(group, self._end - start))
        return data[start:stop]

    def _file(self, frame: pl.DataFrame, predictions: Predictions) -> bytes:
        columns = [_series(column) for column in added(self.classifier, predictions)]
        out = io.BytesIO()
        frame.hstack(columns).write_parquet(
            out,
            compression=self._codec,
            compression_level=LEVELS.get(self._codec),
            row_group_size=max(frame.height, 1),
        )
        return out.getvalue()

    @property
    def _end(self) -> int:
        """Of what is written so far."""
        return extent(self.written[-1])[1] if self.written else len(MAGIC)

    @cached_property
    def _template(self) -> Footer:
        """The result's footer without row groups; what other tools noted in the input's stays noted."""
        none = answer(self.classifier, Batch.empty(self.classifier.features, 0)).predictions
        data = self._file(pl.DataFrame(schema=self.schema), none)
        struct = footer(len(data), lambda start, stop: data[start:stop]).struct
        ours, theirs = (_key_values(s) for s in (struct, self.footer.struct))
        notes = [*ours.values(), *(note for key, note in theirs.items() if key not in (*ours, ARROW_SCHEMA))]
        return Footer(struct | {KEY_VALUES: Value(thrift.LIST, notes, thrift.STRUCT)})

    @cached_property
    def _codec(self) -> Any:
        """The input's own compression."""
        for group in self.footer.groups:
            for chunk in group[GROUP_COLUMNS].value:
                return CODECS.get(chunk.value[CHUNK_META].value[META_CODEC].value, "zstd")
        return "zstd"


def opened(size: int, read: Read, classifier: Classifier) -> Parquet:
    """InvalidFile unless it is Parquet with a column for every feature, of the feature's type."""
    found = footer(size, read)
    _check(found, size)
    try:
        found, left_out = _readable(found)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InvalidFile("the file's footer is broken") from error
    names = list(schema := _schema(found))
    spelled_names = spelled(names, classifier.feature_names or ())
    _refuse_unreadable(classifier, left_out)
    features = {k: names[column] for k, column in header.features(spelled_names, classifier.schema).items()}
    for k, name in features.items():
        _refuse_other_types(classifier.features[k], schema[name], name)
    return Parquet(classifier, read, found, schema, features, left_out=tuple(left_out.items()))


def _schema(found: Footer) -> pl.Schema:
    try:
        return pl.Schema(pl.read_parquet_schema(io.BytesIO(MAGIC + found.of([]))))
    except (PolarsError, PanicException) as error:
        raise InvalidFile(f"the file's footer cannot be read: {error}") from None


def _readable(found: Footer) -> tuple[Footer, dict[str, str]]:
    """The footer without the columns of types that polars does not read, and what is wrong with each."""
    root, *columns = found.columns
    left_out = {_name(column): reason for column in columns if (reason := _wide_decimal(column))}
    if not left_out:
        return found, {}
    return found.only([root, *(column for column in columns if _name(column) not in left_out)]), left_out


def _wide_decimal(column: list[Struct]) -> str:
    digits = max(
        element[ELEMENT_PRECISION].value if ELEMENT_PRECISION in element else 0 for element in column
    )
    most = WIDE.precision
    return (
        f"it holds decimals of {digits} digits, and the most that are read is {most}" if digits > most else ""
    )


def _name(column: list[Struct]) -> str:
    name: bytes = column[0][ELEMENT_NAME].value
    return name.decode("utf-8", "backslashreplace")


def _refuse_unreadable(classifier: Classifier, left_out: Mapping[str, str]) -> None:
    """InvalidFile for a column that the model reads, or whose name says nothing, of a model without names."""
    names = classifier.feature_names
    used = {normal(f.name) for f in classifier.features if f.type != "unused"}
    for name, reason in left_out.items():
        if names is None or normal(name) in used:
            raise InvalidFile(f'"{name}" cannot be read: {reason}')


def _is_fixed(dtype: pl.DataType) -> bool:
    """Whether all values are of one size."""
    return dtype.is_numeric() or dtype.is_temporal() or dtype in (pl.Boolean, pl.Null)


def _collected(rows: pl.LazyFrame, row: int, n: int) -> pl.DataFrame:
    try:
        frame = rows.collect()
    except (PolarsError, PanicException) as error:
        raise InvalidFile(f"the rows from {row} on cannot be read: {error}") from None
    if frame.height != n:
        raise InvalidFile(f"from row {row} on there are {frame.height} rows, where the footer says {n}")
    return frame


def _check(found: Footer, size: int) -> None:
    """InvalidFile unless everything is there that is looked at here, and lies within the file."""
    try:
        each, n = len(found.bare.of([])), len(found.groups)
        for group in found.groups:
            start, stop = extent(group)
            offsets = [chunk.value[CHUNK_OFFSET].value for chunk in group[GROUP_COLUMNS].value]
            metas = [chunk.value[CHUNK_META].value for chunk in group[GROUP_COLUMNS].value]
            known = [meta[k].value for meta in metas for k in (META_CODEC, META_UNPACKED)]
            numbers = [group[GROUP_ROWS].value, start, stop, *offsets, *known]
            if not all(type(number) is int for number in numbers):
                raise ValueError
            if not (len(MAGIC) <= start <= stop <= size and group[GROUP_ROWS].value >= 0):
                raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InvalidFile("the file's footer is broken") from error
    if each * n > MAX_FOOTERS:
        raise InvalidFile(
            f"the file has {n:,} row groups, too many for a schema of {each:,} bytes: write fewer"
        )


def _refuse_other_types(feature: Feature, dtype: pl.DataType, name: str) -> None:
    if feature.type == "unused" or (feature.missing and dtype == pl.Null):
        return
    fits = {
        "number": dtype.is_numeric(),
        "boolean": dtype == pl.Boolean or dtype.is_numeric(),
        "text": isinstance(dtype, pl.String | pl.Categorical | pl.Enum),
    }
    kind = "text" if feature.textual else feature.type
    if not fits[kind]:
        raise InvalidFile(f'"{name}" is a column of {dtype}, and the model takes a {kind} there')


def _rejection(frame: pl.DataFrame, i: int, row: int, reason: str) -> bytes:
    values = _sayable(frame.row(i, named=True))
    record = orjson.dumps(values, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return orjson.dumps({"line": row, "reason": reason, "record": record}, option=orjson.OPT_APPEND_NEWLINE)


def _sayable(value: Any) -> Any:
    """What JSON has no number for, as text."""
    if isinstance(value, dict):
        return {key: _sayable(part) for key, part in value.items()}
    if isinstance(value, list):
        return list(map(_sayable, value))
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    return str(value) if isinstance(value, int) and abs(value) >> 63 else value


def _series(column: LabelColumn | NumberColumn) -> pl.Series:
    """Labels in the type of their classes, whichever of them there are. Text is handed over by its number: in
    the file it stands in a dictionary anyway, and that it is text says the template, which has no rows."""
    if isinstance(column, NumberColumn):
        return pl.Series(column.name, column.values)
    dtype = _dtype(column.head.classes)
    if column.head.multilabel:
        dtype = pl.List(dtype)
    elif dtype == pl.String and len(column.which):
        dtype = pl.Enum(column.head.texts)
    if type(column.head.classes[0]) is not int or column.head.multilabel:
        return pl.Series(column.name, column.distinct, dtype).gather(column.which)
    return pl.Series(column.name, list(map(str, column.distinct))).cast(dtype).gather(column.which)


def _dtype(classes: Sequence[Any]) -> pl.DataType:
    """Integers that none of Parquet's types for them holds all of are decimals without a point."""
    if type(classes[0]) is not int:
        return pl.Series(classes).dtype
    least, most = min(classes), max(classes)
    if least >= -(1 << 63) and most < 1 << 63:
        return pl.Int64()
    if least >= 0 and most < 1 << 64:
        return pl.UInt64()
    return WIDE


def _of(chunks: Value, names: Container[bytes]) -> Value:
    """A row group's column chunks that belong to columns of these names."""
    kept = [
        chunk for chunk in chunks.value if chunk.value[CHUNK_META].value[META_PATH].value[0].value in names
    ]
    return Value(thrift.LIST, kept, thrift.STRUCT)


def _key_values(struct: Struct) -> dict[bytes, Value]:
    return {pair.value[1].value: pair for pair in struct[KEY_VALUES].value} if KEY_VALUES in struct else {}
