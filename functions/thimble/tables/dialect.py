"""Find the dialect of delimited text and its header, as the sender states them or from the first record.

`header` decides what a header is and which columns are features. Among the dialects that fit the model, the
likelier quote wins, and with it the delimiter that gives the most cells.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from operator import attrgetter
from typing import NamedTuple

from thimble.errors import InvalidFile, InvalidInput
from thimble.inference.features import Schema
from thimble.tables import header
from thimble.tables.blocks import BOM, MAX_RECORD_BYTES
from thimble.tables.cells import BLANKS, COMMA, POINT, Unfit, mark_of
from thimble.tables.header import NoFeatures
from thimble.tables.tokens import Dialect, check_quotes

DELIMITERS = {"csv": (",", ";", "\t", "|"), "tsv": ("\t",)}
QUOTES = ('"', "'")
SEPARATING = ",;\t"
NAMED = {"\t": "tab", " ": "space"}  # blanks, which could be lost
SPELLED = {name: mark for mark, name in NAMED.items()} | {"\\t": "\t"}
QUOTED = SPELLED | {"none": ""}
SAYING = "HEADER, or thimble-header in its metadata, present or absent"
GLANCE = 64 << 10  # bytes that are read first; most first records are short
SEPARATED = re.compile(rb'"?sep=([\t -~])"?(?:\r\n|\n|\r)', re.IGNORECASE)
DECIMALS = {"point": POINT, "comma": COMMA}
LOOKED_AT = 1_000  # records that are read to find the decimal mark
EXCHANGED_TEXT = str.maketrans("\r\n", "\n\r")
EXCHANGED = bytes.maketrans(b"\r\n", b"\n\r")  # exchanges \r and \n, for text whose lines end with \r


@dataclass(frozen=True)
class Given:
    """The sender's options for a table. An empty one is found from the data."""

    delimiter: str = ""
    quote: str = ""  # "none": quotes are ordinary characters
    header: str = ""  # present or absent
    decimal: str = ""  # point or comma

    def __post_init__(self) -> None:
        """Raise InvalidInput for an impossible delimiter, quote, header or decimal mark."""
        if self.header and self.header not in header.SAID:
            raise InvalidInput(f"the header {self.header!r} is neither present nor absent, nor empty")
        if self.decimal and self.decimal not in DECIMALS:
            raise InvalidInput(f"the decimal mark {self.decimal!r} is neither point nor comma, nor empty")
        for name, text in (("delimiter", self.delimiter_mark), ("quote", self.quote_mark)):
            if text and not _is_mark(text):
                raise InvalidInput(
                    f"the {name} {text!r} is not one character of ASCII punctuation, tab or space"
                )
        if self.quote_mark and self.quote_mark == self.delimiter_mark:
            raise InvalidInput(f"the delimiter and the quote are both {self.quote_mark!r}")
        if self.quote_mark and self.quote_mark in SEPARATING and not self.delimiter_mark:
            raise InvalidInput(
                f"the quote {self.quote_mark!r} is what separates cells; if not here, name what does"
            )

    @property
    def delimiter_mark(self) -> str:
        return SPELLED.get(self.delimiter, self.delimiter)

    @property
    def quote_mark(self) -> str:
        return QUOTED.get(self.quote, self.quote)


def _is_mark(text: str) -> bool:
    """Return whether a text can be a delimiter or a quote; characters of numbers cannot."""
    return text == "\t" or (
        len(text) == 1 and " " <= text <= "~" and not text.isalnum() and text not in "+-."
    )


class BrokenHeader(InvalidFile):
    """A header whose quotes are broken."""


class Layout(NamedTuple):
    """How to read the records of delimited text for a model."""

    dialect: Dialect
    names: tuple[str, ...]  # of the columns
    features: dict[int, int]  # a feature's column, by the feature's position in the model
    header: bytes | None  # as it is written, without its line ending
    body: int  # the offset where the records begin
    first_line: int  # the line number of the first record
    returned: bool = False  # lines end with \r alone
    mark: str = POINT  # the decimal mark
    preface: bytes = b""  # a first line that names the delimiter, such as sep=;, as spreadsheets write it

    @property
    def width(self) -> int:
        return len(self.names)

    def plain(self, data: bytes) -> bytes:
        """Return the data with \\n as line ending."""
        return data.translate(EXCHANGED) if self.returned else data

    def cells(self, record: bytes) -> list[str]:
        """Return the cells of a record from `plain` as they were written, without quotes around them."""
        cells = self.dialect.cells(record)
        if self.returned and not {*b"\r\n"}.isdisjoint(record):
            return [cell.translate(EXCHANGED_TEXT) for cell in cells]
        return cells


class First(NamedTuple):
    """The first record that is not blank, read with one dialect."""

    dialect: Dialect
    raw: bytes  # without its line ending
    cells: list[str]
    start: int
    end: int  # the offset after its line ending
    line: int


def find(
    head: bytes, whole: bool, schema: Schema, given: Given, delimiters: tuple[str, ...], way: str = SAYING
) -> Layout:
    """Find the layout of a text from its first bytes, `head` (all of it if `whole`).

    Raises InvalidFile for a faulty header. If the first record may be a header or data, the error names the
    `way` to state which.
    """
    preface, separator = _preface(head)
    if preface:
        if separator == given.quote_mark and not given.delimiter:
            raise InvalidFile(
                f"the first line says that {separator!r} separates cells, and it is said to be the quote"
            )
        bom = BOM if head.startswith(BOM) else b""
        head = bom + head[len(bom + preface) :]
        given = given if given.delimiter else replace(given, delimiter=separator)
    found = _found(head, whole, schema, given, delimiters, way)
    return found._replace(
        mark=DECIMALS.get(given.decimal) or _mark(found, head, whole, schema),
        preface=preface,
        body=found.body + len(preface),
        first_line=found.first_line + bool(preface),
    )


def _mark(layout: Layout, head: bytes, whole: bool, schema: Schema) -> str:
    """Return the decimal mark of the numbers in the first records, a point if there is any doubt."""
    columns = [layout.features[k] for k in layout.features if schema.features[k].type == "number"]
    look = layout.plain(head)[layout.body : layout.body + GLANCE]
    delimiter, quote, _ = layout.dialect
    split = delimiter == COMMA.encode() and not (quote and quote in look)  # no cell can hold a comma
    if not columns or COMMA.encode() not in look or split:
        return POINT
    final = whole and len(head) <= layout.body + GLANCE
    if final and not look.endswith(b"\n"):
        look += b"\n"
    ends = layout.dialect.ends(look, final)[:LOOKED_AT].tolist()
    starts = [0, *(end + 1 for end in ends)]
    lines = [look[start:end].removesuffix(b"\r") for start, end in zip(starts, ends, strict=False)]
    records = [layout.cells(line) for line in lines]
    rows = [cells for cells in records if len(cells) == layout.width]
    return mark_of(cells[column] for cells in rows for column in columns)


def _preface(head: bytes) -> tuple[bytes, str]:
    """Return a first line such as `sep=;` with its line ending, and the delimiter that it names."""
    found = SEPARATED.match(head.removeprefix(BOM))
    mark = found[1].decode() if found else ""
    return (found[0], mark) if found and _is_mark(mark) else (b"", "")


def _found(
    head: bytes, whole: bool, schema: Schema, given: Given, delimiters: tuple[str, ...], way: str
) -> Layout:
    at = head.find(b"\r")
    if at < 0 or b"\n" in head[: at + 2]:
        return _fitting(head, whole, schema, given, delimiters, way)
    by_newlines = None
    if b"\n" in head:
        with suppress(InvalidFile):
            by_newlines = _fitting(head, whole, schema, given, delimiters, way)
    if by_newlines and b"\r" not in head[: by_newlines.body].strip(b"\r\n"):
        return by_newlines
    try:
        found = _fitting(head.translate(EXCHANGED), whole, schema, given, delimiters, way)
    except InvalidFile:
        if by_newlines:  # a name has \r in it
            return by_newlines
        raise
    return found._replace(returned=True)


def _fitting(
    head: bytes, whole: bool, schema: Schema, given: Given, delimiters: tuple[str, ...], way: str
) -> Layout:
    faults: list[tuple[int, InvalidFile]] = []
    for unlikely, dialects in enumerate(_dialects(given, delimiters)):
        layouts: list[Layout] = []
        absent = 0
        for dialect in dialects:
            absent += dialect.delimiter not in head
            if dialect.delimiter not in head and (layouts or absent > 1):
                continue  # without its delimiter the record is one cell, whatever the delimiter is
            first = _first(head, whole, dialect)
            if unlikely and dialect.quote not in first.raw:
                continue
            try:
                layouts.append(_laid_out(first, head, schema, given, way))
            except InvalidFile as error:
                faults.append((len(first.cells), error))
        if layouts:
            return max(layouts, key=attrgetter("width"))
    raise max(faults, key=lambda fault: fault[0])[1]


@cache
def _dialects(given: Given, delimiters: tuple[str, ...]) -> list[list[Dialect]]:
    """Return the dialects that the text may have: a list for each quote, the likelier quote first."""
    marks = (given.delimiter_mark,) if given.delimiter else delimiters
    return [
        [Dialect(mark.encode(), quote.encode()) for mark in marks if mark != quote]
        for quote in ((given.quote_mark,) if given.quote else QUOTES)
    ]


def _first(head: bytes, whole: bool, dialect: Dialect) -> First:
    start = len(BOM) if head.startswith(BOM) else 0
    blanks = BLANKS.encode().replace(dialect.delimiter, b"")
    while (end := head.find(b"\n", start)) >= 0 and not head[start:end].strip(blanks):
        start = end + 1
    line = 1 + head.count(b"\n", 0, start)
    rest = head[start:]
    if not rest and whole:
        raise InvalidFile("the file is empty")
    end = _end(rest[:GLANCE], dialect, whole and len(rest) <= GLANCE) or _end(rest, dialect, whole)
    if not end:
        raise InvalidFile(f"the first record is longer than {MAX_RECORD_BYTES} bytes")
    record = rest[:end].removesuffix(b"\n")
    newline = b"\r\n" if record.endswith(b"\r") else b"\n"
    raw = record.removesuffix(b"\r")
    return First(dialect._replace(newline=newline), raw, dialect.cells(raw), start, start + end, line)


def _end(data: bytes, dialect: Dialect, whole: bool) -> int:
    """Return where the second record begins; 0 if these data do not show it."""
    if dialect.quote and dialect.quote in data:
        ends = dialect.ends(data, whole)[:1].tolist()
    else:
        ends = [data.index(b"\n")] if b"\n" in data else []
    return ends[0] + 1 if ends else len(data) * whole


def _laid_out(first: First, head: bytes, schema: Schema, given: Given, way: str) -> Layout:
    names = header.named(first.cells, schema)
    if header.is_header(names, schema, given.header, way):
        try:
            check_quotes(first.dialect, first.raw, "the header")
        except Unfit as error:
            raise BrokenHeader(error.fault.quoting) from None
        line = first.line + head.count(b"\n", first.start, first.end)
        features = _features(names, schema, "" if given.header else way)
        return Layout(first.dialect, tuple(names), features, first.raw, first.end, line)
    features = header.positions(names, schema)
    names = [f"column {k + 1}" for k in range(len(names))]
    for k, column in features.items():
        names[column] = schema.features[k].name or names[column]
    return Layout(first.dialect, tuple(names), features, None, first.start, first.line)


def _features(names: list[str], schema: Schema, way: str) -> dict[int, int]:
    """Return the column of each feature.

    Raises NoFeatures if some are missing. If none is there, the record may be data; then the error names the
    `way` to state it.
    """
    try:
        return header.features(names, schema)
    except NoFeatures as error:
        may_be_data = len(names) == len(schema.features) and set(names).isdisjoint(schema.names or ())
        if not (way and may_be_data):
            raise
        raise NoFeatures(f"{error.problem}; if the first record is data, say so by {way}", names) from None
