"""CSV and its dialects: records of delimited cells, with a header or without.

A record's own bytes are kept and the answer's cells put after them, so every column comes back as it was. The
feature cells of a whole block are read at once; a record that does not read is looked at alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from thimble.classifier import Classifier, Predictions, label_text
from thimble.document import Label
from thimble.formats import added
from thimble.formats.dialect import Dialect, Tokens
from thimble.formats.joining import Joining
from thimble.formats.numbers import number
from thimble.formats.records import Answered, Block, Flags, Positions, Rejections, finite
from thimble.network import FloatArray


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
        return self.dialect.ends(data, final)

    def complete(self, data: bytes) -> bytes:
        return data + self.dialect.newline

    def classify(self, block: Block) -> Answered:
        rejections = Rejections()
        tokens = Tokens(self.dialect, block.data)
        fits = self._fitting(block, tokens.widths, rejections)
        kept = block.only(fits)
        X = self._columns(tokens if kept is block else Tokens(self.dialect, kept.data), len(kept.ends))
        good = finite(X)
        index = np.flatnonzero(fits)
        for k, i in zip(np.flatnonzero(~good).tolist(), index[~good].tolist(), strict=True):
            try:
                X[:, k] = self._carefully(block.record(i))
                good[k] = True
            except ValueError as error:
                rejections.add(block, i, str(error))
        predictions = added.predict(
            self.classifier, X, good, lambda k, reason: rejections.add(block, int(index[k]), reason)
        )
        return Answered(
            result=self._joined(kept.only(good), predictions),
            rejected=rejections.dumps(),
            predictions=int(good.sum()),
            rejections=len(rejections),
            blank=int(block.blank.sum()),
            classes=added.counts(self.classifier, predictions),
        )

    def _fitting(self, block: Block, widths: NDArray[np.intp], rejections: Rejections) -> Flags:
        """Which records have the right number of cells. The others are rejected, but for blank lines."""
        fits: Flags = widths == self.width
        if self.width == 1:
            fits &= ~block.blank
        for i in np.flatnonzero(~fits).tolist():
            if block.record(i):
                rejections.add(
                    block, i, f"the record has {cells(widths[i])}, where {cells(self.width)} belong"
                )
        return fits

    def _columns(self, tokens: Tokens, n: int) -> FloatArray:
        """(n_features, n); NaN or infinite where a cell has to be looked at."""
        if n == 0:
            return np.empty((len(self.features), 0))
        wanted = set(self.features)
        frame = pl.read_csv(
            tokens.bare,
            has_header=False,
            columns=sorted(wanted),
            schema={str(k): pl.Float64 if k in wanted else pl.String for k in range(self.width)},
            separator=self.dialect.delimiter.decode(),
            quote_char=None,
            ignore_errors=True,
        )
        if frame.height != n:
            return np.full((len(self.features), n), np.nan)
        X = frame.select([str(k) for k in self.features]).to_numpy(order="fortran", writable=True).T
        return np.ascontiguousarray(X)

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
