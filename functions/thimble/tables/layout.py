"""How a delimited file is laid out, found from its first record: delimiter, quote, header, which columns are
features. A delimiter, a quote or a header that was given is not looked for.

`headers` says what a header is, and which columns are features; a missing or doubled one refuses the file.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from operator import itemgetter

from thimble.errors import InvalidFile
from thimble.inference.classifier import Classifier
from thimble.tables import headers, matching
from thimble.tables.answers import column_names
from thimble.tables.appending import BOM
from thimble.tables.blocks import MAX_RECORD_BYTES
from thimble.tables.csv import EXCHANGED, Delimited
from thimble.tables.dialect import Dialect, Given, Tokens

DELIMITERS = {"csv": (",", ";", "\t", "|"), "tsv": ("\t",)}
QUOTES = ('"', "'")
SAYING = "HEADER, present or absent"
GLANCE = 64 << 10  # bytes that are looked at first: most first records are short


@dataclass(frozen=True)
class First:
    """The first record that is not blank, read with one delimiter."""

    dialect: Dialect
    raw: bytes  # without its line ending
    cells: list[str]
    start: int
    end: int  # after its line ending
    line: int


def opened(name: str, head: bytes, whole: bool, classifier: Classifier, given: Given) -> Delimited:
    """The layout of a file that begins with `head` (all of it if `whole`), by the dialect that fits."""
    at = head.find(b"\r")
    if at < 0 or b"\n" in head[: at + 2]:
        return _fitting(name, head, whole, classifier, given)
    if b"\n" in head:
        with suppress(InvalidFile):
            return _fitting(name, head, whole, classifier, given)
    form = _fitting(name, head.translate(EXCHANGED), whole, classifier, given)
    return replace(form, opening=form.opening.translate(EXCHANGED), returned=True)


def _fitting(name: str, head: bytes, whole: bool, classifier: Classifier, given: Given) -> Delimited:
    faults: list[tuple[int, InvalidFile]] = []
    for unlikely, dialects in enumerate(given.dialects(DELIMITERS[name], QUOTES)):
        layouts = []
        for first in (_first(head, whole, dialect) for dialect in dialects):
            if unlikely and first.dialect.quote not in first.raw:
                continue
            try:
                layouts.append((len(first.cells), _laid_out(name, first, head, classifier, given)))
            except InvalidFile as error:
                faults.append((len(first.cells), error))
        if layouts:
            return max(layouts, key=itemgetter(0))[1]
    raise max(faults, key=itemgetter(0))[1]


def _first(head: bytes, whole: bool, dialect: Dialect) -> First:
    start = len(BOM) if head.startswith(BOM) else 0
    while head.startswith((b"\n", b"\r\n"), start):
        start = head.index(b"\n", start) + 1
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
    dialect = replace(dialect, newline=newline)
    return First(dialect, raw, dialect.cells(raw), start, start + end, line)


def _end(data: bytes, dialect: Dialect, whole: bool) -> int:
    """Where the second record begins; 0 if that cannot be seen yet."""
    ends = dialect.ends(data, whole)
    if len(ends):
        return int(ends[0]) + 1
    return len(data) if whole else 0


def _laid_out(name: str, first: First, head: bytes, classifier: Classifier, given: Given) -> Delimited:
    header = headers.named(first.cells, classifier)
    mark = BOM if head.startswith(BOM) else b""
    if headers.is_header(header, classifier, given.header, SAYING):
        tokens, quote = Tokens(first.dialect, first.raw + first.dialect.newline), first.dialect.quote.decode()
        if len(tokens.strays):
            raise InvalidFile(f"the header opens a {quote} that is never closed")
        if len(tokens.torn):
            raise InvalidFile(f"the header has text after a closing {quote}")
        features = matching.features(header, classifier)
        new = column_names(classifier)
        delimiter = first.dialect.delimiter
        opening = mark + delimiter.join([first.raw, *(first.dialect.cell(n).encode() for n in new)])
        opening += first.dialect.newline
        body, line = first.end, first.line + head.count(b"\n", first.start, first.end)
    else:
        features = headers.positions(header, classifier)
        opening, body, line = mark, first.start, first.line
        header = [f"column {k + 1}" for k in range(len(header))]
        for k, column in features.items():
            header[column] = classifier.features[k].name or header[column]
    return Delimited(
        name=name,
        classifier=classifier,
        dialect=first.dialect,
        names=tuple(header),
        features=features,
        opening=opening,
        body=body,
        first_line=line,
    )
