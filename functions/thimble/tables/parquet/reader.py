"""A Parquet file as the file door reads it: a row group of features in, a row group of answers out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby

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
        most = max(1, min(BLOCK_ROWS, BLOCK_BYTES // (NUMBER_BYTES * len(self.features.features))))
        calls = (
            partial(self._answered, rows)
            for decoded in self.features.rows(start, stop, first_line, workers)
            for rows in decoded.blocks(most)
        )
        groups = self.footer.groups
        for k, blocks in groupby(ahead(calls, workers), lambda found: found[0].group):
            waiting = Waiting(groups[k][RowGroup.ROWS], column_names(self.classifier))
            for rows, outcome in blocks:
                waiting.add(added(self.classifier, outcome.predictions), outcome.answered)
                yield self._counted(rows, outcome)
            for data in self.store(waiting):
                yield Part(0, 0, Answered(data), k + 1)

    def _answered(self, rows: Rows) -> tuple[Rows, Outcome]:
        return rows, answer(self.classifier, self.features.batch(rows.frame))

    def _counted(self, rows: Rows, outcome: Outcome) -> Part:
        rejected = features.rejections(rows, outcome.rejected)
        answered = counted(self.classifier, outcome, rejected, result=b"")
        self._tell(rows)
        return Part(rows.frame.height, 0, answered, rows.group)

    def _tell(self, rows: Rows) -> None:
        """The file counts as read as far as its rows are answered: most of its bytes nobody reads."""
        before = rows.first - 1
        begin, end = (self.size * n // self._n_rows for n in (before, before + rows.frame.height))
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
