"""CSV and its dialects: records of delimited cells, with a header or without.

A record's own bytes are kept and the answer's cells put after them, so every column comes back as it was. The
feature cells of a whole block are read at once; a record that does not read is looked at alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np
import orjson
import polars as pl

from thimble.inference.classifier import Classifier
from thimble.inference.head import Label, label_text
from thimble.inference.predictions import Predictions
from thimble.tables import added, text_columns, textcells
from thimble.tables.appending import Appending, guarded
from thimble.tables.blocks import Answered, Block, Flags, Once, Positions, Rejections, Source, TextReader
from thimble.tables.columns import Columns
from thimble.tables.dialect import Dialect, Tokens

BLANKS = b" \t\r"
GUESSED_RECORDS = 64  # that are looked at, to tell where records begin
EXCHANGED = bytes.maketrans(b"\r\n", b"\n\r")  # makes \r that ends lines \n, and the other way round


@dataclass(frozen=True)
class Delimited(TextReader):
    """One file's layout."""

    name: str
    classifier: Classifier
    dialect: Dialect
    names: tuple[str, ...]  # what to call the columns
    features: dict[int, int]  # in which column a feature is, by its position in the model
    opening: bytes  # the header with the answer's names, if there is a header
    body: int
    first_line: int
    joint: bytes = b""
    closing: bytes = b""
    returned: bool = False  # its lines end with \r alone
    left_out: tuple[tuple[str, str], ...] = ()
    source: Source = field(default_factory=Once)

    @property
    def width(self) -> int:
        return len(self.names)

    def plain(self, data: bytes) -> bytes:
        return data.translate(EXCHANGED) if self.returned else data

    def cut(self, data: bytes, final: bool) -> Positions:
        return self.dialect.ends(data, final)

    def complete(self, data: bytes) -> bytes:
        return data + self.dialect.newline

    def second_record(self, look: bytes, final: bool) -> int | None:
        """After a newline, but for quoted fields: the bytes are read as if they began outside of one, and
        inside, and the way that makes the better records is believed."""
        quote = self.dialect.quote
        if not quote or quote not in look:
            return super().second_record(look, final)
        ways = [self._begun(opening + look, final) for opening in (b"x", quote)]
        found = [way for way in ways if way is not None]
        return max(found, key=itemgetter(1))[0] if found else None

    def _begun(self, data: bytes, final: bool) -> tuple[int, int] | None:
        """Where the second record begins, less the opening put before; how good the next ones look."""
        ends = self.cut(data, final)[: GUESSED_RECORDS + 1]
        if not len(ends):
            return None
        records = data[int(ends[0]) + 1 : int(ends[-1]) + 1]
        block = Block(records, ends[1:] - ends[0] - 1, 0)
        tokens = Tokens(self.dialect, records)
        stray = np.array([self.dialect.quote in record for record in tokens.bare.split(b"\n")[:-1]], np.bool_)
        fits = ((tokens.widths == self.width) & ~stray) | block.blank
        return int(ends[0]), int(fits.sum()) - int((~fits).sum())

    def classify(self, block: Block) -> Answered:
        rejections = Rejections()
        tokens = Tokens(self.dialect, block.data)
        fits, blank = self._fitting(block, tokens, rejections)
        kept, rows = block.only(fits), np.flatnonzero(fits)
        columns = self._columns(tokens if kept is block else Tokens(self.dialect, kept.data), len(rows))
        good, predictions, observed = columns.settle(
            lambda k: self._carefully(block.record(int(rows[k]))),
            lambda k, reason: rejections.add(block, int(rows[k]), reason),
        )
        return Answered(
            result=self.plain(self._appended(Appending(kept).only(good), predictions)),
            rejected=rejections.dumps(),
            predictions=int(good.sum()),
            rejections=len(rejections),
            blank=blank,
            classes=added.counts(self.classifier, predictions),
            observed=observed,
        )

    def _fitting(self, block: Block, tokens: Tokens, rejections: Rejections) -> tuple[Flags, int]:
        """Which records can be read, and how many lines are blank; whatever is neither is rejected."""
        n = len(block.ends)
        strays, torn = tokens.strays, tokens.torn
        if len(strays) == len(torn) == 0 and self.width > 1 and tokens.even(n, self.width):
            return np.ones(n, np.bool_), 0
        widths, blank, quote = tokens.widths, 0, self.dialect.quote.decode()
        open_, torn_ = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        open_[np.searchsorted(block.ends, strays)] = True
        torn_[np.searchsorted(block.ends, torn)] = True
        fits: Flags = (widths == self.width) & ~open_ & ~torn_
        if self.width == 1:
            fits &= ~block.blank
        for i in np.flatnonzero(~fits).tolist():
            if open_[i]:
                rejections.add(block, i, f"the record opens a {quote} that is never closed")
            elif torn_[i]:
                rejections.add(block, i, f"the record has text after a closing {quote}")
            elif self._is_blank(block.record(i)):
                blank += 1
            else:
                reason = f"the record has {_cells(widths[i])}, where {_cells(self.width)} belong"
                rejections.add(block, i, reason)
        return fits, blank

    def _is_blank(self, record: bytes) -> bool:
        return not record.strip(BLANKS.replace(self.dialect.delimiter, b""))

    def _columns(self, tokens: Tokens, n: int) -> Columns:
        """Every feature's column, read in bulk."""
        plain, columns = tokens.plain, Columns.empty(self.classifier, n)
        if n == 0 or not plain.even(n, self.width):
            return columns
        columns.doubtful[:] = False
        places = {k: c for k, c in self.features.items() if self.classifier.features[k].type == "number"}
        read = columns.fill(places, lambda some, rows: plain.numbers(some, self.width, rows))
        left = {k: column for k, column in self.features.items() if k not in read}
        if not left:
            return columns
        frame = self._frame(plain.data, left)
        if frame.height != n:
            return Columns.empty(self.classifier, n)
        for k, column in left.items():
            text_columns.put(columns, k, frame[str(column)])
        return columns

    def _frame(self, data: bytes, features: dict[int, int]) -> pl.DataFrame:
        """The columns of some features, which are called by their numbers."""
        types = {column: text_columns.dtype(self.classifier.features[k]) for k, column in features.items()}
        return pl.read_csv(
            guarded(data),
            has_header=False,
            columns=sorted(types),
            schema={str(column): types.get(column, pl.String) for column in range(self.width)},
            separator=self.dialect.delimiter.decode(),
            quote_char=None,
            ignore_errors=True,
        )

    def _carefully(self, record: bytes) -> list[Any]:
        """One record's feature values; ValueError names the first cell that does not fit."""
        texts = self.dialect.cells(record)
        return [
            textcells.value(feature, self.names[self.features[k]], texts[self.features[k]])
            if k in self.features
            else None
            for k, feature in enumerate(self.classifier.features)
        ]

    def _appended(self, appending: Appending, predictions: Predictions) -> bytes:
        """Each record's own bytes, then the answer's cells, then the record's own line ending."""
        if not len(appending.block.ends):
            return b""
        columns = [appending.records]
        for column in added.columns(self.classifier, predictions):
            if isinstance(column, added.Labels):
                texts = [appending.text(self._label_cell(label)) for label in column.distinct]
                columns.append(pl.Series(texts).gather(column.which))
            else:
                columns.append(column.values)
        return appending.written(columns, self.dialect.delimiter.decode())

    def _label_cell(self, label: Label | list[Label]) -> str:
        text = orjson.dumps(label).decode() if isinstance(label, list) else label_text(label)
        return self.dialect.cell(text)


def _cells(n: int) -> str:
    return "1 cell" if n == 1 else f"{n} cells"
