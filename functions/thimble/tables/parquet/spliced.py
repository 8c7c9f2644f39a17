"""The result: the answers' row groups after the input's bytes, and the footer that lists both."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice

import polars as pl

from thimble.tables.parquet import chunks, notes, thrift
from thimble.tables.parquet.chunks import Chunk
from thimble.tables.parquet.columns import Waiting
from thimble.tables.parquet.footer import (
    CHUNK_META,
    COLUMN_ORDERS,
    ELEMENT_CHILDREN,
    GROUP_BYTES,
    GROUP_COLUMNS,
    GROUP_PACKED,
    KEY_VALUES,
    META_PACKED,
    META_UNPACKED,
    OFFSET_INDEX,
    ROW_GROUPS,
    SCHEMA,
    Footer,
    chunks_of,
    ending,
    span,
)
from thimble.tables.parquet.thrift import Struct, Value, i32, i64, structs


@dataclass(frozen=True)
class Answers:
    """The answers' row groups so far. They stand after all that the input has before its footer."""

    footer: Footer  # the input's
    schema: pl.Schema
    groups: list[list[Chunk]] = field(default_factory=list)

    def store(self, waiting: Waiting) -> Iterator[bytes]:
        """Yield the next row group's chunks."""
        group: list[Chunk] = []
        at = self._end
        for name, column in waiting:
            if isinstance(column, pl.Series):
                data, chunk = chunks.of_labels(column, at)
            else:
                data, chunk = chunks.of_numbers(name, column, waiting.answered, at)
            group.append(chunk)
            at += len(data)
            yield data
        self.groups.append(group)

    @property
    def trail(self) -> bytes:
        """What `follow` takes: the row groups."""
        groups = ({1: structs(map(_packed, group))} for group in self.groups)
        return thrift.dumps({1: structs(groups)})

    def follow(self, trail: bytes) -> None:
        """Add the row groups of answers that come after these."""
        by = self._end - self.footer.start
        for group in thrift.loads(trail)[1].value:
            self.groups.append([_unpacked(chunk.value).moved(by) for chunk in group.value[1].value])

    @property
    def closing(self) -> bytes:
        """The answers' page indexes, where the input has them too, and the footer of both."""
        added = [chunk for group in self.groups for chunk in group]
        indexed = all(OFFSET_INDEX[0] in chunk for group in self.footer.groups for chunk in chunks_of(group))
        listed, indexes = _with_indexes(added, self._end) if indexed else ([c.struct for c in added], b"")
        fresh = iter(listed)
        groups = [
            _widened(group, list(islice(fresh, len(mine))))
            for group, mine in zip(self.footer.groups, self.groups, strict=True)
        ]
        return indexes + ending(self.footer.struct | self._wider_schema | {ROW_GROUPS: structs(groups)})

    @property
    def _end(self) -> int:
        return span(self.groups[-1][-1].struct)[1] if self.groups else self.footer.start

    @property
    def _wider_schema(self) -> Struct:
        """The fields of the footer that tell of columns."""
        out = io.BytesIO()
        pl.DataFrame(schema=self.schema).write_parquet(out)
        theirs, ours = self.footer.struct, chunks.footer_of(out.getvalue())
        root, *elements = [element.value for element in theirs[SCHEMA].value]
        root = root | {ELEMENT_CHILDREN: i32(root[ELEMENT_CHILDREN].value + len(self.schema))}
        added = [element for column in ours.columns for element in column.elements]
        fields = {SCHEMA: structs([root, *elements, *added])}
        if KEY_VALUES in theirs:
            noted = notes.extended(self.footer.notes, ours.notes, self.schema)
            fields[KEY_VALUES] = structs(noted)
        if COLUMN_ORDERS in theirs:
            orders = [*theirs[COLUMN_ORDERS].value, *ours.struct[COLUMN_ORDERS].value]
            fields[COLUMN_ORDERS] = Value(thrift.LIST, orders, thrift.STRUCT)
        return fields


def _packed(chunk: Chunk) -> Struct:
    return {k: Value(thrift.STRUCT, part) for k, part in enumerate(chunk, 1)}


def _unpacked(fields: Struct) -> Chunk:
    return Chunk(fields[1].value, fields[2].value)


def _with_indexes(chunks: Sequence[Chunk], at: int) -> tuple[list[Struct], bytes]:
    """Chunks that say where their indexes are, and the bytes of these."""
    indexes = [thrift.dumps(chunk.offset_index) for chunk in chunks]
    places = accumulate(map(len, indexes), initial=at)
    place, length = OFFSET_INDEX
    pointing = [
        chunk.struct | {place: i64(begin), length: i32(len(index))}
        for chunk, index, begin in zip(chunks, indexes, places, strict=False)
    ]
    return pointing, b"".join(indexes)


def _widened(group: Struct, chunks: list[Struct]) -> Struct:
    """A row group with further chunks."""
    fields = {GROUP_COLUMNS: structs([*chunks_of(group), *chunks])}
    for total, size in ((GROUP_BYTES, META_UNPACKED), (GROUP_PACKED, META_PACKED)):
        if total in group:
            more = sum(chunk[CHUNK_META].value[size].value for chunk in chunks)
            fields[total] = i64(group[total].value + more)
    return group | fields
