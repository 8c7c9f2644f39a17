"""Requests in which each row is answered or rejected by itself: read the rows, and write the answer's table.

A CSV is read as in any request. JSON Lines are read as in a file: keys that are no features are passed
through. If the answer has the type of the body, a row's answer stands beside its own columns. The reason for
a rejection does not repeat the row's values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from thimble.inference import strict_json
from thimble.inference.batch import Batch, Fault
from thimble.inference.classifier import Classifier
from thimble.inference.head import Label
from thimble.tables import csv, jsonlines, rows
from thimble.tables.answers import FurtherColumn, LabelColumn, added, cell_text
from thimble.tables.blocks import BOM, Settled
from thimble.tables.cells import Unfit
from thimble.tables.csv import PLAIN, VERSION
from thimble.tables.dialect import Layout
from thimble.tables.rows import Rows, check_size
from thimble.tables.tokens import Dialect, check_quotes

REJECTED = "rejected"


class Each(Protocol):
    """The rows of a request."""

    def batch(self, classifier: Classifier, max_rows: int) -> Batch:
        """Read the rows; one that cannot be read gets a fault.

        Raises UnprocessableRows if they are no table for the model.
        """

    def line(self, row: int) -> int | None:
        """Return the physical line, from 1, on which a row begins; None if the body has no lines."""


def reason(fault: Fault) -> str:
    return f"{fault.field} {fault.discreet}"


def told(asked: Each, found: Settled, row: int) -> str:
    line = asked.line(row)
    return found.rejected[row] if line is None else f"line {line}: {found.rejected[row]}"


def _reserved(classifier: Classifier) -> tuple[str, ...]:
    return (*classifier.schema.answer_columns, VERSION, REJECTED)


class JsonRows(NamedTuple):
    """The rows of a JSON body."""

    table: Rows

    def batch(self, classifier: Classifier, max_rows: int) -> Batch:
        batch = self.table.batch(classifier.schema, max_rows)
        return batch._replace(faults={row: _placed(fault) for row, fault in batch.faults.items()})

    def line(self, row: int) -> int | None:
        return None


def _placed(fault: Fault) -> Fault:
    """Return the fault with its field as it stands in a sentence."""
    return fault._replace(field=fault.field.removeprefix(".") or "the row")


class CsvRows(NamedTuple):
    """The records of a CSV; with `beside`, the answers are written beside them."""

    body: csv.Body
    beside: bool

    def batch(self, classifier: Classifier, max_rows: int) -> Batch:
        taken = _reserved(classifier) if self.beside else ()
        return self.body.records(classifier.schema._replace(answer_columns=taken), max_rows)

    def line(self, row: int) -> int | None:
        return self.body.block.line(self.body.rows[row])


class LineRows:
    """The lines of JSON Lines, lists or objects; with `beside`, the answers are added to objects' keys."""

    def __init__(self, data: bytes, beside: bool) -> None:
        self.beside = beside
        self.lines = [(number, line.strip()) for number, line in jsonlines.filled(data)]
        self.own: set[int] = set()  # the rows that are objects, to which keys can be added

    def batch(self, classifier: Classifier, max_rows: int) -> Batch:
        check_size(len(self.lines), max_rows)
        schema, faults = classifier.schema, dict[int, Fault]()
        taken = _reserved(classifier) if self.beside else ()
        reader = jsonlines.JsonLines(schema._replace(answer_columns=taken), classifier)
        batch = Batch.empty(schema.features, len(self.lines))
        for row, (_, line) in enumerate(self.lines):
            try:
                batch.put(row, self._values(reader, row, line))
            except Unfit as error:
                faults[row] = error.fault
        return batch._replace(faults=faults)

    def line(self, row: int) -> int | None:
        return self.lines[row][0]

    def _values(self, reader: jsonlines.JsonLines, row: int, line: bytes) -> list[Any]:
        if line.startswith(b"{") and reader.schema.names is not None:
            values = reader.values(line)
            self.own.add(row)
            return values
        try:
            return rows.row_values(reader.schema, rows.unwrapped(strict_json.loads(line)))
        except strict_json.NotJson as error:
            raise Unfit(Fault(f"is not JSON: {error}", "the line", malformed=True)) from None
        except strict_json.DoubledKey:
            raise Unfit(Fault("has a key twice in one object", "the row", malformed=True)) from None
        except Unfit as error:
            raise Unfit(_placed(error.fault)) from None


def as_csv(asked: Each, found: Settled, parameters: Mapping[str, str]) -> bytes:
    """Write a record for each row, below a header unless `parameters` say that it is absent."""
    headed = csv.headed(parameters)
    if isinstance(asked, CsvRows) and asked.beside:
        return _beside_records(asked, found, headed)
    lines = [["row", *map(PLAIN.cell, _names(found)), REJECTED]] if headed else []
    lines += [[str(row), *cells] for row, cells in enumerate(_cells(asked, found, PLAIN))]
    return "".join(f"{','.join(cells)}\n" for cells in lines).encode()


def _beside_records(asked: CsvRows, found: Settled, headed: bool) -> bytes:
    """Write each record's own bytes, its answer in the body's dialect, and its own line ending.

    A record that does not fit the header gets empty cells in place of its own.
    """
    body, layout = asked.body, asked.body.layout
    assert layout is not None
    delimiter, lines = layout.dialect.delimiter, list[bytes]()
    if headed:
        own = layout.header
        if own is None:
            own = delimiter.join(layout.dialect.cell(name).encode() for name in layout.names)
        names = [layout.dialect.cell(name).encode() for name in (*_names(found), REJECTED)]
        lines.append(delimiter.join([own, *names]) + layout.dialect.newline)
    for row, cells in enumerate(_cells(asked, found, layout.dialect)):
        record, returned = body.block.record(body.rows[row]), body.block.returns[body.rows[row]]
        own = record if found.answered[row] or _fits(layout, record) else delimiter * (layout.width - 1)
        ending = b"\r\n" if returned else b"\n"
        lines.append(delimiter.join([own, *(cell.encode() for cell in cells)]) + ending)
    return (BOM if body.data.startswith(BOM) else b"") + layout.preface + layout.plain(b"".join(lines))


def _fits(layout: Layout, record: bytes) -> bool:
    try:
        check_quotes(layout.dialect, record)
    except Unfit:
        return False
    return len(layout.cells(record)) == layout.width


def _cells(asked: Each, found: Settled, dialect: Dialect) -> Iterator[list[str]]:
    """Yield for each row the cells of its answer, and a last cell with the reason if it is rejected."""

    def label(value: Label | list[Label] | None) -> str:
        return dialect.cell(cell_text(value))

    answers = zip(*(column for _, column in _columns(found, label, str)), strict=True)
    empty = [""] * len(_names(found))
    for row, answered in enumerate(found.answered.tolist()):
        yield [*next(answers), ""] if answered else [*empty, dialect.cell(told(asked, found, row))]


def as_lines(asked: Each, found: Settled) -> bytes:
    """Write an object for each row: its own keys, or its number, and then the keys of the answer."""

    def label(value: Label | list[Label] | None) -> str:
        return orjson.dumps(value).decode()

    columns = [
        [f",{orjson.dumps(name).decode()}:{value}" for value in column]
        for name, column in _columns(found, label, label)
    ]
    answers = map("".join, zip(*columns, strict=True))
    lines = []
    for row, answered in enumerate(found.answered.tolist()):
        keys = next(answers) if answered else f',"{REJECTED}":{label(told(asked, found, row))}'
        lines.append(_opened(asked, row) + keys.encode() + b"}\n")
    return b"".join(lines)


def _opened(asked: Each, row: int) -> bytes:
    """Return the beginning of a row's object, before the keys of the answer."""
    if isinstance(asked, LineRows) and asked.beside and row in asked.own:
        own = asked.lines[row][1][:-1].rstrip()
        return own if own != b"{" else b'{"row":%d' % row
    return b'{"row":%d' % row


def _names(found: Settled) -> list[str]:
    return csv.answer_names(found.classifier, found.predictions.versions)


def _columns(found: Settled, label: Any, text: Any) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the columns that a file's result adds, as texts; in a canary also each row's version."""
    for column in added(found.classifier, found.predictions):
        if isinstance(column, LabelColumn):
            texts = list(map(label, column.distinct))
            yield column.name, [texts[k] for k in column.which.tolist()]
        elif isinstance(column, FurtherColumn):
            yield column.name, list(map(label, column.cells))
        else:
            yield column.name, _numbers(column.values.tolist())
    if found.predictions.versions:
        yield VERSION, list(map(text, found.predictions.versions))


def _numbers(values: Iterable[float]) -> list[str]:
    return [orjson.dumps(value).decode() for value in values]
