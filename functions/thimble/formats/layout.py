"""How a delimited file is laid out, found from its first record: delimiter, quote, header, which columns are
features. A delimiter or a quote that was given is not looked for.

The first record is a header if it names the features, or if no cell of it is a number. With a header and a
model that knows its features' names, columns are matched by name, in any order, and a missing or doubled one
refuses the file. Where the model has no names, its features are the first columns that are not called id.
Without a header, they are all the columns, or, among more columns, exactly those that hold a number in the
first record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import itemgetter

from thimble.answers import column_names
from thimble.classifier import Classifier
from thimble.errors import InvalidFile
from thimble.formats import matching
from thimble.formats.cells import is_number
from thimble.formats.delimited import Delimited
from thimble.formats.dialect import Dialect, Given
from thimble.formats.joining import BOM
from thimble.formats.records import MAX_RECORD_BYTES

DELIMITERS = {"csv": (",", ";", "\t", "|"), "tsv": ("\t",)}
QUOTES = ('"', "'")
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
    _refuse_other_encodings(head)
    faults: list[tuple[int, InvalidFile]] = []
    for dialects in given.dialects(DELIMITERS[name], QUOTES):
        layouts = []
        for first in (_first(head, whole, dialect) for dialect in dialects):
            try:
                layouts.append((len(first.cells), _laid_out(name, first, head, classifier)))
            except InvalidFile as error:
                faults.append((len(first.cells), error))
        if layouts:
            return max(layouts, key=itemgetter(0))[1]
    raise max(faults, key=itemgetter(0))[1]


def _refuse_other_encodings(head: bytes) -> None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in head[:GLANCE].split(b"\n", 1)[0]:
        raise InvalidFile("the file is not UTF-8 text: its first bytes look like UTF-16 or binary data")


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


def _laid_out(name: str, first: First, head: bytes, classifier: Classifier) -> Delimited:
    header = [cell.strip() for cell in first.cells]
    mark = BOM if head.startswith(BOM) else b""
    if _is_header(header, classifier.feature_names):
        features = matching.features(header, classifier)
        new = column_names(classifier)
        delimiter = first.dialect.delimiter
        opening = mark + delimiter.join([first.raw, *(first.dialect.cell(n).encode() for n in new)])
        opening += first.dialect.newline
        body, line = first.end, first.line + head.count(b"\n", first.start, first.end)
    else:
        features = _positions(header, classifier)
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


def _is_header(cells: list[str], names: tuple[str, ...] | None) -> bool:
    if not any(map(is_number, cells)):
        return True
    if names is not None:
        return set(names) <= set(cells) or any(name in cells and not is_number(name) for name in names)
    numbers = cells[1:] if cells[0] in matching.IDENTIFIERS else cells
    return len(numbers) > 1 and numbers == [str(k) for k in range(len(numbers))]  # as pandas names columns


def _positions(cells: list[str], classifier: Classifier) -> dict[int, int]:
    """In which column each feature is, if the first record is no header."""
    n = classifier.n_features
    if len(cells) == n:
        return dict(enumerate(range(n)))
    numbers = [k for k, cell in enumerate(cells) if is_number(cell)]
    if len(numbers) == n and all(feature.type == "number" for feature in classifier.features):
        return dict(enumerate(numbers))
    raise InvalidFile(
        f"the file has no header, and the {n} features cannot be told among the {len(cells)} cells of its "
        f"first record, of which {len(numbers)} are numbers: add a header, or leave only the features"
    )
