"""CSV by the rules of files (`headers`, `textcells`), read with the standard library: the API has no polars.

The delimiter is found. A header is found too, or is there or not as `text/csv; header=present` or `absent`
says; an answer has one unless `Accept: text/csv; header=absent` says otherwise.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import orjson

from thimble import headers, textcells
from thimble.answers import column_names, label_sets
from thimble.classifier import Classifier, Output, Predictions
from thimble.errors import InvalidFile, InvalidInput, MalformedBody, UnprocessableRows
from thimble.features import Feature
from thimble.web import tables
from thimble.web.media import Media, utf8
from thimble.web.tables import Table

DELIMITERS = (",", ";", "\t", "|")

Record = tuple[int, list[str]]  # the number of its last line, and its cells


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
        layout = self._layout(classifier)
        rows = [record for record in layout.records if _fits(record, layout.width)]
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
            records = self._records(delimiter)
            try:
                line, first = next(records, (0, []))
                found.append(self._laid_out((line, first), records, classifier))
            except (InvalidFile, MalformedBody) as error:
                faults.append((len(first), error))
        if found:
            return max(found, key=lambda layout: layout.width)
        (_, by_commas), *_ = faults
        if isinstance(by_commas, MalformedBody):
            raise by_commas
        sentence = str(max(faults, key=itemgetter(0))[1])
        raise UnprocessableRows(sentence.partition("; it has ")[0])  # what it has may be data

    def _laid_out(self, first: Record, others: Iterator[Record], classifier: Classifier) -> Layout:
        _, cells = first
        tables.check(len(cells), len(cells))
        cells = headers.named(cells, classifier)
        if self.header == "present" or (
            self.header != "absent" and headers.is_header(cells, classifier.feature_names)
        ):
            return Layout(len(cells), headers.features(cells, classifier), others)
        return Layout(len(cells), headers.positions(cells, classifier), chain([first], others))

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
        text = utf8(body, media).decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is not UTF-8: byte {error.start}; say which charset it has") from None
    return Text(text, media.parameters.get("header", ""))


def written(classifier: Classifier, predictions: Predictions, media: Media) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if media.parameters.get("header") != "absent":
        writer.writerow([*column_names(classifier), *(["version"] if predictions.versions else [])])
    writer.writerows(_rows(classifier, predictions))
    return text.getvalue().encode()


def _rows(classifier: Classifier, predictions: Predictions) -> Iterable[list[Any]]:
    parts = zip(classifier.outputs, (predictions, *predictions.further), strict=True)
    several = [_answers(output, part) for output, part in parts]
    if predictions.versions:  # a canary's
        several.append([[version] for version in predictions.versions])
    return (
        several[0] if len(several) == 1 else map(list, map(chain.from_iterable, zip(*several, strict=True)))
    )


def _answers(output: Output, predictions: Predictions) -> list[list[Any]]:
    """Of each row the label, its probability, and every class's; or the labels and every class's."""
    numbers = predictions.probabilities.T.tolist()
    if output.multilabel:
        labels = label_sets(output, predictions)
        return [[orjson.dumps(found).decode(), *p] for found, p in zip(labels, numbers, strict=True)]
    texts, indices = output.class_texts, predictions.label_indices.tolist()
    return [[texts[k], p[k], *p] for k, p in zip(indices, numbers, strict=True)]
