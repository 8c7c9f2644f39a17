"""Read and write CSV and its dialects, for both doors: records of delimited cells, with or without a header.

Columns are read in bulk: in files with polars, in requests without it. A record that cannot be read in bulk
is read by itself, by the same rules. A file's result keeps each record's own bytes and adds the cells of the
answer, so every column comes back unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import chain
from operator import itemgetter

import numpy as np
import orjson

from thimble import encodings
from thimble.errors import InvalidFile, MalformedBody, NotAcceptable, UnprocessableRows
from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Batch, Fault, Flags, Value
from thimble.inference.classifier import Classifier
from thimble.inference.features import Feature, Schema
from thimble.inference.head import Head
from thimble.inference.predictions import Predictions, Scores
from thimble.tables import dialect, header
from thimble.tables.answers import Classified, cell_text, column_names, further_columns, label_sets
from thimble.tables.blocks import BOM, Block, Once, Positions, Source, TextReader
from thimble.tables.cells import BLANKS, POINT, Unfit, cell_value, missing, with_point
from thimble.tables.dialect import BrokenHeader, Given, Layout
from thimble.tables.header import NoFeatures
from thimble.tables.rows import NUMBERS, alone, check_size
from thimble.tables.tokens import DAMAGED, RETURN, Dialect, Tokens, check_quotes

SAYING = "text/csv; header=present, or header=absent"
POINTS = "an answer of text/csv has decimal points; accept it without decimal, or with decimal=point"
CHARSET = "say which charset it has"
DELIMITERS = dialect.DELIMITERS["csv"]
VERSION = "version"  # the column of each row's version in a canary
PLAIN = Dialect(b",")
GUESSED_RECORDS = 64  # read to guess where records begin
FEW = 8  # up to so many records are read one by one, which is faster

Columns = Callable[
    [Schema, Layout, Tokens, int], tuple[Batch, Flags]
]  # returns the batch, and a mask of the rows that have to be read one by one


def read(schema: Schema, layout: Layout, block: Block, columns: Columns) -> Batch:
    """Read the records of a block: in bulk by `columns`, the others one by one."""
    n, quote = len(block.ends), layout.dialect.quote
    if n > FEW or (quote and quote in block.data):
        batch, alone = _in_bulk(schema, layout, block, columns)
        records = [block.record(row) for row in alone]
    else:
        batch, alone = Batch.empty(schema.features, n), range(n)
        records = [line.removesuffix(b"\r") for line in block.data.split(b"\n")[:-1]]
    faults, blank = dict[int, Fault](), set[int]()
    for row, record in zip(alone, records, strict=True):
        if not record.strip() and _is_blank(layout, record):
            blank.add(row)
            continue
        try:
            batch.put(row, _values(schema, layout, record))
        except Unfit as error:
            faults[row] = error.fault
    return batch._replace(faults=faults, blank=frozenset(blank))


def _in_bulk(schema: Schema, layout: Layout, block: Block, columns: Columns) -> tuple[Batch, Sequence[int]]:
    """Return the batch, and the rows of the records that have to be read one by one."""
    tokens = Tokens(layout.dialect, block.data)
    fits = _fitting(layout, block, tokens)
    kept = block.only(fits)
    plain = (tokens if kept is block else Tokens(layout.dialect, kept.data)).plain
    batch, doubtful = columns(schema, layout, plain, len(kept.ends))
    alone = ~fits
    alone[fits] = doubtful
    return batch.spread(fits), np.flatnonzero(alone).tolist()


def _fitting(layout: Layout, block: Block, tokens: Tokens) -> Flags:
    """Return a mask of the records with the right number of cells and no broken quotes or inner line ends."""
    n, width, broken = len(block.ends), layout.width, np.concatenate((tokens.strays, tokens.torn))
    if layout.returned and b"\r" in block.data:
        broken = np.append(broken, np.flatnonzero(np.frombuffer(block.data, np.uint8) == RETURN))
    if len(broken) == 0 and width > 1 and tokens.even(n, width):
        return np.ones(n, np.bool_)
    fits: Flags = tokens.widths == width
    fits[np.searchsorted(block.ends, broken)] = False
    return fits & ~block.blank


def _is_blank(layout: Layout, record: bytes) -> bool:
    """Return whether a line is blank. In a table of one column, blanks are a cell."""
    blanks = b"" if layout.width == 1 else BLANKS.encode().replace(layout.dialect.delimiter, b"")
    return not record.strip(blanks)


def _values(schema: Schema, layout: Layout, record: bytes) -> list[Value]:
    """Return a record's feature values. Raises Unfit for the first thing that is wrong."""
    check_quotes(layout.dialect, record)
    texts, features = layout.cells(record), layout.features
    if len(texts) != layout.width:
        raise Unfit(Fault(f"has {_cells(len(texts))}, where {_cells(layout.width)} belong", "the record"))
    return [
        cell_value(feature, layout.names[features[k]], texts[features[k]], layout.mark)
        if k in features
        else None
        for k, feature in enumerate(schema.features)
    ]


def _cells(n: int) -> str:
    return "1 cell" if n == 1 else f"{n} cells"


def plain_columns(schema: Schema, layout: Layout, plain: Tokens, n: int) -> tuple[Batch, Flags]:
    """Read the columns of n records without quotes; return the batch, and a mask of the rows that have to be
    read one by one.
    """
    batch, width = Batch.empty(schema.features, n), layout.width
    if n == 0 or not plain.even(n, width):
        return batch, np.ones(n, np.bool_)
    delimiter = layout.dialect.delimiter.decode()
    cells = plain.data.decode().replace("\r\n", "\n").replace("\n", delimiter).split(delimiter)
    doubtful = np.zeros(n, np.bool_)
    for k, column in layout.features.items():
        feature = schema.features[k]
        if feature.type == "unused":
            continue
        found = cells[column : n * width : width]
        if feature.type == "number" and (numbers := _plain_numbers(feature, found, layout.mark)) is not None:
            batch.numbers[k] = numbers
            continue
        values, unfit = _by_distinct_cells(feature, found, layout.mark)
        if feature.textual:
            batch.texts[k][:] = values
        else:
            batch.numbers[k] = np.array(values, np.float64)
        if unfit:
            doubtful |= np.array([cell in unfit for cell in found], np.bool_)
    return batch, doubtful


def _plain_numbers(feature: Feature, cells: Sequence[str], mark: str) -> FloatArray | None:
    """Read all cells at once, if all are written as numbers in JSON; return None otherwise."""
    types = {int, float}
    if feature.missing:
        absent = frozenset(missing(feature))
        if not absent.isdisjoint(cells):
            cells, types = ["null" if cell in absent else cell for cell in cells], {*types, type(None)}
    cells = [with_point(cell, mark) for cell in cells] if mark != POINT else cells
    try:
        values = orjson.loads(f"[{','.join(cells)}]")
    except orjson.JSONDecodeError:
        return None
    if len(values) != len(cells) or not set(map(type, values)) <= types:
        return None
    return np.array(values, np.float64)  # None becomes NaN


def _by_distinct_cells(feature: Feature, cells: Sequence[str], mark: str) -> tuple[list[Value], set[str]]:
    """Return the values, and the cells that are unfit or have to be read from the record itself."""
    known, unfit = dict[str, Value](), set[str]()
    for cell in set(cells):
        try:
            known[cell] = cell_value(feature, "", cell, mark)
        except Unfit:
            unfit.add(cell)
        if DAMAGED in cell:
            unfit.add(cell)
    return list(map(known.get, cells)), unfit


# Door two: files.


@dataclass(frozen=True)
class Csv(TextReader):
    """The reader of a file of delimited records."""

    name: str
    schema: Schema
    classifier: Classifier
    layout: Layout
    opening: bytes  # the header with the names of the answer's columns, if there is a header
    joint: bytes = b""
    closing: bytes = b""
    source: Source = field(default_factory=Once)

    @property
    def body(self) -> int:
        return self.layout.body

    @property
    def first_line(self) -> int:
        return self.layout.first_line

    def plain(self, data: bytes) -> bytes:
        return self.layout.plain(data)

    def cut(self, data: bytes, final: bool) -> Positions:
        return self.layout.dialect.ends(data, final)

    def complete(self, data: bytes) -> bytes:
        return data + self.layout.dialect.newline

    def second_record(self, look: bytes, final: bool) -> int | None:
        """Return where a record most likely begins: after a newline that is not in a quoted field.

        If there are quotes, the bytes are read twice: as if they began outside a quoted field, and inside
        one. The reading with the better records counts.
        """
        quote = self.layout.dialect.quote
        if not quote or quote not in look:
            return super().second_record(look, final)
        ways = [self._begun(opening + look, final) for opening in (b"x", quote)]
        found = [way for way in ways if way is not None]
        return max(found, key=itemgetter(1))[0] if found else None

    def _begun(self, data: bytes, final: bool) -> tuple[int, int] | None:
        """Return where the second record begins, without the byte put before the data, and how many more of
        the records after it are good than bad; None without a record.
        """
        ends = self.cut(data, final)[: GUESSED_RECORDS + 1]
        if not len(ends):
            return None
        records = data[int(ends[0]) + 1 : int(ends[-1]) + 1]
        block, quote = Block(records, ends[1:] - ends[0] - 1, 0), self.layout.dialect.quote
        tokens = Tokens(self.layout.dialect, records)
        stray = np.array([quote in record for record in tokens.bare.split(b"\n")[:-1]], np.bool_)
        fits = ((tokens.widths == self.layout.width) & ~stray) | block.blank
        return int(ends[0]), int(fits.sum()) - int((~fits).sum())

    def batch(self, block: Block) -> Batch:
        from thimble.tables import fast  # polars, which only the file functions have

        return read(self.schema, self.layout, block, fast.csv_columns)

    def append(self, block: Block, predictions: Predictions) -> bytes:
        """Return each record's own bytes, the cells of its answer, and its own line ending."""
        from thimble.tables import fast

        return self.plain(fast.append_cells(block, self.classifier, predictions, self.layout.dialect))


def open_file(name: str, head: bytes, whole: bool, classifier: Classifier, given: Given) -> Csv:
    """Open a file by its first bytes, `head` (all if `whole`). Raises InvalidFile if no dialect fits."""
    schema = classifier.schema
    layout = dialect.find(head, whole, schema, given, dialect.DELIMITERS[name])
    opening = (BOM if head.startswith(BOM) else b"") + layout.preface
    if layout.header is not None:
        names = [layout.header, *(layout.dialect.cell(answer).encode() for answer in schema.answer_columns)]
        opening += layout.plain(layout.dialect.delimiter.join(names) + layout.dialect.newline)
    return Csv(name, schema, classifier, layout, opening)


# Door one: requests.


class Body:
    """The CSV of a request's body."""

    def __init__(self, data: bytes, said: str = "", decimal: str = "") -> None:
        """`said` is "present" or "absent" for the header, `decimal` "point" or "comma"; "" is not stated."""
        self.data = data
        self.said = said
        self.decimal = decimal
        self.layout: Layout | None = None
        self.block: Block  # set by `records`
        self.rows: Sequence[int] = ()  # the index of each row's record in the block

    def batch(self, schema: Schema, max_rows: int) -> Batch:
        found = self._bare_numbers(schema) if schema.only_numbers else None
        if found is None:
            return self.records(schema._replace(answer_columns=()), max_rows)
        check_size(len(found), max_rows)
        return Batch(np.ascontiguousarray(np.array(found, np.float64).T), {})

    def alone(self, schema: Schema) -> Sequence[Value] | None:
        if self.data.find(b"\n", 0, -1) >= 0 or not schema.only_numbers:
            return None
        found = self._bare_numbers(schema)
        return alone(schema, found) if found else None

    def place(self, row: int, field: str = "") -> str:
        line = self.block.line(self.rows[row]) if self.rows else row + 1
        return f"line {line}: {field}" if field else f"line {line}"

    def _bare_numbers(self, schema: Schema) -> list[list[float]] | None:
        """Read a body of numbers and commas without a header, as SageMaker sends it; None for any other."""
        lines = self.data.removeprefix(BOM).replace(b"\r\n", b"\n").removesuffix(b"\n")
        if self.said == "present" or b"[" in lines or b"\r" in lines:
            return None
        try:
            rows: list[list[float]] = orjson.loads(b"".join((b"[[", lines.replace(b"\n", b"],["), b"]]")))
            if not NUMBERS.issuperset(map(type, chain.from_iterable(rows))):
                return None
            first = lines.partition(b"\n")[0].decode().split(",")
            headed = header.is_header(first, schema, self.said, SAYING)
        except (ValueError, InvalidFile):  # not JSON, perhaps a header
            return None
        fits = set(map(len, rows)) == {len(schema.features)}
        return rows if fits and not headed else None

    def records(self, schema: Schema, max_rows: int) -> Batch:
        """Read every record; one that cannot be read gets a fault, and blank lines are left out.

        No column may have the name of one of the schema's `answer_columns`.
        """
        self.layout = layout = self._layout(schema)
        data = layout.plain(self.data)[layout.body :]
        if not data.endswith(b"\n"):
            data += layout.dialect.newline
        self.block = Block(data, layout.dialect.ends(data, final=True), layout.first_line)
        batch = read(schema, layout, self.block, plain_columns)
        check_size(batch.rows - len(batch.blank), max_rows)
        faults = {row: _for_http(fault) for row, fault in batch.faults.items()}
        if not batch.blank:
            self.rows = range(batch.rows)
            return batch._replace(faults=faults) if faults else batch
        filled = np.ones(batch.rows, np.bool_)
        filled[[*batch.blank]] = False
        self.rows = np.flatnonzero(filled).tolist()
        places = {record: row for row, record in enumerate(self.rows)}
        return batch.take(filled)._replace(faults={places[row]: fault for row, fault in faults.items()})

    def _layout(self, schema: Schema) -> Layout:
        """Find the layout.

        The names for faults are the model's, or else numbers: a header's own names may be data.
        """
        if not self.data.strip():
            check_size(0, 0)
        try:
            layout = dialect.find(
                self.data, True, schema, _given(self.said, self.decimal), DELIMITERS, SAYING
            )
        except BrokenHeader as error:
            raise MalformedBody(str(error)) from None
        except InvalidFile as error:
            sentence = error.problem if isinstance(error, NoFeatures) else str(error)
            if not encodings.is_sound(encodings.text(self.data.partition(b"\n")[0])):
                raise MalformedBody(f"{sentence}; {CHARSET}") from None
            raise UnprocessableRows(sentence) from None
        if schema.names is not None:
            return layout
        return layout._replace(names=tuple(f"column {k + 1}" for k in range(layout.width)))


@cache
def _given(said: str, decimal: str) -> Given:
    return Given(header=said, decimal=decimal)


def _for_http(fault: Fault) -> Fault:
    if encodings.said(fault.problem) is None:
        return fault
    return fault._replace(problem=f"{fault.problem}; {CHARSET}")


def body(data: bytes, parameters: Mapping[str, str]) -> Body:
    """Return a request's body, to be read later.

    Raises MalformedBody if it is not UTF-8, or if a parameter of the media type is not valid.
    """
    if encodings.is_wide(data):
        looks = encodings.sentence(encodings.looks_like(data))
        raise MalformedBody(f"the body is not UTF-8{looks}; {CHARSET}")
    said = parameters.get("header", "")
    if said and said not in header.SAID:
        raise MalformedBody("the header of text/csv is neither present nor absent")
    decimal = parameters.get("decimal", "")
    if decimal and decimal not in dialect.DECIMALS:
        raise MalformedBody("the decimal of text/csv is neither point nor comma")
    return Body(data, said, decimal)


def written(answered: Classified, parameters: Mapping[str, str]) -> bytes:
    """Write the answers, with a header unless `parameters` say that it is absent."""
    said, lines = headed(parameters), _lines(answered)
    if said:
        lines = [",".join(map(PLAIN.cell, answer_names(answered.classifier, answered.versions))), *lines]
    return "\n".join([*lines, ""]).encode()


def headed(parameters: Mapping[str, str]) -> bool:
    """Return whether the accepted text/csv has a header. Raises NotAcceptable for an invalid parameter."""
    said = parameters.get("header", "present")
    if said not in header.SAID:
        raise NotAcceptable("the header of the accepted text/csv is neither present nor absent")
    if parameters.get("decimal", "point") != "point":
        raise NotAcceptable(POINTS)
    return said == "present"


def answer_names(classifier: Classifier, versions: Sequence[str]) -> list[str]:
    """Return the names of the answer's columns; in a canary the version is the last."""
    return [*column_names(classifier), *([VERSION] if versions else [])]


def _lines(answered: Classified) -> list[str]:
    classifier = answered.classifier
    if answered.alone is not None:
        label, numbers = answered.alone
        texts = _class_cells(classifier.heads[0].texts)
        return _labelled(texts, [label], [orjson.dumps(numbers)[1:-1].decode()])
    predictions = answered.predictions
    parts = zip(classifier.heads, predictions.outputs, strict=True)
    several = [_answers(head, scores) for head, scores in parts]
    for column in further_columns(classifier, predictions):
        several.append([PLAIN.cell(cell_text(cell)) for cell in column.cells])
    if predictions.versions:  # in a canary
        several.append(list(predictions.versions))
    return several[0] if len(several) == 1 else list(map(",".join, zip(*several, strict=True)))


@lru_cache
def _class_cells(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(PLAIN.cell, texts))


def _labelled(texts: Sequence[str], labels: list[int], numbers: list[str]) -> list[str]:
    """Return each row's cells: the label, its number, and the number of each class."""
    return [f"{texts[k]},{p.split(',')[k]},{p}" for k, p in zip(labels, numbers, strict=True)]


def _answers(head: Head, scores: Scores) -> list[str]:
    """Return each row's cells as text: the label, its probability and that of each class, or for a
    multilabel output the labels and the probability of each.
    """
    numbers = orjson.dumps(scores.probabilities.T.tolist())[2:-2].decode().split("],[")
    if head.multilabel:
        labels = [PLAIN.cell(orjson.dumps(found).decode()) for found in label_sets(head, scores)]
        return [f"{label},{p}" for label, p in zip(labels, numbers, strict=True)]
    texts, indices = _class_cells(head.texts), scores.labels.tolist()
    found = _labelled(texts, indices, numbers)
    for row in np.flatnonzero(scores.abstained).tolist() if scores.abstained is not None else ():
        found[row] = found[row][len(texts[indices[row]]) :]
    return found
