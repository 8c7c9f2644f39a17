"""Read columns of cells and of JSON Lines, and write answers, fast with polars.

polars reads more strictly than `cells`: a row that it does not take is read by itself, and then taken, or
rejected with a reason. The API's function has no polars. Only this module and `parquet` import it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.ma  # polars imports it with its first array, for which the first file would wait
import orjson
import polars as pl
from polars.exceptions import PolarsError

from thimble.inference.batch import Batch, Flags
from thimble.inference.classifier import Classifier
from thimble.inference.features import Feature, Schema, normal
from thimble.inference.head import Label
from thimble.inference.predictions import Predictions
from thimble.tables import answers
from thimble.tables.answers import FurtherColumn, LabelColumn, cell_text
from thimble.tables.blocks import BOM, Block, is_utf8
from thimble.tables.cells import BOOLEANS, COMMA, POINT, missing
from thimble.tables.dialect import Layout
from thimble.tables.tokens import DAMAGED, Dialect, Tokens

TO_ASCII = r"\\u(?:00[0-7]|037[eE]|1[fF][eE][fF]|212[aA])"  # escapes of characters that are ASCII in NFC
JSON_TYPES = {"number": pl.Float64, "boolean": pl.Boolean, "text": pl.String, "free_text": pl.String}


def csv_columns(schema: Schema, layout: Layout, plain: Tokens, n: int) -> tuple[Batch, Flags]:
    """Read the columns of n records without quotes; return the batch, and a mask of the rows that have to be
    read one by one.
    """
    batch, width = Batch.empty(schema.features, n), layout.width
    used = {k: column for k, column in layout.features.items() if schema.features[k].type != "unused"}
    if n == 0 or not plain.even(n, width):
        return batch, np.ones(n, np.bool_)
    types = {column: _cell_type(schema.features[k], layout.mark) for k, column in used.items()}
    frame = pl.read_csv(
        guarded(plain.data),
        has_header=False,
        columns=sorted(types),
        schema={str(column): types.get(column, pl.String) for column in range(width)},
        separator=layout.dialect.delimiter.decode(),
        quote_char=None,
        ignore_errors=True,
    )
    if frame.height != n:
        return batch, np.ones(n, np.bool_)
    doubtful = _with_returns(plain.data, layout.dialect.delimiter, n)
    for k, column in used.items():
        feature, series = schema.features[k], frame[str(column)]
        if feature.textual:
            doubtful |= _fill_texts(batch, k, feature, series)
        else:
            doubtful |= _fill_numbers(batch, k, feature, series, layout.mark)
    return batch, doubtful


def _with_returns(data: bytes, delimiter: bytes, n: int) -> Flags:
    """Return a mask of the rows with a cell that ends with \\r, which polars drops."""
    found = np.zeros(n, np.bool_)
    if b"\r" in data and b"\r" + delimiter in data:
        buffer = np.frombuffer(data, np.uint8)
        at = np.flatnonzero((buffer[:-1] == ord("\r")) & (buffer[1:] == ord(delimiter)))
        found[np.searchsorted(np.flatnonzero(buffer == ord("\n")), at)] = True
    return found


def _cell_type(feature: Feature, mark: str) -> type[pl.Float64] | type[pl.String]:
    """Return the type with which polars reads a feature's column."""
    plain = feature.type == "number" and not feature.missing and mark == POINT
    return pl.Float64 if plain else pl.String


def _with_points(series: pl.Series) -> pl.Series:
    """Replace decimal commas by points; a cell that has a point, and so is no number, becomes null."""
    plain = series.str.replace(COMMA, POINT, literal=True)
    return plain.set(series.str.contains(POINT, literal=True).fill_null(False), None)


def _fill_numbers(batch: Batch, k: int, feature: Feature, series: pl.Series, mark: str) -> Flags:
    """Fill the batch's numbers of a feature; return a mask of the doubtful ones."""
    if feature.type == "boolean":
        values = series.str.to_lowercase().replace_strict(BOOLEANS, default=None, return_dtype=pl.Float64)
    else:
        plain = series if mark == POINT else _with_points(series)
        values = plain.cast(pl.Float64, strict=False)
    batch.numbers[k] = values.to_numpy()
    doubtful: Flags = ~np.isfinite(batch.numbers[k])
    if feature.missing and doubtful.any():
        absent = (series.is_null() | series.is_in(missing(feature))).to_numpy()
        batch.numbers[k, absent] = np.nan
        doubtful &= ~absent
    return doubtful


def _fill_texts(batch: Batch, k: int, feature: Feature, series: pl.Series) -> Flags:
    """Fill the batch's texts of a feature; return a mask of the doubtful ones."""
    doubtful = series.str.contains(DAMAGED, literal=True).fill_null(False)
    if "" not in missing(feature):
        series = series.fill_null("")  # polars reads an empty cell as null
    batch.texts[k][:], absent = known_texts(feature, series)
    flags: Flags = (doubtful if feature.missing else doubtful | absent).to_numpy()
    return flags


def known_texts(feature: Feature, series: pl.Series) -> tuple[list[str | None], pl.Series]:
    """Return a column's texts, None for missing ones, and a mask of the missing ones."""
    absent = series.is_null() | series.is_in(missing(feature)).fill_null(True)
    return series.set(absent, None).to_list(), absent


class Keys(NamedTuple):
    """Regular expressions for lines of JSON."""

    mentions: str  # a used feature's name, an answer's name, or an escape that may spell one
    normal_mentions: str  # the same in NFC
    no_text: str  # a text feature's key before a value that is no string; "" without text features

    @classmethod
    def of(cls, schema: Schema) -> Keys:
        used = [feature for feature in schema.features if feature.type != "unused"]
        names = [feature.name for feature in used]
        texts = "|".join(_key(feature.name) for feature in used if feature.textual)
        odd = [*map(_key, map(normal, schema.answer_columns)), _escapes([*names, *schema.answer_columns])]
        return cls(
            "|".join([*map(_key, names), *odd]),
            "|".join([*map(_key, map(normal, names)), *odd]),
            rf'(?:{texts})\s*:\s*[^\s"]' if texts else "",
        )


def _key(name: str) -> str:
    return re.escape(_json(name))


def _escapes(names: list[str]) -> str:
    """Return a pattern of the escapes that could spell one of the names, and of half a character."""
    some = TO_ASCII if all(map(str.isascii, names)) else r"\\u"
    return rf"{some}|\\/|\\u[dD][89a-fA-F]"


def json_columns(schema: Schema, block: Block, keys: Keys) -> tuple[Batch, Flags] | None:
    """Read the columns of lines from brace to brace; return the batch, and a mask of the lines that have to
    be read one by one. Returns None if a line is no JSON.
    """
    n, used = len(block.ends), {k: f for k, f in enumerate(schema.features) if f.type != "unused"}
    batch = Batch.empty(schema.features, n)
    if n == 0:
        return batch, np.ones(0, np.bool_)
    types = {feature.name: JSON_TYPES[feature.type] for feature in used.values()}
    try:
        frame = pl.read_ndjson(block.data, schema=types, ignore_errors=True)
    except PolarsError:
        return None
    if frame.height != n:
        return None
    doubtful = _odd_keys(block, keys, len(used))
    for k, feature in used.items():
        series = frame[feature.name]
        if feature.textual:
            batch.texts[k][:], absent = known_texts(feature, series)
            doubtful |= (series.is_null() if feature.missing else absent).to_numpy()
        else:
            batch.numbers[k] = series.cast(pl.Float64).to_numpy()
            doubtful |= ~np.isfinite(batch.numbers[k])
    return batch, doubtful


def _odd_keys(block: Block, keys: Keys, used: int) -> Flags:
    """Return a mask of the lines to read one by one: their keys do not mention each of the `used` features
    exactly once, or have something else that `mentions` matches, or a text feature's value is no string.

    A line in which polars finds every feature mentions each at least once. So if there are as many mentions
    as features, there is one of each. polars turns numbers into text, so the value of a text feature has to
    begin with a quote.
    """
    records = Appending(block).records
    odd = records.str.count_matches(keys.mentions) != used
    if keys.no_text:
        odd |= records.str.contains(keys.no_text)
    if not block.data.isascii():
        composed = records.str.normalize("NFC")  # as `features.normal` does
        if not composed.equals(records):
            odd |= composed.str.count_matches(keys.normal_mentions) != used
    flags: Flags = odd.to_numpy().copy()
    return flags


def append_cells(block: Block, classifier: Classifier, predictions: Predictions, dialect: Dialect) -> bytes:
    """Return each record's own bytes, the cells of its answer, and its own line ending."""
    if not len(block.ends):
        return b""
    appending, columns = Appending(block), []
    for column in answers.added(classifier, predictions):
        if isinstance(column, LabelColumn):
            texts = [appending.text(dialect.cell(cell_text(label))) for label in column.distinct]
            columns.append(pl.Series(texts).gather(column.which))
        elif isinstance(column, FurtherColumn):
            texts = [appending.text(dialect.cell(cell_text(cell))) for cell in column.cells]
            columns.append(pl.Series(texts, dtype=pl.String))
        else:
            columns.append(pl.Series(column.values))
    return appending.written([appending.records, *columns], dialect.delimiter.decode())


def append_keys(block: Block, classifier: Classifier, predictions: Predictions) -> bytes:
    """Return each object's own bytes up to its closing brace, then the keys of its answer."""
    if not len(block.ends):
        return b""
    appending, parts = Appending(block), list[pl.Series | pl.Expr]()
    for column in answers.added(classifier, predictions):
        key = f"{',' if parts else ''}{_json(column.name)}:"
        if isinstance(column, LabelColumn):
            parts.append(pl.Series([key + _json(label) for label in column.distinct]).gather(column.which))
        elif isinstance(column, FurtherColumn):
            texts = [appending.text(key + _json(cell)) for cell in column.cells]
            parts.append(pl.Series(texts, dtype=pl.String))
        else:
            parts += [pl.lit(key), pl.Series(column.values)]
    records = appending.records
    if not records.str.ends_with("}").all():
        records = records.str.strip_chars_end(" \t\r")
    keys = pl.select(pl.concat_str(*parts, pl.lit("}"))).to_series()
    return appending.written([records.str.head(-1), keys])


def _json(value: Label | list[Label] | None) -> str:
    return orjson.dumps(value).decode()


@dataclass(frozen=True)
class Appending:
    """Records to which answers are appended. If they are not UTF-8, they are read and written as Latin-1,
    which keeps each byte.
    """

    block: Block

    @cached_property
    def encoding(self) -> str:
        return "utf-8" if is_utf8(self.block.data) else "latin-1"

    def text(self, value: str) -> str:
        """Return text to append, encoded so that it is written in UTF-8 even if the records are Latin-1."""
        return value.encode().decode(self.encoding)

    @cached_property
    def records(self) -> pl.Series:
        """The texts of the records without their line endings."""
        block = self.block
        if len(block.ends) == block.lines:
            data = block.data if self.encoding == "utf-8" else block.data.decode(self.encoding).encode()
            return pl.read_lines(data).to_series()
        texts = [block.record(i).decode(self.encoding) for i in range(len(block.ends))]
        return pl.Series("record", texts, pl.String)

    def written(self, columns: Sequence[pl.Series], separator: str = ",") -> bytes:
        """Return the lines of the columns, without quoting, each with the line ending of its record."""
        returns = self.block.returns
        ending = "\r\n" if returns.all() else "\n"
        if ending == "\n" and returns.any():
            endings = pl.Series(["", "\r"]).gather(returns.astype(np.intp))
            last = pl.select(pl.concat_str(columns[-1], endings)).to_series()
            columns = [*columns[:-1], last]
        named = [column.alias(str(k)) for k, column in enumerate(columns)]
        out = io.BytesIO()
        pl.DataFrame(named).write_csv(
            out, include_header=False, separator=separator, line_terminator=ending, quote_style="never"
        )
        if self.encoding == "utf-8":
            return out.getvalue()
        return out.getvalue().decode().encode(self.encoding)


def guarded(data: bytes) -> bytes:
    """Return data for polars, which drops a byte order mark: data that begin with one get another."""
    return BOM + data if data.startswith(BOM) else data
