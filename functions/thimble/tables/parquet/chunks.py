"""The chunks of answers' columns: polars writes labels, of whatever type, and numbers are written here.

Numbers are most of a result. Written plainly, and not compressed, they cost next to nothing.
"""

from __future__ import annotations

import io
import struct
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import polars as pl

from thimble.inference.arrays import FloatArray
from thimble.tables.parquet.footer import ColumnChunk, Footer, RowGroup, moved, read_footer, span
from thimble.tables.parquet.thrift import CODES, I32, I64, List, Struct, dumps, loads, structs, varint

PAGE_ROWS = 1 << 17
DATA_PAGE, DOUBLE, PLAIN, RLE, UNCOMPRESSED = 0, 5, 0, 3, 0  # of enumerations in parquet.thrift
PLACES, OFFSET = 1, 1  # of an offset index; of a page in it


class Chunk(NamedTuple):
    """A column of a row group as the footer lists it, and where its pages are."""

    struct: Struct
    offset_index: Struct

    def moved(self, by: int) -> Chunk:
        places = [page | {OFFSET: I64(page[OFFSET] + by)} for page in self.offset_index[PLACES]]
        return Chunk(moved(self.struct, by), {PLACES: structs(places)})


def of_series(column: pl.Series, at: int) -> tuple[bytes, Chunk]:
    """The bytes of a chunk that begins there, and the chunk."""
    data = in_parquet(pl.DataFrame([column]))
    [chunk] = footer_of(data).groups[0][RowGroup.COLUMNS]
    start, stop = span(chunk)
    index, length = (chunk[field] for field in ColumnChunk.OFFSET_INDEX)
    found = Chunk(chunk, loads(data[index : index + length]))
    return data[start:stop], found.moved(at - start)


def in_parquet(columns: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    columns.write_parquet(out, compression="snappy", row_group_size=max(columns.height, 1))
    return out.getvalue()


def footer_of(data: bytes) -> Footer:
    return read_footer(len(data), lambda start, stop: data[start:stop])


def of_numbers(name: str, numbers: FloatArray, at: int) -> tuple[bytes, Chunk]:
    """The same of numbers; NaN is null."""
    starts = range(0, len(numbers), PAGE_ROWS)
    nulls = int(np.count_nonzero(np.isnan(numbers)))
    pages = [_page(numbers[start : start + PAGE_ROWS], nulls) for start in starts]
    places = accumulate(map(len, pages), initial=at)
    index = [
        {OFFSET: I64(place), 2: I32(len(page)), 3: I64(start)}
        for place, page, start in zip(places, pages, starts, strict=False)
    ]
    size = I64(sum(map(len, pages)))
    meta = {
        1: I32(DOUBLE),
        2: List(CODES[I32], [I32(PLAIN), I32(RLE)]),
        3: List(CODES[bytes], [name.encode()]),
        4: I32(UNCOMPRESSED),
        5: I64(len(numbers)),
        6: size,
        7: size,
        9: I64(at),
        12: _statistics(numbers, nulls),
    }
    chunk = {ColumnChunk.OFFSET: I64(0), ColumnChunk.META: meta}
    return b"".join(pages), Chunk(chunk, {PLACES: structs(index)})


def _page(numbers: FloatArray, nulls: int) -> bytes:
    """A page's header, which of its rows have a number, and these. `nulls` is the whole column's."""
    rows = len(numbers)
    if not nulls or (known := ~np.isnan(numbers)).all():
        levels = varint(rows << 1) + b"\1"  # so many times 1
    else:
        numbers = numbers[known]
        bits = np.packbits(known, bitorder="little").tobytes()
        levels = varint(len(bits) << 1 | 1) + bits
    size = I32(4 + len(levels) + numbers.nbytes)
    encoded = {1: I32(rows), 2: I32(PLAIN), 3: I32(RLE), 4: I32(RLE)}
    header = dumps({1: I32(DATA_PAGE), 2: size, 3: size, 5: encoded})
    return b"".join([header, len(levels).to_bytes(4, "little"), levels, numbers.data])


def _statistics(numbers: FloatArray, nulls: int) -> Struct:
    found: Struct = {3: I64(nulls)}
    if nulls < len(numbers):
        least, most = np.fmin.reduce(numbers), np.fmax.reduce(numbers)
        found[5] = struct.pack("<d", most or 0.0)  # of the two zeros, the one that takes in the other
        found[6] = struct.pack("<d", least or -0.0)
    return found
