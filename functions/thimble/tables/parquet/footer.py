"""The footer of a Parquet file: its columns, its row groups, and where each of their chunks lies."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from thimble.errors import InvalidFile
from thimble.tables.parquet import thrift
from thimble.tables.parquet.thrift import Struct, Value, i32, i64, structs

MAGIC, ENCRYPTED = b"PAR1", b"PARE"
TAIL = 8  # bytes: the footer's length, and the magic again
LOOK_BYTES = 64 << 10  # of a file's end, which hold most footers
MAX_BYTES = 16 << 20  # of a footer: one of 1 MB takes about half a second, and 20 MB of memory
BROKEN = (ValueError, KeyError, TypeError, AttributeError, IndexError, struct.error)  # by what is no footer

# Fields of the footer's structs, by their numbers in parquet.thrift.
SCHEMA, NUM_ROWS, ROW_GROUPS, KEY_VALUES, COLUMN_ORDERS, ENCRYPTION = 2, 3, 4, 5, 7, 8
ELEMENT_NAME, ELEMENT_CHILDREN = 4, 5
GROUP_COLUMNS, GROUP_BYTES, GROUP_ROWS, GROUP_OFFSET, GROUP_PACKED = 1, 2, 3, 5, 6
CHUNK_FILE, CHUNK_OFFSET, CHUNK_META, CHUNK_CRYPTO = 1, 2, 3, 8
OFFSET_INDEX, COLUMN_INDEX = (4, 5), (6, 7)  # of a chunk: where, and how long
META_UNPACKED, META_PACKED, META_PAGES, META_BLOOM = 6, 7, (9, 10, 11), (14, 15)

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
        return [group.value for group in self.struct[ROW_GROUPS].value if group.value[GROUP_ROWS].value]

    @cached_property
    def columns(self) -> list[Column]:
        elements, columns, leaf = [element.value for element in self.struct[SCHEMA].value], [], 0
        at = 1  # after the root
        while at < len(elements):
            begin, open_, first = at, 1, leaf
            while open_:
                children = elements[at][ELEMENT_CHILDREN].value if ELEMENT_CHILDREN in elements[at] else 0
                open_ += children - 1
                leaf += not children
                at += 1
            name = elements[begin][ELEMENT_NAME].value.decode("utf-8", "backslashreplace")
            columns.append(Column(name, elements[begin:at], slice(first, leaf)))
        return columns

    @property
    def notes(self) -> dict[bytes, Struct]:
        """What the writer and other tools noted: keys and values."""
        if KEY_VALUES not in self.struct:
            return {}
        return {pair.value[1].value: pair.value for pair in self.struct[KEY_VALUES].value}

    def only(
        self, columns: Sequence[Column], groups: Sequence[Struct] = (), notes: Sequence[Struct] = ()
    ) -> bytes:
        """The end of a file of some columns, whose chunks the groups have."""
        root = self.struct[SCHEMA].value[0].value | {ELEMENT_CHILDREN: i32(len(columns))}
        fields = {
            SCHEMA: structs([root, *(element for column in columns for element in column.elements)]),
            NUM_ROWS: i64(sum(group[GROUP_ROWS].value for group in groups)),
            ROW_GROUPS: structs(groups),
            KEY_VALUES: structs(notes),
        }
        kept = {field: value for field, value in self.struct.items() if field != COLUMN_ORDERS}
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
    if ENCRYPTION in found.struct:
        raise InvalidFile("the file is encrypted: send it decrypted")
    for group in found.groups:
        chunks = chunks_of(group)
        if len(chunks) != leaves or not 0 < group[GROUP_ROWS].value < 1 << 63:
            raise ValueError
        for chunk in chunks:
            if CHUNK_CRYPTO in chunk:
                raise InvalidFile("the file is encrypted: send it decrypted")
            if CHUNK_FILE in chunk:
                raise InvalidFile("the file has its columns in other files: send these")


def chunks_of(group: Struct) -> list[Struct]:
    return [chunk.value for chunk in group[GROUP_COLUMNS].value]


def span(chunk: Struct) -> tuple[int, int]:
    """Where a chunk begins and ends. Some writers note a dictionary at 0 where there is none."""
    meta = chunk[CHUNK_META].value
    start: int = min(meta[field].value for field in META_PAGES if field in meta and meta[field].value)
    return start, start + meta[META_PACKED].value


def moved(chunk: Struct, by: int) -> Struct:
    """A chunk whose bytes stand elsewhere, without what stands outside of them: indexes and filters."""
    meta = {field: value for field, value in chunk[CHUNK_META].value.items() if field not in META_BLOOM}
    for field in META_PAGES:
        if field in meta and meta[field].value:
            meta[field] = i64(meta[field].value + by)
    kept = {field: value for field, value in chunk.items() if field not in OFFSET_INDEX + COLUMN_INDEX}
    offset = chunk[CHUNK_OFFSET].value
    return kept | {CHUNK_OFFSET: i64(offset and offset + by), CHUNK_META: Value(thrift.STRUCT, meta)}


def runs(chunks: Iterable[Struct]) -> list[tuple[int, int]]:
    """The parts of a file that chunks take up, in order: those that touch are one."""
    found: list[tuple[int, int]] = []
    for start, stop in sorted(map(span, chunks)):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(stop, found[-1][1])
        else:
            found.append((start, stop))
    return found
