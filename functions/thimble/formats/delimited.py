"""CSV and its dialects: records of delimited cells, with a header or without.

A record's own bytes are kept and the answer's cells put after them, so every column comes back as it was. The
feature cells of a whole block are read at once; a record that does not read is looked at alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from thimble.classifier import Classifier, Predictions, label_text
from thimble.document import Label
from thimble.formats import added
from thimble.formats.joining import Joining
from thimble.formats.numbers import BLANKS, number
from thimble.formats.quotes import Quoted, quoted
from thimble.formats.records import Answered, Block, Flags, Positions, Rejections, finite
from thimble.network import FloatArray

NEWLINE = ord("\n")
ASCII = bytes(range(128)) + b"?" * 128


@dataclass(frozen=True)
class Dialect:
    """One byte each, but for the newline: \\n or \\r\\n. No quote: quotes are characters like the rest."""

    delimiter: bytes
    quote: bytes = b'"'
    newline: bytes = b"\n"

    def quoted(self, data: bytes, final: bool) -> Quoted | None:
        """The quoted fields; None where there is no quote at all."""
        if not self.quote or self.quote not in data:
            return None
        return quoted(data, ord(self.quote), ord(self.delimiter), final)

    def cells(self, record: bytes) -> list[str]:
        """A record's cells, without the quotes around them."""
        fields = self.quoted(record, final=True)
        buffer = np.frombuffer(record, np.uint8)
        delimiters = np.flatnonzero(buffer == ord(self.delimiter))
        if fields is not None:
            delimiters = delimiters[~fields.inside(delimiters)]
        bounds = [-1, *delimiters.tolist(), len(record)]
        return [
            self._unquoted(record[start + 1 : end].decode("utf-8", "backslashreplace"))
            for start, end in pairwise(bounds)
        ]

    def _unquoted(self, text: str) -> str:
        cell, quote = text.strip(BLANKS), self.quote.decode()
        if len(cell) >= 2 and quote and cell[0] == cell[-1] == quote:
            return cell[1:-1].replace(quote * 2, quote)
        return text

    def cell(self, text: str) -> str:
        """Text as a cell, quoted where it has to be."""
        quote = self.quote.decode() or '"'
        if any(c in text for c in (self.delimiter.decode(), quote, "\n", "\r")):
            return quote + text.replace(quote, quote * 2) + quote
        return text


@dataclass(frozen=True)
class Delimited:
    """One file's layout. `features` are the positions of the model's features, in the model's order."""

    name: str
    classifier: Classifier
    dialect: Dialect
    width: int  # cells in a record
    features: tuple[int, ...]
    feature_names: tuple[str, ...]
    opening: bytes  # the header with the answer's names, if there is a header
    body: int
    first_line: int
    joint: bytes = b""
    closing: bytes = b""

    def cut(self, data: bytes, final: bool) -> Positions:
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == NEWLINE)
        fields = self.dialect.quoted(data, final)
        return ends if fields is None else ends[~fields.inside(ends)]

    def complete(self, data: bytes) -> bytes:
        return data + self.dialect.newline

    def classify(self, block: Block) -> Answered:
        rejections = Rejections()
        fits = self._fitting(block, rejections)
        X = self._columns(block.only(fits))
        good = finite(X)
        for k, i in zip(np.flatnonzero(~good).tolist(), np.flatnonzero(fits)[~good].tolist(), strict=True):
            try:
                X[:, k] = self._carefully(block.record(i))
                good[k] = True
            except ValueError as error:
                rejections.add(block, i, str(error))
        fits[fits] = good
        predictions = self.classifier.predict(X[:, good] if not good.all() else X)
        return Answered(
            result=self._joined(block.only(fits), predictions),
            rejected=rejections.dumps(),
            predictions=int(good.sum()),
            rejections=len(rejections),
            blank=int(block.blank.sum()),
            classes=added.counts(self.classifier, predictions),
        )

    def _fitting(self, block: Block, rejections: Rejections) -> Flags:
        """Which records have the right number of cells. The others are rejected, but for blank lines."""
        widths = self._widths(block)
        fits: Flags = widths == self.width
        if self.width == 1:
            fits &= ~block.blank
        for i in np.flatnonzero(~fits).tolist():
            if block.record(i):
                rejections.add(
                    block, i, f"the record has {cells(widths[i])}, where {cells(self.width)} belong"
                )
        return fits

    def _widths(self, block: Block) -> NDArray[np.intp]:
        """(n,) cells in each record."""
        buffer = np.frombuffer(block.data, np.uint8)
        fields = self.dialect.quoted(block.data, final=True)
        if fields is not None:
            delimiters = np.flatnonzero(buffer == ord(self.dialect.delimiter))
            delimiters = delimiters[~fields.inside(delimiters)]
        else:
            separators = np.flatnonzero((buffer == ord(self.dialect.delimiter)) | (buffer == NEWLINE))
            last = separators[self.width - 1 :: self.width]
            if len(separators) == self.width * len(block.ends) and np.array_equal(last, block.ends):
                return np.full(len(block.ends), self.width)
            delimiters = separators[buffer[separators] != NEWLINE]
        before = np.searchsorted(delimiters, block.ends)
        return np.diff(before, prepend=0) + 1

    def _columns(self, block: Block) -> FloatArray:
        """(n_features, n); NaN or infinite where a cell has to be looked at."""
        n = len(block.ends)
        if n == 0:
            return np.empty((len(self.features), 0))
        wanted = set(self.features)
        schema = {str(k): pl.Float64 if k in wanted else pl.String for k in range(self.width)}
        frame = pl.read_csv(
            _ascii(self._bare(block.data)),
            has_header=False,
            columns=sorted(wanted),
            schema=schema,
            separator=self.dialect.delimiter.decode(),
            quote_char=None,
            ignore_errors=True,
        )
        if frame.height != n:
            return np.full((len(self.features), n), np.nan)
        names = [str(k) for k in self.features]
        return np.ascontiguousarray(frame.select(names).to_numpy(order="fortran", writable=True).T)

    def _bare(self, data: bytes) -> bytes:
        """The data with the quotes around cells taken away and no delimiter or newline left within cells."""
        fields = self.dialect.quoted(data, final=True)
        if fields is None:
            return data
        buffer = np.frombuffer(data, np.uint8).copy()
        delimiter = ord(self.dialect.delimiter)
        buffer[_inside(buffer, fields) & ((buffer == delimiter) | (buffer == NEWLINE))] = ord("_")
        after = buffer[fields.closes + 1]  # data end with a newline, so there is one
        whole = (after == delimiter) | (after == NEWLINE) | (after == ord("\r"))
        bare = np.ones(len(buffer), np.bool_)
        bare[fields.opens[whole]] = False
        bare[fields.closes[whole]] = False
        return buffer[bare].tobytes()

    def _carefully(self, record: bytes) -> list[float]:
        """One record's feature values; ValueError names the first cell that is no number."""
        cells = self.dialect.cells(record)
        return [number(name, cells[k]) for name, k in zip(self.feature_names, self.features, strict=True)]

    def _joined(self, block: Block, predictions: Predictions) -> bytes:
        """Each record's own bytes, then the answer's cells, then the record's own line ending."""
        if not len(block.ends):
            return b""
        joining = Joining(block)
        labels, which = added.labels(self.classifier, predictions)
        texts = pl.Series([joining.text(self._label_cell(label)) for label in labels])
        columns = [joining.records, texts.gather(which), *added.numbers(self.classifier, predictions)]
        return joining.written(columns, self.dialect.delimiter.decode())

    def _label_cell(self, label: Label | list[Label]) -> str:
        text = orjson.dumps(label).decode() if isinstance(label, list) else label_text(label)
        return self.dialect.cell(text)


def cells(n: int) -> str:
    return "1 cell" if n == 1 else f"{n} cells"


def _ascii(data: bytes) -> bytes:
    """The data with question marks for other bytes: no number has one, and polars takes no broken UTF-8."""
    return data if data.isascii() else data.translate(ASCII)


def _inside(buffer: NDArray[np.uint8], fields: Quoted) -> Flags:
    """Which bytes lie in a quoted field."""
    steps = np.zeros(len(buffer), np.int8)
    steps[fields.opens] = 1
    steps[fields.closes] = -1
    return np.cumsum(steps, dtype=np.int8).astype(np.bool_)
