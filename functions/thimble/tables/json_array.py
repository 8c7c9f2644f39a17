"""Read a JSON array of objects. Its elements are read as JSON Lines, and the result is an array again.

The commas between elements are found in bulk, by strings and depth. If an element is not JSON, the whole file
is refused. An element that is JSON but does not fit the model is rejected by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thimble.errors import InvalidFile
from thimble.inference.classifier import Classifier
from thimble.tables import jsonlines
from thimble.tables.blocks import BOM, Answered, Block, Positions
from thimble.tables.dialect import Given
from thimble.tables.jsonlines import JsonLines, schema_of

QUOTE, BACKSLASH, COMMA = ord('"'), ord("\\"), ord(",")
STRUCTURE = bytes(c in b"{}[]," for c in range(256))
DEPTH = np.array([(c in b"{[") - (c in b"}]") for c in range(256)], np.int8)
ONE_LINE = bytes.maketrans(b"\n\r", b"  ")
BLANKS = b" \t\r\n"


@dataclass(frozen=True)
class JsonArray(JsonLines):
    empty: bool = False  # there is nothing between the brackets
    name: str = "json"
    opening: bytes = b"[\n"
    joint: bytes = b",\n"
    closing: bytes = b"\n]\n"

    def cut(self, data: bytes, final: bool) -> Positions:
        """Return the positions of the commas between elements, and in the last block also that of the
        closing bracket.
        """
        buffer = np.frombuffer(data, np.uint8)
        structure = np.flatnonzero(np.frombuffer(data.translate(STRUCTURE), np.bool_))
        structure = structure[np.searchsorted(_quotes(buffer), structure) % 2 == 0]  # outside strings
        depth = np.cumsum(DEPTH[buffer[structure]], dtype=np.int64)
        closing = structure[depth < 0]
        end = int(closing[0]) if len(closing) else len(data)
        if data[end + 1 :].strip(BLANKS):
            raise InvalidFile("there is more in the file after the end of the array")
        if final and end == len(data):
            raise InvalidFile("the array is not closed: the file was cut short, or is not JSON")
        commas = structure[(depth == 0) & (buffer[structure] == COMMA) & (structure < end)]
        return np.append(commas, end) if final else commas

    def complete(self, data: bytes) -> bytes:
        return data

    def classify(self, block: Block) -> Answered:
        answered = super().classify(_as_lines(block))
        if answered.blank and not self.empty:
            raise InvalidFile("the array is not JSON: an element is missing before or after a comma")
        return answered._replace(result=answered.result.replace(b"\n", b",\n")[:-2])

    def _no_json(self, reason: str) -> Exception:
        return InvalidFile(f"an element of the array is not JSON: {reason}")


def _quotes(buffer: NDArray[np.uint8]) -> Positions:
    """Return the quotes that begin and end strings: those that no backslash escapes."""
    quotes = np.flatnonzero(buffer == QUOTE)
    backslashes = np.flatnonzero(buffer == BACKSLASH)
    if not len(backslashes):
        return quotes
    runs = np.flatnonzero(np.diff(backslashes, prepend=-2) != 1)  # where a run of backslashes begins
    lengths = np.diff(runs, append=len(backslashes))
    after = backslashes[runs] + lengths
    return quotes[~np.isin(quotes, after[lengths % 2 == 1])]


@dataclass(frozen=True)
class Elements(Block):
    """Elements as lines, without the text between them; `array` gives their places in the file."""

    array: Block

    def line(self, i: int) -> int:
        start, end = self.array.starts[i], self.array.ends[i]
        blank = end - start - len(self.array.data[start:end].lstrip(BLANKS))
        return self.array.line_at(start + blank)


def _as_lines(block: Block) -> Elements:
    data = block.data.translate(ONE_LINE)
    bounds = zip(block.starts.tolist(), block.ends.tolist(), strict=True)
    elements = [data[start:end].strip() for start, end in bounds]
    lengths = np.fromiter(map(len, elements), np.intp, len(elements))
    return Elements(b"\n".join([*elements, b""]), np.cumsum(lengths + 1) - 1, block.first_line, block)


def open_file(head: bytes, whole: bool, classifier: Classifier, given: Given) -> JsonLines:
    """Open an array, or JSON Lines in a file named .json, as some tools write it."""
    mark = len(BOM) if head.startswith(BOM) else 0
    start = len(head) - len(head[mark:].lstrip(BLANKS))
    if head[start : start + 1] != b"[":
        lines = jsonlines.open_file(head, whole, classifier, given)
        if jsonlines.is_record(head[start:].split(b"\n", 1)[0], lines.schema):
            return lines
        raise InvalidFile(
            "the file begins neither as an array of objects nor as JSON Lines, an object a line"
        )
    return JsonArray(
        schema_of(classifier),
        classifier,
        body=start + 1,
        first_line=1 + head.count(b"\n", 0, start),
        empty=head[start + 1 :].lstrip(BLANKS).startswith(b"]"),
    )
