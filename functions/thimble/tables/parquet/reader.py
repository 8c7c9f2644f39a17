"""A Parquet file as the file door reads it: a row group of features in, a row group of answers out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, groupby
from operator import attrgetter

from thimble.errors import InvalidFile
from thimble.inference.classifier import Classifier
from thimble.tables.answers import added, column_names
from thimble.tables.blocks import MOST_RANGES, Answered, Outcome, Part, answer, counted
from thimble.tables.parquet import columns, features
from thimble.tables.parquet.columns import NUMBER_BYTES, Waiting
from thimble.tables.parquet.features import Features, Rows
from thimble.tables.parquet.footer import Read, RowGroup, read_footer
from thimble.tables.parquet.spliced import Answers
from thimble.threads import ahead

BLOCK_ROWS, BLOCK_BYTES = 1 << 17, 8 << 20  # answered at once, at most
MOST_ROWS = 1 << 26  # of a row group: the values of one answer are half a gigabyte


@dataclass(frozen=True, kw_only=True)
class Parquet(Answers):
    """One file being classified."""

    classifier: Classifier
    features: Features
    size: int
    on_read: Callable[[int], object]
    name: str = "parquet"
    opening: bytes = b""
    joint: bytes = b""
    body: int = 0
    first_line: int = 1

    @property
    def prefix(self) -> int:
        return self.footer.start

    def bounds(self, size: int) -> list[int]:
        """Ranges of whole row groups, each closed when so many bytes are read and written for it."""
        width = len(self.schema) * NUMBER_BYTES
        groups = self.footer.groups
        sizes = [self.features.bytes_of(group) + group[RowGroup.ROWS] * width for group in groups]
        size = max(size, -(-sum(sizes) // MOST_RANGES))
        found, held = [0], 0
        for k, length in enumerate(sizes[:-1], 1):
            held += length
            if held >= size:
                found.append(k)
                held = 0
        return [*found, len(sizes)]

    def first_record(self, start: int, stop: int) -> int:
        return start

    def parts(
        self, start: int = 0, stop: int = sys.maxsize, first_line: int = 1, workers: int = 1
    ) -> Iterator[Part]:
        """A part is a block of rows, counted; or columns of a row group, when all its rows are answered."""
        groups = self.footer.groups
        done = sum(group[RowGroup.ROWS] for group in groups[:start])
        for k, blocks in groupby(self._blocks(start, stop, first_line, workers), lambda found: found[0].end):
            waiting = Waiting(groups[k][RowGroup.ROWS], column_names(self.classifier))
            for part, outcome in blocks:
                waiting.add(added(self.classifier, outcome.predictions), outcome.answered)
                self._tell(done, done + part.records)
                done += part.records
                yield part
            for data in self.store(waiting):
                yield Part(0, 0, Answered(data), k + 1)

    def _blocks(self, start: int, stop: int, first_line: int, workers: int) -> Iterator[tuple[Part, Outcome]]:
        """Answer rows block by block, a load at a time: all that are at work fit in memory."""
        most = max(1, min(BLOCK_ROWS, BLOCK_BYTES // (NUMBER_BYTES * len(self.features.features))))
        with closing(self.features.slices(start, stop, first_line)) as slices:
            for _, load in groupby(slices, attrgetter("load")):
                rows = chain.from_iterable(slice_.rows(most) for slice_ in load)
                yield from ahead(self._block, rows, workers)

    def _block(self, rows: Rows) -> tuple[Part, Outcome]:
        outcome = answer(self.classifier, self.features.batch(rows.frame))
        rejected = features.rejections(rows, outcome.rejected)
        answered = counted(self.classifier, outcome, rejected, result=b"")
        return Part(rows.frame.height, 0, answered, rows.group), outcome

    def _tell(self, before: int, done: int) -> None:
        """The file counts as read as far as its rows are answered: most of its bytes nobody reads."""
        begin, end = (self.size * n // self._n_rows for n in (before, done))
        self.on_read(end - begin)

    @cached_property
    def _n_rows(self) -> int:
        return sum(group[RowGroup.ROWS] for group in self.footer.groups)


def opened(size: int, read: Read, classifier: Classifier, on_read: Callable[[int], object] = int) -> Parquet:
    """InvalidFile unless it is Parquet with a column for every feature, of the feature's type."""
    found = read_footer(size, read)
    for group in found.groups:
        if (rows := group[RowGroup.ROWS]) > MOST_ROWS:
            raise InvalidFile(
                f"the file has a row group of {rows:,} rows, and the most that are read are {MOST_ROWS:,}: "
                "write smaller ones"
            )
    return Parquet(
        footer=found,
        schema=columns.schema(classifier),
        classifier=classifier,
        features=features.find(found, read, classifier),
        size=size,
        on_read=on_read,
    )
