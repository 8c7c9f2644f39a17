"""JSON Lines: an object a line, matched to the model's features by name.

The result is each object's own bytes up to its closing brace, then the answer's keys. Whole blocks are read
by `uniform`, if their lines are all alike, or by polars, whose JSON is strict; a line that neither can answer
for is looked at alone.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import orjson
import polars as pl
from polars.exceptions import PolarsError

from thimble import encodings, spelling
from thimble.errors import InvalidFile
from thimble.inference import strict_json
from thimble.inference.classifier import Classifier
from thimble.inference.features import Feature, normal, spelled
from thimble.inference.predictions import Predictions
from thimble.tables import added, text_columns, uniform
from thimble.tables.answers import column_names
from thimble.tables.appending import BOM, Appending
from thimble.tables.blocks import Answered, Block, Flags, Once, Positions, Rejections, Source, TextReader
from thimble.tables.columns import Columns
from thimble.tables.textcells import shown
from thimble.tables.values import fitting, kind

NEWLINE = ord("\n")
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # an escape that means nothing without its other half
BLANKS = b" \t\r"
DTYPES = {"number": pl.Float64, "boolean": pl.Boolean, "text": pl.String}


class Pairs(list[tuple[str, Any]]):
    """An object as it is written."""


@dataclass(frozen=True)
class JsonLines(TextReader):
    """One file's format. Nothing of it has to be found but where the first line begins."""

    classifier: Classifier
    name: str = "jsonl"
    body: int = 0
    first_line: int = 1
    opening: bytes = b""
    joint: bytes = b""
    closing: bytes = b""
    left_out: tuple[tuple[str, str], ...] = ()
    source: Source = field(default_factory=Once)

    def plain(self, data: bytes) -> bytes:
        return data

    def cut(self, data: bytes, final: bool) -> Positions:
        return np.flatnonzero(np.frombuffer(data, np.uint8) == NEWLINE)

    def complete(self, data: bytes) -> bytes:
        return data + b"\n"

    def classify(self, block: Block) -> Answered:
        appending, rejections, blank = Appending(block), Rejections(), []

        def carefully(i: int) -> list[Any] | None:
            line = block.record(i).strip(BLANKS)
            if line:
                return self._carefully(line)
            blank.append(i)
            return None

        good, predictions, observed = self._columns(appending).settle(
            carefully, lambda i, reason: rejections.add(block, i, reason)
        )
        return Answered(
            result=self._appended(appending.only(good), predictions),
            rejected=rejections.dumps(),
            predictions=int(good.sum()),
            rejections=len(rejections),
            blank=len(blank),
            classes=added.counts(self.classifier, predictions),
            observed=observed,
        )

    def _columns(self, appending: Appending) -> Columns:
        """Every feature's column, read in bulk."""
        block = appending.block
        plain = self._plain(block)
        columns = self._uniform(appending.only(plain).block) or self._at_once(appending.only(plain))
        if columns is None:
            plain[plain] = [is_object(block.record(i)) for i in np.flatnonzero(plain).tolist()]
            columns = self._at_once(appending.only(plain))
        if columns is None:
            return Columns.empty(self.classifier, len(plain))
        return columns.spread(plain)

    def _uniform(self, block: Block) -> Columns | None:
        """Of lines from brace to brace that are all alike, and have a number for every feature."""
        lines = uniform.found(block) if len(block.ends) else None
        if lines is None or self._added & {*map(normal, lines.names)}:
            return None
        names = spelled(lines.names, self.classifier.feature_names or ())
        if len({*names}) < len(names):
            return None
        numeric = {name for name, is_numeric in zip(names, lines.numeric, strict=True) if is_numeric}
        if not all(f.type == "number" and f.name in numeric for f in self._wanted.values()):
            return None
        columns = Columns.empty(self.classifier, len(block.ends))
        columns.doubtful[:] = False
        places = {k: names.index(feature.name) for k, feature in self._wanted.items()}
        read = columns.fill(places, lines.numbers)
        return columns if len(read) == len(places) else None

    def _plain(self, block: Block) -> Flags:
        """Lines from brace to brace."""
        buffer = np.frombuffer(block.data, np.uint8)
        last = block.ends - 1 - block.returns
        plain: Flags = (buffer[block.starts] == ord("{")) & (buffer[last] == ord("}")) & (last > block.starts)
        return plain

    def _at_once(self, appending: Appending) -> Columns | None:
        """Of lines from brace to brace; None if one is no JSON."""
        block = appending.block
        if len(block.ends) == 0:
            return Columns.empty(self.classifier, 0)
        try:
            frame = pl.read_ndjson(block.data, schema=self._schema, ignore_errors=True)
        except PolarsError:
            return None
        if frame.height != len(block.ends):
            return None
        columns = Columns.empty(self.classifier, frame.height)
        records = appending.records
        if not block.data.isascii():
            records = records.str.normalize("NFC")  # as `features.normal` does
        mentions = records.str.count_matches(self._mentions)
        columns.doubtful[:] = (mentions != len(self._wanted)).to_numpy()
        for k, feature in self._wanted.items():
            series = frame[feature.name]
            if feature.type == "text":
                columns.texts[k][:], absent = text_columns.known(feature, series)
                columns.doubtful[:] |= (series.is_null() if feature.missing else absent).to_numpy()
            else:
                columns.numbers[k] = series.cast(pl.Float64).to_numpy()
                columns.doubtful[:] |= ~np.isfinite(columns.numbers[k])
        return columns

    @cached_property
    def _wanted(self) -> dict[int, Feature]:
        """The features that the model uses."""
        return {k: f for k, f in enumerate(self.classifier.features) if f.type != "unused"}

    @cached_property
    def _schema(self) -> dict[str, Any]:
        return {feature.name: DTYPES[feature.type] for feature in self._wanted.values()}

    @cached_property
    def _mentions(self) -> str:
        """A pattern that a line matches once a feature, unless it doubles one or has a key that we add.

        A key may be spelled with escapes, and then counts too; so does half a character. Of text the value
        has to begin as such: polars makes text of numbers.
        """
        wanted, new = self._wanted.values(), column_names(self.classifier)
        keys = [_key(normal(f.name)) + (r'\s*:\s*"' if f.type == "text" else "") for f in wanted]
        ascii_ = all(map(str.isascii, (*(f.name for f in wanted), *new)))
        escapes = [r"\\u00[0-7]" if ascii_ else r"\\u", r"\\/", SURROGATE.pattern.decode()]
        return "|".join([*keys, *map(_key, map(normal, new)), *escapes])

    def _carefully(self, line: bytes) -> list[Any]:
        """One line's feature values; ValueError says what is wrong with it first."""
        pairs = self._pairs(line)
        if not isinstance(pairs, Pairs):
            raise ValueError(f"the record is {kind(pairs)}, not an object")
        keys = spelled((key for key, _ in pairs), [f.name for f in self._wanted.values()])
        taken = self._added & {*map(normal, keys)}
        for name in column_names(self.classifier):
            if normal(name) in taken:
                raise ValueError(f'the object already has "{name}", which the answer is called: rename it')
        values, times = dict(zip(keys, (value for _, value in pairs), strict=True)), Counter(keys)
        return [
            _value(feature, values.get(feature.name), times[feature.name], keys, self._schema)
            if k in self._wanted
            else None
            for k, feature in enumerate(self.classifier.features)
        ]

    @cached_property
    def _added(self) -> set[str]:
        """The answer's keys, in normal form."""
        return {*map(normal, column_names(self.classifier))}

    def _pairs(self, line: bytes) -> Any:
        """JSON, its objects as pairs that may be doubled, with the NaN and Infinity that Python writes."""
        try:
            text = encodings.text(line)
            pairs = json.loads(text, object_pairs_hook=Pairs, parse_int=strict_json.integer)
            if SURROGATE.search(line):
                errors = "strict" if encodings.is_sound(text) else "surrogateescape"
                json.dumps(pairs, ensure_ascii=False).encode("utf-8", errors)
        except json.JSONDecodeError as error:
            raise self._no_json(_broken(line, error)) from None
        except UnicodeEncodeError:
            raise self._no_json("it has half of a surrogate pair, which is no character") from None
        except (ValueError, RecursionError) as error:
            raise self._no_json(strict_json.reason(error)) from None
        return pairs

    def _no_json(self, reason: str) -> Exception:
        return ValueError(f"the line is not JSON: {reason}")

    def _appended(self, appending: Appending, predictions: Predictions) -> bytes:
        """Each object's own bytes up to its closing brace, then the answer's keys."""
        if not len(appending.block.ends):
            return b""
        parts: list[Any] = [appending.records.str.strip_chars_end(" \t\r").str.strip_suffix("}")]
        for column in added.columns(self.classifier, predictions):
            key = f",{_text(column.name)}:"
            if isinstance(column, added.Labels):
                parts.append(
                    pl.Series([key + _text(label) for label in column.distinct]).gather(column.which)
                )
            else:
                parts += [pl.lit(key), column.values]
        return appending.written([pl.select(pl.concat_str(*parts, pl.lit("}"))).to_series()])


def opened(head: bytes, classifier: Classifier) -> JsonLines:
    """InvalidFile unless the file begins as JSON Lines do, and the model knows its features by name."""
    start = head.removeprefix(BOM).lstrip()[:1]
    if not start:
        raise InvalidFile("the file is empty")
    if _spans_lines(head.removeprefix(BOM).lstrip()):
        raise InvalidFile(
            "the first object goes over several lines, and JSON Lines hold an object a line: "
            "send an array of them, named .json"
        )
    if start == b"[":
        raise InvalidFile(
            "JSON Lines hold an object a line, and the file begins with [: an array is named .json"
        )
    refuse_without_names(classifier)
    return JsonLines(classifier, body=len(BOM) if head.startswith(BOM) else 0)


def _spans_lines(text: bytes) -> bool:
    """Whether an object begins on the first line and is whole only with more lines: printed for people."""
    first = text.split(b"\n", 1)[0]
    if not first.startswith(b"{"):
        return False
    try:
        _, end = json.JSONDecoder().raw_decode(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return False
    return end > len(first.decode("utf-8", "replace"))


def refuse_without_names(classifier: Classifier) -> None:
    if classifier.feature_names is None:
        raise InvalidFile(
            "the model knows no feature names to match keys by: send CSV, or export it with names"
        )


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _key(name: str) -> str:
    return re.escape(_text(name))


def _broken(line: bytes, error: json.JSONDecodeError) -> str:
    try:
        line.decode()
    except UnicodeDecodeError as found:
        return strict_json.reason(found)
    return f"{error.msg} in column {error.colno}"


def _value(
    feature: Feature, value: Any, times: int, keys: list[str], known: Collection[str]
) -> float | str | None:
    if times > 1:
        raise ValueError(f"{feature.name} is there {times} times")
    if not times:
        unread = next(
            (f"; one key {encodings.fault(key)}" for key in keys if not encodings.is_sound(key)), ""
        )
        unread = unread or _meant(feature.name, [key for key in keys if key not in known])
        raise ValueError(f"{feature.name} is missing{unread}")
    if isinstance(value, str) and not encodings.is_sound(value):
        raise ValueError(f"{feature.name} {encodings.fault(value)}")
    return fitting(feature, value, feature.name, _described)


def _meant(name: str, others: list[str]) -> str:
    found = spelling.closest(name, others)
    return f"; did you mean it by {shown(found)}?" if found else ""


def _described(value: Any) -> str:
    if isinstance(value, str):
        return shown(value)
    return "an object" if isinstance(value, Pairs) else kind(value)
