"""CSV by the rules of files (`headers`, `textcells`), read with the standard library: the API has no polars.

The delimiter is found. A header is found too, or is there or not as `text/csv; header=present` or `absent`
says; an answer has one unless `Accept: text/csv; header=absent` says otherwise.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import orjson

from thimble import headers, textcells
from thimble.answers import column_names, label_sets
from thimble.classifier import Classifier, Output, Predictions, label_text
from thimble.errors import InvalidFile, InvalidInput, MalformedBody, UnprocessableRows
from thimble.features import Feature
from thimble.web import tables
from thimble.web.media import Media, utf8
from thimble.web.tables import Table

DELIMITERS = (",", ";", "\t", "|")

Record = tuple[int, list[str]]  # the number of its last line, and its cells


@dataclass(frozen=True)
class Layout:
    """How a model reads the records of a body."""

    delimiter: str
    header: bool
    width: int
    features: dict[int, int]  # in which column each is


@dataclass
class Text:
    text: str
    header: str  # present, absent, or empty: to be found
    lines: Sequence[int] = ()  # of each row, once they are read

    def columns(self, classifier: Classifier, most: int) -> Any:
        layout = self._layout(classifier)
        records = self._records(layout.delimiter)
        if layout.header:
            next(records)
        rows = [record for record in records if _fits(record, layout.width)]
        tables.check(len(rows), most)
        self.lines = [line for line, _ in rows]
        cells = [
            [row[layout.features[k]] for _, row in rows] if k in layout.features else None
            for k in range(classifier.n_features)
        ]
        if classifier.preprocessing is None:
            numbers = _numbers([cell for column in cells for cell in column or ()])
            if numbers is not None:
                return numbers.reshape(classifier.n_features, -1)
        found = [self._column(*pair) for pair in zip(classifier.features, cells, strict=True)]
        return np.array(found) if classifier.preprocessing is None else found

    def place(self, row: int) -> str:
        return f"line {self.lines[row]}"

    def _records(self, delimiter: str) -> Iterator[Record]:
        """All that are not blank."""
        reader = csv.reader(io.StringIO(self.text, newline=""), delimiter=delimiter, strict=True)
        try:
            yield from ((reader.line_num, cells) for cells in reader if cells and cells != [""])
        except csv.Error as error:
            raise MalformedBody(f"line {reader.line_num} is not CSV: {error}") from None

    def _layout(self, classifier: Classifier) -> Layout:
        """Of those that make sense to the model, by any delimiter, the one with the most cells."""
        found: list[Layout] = []
        faults: list[tuple[int, InvalidInput]] = []
        for delimiter in [d for d in DELIMITERS if d == "," or d in self.text]:
            first: list[str] = []
            try:
                _, first = next(self._records(delimiter), (0, []))
                found.append(self._laid_out(delimiter, headers.named(first, classifier), classifier))
            except (InvalidFile, MalformedBody) as error:
                faults.append((len(first), error))
        if found:
            return max(found, key=lambda layout: layout.width)
        (_, by_commas), *_ = faults
        if isinstance(by_commas, MalformedBody):
            raise by_commas
        sentence = str(max(faults, key=itemgetter(0))[1])
        raise UnprocessableRows(sentence.partition("; it has ")[0])  # what it has may be data

    def _laid_out(self, delimiter: str, first: list[str], classifier: Classifier) -> Layout:
        tables.check(len(first), len(first))
        header = self.header == "present" or (
            self.header != "absent" and headers.is_header(first, classifier.feature_names)
        )
        locate = headers.features if header else headers.positions
        return Layout(delimiter, header, len(first), locate(first, classifier))

    def _column(self, feature: Feature, cells: list[str] | None) -> Any:
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
            quoted = (
                f"{textcells.shown(cell.strip(textcells.BLANKS))}, "  # an answer does not repeat the data
            )
            raise UnprocessableRows(f"{self.place(row)}: {str(error).replace(quoted, '')}") from None


def _fits(record: Record, width: int) -> bool:
    line, cells = record
    if len(cells) != width:
        have = f"{len(cells)} cell{'s' * (len(cells) != 1)}"
        raise UnprocessableRows(f"line {line} has {have}; {width} belong")
    return True


def _numbers(cells: list[str]) -> Any:
    """All cells at once, where they are plain numbers: as JSON has them, a subset of what is taken."""
    try:
        values = orjson.loads(f"[{','.join(cells)}]")
    except orjson.JSONDecodeError:
        return None
    if len(values) != len(cells) or not set(map(type, values)) <= {int, float}:
        return None
    return np.array(values, np.float64)


def table(body: bytes, media: Media) -> Table:
    try:
        text = utf8(body, media).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is not UTF-8: byte {error.start}; say which charset it has") from None
    return Text(text, media.parameters.get("header", ""))


def written(classifier: Classifier, predictions: Predictions, media: Media) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if media.parameters.get("header") != "absent":
        writer.writerow([*column_names(classifier), *(["version"] if predictions.versions else [])])
    parts = zip(classifier.outputs, (predictions, *predictions.further), strict=True)
    columns = [column for output, part in parts for column in _answer(output, part)]
    if predictions.versions:  # a canary's
        columns.append(list(predictions.versions))
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue().encode()


def _answer(output: Output, predictions: Predictions) -> Iterator[list[Any]]:
    """A column each: the label, its probability, every class's."""
    p = predictions.probabilities
    if output.multilabel:
        yield [orjson.dumps(labels).decode() for labels in label_sets(output, predictions)]
    else:
        texts = list(map(label_text, output.classes))
        yield [texts[k] for k in predictions.label_indices.tolist()]
        yield p[predictions.label_indices, np.arange(p.shape[1])].tolist()
    yield from p.tolist()
