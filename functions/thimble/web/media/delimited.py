"""CSV by the rules of files (`headers`, `textcells`), read with the standard library: the API has no polars.
What would cost a file one record refuses a body.

Delimiter and quote are found. A header is found too, where that can be told, or is there or not as `text/csv;
header=present` or `absent` says; an answer has one unless `Accept: text/csv; header=absent` says otherwise.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import orjson

from thimble import encodings
from thimble.errors import InvalidFile, InvalidInput, MalformedBody, NotAcceptable, UnprocessableRows
from thimble.inference.arrays import FloatArray
from thimble.inference.classifier import Classifier
from thimble.inference.features import Feature
from thimble.inference.head import Head
from thimble.inference.predictions import Predictions, Scores
from thimble.tables import headers, textcells
from thimble.tables.answers import column_names, label_sets
from thimble.tables.textcells import quoted
from thimble.web import tables
from thimble.web.media import Media, utf8
from thimble.web.tables import Table

DELIMITERS = (",", ";", "\t", "|")
QUOTES = ('"', "'")
SAYING = "text/csv; header=present, or header=absent"
CHARSET = "say which charset it has"

Record = tuple[int, list[str]]  # the number of its first line, and its cells


class Layout(NamedTuple):
    """How a model reads the records of a body."""

    width: int
    features: dict[int, int]  # in which column each is
    records: Iterator[Record]  # after a header


@dataclass
class Text:
    text: str
    header: str  # present, absent, or empty: to be found
    lines: Sequence[int] = ()  # of each row, once they are read

    def columns(self, classifier: Classifier, most: int) -> Any:
        X = self._at_once(classifier) if classifier.preprocessing is None else None
        if X is None:
            return self._by_cells(classifier, most)
        n = X.shape[1]
        tables.check(n, most)
        self.lines = range(1, n + 1)
        return X

    def place(self, row: int) -> str:
        return f"line {self.lines[row]}"

    def _at_once(self, classifier: Classifier) -> FloatArray | None:
        """As SageMaker has it: commas, no header, and numbers that JSON writes likewise. None if anything is
        otherwise."""
        lines = self.text.replace("\r\n", "\n").removesuffix("\n")
        if self.header == "present" or "[" in lines or "\r" in lines:
            return None
        try:
            rows = orjson.loads("".join(("[[", lines.replace("\n", "],["), "]]")))
            if not set(map(type, chain.from_iterable(rows))) <= {int, float}:
                return None
            X = np.array(rows, np.float64)
            first = lines.partition("\n")[0].split(",")
            headed = headers.is_header(first, classifier, self.header, SAYING)
        except (ValueError, InvalidFile):  # not JSON, not all of one length, perhaps a header
            return None
        fits = X.ndim == 2 and X.shape[1] == classifier.n_features
        return np.ascontiguousarray(X.T) if fits and not headed else None

    def _by_cells(self, classifier: Classifier, most: int) -> Any:
        layout, n = self._layout(classifier), classifier.n_features
        records = list(layout.records)
        tables.check(len(records), most)
        self.lines, rows = zip(*records, strict=True)
        self._check_widths(rows, layout.width)
        columns = list(zip(*rows, strict=True))
        cells = [columns[layout.features[k]] if k in layout.features else None for k in range(n)]
        found = [self._column(*pair) for pair in zip(classifier.features, cells, strict=True)]
        return np.array(found) if classifier.preprocessing is None else found

    def _check_widths(self, rows: Sequence[list[str]], width: int) -> None:
        for line, cells in zip(self.lines, rows, strict=True):
            if len(cells) != width:
                have = f"{len(cells)} cell{'s' * (len(cells) != 1)}"
                raise UnprocessableRows(f"line {line} has {have}; {width} belong")

    def _records(self, delimiter: str, quote: str) -> Iterator[Record]:
        """All that are not blank."""
        text = io.StringIO(self.text, newline="")
        reader = csv.reader(text, delimiter=delimiter, quotechar=quote, strict=True)
        line = 1
        try:
            for cells in reader:
                if len(cells) > 1 or "".join(cells).strip(textcells.BLANKS):
                    yield line, cells
                line = reader.line_num + 1
        except csv.Error as error:
            raise MalformedBody(f"line {reader.line_num} is not CSV: {error}") from None

    def _layout(self, classifier: Classifier) -> Layout:
        """Of those that make sense to the model, by the likelier quote and any delimiter, the one with the
        most cells."""
        faults: list[tuple[int, InvalidInput]] = []
        for quote in [q for q in QUOTES if q == '"' or q in self.text]:
            if found := [*self._layouts(classifier, quote, faults)]:
                return max(found, key=lambda layout: layout.width)
        (_, by_commas), *_ = faults
        if isinstance(by_commas, MalformedBody):
            raise by_commas
        sentence = str(max(faults, key=itemgetter(0))[1])
        sentence = sentence.partition("; it has ")[0]  # what it has may be data
        if not encodings.is_sound(self.text.partition("\n")[0]):
            raise MalformedBody(f"{sentence}; {CHARSET}")
        raise UnprocessableRows(sentence)

    def _layouts(
        self, classifier: Classifier, quote: str, faults: list[tuple[int, InvalidInput]]
    ) -> Iterator[Layout]:
        for delimiter in [d for d in DELIMITERS if d == "," or d in self.text]:
            first: list[str] = []
            records = self._records(delimiter, quote)
            try:
                line, first = next(records, (0, []))
                yield self._laid_out((line, first), records, classifier)
            except (InvalidFile, MalformedBody) as error:
                faults.append((len(first), error))

    def _laid_out(self, first: Record, others: Iterator[Record], classifier: Classifier) -> Layout:
        _, cells = first
        tables.check(len(cells), len(cells))
        cells = headers.named(cells, classifier)
        if headers.is_header(cells, classifier, self.header, SAYING):
            return Layout(len(cells), headers.features(cells, classifier), others)
        return Layout(len(cells), headers.positions(cells, classifier), chain([first], others))

    def _column(self, feature: Feature, cells: Sequence[str] | None) -> Any:
        if cells is None or feature.type == "unused":
            return [None] * len(self.lines)
        if feature.type == "number" and (numbers := _numbers(cells)) is not None:
            return numbers
        values = [self._value(feature, i, cell) for i, cell in enumerate(cells)]
        return np.array(values, np.float64) if feature.numeric else values

    def _value(self, feature: Feature, row: int, cell: str) -> Any:
        try:
            return textcells.value(feature, feature.name or "a cell", cell)
        except ValueError as error:
            if not encodings.is_sound(cell):
                raise MalformedBody(f"{self.place(row)}: {error}; {CHARSET}") from None
            quoted = (
                f"{textcells.shown(cell.strip(textcells.BLANKS))}, "  # an answer does not repeat the data
            )
            raise UnprocessableRows(f"{self.place(row)}: {str(error).replace(quoted, '')}") from None


def _numbers(cells: Sequence[str]) -> Any:
    """All cells at once, where they are plain numbers: as JSON has them, a subset of what is taken."""
    try:
        values = orjson.loads(f"[{','.join(cells)}]")
    except orjson.JSONDecodeError:
        return None
    if len(values) != len(cells) or not set(map(type, values)) <= {int, float}:
        return None
    return np.array(values, np.float64)


def table(body: bytes, media: Media) -> Table:
    data = utf8(body, media)
    if encodings.is_wide(data):
        raise MalformedBody(f"the body is not UTF-8{_looks_like(data)}; {CHARSET}")
    text = encodings.text(data).removeprefix("\ufeff")
    header = media.parameters.get("header", "")
    if header and header not in headers.SAID:
        raise MalformedBody("the header of text/csv is neither present nor absent")
    return Text(text, header)


def _looks_like(data: bytes) -> str:
    return encodings.sentence(encodings.looks_like(data))


def written(classifier: Classifier, predictions: Predictions, media: Media) -> bytes:
    header = media.parameters.get("header", "present")
    if header not in headers.SAID:
        raise NotAcceptable("the header of the accepted text/csv is neither present nor absent")
    lines = _rows(classifier, predictions)
    if header == "present":
        names = [*column_names(classifier), *(["version"] if predictions.versions else [])]
        lines = [",".join(map(quoted, names)), *lines]
    return "\n".join([*lines, ""]).encode()


def _rows(classifier: Classifier, predictions: Predictions) -> list[str]:
    parts = zip(classifier.heads, predictions.outputs, strict=True)
    several = [_answers(head, scores) for head, scores in parts]
    if predictions.versions:  # a canary's
        several.append(list(predictions.versions))
    return several[0] if len(several) == 1 else list(map(",".join, zip(*several, strict=True)))


def _answers(head: Head, scores: Scores) -> list[str]:
    """Of each row the label, its probability, and every class's; or the labels and every class's."""
    numbers = orjson.dumps(scores.probabilities.T.tolist())[2:-2].decode().split("],[")
    if head.multilabel:
        labels = [quoted(orjson.dumps(found).decode()) for found in label_sets(head, scores)]
        return [f"{label},{p}" for label, p in zip(labels, numbers, strict=True)]
    texts, indices = list(map(quoted, head.texts)), scores.labels.tolist()
    return [f"{texts[k]},{p.split(',')[k]},{p}" for k, p in zip(indices, numbers, strict=True)]
