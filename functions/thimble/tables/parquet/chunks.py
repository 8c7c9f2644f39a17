"""The chunks of answers' columns: polars writes labels, of whatever type, and numbers are written here.

Numbers are most of a result. Written plainly, and not compressed, they cost next to nothing.
"""

from __future__ import annotations

import io
import struct
from typing import NamedTuple

import numpy as np
import polars as pl

from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Flags
from thimble.tables.parquet import thrift
from thimble.tables.parquet.footer import (
    CHUNK_META,
    CHUNK_OFFSET,
    OFFSET_INDEX,
    Footer,
    chunks_of,
    moved,
    read_footer,
    span,
)
from thimble.tables.parquet.thrift import Struct, Value, binary, i32, i64, structs

PAGE_ROWS = 1 << 17
DATA_PAGE, DOUBLE, PLAIN, RLE, UNCOMPRESSED = 0, 5, 0, 3, 0  # of enumerations in parquet.thrift
PLACES, OFFSET = 1, 1  # of an offset index; of a page in it


class Chunk(NamedTuple):
    """A column of a row group as the footer lists it, and where its pages are."""

    struct: Struct
    offset_index: Struct

    def moved(self, by: int) -> Chunk:
        pages = [page.value for page in self.offset_index[PLACES].value]
        places = [page | {OFFSET: i64(page[OFFSET].value + by)} for page in pages]
        return Chunk(moved(self.struct, by), {PLACES: structs(places)})


def of_labels(labels: pl.Series, at: int) -> tuple[bytes, Chunk]:
    """The bytes of a chunk that begins there, and the chunk."""
    out = io.BytesIO()
    pl.DataFrame([labels]).write_parquet(out, compression="snappy", row_group_size=len(labels))
    data = out.getvalue()
    [chunk] = chunks_of(footer_of(data).groups[0])
    start, stop = span(chunk)
    index, length = (chunk[field].value for field in OFFSET_INDEX)
    found = Chunk(chunk, thrift.loads(data[index : index + length]))
    return data[start:stop], found.moved(at - start)


def footer_of(data: bytes) -> Footer:
    return read_footer(len(data), lambda start, stop: data[start:stop])


def of_numbers(name: str, numbers: FloatArray, answered: Flags, at: int) -> tuple[bytes, Chunk]:
    """The same, of the rows that are answered; the others are null."""
    pages, places, place, kept = [], [], at, 0
    for first in range(0, len(answered), PAGE_ROWS):
        flags = answered[first : first + PAGE_ROWS]
        values = numbers[kept : kept + np.count_nonzero(flags)]
        pages.append(_page(values, flags))
        places.append({OFFSET: i64(place), 2: i32(len(pages[-1])), 3: i64(first)})
        place += len(pages[-1])
        kept += len(values)
    meta = {
        1: i32(DOUBLE),
        2: Value(thrift.LIST, [i32(PLAIN), i32(RLE)], thrift.I32),
        3: Value(thrift.LIST, [binary(name.encode())], thrift.BINARY),
        4: i32(UNCOMPRESSED),
        5: i64(len(answered)),
        6: i64(place - at),
        7: i64(place - at),
        9: i64(at),
        12: Value(thrift.STRUCT, _statistics(numbers, len(answered) - len(numbers))),
    }
    chunk = {CHUNK_OFFSET: i64(0), CHUNK_META: Value(thrift.STRUCT, meta)}
    return b"".join(pages), Chunk(chunk, {PLACES: structs(places)})


def _page(values: FloatArray, answered: Flags) -> bytes:
    """A page's header, which of its rows are answered, and their values."""
    if answered.all():
        levels = thrift.varint(len(answered) << 1) + b"\1"  # so many times 1
    else:
        bits = np.packbits(answered, bitorder="little").tobytes()
        levels = thrift.varint(len(bits) << 1 | 1) + bits
    body = len(levels).to_bytes(4, "little") + levels + values.tobytes()
    encoded = {1: i32(len(answered)), 2: i32(PLAIN), 3: i32(RLE), 4: i32(RLE)}
    header = {1: i32(DATA_PAGE), 2: i32(len(body)), 3: i32(len(body)), 5: Value(thrift.STRUCT, encoded)}
    return thrift.dumps(header) + body


def _statistics(numbers: FloatArray, nulls: int) -> Struct:
    found = {3: i64(nulls)}
    if len(numbers):
        least, most = numbers.min(), numbers.max()  # of the two zeros, the one that takes in the other
        found[5] = binary(struct.pack("<d", most or 0.0))
        found[6] = binary(struct.pack("<d", least or -0.0))
    return found
