"""JSON Lines: a row a line, as a list or an object; an answer a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from thimble.errors import MalformedBody
from thimble.inference import strict_json
from thimble.inference.classifier import Classifier
from thimble.inference.predictions import Predictions
from thimble.tables import rows
from thimble.tables.answers import answers
from thimble.web import tables
from thimble.web.media import Media, utf8
from thimble.web.tables import Table


@dataclass(frozen=True)
class Lines:
    """Rows by the number of their line: blank lines are none."""

    instances: list[Any]
    numbers: list[int]

    def columns(self, classifier: Classifier, most: int) -> Any:
        tables.check(len(self.instances), most)
        return rows.columns(classifier, self.instances, self.place)

    def place(self, row: int) -> str:
        return f"line {self.numbers[row]}: row"


def table(body: bytes, media: Media) -> Table:
    lines = enumerate(utf8(body, media).removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1)
    filled = [(number, line) for number, line in lines if line and not line.isspace()]
    return Lines([_row(number, line) for number, line in filled], [number for number, _ in filled])


def _row(number: int, line: bytes) -> Any:
    """A list or an object; or {"features": [...]}, as SageMaker's own containers take it."""
    try:
        row = strict_json.loads(line)
    except strict_json.NotJson as error:
        raise MalformedBody(f"line {number} is not JSON: {error}") from None
    except strict_json.DoubledKey as error:
        raise MalformedBody(f"line {number}: {error} occurs twice in one object") from None
    return unwrapped(row)


def unwrapped(row: Any) -> Any:
    """No feature's value is a list, so this is never a row of a model with a feature called features."""
    if isinstance(row, dict) and row.keys() == {"features"} and isinstance(row["features"], list):
        return row["features"]
    return row


def written(classifier: Classifier, predictions: Predictions, media: Media) -> bytes:
    return lines(answers(classifier, predictions))


def lines(found: list[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE) for answer in found)
