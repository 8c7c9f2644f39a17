"""The footer of a Parquet file: its columns, its row groups, and where each of their chunks lies."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from thimble.errors import InvalidFile
from thimble.tables.parquet import thrift
from thimble.tables.parquet.thrift import I32, I64, Struct, structs

MAGIC, ENCRYPTED = b"PAR1", b"PARE"
TAIL = 8  # bytes: the footer's length, and the magic again
LOOK_BYTES = 64 << 10  # of a file's end, which hold most footers
MAX_BYTES = 16 << 20  # of a footer: one of 1 MB takes about half a second, and 20 MB of memory
BROKEN = (ValueError, KeyError, TypeError, AttributeError, IndexError, struct.error)  # by what is no footer


class FileMeta:
    """The fields of a footer, by their numbers in parquet.thrift; so of the other structs."""

    SCHEMA, ROWS, GROUPS, NOTES, ORDERS, ENCRYPTION = 2, 3, 4, 5, 7, 8


class Element:
    NAME, CHILDREN = 4, 5


class RowGroup:
    COLUMNS, BYTES, ROWS, PACKED = 1, 2, 3, 6


class ColumnChunk:
    FILE, OFFSET, META, CRYPTO = 1, 2, 3, 8
    OFFSET_INDEX = (4, 5)  # where, and how long
    INDEXES = (4, 5, 6, 7)


class ColumnMeta:
    UNPACKED, PACKED, PAGES, BLOOM = 6, 7, (9, 10, 11), (14, 15)


Read = Callable[[int, int], bytes]


class Column(NamedTuple):
    """A column of the table, which may have others in it."""

    name: str
    elements: list[Struct]  # of the schema: its own, and those of all that is in it
    leaves: slice  # its chunks, among those of a row group


@dataclass(frozen=True)
class Footer:
    struct: Struct
    start: int  # where in the file it begins

    @cached_property
    def groups(self) -> list[Struct]:
        """The row groups that have rows."""
        return [group for group in self.struct[FileMeta.GROUPS] if group[RowGroup.ROWS]]

    @cached_property
    def columns(self) -> list[Column]:
        elements, columns, leaf = self.struct[FileMeta.SCHEMA], [], 0
        at = 1  # after the root
        while at < len(elements):
            begin, open_, first = at, 1, leaf
            while open_:
                children = elements[at].get(Element.CHILDREN, 0)
                open_ += children - 1
                leaf += not children
                at += 1
            name = elements[begin][Element.NAME].decode("utf-8", "backslashreplace")
            columns.append(Column(name, elements[begin:at], slice(first, leaf)))
        return columns

    @property
    def notes(self) -> dict[bytes, Struct]:
        """What the writer and other tools noted: keys and values."""
        return {pair[1]: pair for pair in self.struct.get(FileMeta.NOTES, ())}

    def only(
        self, columns: Sequence[Column], groups: Sequence[Struct] = (), notes: Sequence[Struct] = ()
    ) -> bytes:
        """The end of a file of some columns, whose chunks the groups have."""
        root = self.struct[FileMeta.SCHEMA][0] | {Element.CHILDREN: I32(len(columns))}
        fields = {
            FileMeta.SCHEMA: structs([root, *(element for column in columns for element in column.elements)]),
            FileMeta.ROWS: I64(sum(group[RowGroup.ROWS] for group in groups)),
            FileMeta.GROUPS: structs(groups),
            FileMeta.NOTES: structs(notes),
        }
        kept = {field: value for field, value in self.struct.items() if field != FileMeta.ORDERS}
        return ending(kept | fields)


def ending(fields: Struct) -> bytes:
    """The bytes with which a file ends that has this footer."""
    data = thrift.dumps(fields)
    return data + len(data).to_bytes(4, "little") + MAGIC


def read_footer(size: int, read: Read) -> Footer:
    """InvalidFile if there is none, or it is of a kind that is not read."""
    end = read(max(size - LOOK_BYTES, 0), size)
    if end.endswith(ENCRYPTED):
        raise InvalidFile("the file is encrypted: send it decrypted")
    if size < len(MAGIC) + TAIL or not end.endswith(MAGIC):
        raise InvalidFile("the file is not Parquet, or was cut short")
    length = int.from_bytes(end[-TAIL:-4], "little")
    if length + TAIL > size:
        raise InvalidFile("the file's footer is broken")
    if length > MAX_BYTES:
        raise InvalidFile(
            f"the file's footer is too large: it has {length:,} bytes, and the most that are read are "
            f"{MAX_BYTES:,}; write fewer row groups, or fewer columns"
        )
    start = size - TAIL - length
    if length + TAIL > len(end):
        end = read(start, size)
    try:
        found = Footer(thrift.loads(end[-TAIL - length : -TAIL]), start)
        _check(found)
    except BROKEN as error:
        raise InvalidFile("the file's footer is broken") from error
    return found


def _check(found: Footer) -> None:
    """Refuse a footer that does not describe a file of its own; BROKEN if it does not fit together."""
    leaves = found.columns[-1].leaves.stop if found.columns else 0
    if FileMeta.ENCRYPTION in found.struct:
        raise InvalidFile("the file is encrypted: send it decrypted")
    for group in found.groups:
        chunks = group[RowGroup.COLUMNS]
        if len(chunks) != leaves or not 0 < group[RowGroup.ROWS] < 1 << 63:
            raise ValueError
        for chunk in chunks:
            if ColumnChunk.CRYPTO in chunk:
                raise InvalidFile("the file is encrypted: send it decrypted")
            if ColumnChunk.FILE in chunk:
                raise InvalidFile("the file has its columns in other files: send these")


def span(chunk: Struct) -> tuple[int, int]:
    """Where a chunk begins and ends. Some writers note a dictionary at 0 where there is none."""
    meta = chunk[ColumnChunk.META]
    start: int = min(meta[field] for field in ColumnMeta.PAGES if meta.get(field))
    return start, start + meta[ColumnMeta.PACKED]


def moved(chunk: Struct, by: int) -> Struct:
    """A chunk whose bytes stand elsewhere, without what stands outside of them: indexes and filters."""
    meta = {field: value for field, value in chunk[ColumnChunk.META].items() if field not in ColumnMeta.BLOOM}
    for field in ColumnMeta.PAGES:
        if meta.get(field):
            meta[field] = I64(meta[field] + by)
    kept = {field: value for field, value in chunk.items() if field not in ColumnChunk.INDEXES}
    offset = chunk[ColumnChunk.OFFSET]
    return kept | {ColumnChunk.OFFSET: I64(offset and offset + by), ColumnChunk.META: meta}


def runs(chunks: Iterable[Struct]) -> list[tuple[int, int]]:
    """The parts of a file that chunks take up, in order: those that touch are one."""
    found: list[tuple[int, int]] = []
    for start, stop in sorted(map(span, chunks)):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(stop, found[-1][1])
        else:
            found.append((start, stop))
    return found
