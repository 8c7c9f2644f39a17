"""An input that several functions share: text by bytes, Parquet by row groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from thimble.errors import InvalidFile
from thimble.files import streams
from thimble.files.jobs import Job
from thimble.split import ranges
from thimble.split.ranges import Range
from thimble.tables import formats, parquet
from thimble.tables.blocks import Block, Format, Part, Result
from thimble.tables.parquet import Parquet


class Divided(Protocol):
    @property
    def form(self) -> Result: ...

    @property
    def first_line(self) -> int | None:
        """The line of the first record, if ranges count lines from 1; none where they know better."""

    def bounds(self, size: int) -> list[int]:
        """Of ranges of about that many bytes."""

    def begin(self, part: Range) -> int:
        """Where the first record of a range is; in round 0 a guess."""

    def parts(self, start: int, stop: int) -> Iterator[Part]: ...

    @property
    def end(self) -> int:
        """Where the record after the parts begins."""

    def follow(self, closing: bytes) -> None:
        """After the parts of others come those of one whose closing is this."""


def opened(job: Job, head: int) -> Divided:
    """An input of which `head` bytes tell the format; InvalidFile if they do not."""
    source = job.source
    if job.name.format == "parquet":
        return Groups(parquet.opened(source.size, source.read, job.classifier))
    return Lines(job, job.format(source.read(0, head), source.size <= head))


def head(job: Job) -> int:
    """How many bytes tell the format; more do not tell another."""
    for size in (ranges.LOOK_BYTES, formats.HEAD_BYTES):
        try:
            opened(job, size)
        except InvalidFile:
            continue
        return size
    return formats.HEAD_BYTES


@dataclass
class Lines:
    job: Job
    form: Format
    end: int = 0

    @property
    def first_line(self) -> int:
        return self.form.first_line

    def bounds(self, size: int) -> list[int]:
        return ranges.bounds(self.form.body, self.job.source.size, size)

    def begin(self, part: Range) -> int:
        if part.index == 0 or part.round > 0:
            return part.start
        source, at = self.job.source, part.start - 1
        for size in (ranges.LOOK_BYTES, 8 * ranges.LOOK_BYTES, formats.HEAD_BYTES):
            look = self.form.plain(source.read(at, at + size))
            found = ranges.first_record(self.form, look, final=at + size >= source.size)
            if found is not None:
                return at + found
        return min(part.stop, source.size)  # within a record that is too long

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        self.end = start
        if start < stop:
            pieces = streams.chunks(self.job.source, start, stop, self.job.block_bytes)
            blocks = streams.blocks(self.form, pieces, start, stop, first_line=1)
            yield from streams.answers(self.form, self._followed(blocks), self.job.workers)

    def _followed(self, blocks: Iterable[Block]) -> Iterator[Block]:
        for block in blocks:
            self.end = min(self.end + len(block.data), self.job.source.size)
            yield block

    def follow(self, closing: bytes) -> None:
        """Text has no end but its last line's."""


@dataclass
class Groups:
    form: Parquet
    end: int = 0
    first_line: None = None

    def bounds(self, size: int) -> list[int]:
        extents = map(parquet.extent, self.form.footer.groups)
        return ranges.group_bounds([stop - start for start, stop in extents], size)

    def begin(self, part: Range) -> int:
        return part.start

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        self.end = stop
        return self.form.parts(start, stop)

    def follow(self, closing: bytes) -> None:
        self.form.follow(closing)
