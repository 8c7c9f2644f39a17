"""The result: the answers' row groups after the input's bytes, and the footer that lists both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice

import polars as pl

from thimble.tables.parquet import chunks, notes, thrift
from thimble.tables.parquet.chunks import Chunk
from thimble.tables.parquet.columns import Waiting
from thimble.tables.parquet.footer import (
    ColumnChunk,
    ColumnMeta,
    Element,
    FileMeta,
    Footer,
    RowGroup,
    ending,
    span,
)
from thimble.tables.parquet.thrift import I32, I64, Struct, structs


@dataclass(frozen=True)
class Answers:
    """The answers' row groups so far. They stand after all that the input has before its footer."""

    footer: Footer  # the input's
    schema: pl.Schema
    groups: list[list[Chunk]] = field(default_factory=list)

    def store(self, waiting: Waiting) -> Iterator[bytes]:
        """Yield the next row group's chunks."""
        group, at = list[Chunk](), self._end
        for column in waiting:
            if isinstance(column, pl.Series):
                data, chunk = chunks.of_series(column, at)
            else:
                data, chunk = chunks.of_numbers(*column, at)
            group.append(chunk)
            at += len(data)
            yield data
        self.groups.append(group)

    @property
    def trail(self) -> bytes:
        """What `follow` takes: the row groups."""
        groups = ({1: structs(dict(enumerate(chunk, 1)) for chunk in group)} for group in self.groups)
        return thrift.dumps({1: structs(groups)})

    def follow(self, trail: bytes) -> None:
        """Add the row groups of answers that come after these."""
        by = self._end - self.footer.start
        for group in thrift.loads(trail)[1]:
            self.groups.append([Chunk(*chunk.values()).moved(by) for chunk in group[1]])

    @property
    def closing(self) -> bytes:
        """The answers' page indexes, where the input has them too, and the footer of both."""
        added = [chunk for group in self.groups for chunk in group]
        theirs = (chunk for group in self.footer.groups for chunk in group[RowGroup.COLUMNS])
        indexed = all(ColumnChunk.OFFSET_INDEX[0] in chunk for chunk in theirs)
        listed, indexes = _with_indexes(added, self._end) if indexed else ([c.struct for c in added], b"")
        fresh = iter(listed)
        groups = [
            _widened(group, list(islice(fresh, len(mine))))
            for group, mine in zip(self.footer.groups, self.groups, strict=True)
        ]
        return indexes + ending(self.footer.struct | self._wider_schema | {FileMeta.GROUPS: structs(groups)})

    @property
    def _end(self) -> int:
        return span(self.groups[-1][-1].struct)[1] if self.groups else self.footer.start

    @property
    def _wider_schema(self) -> Struct:
        """The fields of the footer that tell of columns."""
        ours = chunks.footer_of(chunks.in_parquet(pl.DataFrame(schema=self.schema)))
        theirs = self.footer.struct
        root, *elements = theirs[FileMeta.SCHEMA]
        root = root | {Element.CHILDREN: I32(root[Element.CHILDREN] + len(self.schema))}
        added = [element for column in ours.columns for element in column.elements]
        fields = {FileMeta.SCHEMA: structs([root, *elements, *added])}
        if FileMeta.NOTES in theirs:
            noted = notes.extended(self.footer.notes, ours.notes, self.schema)
            fields[FileMeta.NOTES] = structs(noted)
        if FileMeta.ORDERS in theirs:
            fields[FileMeta.ORDERS] = structs([*theirs[FileMeta.ORDERS], *ours.struct[FileMeta.ORDERS]])
        return fields


def _with_indexes(chunks: Sequence[Chunk], at: int) -> tuple[list[Struct], bytes]:
    """Chunks that say where their indexes are, and the bytes of these."""
    indexes = [thrift.dumps(chunk.offset_index) for chunk in chunks]
    places = accumulate(map(len, indexes), initial=at)
    place, length = ColumnChunk.OFFSET_INDEX
    pointing = [
        chunk.struct | {place: I64(begin), length: I32(len(index))}
        for chunk, index, begin in zip(chunks, indexes, places, strict=False)
    ]
    return pointing, b"".join(indexes)


def _widened(group: Struct, chunks: list[Struct]) -> Struct:
    """A row group with further chunks."""
    fields: Struct = {RowGroup.COLUMNS: structs([*group[RowGroup.COLUMNS], *chunks])}
    for total, size in ((RowGroup.BYTES, ColumnMeta.UNPACKED), (RowGroup.PACKED, ColumnMeta.PACKED)):
        if total in group:
            fields[total] = I64(group[total] + sum(chunk[ColumnChunk.META][size] for chunk in chunks))
    return group | fields
