"""A file of rows as the files function reads it: by the same readers, of every format, into a table.

The readers hand a model the columns that it takes; here something stands in the model's place and keeps them.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import polars as pl

from thimble import encodings
from thimble.errors import InvalidFile
from thimble.inference import classifier
from thimble.inference.classifier import Classifier
from thimble.inference.features import Feature, Schema
from thimble.inference.predictions import Predictions, Scores
from thimble.tables import formats, parquet, textcells
from thimble.tables.blocks import BLOCK_BYTES, Answered, Block, Once, in_blocks
from thimble.tables.compression import BY_EXTENSION
from thimble.tables.csv import Delimited
from thimble.tables.jsonlines import JsonLines
from thimble.tables.values import MISSING

STANDARD_INPUT = "-"
HEADER = formats.Given(header="present")
SAMPLE = 1000  # records that tell what a column looks like
SIGNATURES = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst", b"PAR1": ".parquet"}

Nulls = Mapping[str, Any]  # by a feature's name, what its missing values are to scikit-learn


class Reader(Classifier):
    """What the formats take for a model: it keeps the columns that it is given, and answers nothing."""

    blocks: list[Any]

    def predict(self, columns: Any) -> Predictions:
        self.blocks.append(columns)
        n = len(columns[0])
        one = Scores(np.zeros((2, n)), np.zeros(n, np.intp), np.empty((0, n), np.bool_))
        return Predictions((one, one))


def _answering_nothing() -> Classifier:
    """Two outputs, so that no column of an answer has a name that a table may have."""
    output = {"classes": ["0", "1"], "coefs": [[[1.0]]], "intercepts": [[0.0]], "out_activation": "logistic"}
    return classifier.load(orjson.dumps({"outputs": [output | {"name": f"\x1f{k}"} for k in (1, 2)]}))


NOTHING = _answering_nothing()


def _reader(features: Sequence[Feature]) -> Reader:
    names = tuple(feature.name for feature in features)
    schema = Schema(tuple(features), names, NOTHING.document.schema.answer_columns)
    document = NOTHING.document._replace(schema=schema)
    reader = Reader(*NOTHING._replace(document=document))
    reader.blocks = []
    return reader


def opened(path: Path) -> Sheet:
    """InvalidFile where neither the name nor the first bytes say what the file is."""
    if str(path) == STANDARD_INPUT:
        data, shown = sys.stdin.buffer.read(), "standard input"
    else:
        data, shown = path.read_bytes(), str(path)
    name = formats.named(path.name)
    return Sheet(data, name if name.format else formats.named(f"x{_extension(data)}"), shown)


def _extension(data: bytes) -> str:
    """Of a file whose name says none; "" if it is no text."""
    packed = next((extension for mark, extension in SIGNATURES.items() if data.startswith(mark)), "")
    if packed in BY_EXTENSION:
        try:
            begin = next(BY_EXTENSION[packed].decompress([data]), b"")
        except InvalidFile:
            return ""
        return _extension(begin) + packed
    text = data[: formats.HEAD_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n")
    if packed or b"\x00" in text:
        return packed
    return {b"[": ".json", b"{": ".jsonl"}.get(text[:1], ".csv")


@dataclass(frozen=True)
class Sheet:
    """A file's bytes, and what they are."""

    data: bytes
    name: formats.Name
    shown: str

    def columns(self, known: Sequence[str]) -> list[str]:
        """The columns' names, as the estimator spells those that it knows."""
        form, block = self._begun([Feature(name, "unused", True) for name in known])
        if isinstance(form, Delimited):
            return list(form.names)
        if block is None:
            return list(self._head_of_parquet)
        return list(dict.fromkeys(name for record in _objects(block) for name in record))

    @cached_property
    def looks(self) -> dict[str, str | None]:
        """Of each column, text or boolean if its first records leave no doubt."""
        form, block = self._begun([])
        if block is None:
            return {name: _look(values) for name, values in self._head_of_parquet.items()}
        found: dict[str, list[Any]] = {}
        if isinstance(form, Delimited):
            for i in range(min(len(block.ends), SAMPLE)):
                for name, cell in zip(form.names, form.dialect.cells(block.record(i)), strict=False):
                    found.setdefault(name, []).append(_meant(cell))
        else:
            for record in islice(_objects(block), SAMPLE):
                for name, value in record.items():
                    found.setdefault(name, []).append(value)
        return {name: _look(values) for name, values in found.items()}

    def table(self, features: Sequence[Feature], nulls: Nulls | None = None) -> pd.DataFrame:
        """A row a record; InvalidFile for the first record that does not fit, or if there is none."""
        reader, rejected = _reader(features), []
        try:
            for answered in self._read(reader):
                rejected += [orjson.loads(line) for line in answered.rejected.splitlines()]
        except InvalidFile as error:
            raise self._refusal(error) from None
        if rejected:
            more = {1: "", 2: ", and 1 more record cannot be read"}.get(
                len(rejected), f", and {len(rejected) - 1:,} more records cannot be read"
            )
            reason = f"line {rejected[0]['line']}: {rejected[0]['reason']}"
            raise InvalidFile(f"{self.shown}: {reason}{more}{self._conversion(reason)}")
        if not sum(len(block[0]) for block in reader.blocks):
            raise InvalidFile(f"{self.shown} has no rows")
        return pd.DataFrame(
            {
                feature.name: _series(
                    feature, [b[k] for b in reader.blocks], (nulls or {}).get(feature.name, np.nan)
                )
                for k, feature in enumerate(features)
            }
        )

    def _refusal(self, error: InvalidFile) -> InvalidFile:
        return InvalidFile(f"{self.shown}: {error}{self._conversion(str(error))}")

    def _conversion(self, reason: str) -> str:
        """Of a text in another encoding, the command that converts it."""
        encoding = encodings.said(reason)
        return "" if encoding is None else f"; convert it: {encodings.command(encoding, self.shown)}"

    def _read(self, reader: Reader) -> Iterator[Answered]:
        if self._is_parquet:
            yield from (part.answered for part in self._parquet(reader).parts())
            return
        form, blocks = self._blocks(reader)
        yield from map(form.classify, blocks)

    def _begun(self, features: Sequence[Feature]) -> tuple[Delimited | JsonLines | None, Block | None]:
        """The format, and the first block; neither of Parquet."""
        reader = _reader(features)
        try:
            if self._is_parquet:
                self._parquet(reader)
                return None, None
            form, blocks = self._blocks(reader)
            return form, next(blocks, Block(b"", np.empty(0, np.intp), 1))
        except InvalidFile as error:
            raise self._refusal(error) from None

    def _blocks(self, reader: Reader) -> tuple[Delimited | JsonLines, Iterator[Block]]:
        pieces: Iterator[bytes] = (
            self.data[at : at + BLOCK_BYTES] for at in range(0, len(self.data), BLOCK_BYTES)
        )
        if self.name.compression is not None:
            pieces = self.name.compression.decompress(pieces)
        source = Once(pieces)
        form = formats.find(self.name, *source.head(formats.HEAD_BYTES), reader, HEADER)
        body = source.stream(form.body, sys.maxsize)
        return form, in_blocks(form, body, form.body, sys.maxsize, form.first_line)

    @property
    def _is_parquet(self) -> bool:
        return self.name.format == "parquet" and self.name.compression is None

    def _parquet(self, reader: Reader) -> parquet.Parquet:
        return parquet.opened(len(self.data), lambda start, stop: self.data[start:stop], reader)

    @cached_property
    def _head_of_parquet(self) -> dict[str, list[Any]]:
        frame = pl.read_parquet(io.BytesIO(self.data), n_rows=SAMPLE)
        return {name: column.to_list() for name, column in frame.to_dict().items()}


def _objects(block: Block) -> Iterator[dict[str, Any]]:
    for i in range(len(block.ends)):
        try:
            record = orjson.loads(block.record(i).strip())
        except orjson.JSONDecodeError:
            continue  # which is said when all of it is read
        if isinstance(record, dict):
            yield record


def _meant(cell: str) -> Any:
    """What a cell looks like: a boolean, a number, nothing, or a text."""
    text = cell.strip(textcells.BLANKS)
    if text in MISSING:
        return None
    if text.lower() in ("true", "false"):
        return True
    return 0 if textcells.is_number(text) else text


def _look(values: Iterable[Any]) -> str | None:
    types = {type(value) for value in values if value is not None}
    return "text" if str in types else "boolean" if types == {bool} else None


def _series(feature: Feature, blocks: Sequence[Any], null: Any = np.nan) -> Any:
    """A column as scikit-learn takes it."""
    if feature.type == "unused":
        return np.full(sum(map(len, blocks)), np.nan)
    values = np.concatenate([np.asarray(block) for block in blocks])
    if feature.type == "number":
        return values
    if feature.type == "text":
        return pd.Series([null if value is None else value for value in values.tolist()], dtype=object)
    absent = np.isnan(values)
    booleans = values == 1.0
    if not absent.any():
        return booleans
    return pd.Series(
        [null if gone else value for gone, value in zip(absent.tolist(), booleans.tolist(), strict=True)],
        dtype=object,
    )
