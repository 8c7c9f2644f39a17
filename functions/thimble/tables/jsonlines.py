"""Read and write JSON Lines, for both doors.

A file has an object on each line, whose keys are matched to the model's features. A request has a list or an
object on each line, and gets an answer on each line.

A file's result is each object's own bytes up to its closing brace, then the keys of the answer. A block whose
lines are all alike is read by `uniform`, any other by polars, whose JSON is strict. A line that neither can
read is read by itself.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson

from thimble import encodings, spelling
from thimble.errors import InvalidFile, MalformedBody
from thimble.inference import strict_json
from thimble.inference.batch import Batch, Fault, Flags, Value
from thimble.inference.classifier import Classifier
from thimble.inference.features import Feature, Schema, normal, spelled
from thimble.inference.predictions import Predictions
from thimble.tables import rows, uniform
from thimble.tables.answers import Classified
from thimble.tables.blocks import BOM, Answered, Block, Once, Positions, Source, TextReader
from thimble.tables.cells import Unfit, check_utf8, json_kind, json_value, quote_value
from thimble.tables.dialect import Given

if TYPE_CHECKING:
    from thimble.tables import fast

NEWLINE = ord("\n")
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # an escape of half a character
BLANKS = b" \t\r"
TEXT = re.compile(rb'^([ \t]*)("(?:[^"\\\n]|\\.)*")(?=[ \t]*\r?$)', re.MULTILINE)  # a line that is a string


# Door two: files.


class Object(dict[str, Any]):
    """A JSON object as it is written; `pairs` has a key as often as it is there."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


@dataclass(frozen=True)
class JsonLines(TextReader):
    """The reader of a file of JSON Lines."""

    schema: Schema
    classifier: Classifier
    name: str = "jsonl"
    body: int = 0
    first_line: int = 1
    opening: bytes = b""
    joint: bytes = b""
    closing: bytes = b""
    source: Source = field(default_factory=Once)

    def plain(self, data: bytes) -> bytes:
        return data

    def cut(self, data: bytes, final: bool) -> Positions:
        return np.flatnonzero(np.frombuffer(data, np.uint8) == NEWLINE)

    def complete(self, data: bytes) -> bytes:
        return data + b"\n"

    def classify(self, block: Block) -> Answered:
        return super().classify(_texts_named(block, self._text) if self.schema.only_a_text else block)

    def batch(self, block: Block) -> Batch:
        batch, doubtful = self._columns(block)
        faults, blank = dict[int, Fault](), set[int]()
        for row in np.flatnonzero(doubtful).tolist():
            line = block.sent(row).strip(BLANKS)
            if not line:
                blank.add(row)
                continue
            try:
                batch.put(row, self.values(line))
            except Unfit as error:
                faults[row] = error.fault
        return batch._replace(faults=faults, blank=frozenset(blank))

    def append(self, block: Block, predictions: Predictions) -> bytes:
        """Return each object's own bytes up to its closing brace, then the keys of its answer."""
        from thimble.tables import fast  # polars, which only the file functions have

        return fast.append_keys(block, self.classifier, predictions)

    def _columns(self, block: Block) -> tuple[Batch, Flags]:
        """Read the features' columns in bulk; return the batch, and a mask of the lines that have to be read
        one by one.
        """
        plain = self._plain(block)
        found = self._uniform(block.only(plain)) or self._at_once(block.only(plain))
        if found is None:
            plain[plain] = [is_object(block.record(i)) for i in np.flatnonzero(plain).tolist()]
            found = self._at_once(block.only(plain))
        if found is None:
            return Batch.empty(self.schema.features, len(plain)), np.ones(len(plain), np.bool_)
        batch, flags = found
        doubtful: Flags = ~plain
        doubtful[plain] = flags
        return batch.spread(plain), doubtful

    def _uniform(self, block: Block) -> tuple[Batch, Flags] | None:
        """Read lines from brace to brace that are all alike and have a number for every feature; None for
        other lines.
        """
        lines = uniform.found(block) if len(block.ends) else None
        if lines is None or self._added & {*map(normal, lines.names)}:
            return None
        names = spelled(lines.names, self.schema.names or ())
        if len({*names}) < len(names):
            return None
        numeric = {name for name, is_numeric in zip(names, lines.numeric, strict=True) if is_numeric}
        if not all(f.type == "number" and f.name in numeric for f in self._wanted.values()):
            return None
        batch = Batch.empty(self.schema.features, len(block.ends))
        doubtful = lines.fill(batch, {k: names.index(feature.name) for k, feature in self._wanted.items()})
        return None if doubtful is None else (batch, doubtful)

    def _at_once(self, block: Block) -> tuple[Batch, Flags] | None:
        """Read lines from brace to brace with polars; None if one is no JSON."""
        from thimble.tables import fast

        return fast.json_columns(self.schema, block, self._keys)

    def _plain(self, block: Block) -> Flags:
        """Return a mask of the lines that begin and end with a brace."""
        buffer = np.frombuffer(block.data, np.uint8)
        last = block.ends - 1 - block.returns
        plain: Flags = (buffer[block.starts] == ord("{")) & (buffer[last] == ord("}")) & (last > block.starts)
        return plain

    @cached_property
    def _wanted(self) -> dict[int, Feature]:
        """The features that the model uses, by position."""
        return {k: f for k, f in enumerate(self.schema.features) if f.type != "unused"}

    @cached_property
    def _text(self) -> bytes:
        """The key of the only feature, in JSON."""
        return orjson.dumps(self.schema.features[0].name)

    @cached_property
    def _names(self) -> set[str]:
        return {feature.name for feature in self._wanted.values()}

    @cached_property
    def _keys(self) -> fast.Keys:
        from thimble.tables import fast

        return fast.Keys.of(self.schema)

    def values(self, line: bytes) -> list[Value]:
        """Return a line's feature values. Raises Unfit for the first thing that is wrong."""
        found = self._object(line)
        if isinstance(found, str) and self.schema.only_a_text:
            found = Object([(self.schema.features[0].name, found)])
        if not isinstance(found, Object):
            problem = "is not an object or a string" if self.schema.only_a_text else "is not an object"
            raise Unfit(Fault(problem, "the record", json_kind(found)))
        keys = spelled((key for key, _ in found.pairs), [f.name for f in self._wanted.values()])
        taken = self._added & {*map(normal, keys)}
        for name in self.schema.answer_columns:
            if normal(name) in taken:
                problem = f'already has "{name}", which the answer is called: rename it'
                raise Unfit(Fault(problem, "the object"))
        values, times = dict(zip(keys, (value for _, value in found.pairs), strict=True)), Counter(keys)
        return [
            _value(feature, values.get(feature.name), times[feature.name], keys, self._names)
            if k in self._wanted
            else None
            for k, feature in enumerate(self.schema.features)
        ]

    @cached_property
    def _added(self) -> set[str]:
        """The answer's keys, in normal form."""
        return {*map(normal, self.schema.answer_columns)}

    def _object(self, line: bytes) -> Any:
        """Parse JSON, also with the NaN and Infinity that Python writes.

        Raises Unfit, or the error of `_no_json`.
        """
        try:
            text = encodings.text(line)
            found = json.loads(text, object_pairs_hook=Object, parse_int=strict_json.integer)
            if SURROGATE.search(line):
                errors = "strict" if encodings.is_sound(text) else "surrogateescape"
                written = found.pairs if isinstance(found, Object) else found
                json.dumps(written, ensure_ascii=False).encode("utf-8", errors)
        except json.JSONDecodeError as error:
            raise self._no_json(_broken(line, error)) from None
        except UnicodeEncodeError:
            fault = Fault("has half of a surrogate pair, which is no character", "the record")
            raise Unfit(fault) from None
        except (ValueError, RecursionError) as error:
            raise self._no_json(strict_json.reason(error)) from None
        return found

    def _no_json(self, reason: str) -> Exception:
        return Unfit(Fault(f"is not JSON: {reason}", "the line"))


@dataclass(frozen=True)
class Named(Block):
    """Lines, some of them turned into objects; `given` has their places in the file and what was sent."""

    given: Block

    def line(self, i: int) -> int:
        return self.given.line(i)

    def sent(self, i: int) -> bytes:
        return self.given.sent(i)


def _texts_named(block: Block, key: bytes) -> Block:
    """Turn each line that is a string into an object `{key: text}`."""
    texts = [match.end() for match in TEXT.finditer(block.data)]
    if not texts:
        return block
    data = TEXT.sub(lambda match: b"%b{%b:%b}" % (match[1], key, match[2]), block.data)
    ends = block.ends + len(b"{:}" + key) * np.searchsorted(texts, block.ends, "right")
    return Named(data, ends, block.first_line, block, end=block.end)


def open_file(head: bytes, whole: bool, classifier: Classifier, given: Given) -> JsonLines:
    """Open a file by its first bytes.

    Raises InvalidFile if they are no JSON Lines, or the model has no feature names.
    """
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
    schema = schema_of(classifier)
    return JsonLines(schema, classifier, body=len(BOM) if head.startswith(BOM) else 0)


def _spans_lines(text: bytes) -> bool:
    """Return whether the first object spans several lines, as in indented JSON."""
    first = text.split(b"\n", 1)[0]
    if not first.startswith(b"{"):
        return False
    try:
        _, end = json.JSONDecoder().raw_decode(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return False
    return end > len(first.decode("utf-8", "replace"))


def schema_of(classifier: Classifier) -> Schema:
    """Return the model's schema. Raises InvalidFile if its features have no names."""
    if classifier.schema.names is None:
        raise InvalidFile(
            "the model knows no feature names to match keys by: send CSV, or export it with names"
        )
    return classifier.schema


def is_record(line: bytes, schema: Schema) -> bool:
    """Return whether a line is an object, or a string if the model takes one text."""
    return is_object(line) or (schema.only_a_text and TEXT.fullmatch(line.rstrip(b"\r")) is not None)


def is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _broken(line: bytes, error: json.JSONDecodeError) -> str:
    try:
        line.decode()
    except UnicodeDecodeError as found:
        return strict_json.reason(found)
    return f"{error.msg.removesuffix(' at')} at column {error.colno}"


def _value(feature: Feature, value: Any, times: int, keys: list[str], known: Collection[str]) -> Value:
    if times > 1:
        raise Unfit(Fault(f"is there {times} times", feature.name))
    if not times:
        unread = next(
            (f"; one key {encodings.fault(key)}" for key in keys if not encodings.is_sound(key)), ""
        )
        unread = unread or _meant(feature.name, [key for key in keys if key not in known])
        raise Unfit(Fault(f"is missing{unread}", feature.name))
    if isinstance(value, str):
        check_utf8(feature.name, value)
    return json_value(feature, feature.name, value)


def _meant(name: str, others: list[str]) -> str:
    found = spelling.closest(name, others)
    return f"; did you mean it by {quote_value(found)}?" if found else ""


# Door one: requests.


class Body(NamedTuple):
    """The rows of a body, and the line number of each; blank lines are no rows."""

    instances: list[Any]
    numbers: list[int]

    def batch(self, schema: Schema, max_rows: int) -> Batch:
        rows.check_size(len(self.instances), max_rows)
        return rows.batch(schema, self.instances)

    def alone(self, schema: Schema) -> Sequence[Value] | None:
        return rows.alone(schema, self.instances)

    def place(self, row: int, field: str = "") -> str:
        return f"line {self.numbers[row]}: row{field}"


def body(data: bytes, parameters: Mapping[str, str]) -> Body:
    """Parse a request's body. Raises MalformedBody if a line is not JSON, or an object has a key twice."""
    found = filled(data)
    return Body([_row(number, line) for number, line in found], [number for number, _ in found])


def filled(data: bytes) -> list[tuple[int, bytes]]:
    """Return the lines that are not blank, each with its number from 1."""
    lines = enumerate(data.removeprefix(BOM).split(b"\n"), start=1)
    return [(number, line) for number, line in lines if line and not line.isspace()]


def _row(number: int, line: bytes) -> Any:
    """Parse a line: a list, an object, or {"features": [...]}, as SageMaker's own containers take it."""
    try:
        row = strict_json.loads(line)
    except strict_json.NotJson as error:
        raise MalformedBody(f"line {number} is not JSON: {error}") from None
    except strict_json.DoubledKey as error:
        raise MalformedBody(f"line {number}: {error} occurs twice in one object") from None
    return rows.unwrapped(row)


def written(answered: Classified, parameters: Mapping[str, str]) -> bytes:
    return lines(answered.answers)


def lines(found: list[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE) for answer in found)
