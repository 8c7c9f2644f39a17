"""Read a file of rows, in any format, into a table with the same readers as the files function.

The readers want a model, so they get a stand-in that is never asked for answers.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import polars as pl
from polars.exceptions import PolarsError

from thimble import encodings
from thimble.errors import InvalidFile
from thimble.inference import classifier
from thimble.inference.batch import Batch, Fault
from thimble.inference.classifier import Classifier
from thimble.inference.features import Feature, Schema
from thimble.tables import cells, formats, parquet
from thimble.tables.blocks import BLOCK_BYTES, Block, Once, in_blocks
from thimble.tables.compression import BY_EXTENSION
from thimble.tables.csv import Csv
from thimble.tables.jsonlines import JsonLines

STANDARD_INPUT = "-"
SAMPLE = 1000  # records that decide what a column looks like
SIGNATURES = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst", b"PAR1": ".parquet"}

Nulls = Mapping[str, Any]  # by a feature's name: the missing value that scikit-learn expects


def _answering_nothing() -> Classifier:
    """Return a stand-in model. It has two odd output names, so that its answer's columns clash with none."""
    output = {"classes": ["0", "1"], "coefs": [[[1.0]]], "intercepts": [[0.0]], "out_activation": "logistic"}
    return classifier.load(orjson.dumps({"outputs": [output | {"name": f"\x1f{k}"} for k in (1, 2)]}))


NOTHING = _answering_nothing()


def _model(features: Sequence[Feature]) -> Classifier:
    """Return the stand-in model with these features."""
    names = tuple(feature.name for feature in features)
    schema = Schema(tuple(features), names, (), only_numbers=False, only_a_text=False)
    return NOTHING._replace(document=NOTHING.document._replace(schema=schema))


def opened(path: Path, decimal: str = "") -> Sheet:
    """Open a file, or the standard input, as a sheet.

    The format follows from the name or else from the first bytes. Raises InvalidFile if neither tells it.
    """
    if str(path) == STANDARD_INPUT:
        data, shown = sys.stdin.buffer.read(), "standard input"
    else:
        data, shown = path.read_bytes(), str(path)
    name, given = formats.named(path.name), formats.Given(header="present", decimal=decimal)
    return Sheet(data, name if name.format else formats.named(f"x{extension_of(data)}"), shown, given)


def extension_of(data: bytes) -> str:
    """Return the extension for a file's content; "" if it is neither text nor a known format."""
    packed = next((extension for mark, extension in SIGNATURES.items() if data.startswith(mark)), "")
    if packed in BY_EXTENSION:
        try:
            begin = next(BY_EXTENSION[packed].decompress([data]), b"")
        except InvalidFile:
            return ""
        return extension_of(begin) + packed
    text = data[: formats.HEAD_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n")
    if packed or b"\x00" in text:
        return packed
    return {b"[": ".json", b"{": ".jsonl"}.get(text[:1], ".csv")


@dataclass(frozen=True)
class Sheet:
    """A file's bytes and their format."""

    data: bytes
    name: formats.Name
    shown: str
    given: formats.Given

    def columns(self, known: Sequence[str]) -> list[str]:
        """Return the columns' names; those that the estimator knows are spelled as it does."""
        form, block = self._begun([Feature(name, "unused", True) for name in known])
        if isinstance(form, Csv):
            return list(form.layout.names)
        if block is None:
            return self._types.names()
        return list(dict.fromkeys(name for record in _objects(block) for name in record))

    @cached_property
    def looks(self) -> dict[str, str | None]:
        """What each column looks like in its first records: "text", "boolean", or None if that is unclear."""
        form, block = self._begun([])
        if block is None:
            return {name: _kind(dtype) for name, dtype in self._types.items()}
        found: dict[str, list[Any]] = {}
        if isinstance(form, Csv):
            for i in range(min(len(block.ends), SAMPLE)):
                for name, cell in zip(
                    form.layout.names, form.layout.dialect.cells(block.record(i)), strict=False
                ):
                    found.setdefault(name, []).append(_meant(cell))
        else:
            for record in islice(_objects(block), SAMPLE):
                for name, value in record.items():
                    found.setdefault(name, []).append(value)
        return {name: _look(values) for name, values in found.items()}

    def table(self, features: Sequence[Feature], nulls: Nulls | None = None) -> pd.DataFrame:
        """Return a table with a row for each record.

        Raises InvalidFile for the first record that does not fit, or if there are no records.
        """
        try:
            read = [*self._read(_model(features))]
        except InvalidFile as error:
            raise self._refusal(error) from None
        faults = [(line, fault) for _, lines in read for line, fault in lines]
        if faults:
            [(line, fault), *others] = faults
            more = {0: "", 1: ", and 1 more record cannot be read"}.get(
                len(others), f", and {len(others):,} more records cannot be read"
            )
            reason = f"line {line}: {fault.quoting}"
            raise InvalidFile(f"{self.shown}: {reason}{more}{self._conversion(reason)}")
        batches = [batch for batch, _ in read]
        if not sum(batch.rows for batch in batches):
            raise InvalidFile(f"{self.shown} has no rows")
        return pd.DataFrame(
            {
                feature.name: _series(feature, k, batches, (nulls or {}).get(feature.name, np.nan))
                for k, feature in enumerate(features)
            }
        )

    def _refusal(self, error: InvalidFile) -> InvalidFile:
        return InvalidFile(f"{self.shown}: {error}{self._conversion(str(error))}")

    def _conversion(self, reason: str) -> str:
        """Return the command that converts a text in another encoding; "" if the reason is not that."""
        encoding = encodings.said(reason)
        if encoding is None:
            return ""
        if self.name.compression is None and encodings.is_mixed(self.data):
            return "; other lines are UTF-8: convert this one alone"
        return f"; convert it: {encodings.command(encoding, self.shown)}"

    def _read(self, model: Classifier) -> Iterator[tuple[Batch, list[tuple[int, Fault]]]]:
        """Yield the records that can be read, and the lines of the others with their faults."""
        if self._is_parquet:
            features = self._parquet(model).features
            for rows in chain.from_iterable(slice_.rows() for slice_ in features.slices()):
                batch = features.batch(rows.frame)
                yield (
                    batch.take(batch.readable),
                    [(rows.first + i, fault) for i, fault in batch.faults.items()],
                )
            return
        form, blocks = self._blocks(model)
        for block in blocks:
            batch = form.batch(block)
            faults = sorted(batch.faults.items())
            yield batch.take(batch.readable), [(block.line(row), fault) for row, fault in faults]

    def _begun(self, features: Sequence[Feature]) -> tuple[Csv | JsonLines | None, Block | None]:
        """Return the format and the first block; None for both if the file is Parquet."""
        model = _model(features)
        try:
            if self._is_parquet:
                self._parquet(model)
                return None, None
            form, blocks = self._blocks(model)
            return form, next(blocks, Block(b"", np.empty(0, np.intp), 1))
        except InvalidFile as error:
            raise self._refusal(error) from None

    def _blocks(self, model: Classifier) -> tuple[Csv | JsonLines, Iterator[Block]]:
        pieces: Iterator[bytes] = (
            self.data[at : at + BLOCK_BYTES] for at in range(0, len(self.data), BLOCK_BYTES)
        )
        if self.name.compression is not None:
            pieces = self.name.compression.decompress(pieces)
        source = Once(pieces)
        form = formats.find(self.name, *source.head(formats.HEAD_BYTES), model, self.given)
        body = source.stream(form.body, sys.maxsize)
        return form, in_blocks(form, body, form.body, sys.maxsize, form.first_line)

    @property
    def _is_parquet(self) -> bool:
        return self.name.format == "parquet" and self.name.compression is None

    def _parquet(self, model: Classifier) -> parquet.Parquet:
        return parquet.opened(len(self.data), lambda start, stop: self.data[start:stop], model)

    @cached_property
    def _types(self) -> pl.Schema:
        """The types of a Parquet file's columns, including those that polars cannot read."""
        try:
            return pl.Schema(pl.read_parquet_schema(io.BytesIO(self.data)))
        except PolarsError as error:
            raise self._refusal(InvalidFile(f"the file's footer cannot be read: {error}")) from None


def _objects(block: Block) -> Iterator[dict[str, Any]]:
    for i in range(len(block.ends)):
        try:
            record = orjson.loads(block.record(i).strip())
        except orjson.JSONDecodeError:
            continue  # reading the whole file will report it
        if isinstance(record, dict):
            yield record


def _meant(cell: str) -> Any:
    """Return a sample of what a cell looks like: True, the number 0, None, or its text."""
    text = cell.strip(cells.BLANKS)
    if text in cells.MISSING:
        return None
    if text.lower() in ("true", "false"):
        return True
    return 0 if cells.is_number(text) else text


def _look(values: Iterable[Any]) -> str | None:
    types = {type(value) for value in values if value is not None}
    return "text" if str in types else "boolean" if types == {bool} else None


def _kind(dtype: pl.DataType) -> str | None:
    """Return what `_look` would say, for a column of a typed file."""
    textual = isinstance(dtype, pl.String | pl.Categorical | pl.Enum)
    return "text" if textual else "boolean" if dtype == pl.Boolean else None


def _series(feature: Feature, k: int, batches: Sequence[Batch], null: Any = np.nan) -> Any:
    """Return a column as scikit-learn takes it."""
    if feature.type == "unused":
        return np.full(sum(batch.rows for batch in batches), np.nan)
    if feature.textual:
        texts = [text for batch in batches for text in batch.texts[k].tolist()]
        return pd.Series([null if text is None else text for text in texts], dtype=object)
    values = np.concatenate([batch.numbers[k] for batch in batches])
    if feature.type == "number":
        return values
    absent = np.isnan(values)
    booleans = values == 1.0
    if not absent.any():
        return booleans
    return pd.Series(
        [null if gone else value for gone, value in zip(absent.tolist(), booleans.tolist(), strict=True)],
        dtype=object,
    )
