"""JSON Lines: an object a line, matched to the model's features by name.

The result is each object's own bytes up to its closing brace, then the answer's keys. Whole blocks are read
by polars, whose JSON is strict; a line that it cannot answer for is looked at alone.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import orjson
import polars as pl
from polars.exceptions import PolarsError

from thimble.classifier import Classifier, Predictions
from thimble.errors import InvalidFile
from thimble.formats import added
from thimble.formats.joining import BOM, Joining
from thimble.formats.numbers import shown
from thimble.formats.records import Answered, Block, Flags, Positions, Rejections, finite
from thimble.network import FloatArray
from thimble.rows import kind

NEWLINE = ord("\n")
BLANKS = b" \t\r"


class Pairs(list[tuple[str, Any]]):
    """An object as it is written."""


@dataclass(frozen=True)
class JsonLines:
    """One file's format. Nothing of it has to be found but where the first line begins."""

    classifier: Classifier
    name: str = "jsonl"
    body: int = 0
    first_line: int = 1
    opening: bytes = b""
    joint: bytes = b""
    closing: bytes = b""

    def cut(self, data: bytes, final: bool) -> Positions:
        return np.flatnonzero(np.frombuffer(data, np.uint8) == NEWLINE)

    def complete(self, data: bytes) -> bytes:
        return data + b"\n"

    def classify(self, block: Block) -> Answered:
        rejections, blank = Rejections(), 0
        X = self._columns(block)
        good = finite(X)
        for i in np.flatnonzero(~good).tolist():
            line = block.record(i).strip(BLANKS)
            if not line:
                blank += 1
                continue
            try:
                X[:, i] = self._carefully(line)
                good[i] = True
            except ValueError as error:
                rejections.add(block, i, str(error))
        predictions = added.predict(
            self.classifier, X, good, lambda i, reason: rejections.add(block, i, reason)
        )
        return Answered(
            result=self._joined(block.only(good), predictions),
            rejected=rejections.dumps(),
            predictions=int(good.sum()),
            rejections=len(rejections),
            blank=blank,
            classes=added.counts(self.classifier, predictions),
        )

    def _columns(self, block: Block) -> FloatArray:
        """(n_features, n); NaN where a line has to be looked at."""
        plain = self._plain(block)
        X = self._at_once(block.only(plain))
        if X is None:
            plain[plain] = [is_object(block.record(i)) for i in np.flatnonzero(plain).tolist()]
            X = self._at_once(block.only(plain))
        if X is not None and plain.all():
            return X
        columns = np.full((self.classifier.n_features, len(plain)), np.nan)
        if X is not None:
            columns[:, plain] = X
        return columns

    def _plain(self, block: Block) -> Flags:
        """Lines from brace to brace."""
        buffer = np.frombuffer(block.data, np.uint8)
        last = block.ends - 1 - block.returns
        plain: Flags = (buffer[block.starts] == ord("{")) & (buffer[last] == ord("}")) & (last > block.starts)
        return plain

    def _at_once(self, block: Block) -> FloatArray | None:
        """(n_features, n), NaN where a line has to be looked at; None if a line is no JSON."""
        names = list(self._names)
        if len(block.ends) == 0:
            return np.empty((len(names), 0))
        try:
            frame = pl.read_ndjson(block.data, schema=dict.fromkeys(names, pl.Float64), ignore_errors=True)
        except PolarsError:
            return None
        if frame.height != len(block.ends):
            return None
        X = np.ascontiguousarray(frame.select(names).to_numpy(order="fortran", writable=True).T)
        mentions = Joining(block).records.str.count_matches(self._mentions)
        X[:, (mentions != len(names)).to_numpy()] = np.nan
        return X

    @cached_property
    def _mentions(self) -> str:
        """A pattern that a line matches once a feature, unless it doubles one or has a key that we add.

        A key may be spelled with escapes, and then counts too.
        """
        keys = [*self._names, *added.names(self.classifier)]
        escapes = [r"\\u00[0-7]" if all(map(str.isascii, keys)) else r"\\u", r"\\/"]
        return "|".join([*(re.escape(orjson.dumps(key).decode()) for key in keys), *escapes])

    @property
    def _names(self) -> tuple[str, ...]:
        return self.classifier.feature_names or ()

    def _carefully(self, line: bytes) -> list[float]:
        """One line's feature values; ValueError says what is wrong with it first."""
        pairs = self._pairs(line)
        if not isinstance(pairs, Pairs):
            raise ValueError(f"the record is {kind(pairs)}, not an object")
        keys = [key for key, _ in pairs]
        for name in added.names(self.classifier):
            if name in keys:
                raise ValueError(f'the object already has "{name}", which the answer is called: rename it')
        values = dict(pairs)
        return [_number(name, values.get(name), keys.count(name)) for name in self._names]

    def _pairs(self, line: bytes) -> Any:
        """JSON, its objects as pairs that may be doubled, with the NaN and Infinity that Python writes."""
        try:
            return json.loads(line.decode(), object_pairs_hook=Pairs)
        except (ValueError, RecursionError) as error:
            raise self._no_json(str(error)) from None

    def _no_json(self, reason: str) -> Exception:
        return ValueError(f"the line is not JSON: {reason}")

    def _joined(self, block: Block, predictions: Predictions) -> bytes:
        """Each object's own bytes up to its closing brace, then the answer's keys."""
        if not len(block.ends):
            return b""
        joining = Joining(block)
        labels, which = added.labels(self.classifier, predictions)
        keys = [f",{_text(name)}:" for name in added.names(self.classifier)]
        texts = pl.Series([keys[0] + _text(label) for label in labels])
        objects = joining.records.str.strip_chars_end(" \t\r").str.strip_suffix("}")
        parts: list[pl.Series | pl.Expr] = [objects, texts.gather(which)]
        for key, column in zip(keys[1:], added.numbers(self.classifier, predictions), strict=True):
            parts += [pl.lit(key), column]
        return joining.written([pl.select(pl.concat_str(*parts, pl.lit("}"))).to_series()])


def jsonlines(head: bytes, classifier: Classifier) -> JsonLines:
    """InvalidFile unless the file begins as JSON Lines do, and the model knows its features by name."""
    start = head.removeprefix(BOM).lstrip()[:1]
    if not start:
        raise InvalidFile("the file is empty")
    if start == b"[":
        raise InvalidFile(
            "JSON Lines hold an object a line, and the file begins with [: an array is named .json"
        )
    if classifier.feature_names is None:
        raise InvalidFile(
            "the model knows no feature names to match objects by: send CSV, or export it with names"
        )
    return JsonLines(classifier, body=len(BOM) if head.startswith(BOM) else 0)


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


def _number(name: str, value: Any, times: int) -> float:
    if times != 1:
        raise ValueError(f"{name} is there {times} times" if times else f"{name} is missing")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is {_described(value)}, not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} is {'NaN' if math.isnan(number) else 'too large'}, not a finite number")
    return number


def _described(value: Any) -> str:
    if isinstance(value, str):
        return shown(value)
    return "an object" if isinstance(value, Pairs) else kind(value)
