"""Tokenize delimited text: find quoted fields, and the ends of cells and records.

The rules are those of RFC 4180, and of Python's csv module where the RFC leaves them open. A quote opens a
field only as the field's first byte. Two quotes inside a quoted field stand for one. Any other quote is an
ordinary character. A quote that is not closed within MAX_RECORD_BYTES, or before the end of the file, opens
nothing, so a stray quote costs its own record and not the rest of the file. A record with text after a
closing quote is rejected too.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble import encodings
from thimble.inference.batch import Fault, Flags
from thimble.tables.blocks import MAX_RECORD_BYTES, Positions, is_utf8
from thimble.tables.cells import Unfit

NEWLINE, RETURN = ord("\n"), ord("\r")
DAMAGED = "\x1f"  # in a cell: stands for bytes that have to be read from the record itself
ASCII = bytes(range(128)) + DAMAGED.encode() * 128


class Dialect(NamedTuple):
    """The delimiter, quote and line ending of a text."""

    delimiter: bytes  # one byte
    quote: bytes = b'"'  # one byte; b"": quotes are ordinary characters
    newline: bytes = b"\n"  # or b"\r\n"

    def quoted(self, data: bytes, final: bool) -> Quoted | None:
        """Return the quoted fields; None if the data have no quote at all."""
        if not self.quote or self.quote not in data:
            return None
        return quoted(data, ord(self.quote), ord(self.delimiter), final)

    def ends(self, data: bytes, final: bool) -> Positions:
        """Return the positions of the newlines that end records."""
        newlines = np.flatnonzero(np.frombuffer(data, np.uint8) == NEWLINE)
        fields = self.quoted(data, final)
        return newlines if fields is None else newlines[~fields.inside(newlines)]

    def cells(self, record: bytes) -> list[str]:
        """Return a record's cells, without the quotes around them."""
        if not self.quote or self.quote not in record:
            return encodings.text(record).split(self.delimiter.decode())
        return [
            self._unquoted(encodings.text(record[before + 1 : end]))
            for before, end in pairwise([-1, *self._separators(record), len(record)])
        ]

    def fields(self, record: bytes) -> Fields:
        """Return the quoted fields of one record."""
        return _one_by_one(record, _places(record, self.quote), ord(self.delimiter), final=True)

    def _separators(self, record: bytes) -> Iterator[int]:
        """Yield the positions of the delimiters between a record's cells."""
        fields = iter(zip(*self.fields(record)[:2], strict=True))
        opening, close = next(fields, (len(record), len(record)))
        for position in _places(record, self.delimiter):
            while close < position:
                opening, close = next(fields, (len(record), len(record)))
            if position < opening:
                yield position

    def _unquoted(self, text: str) -> str:
        quote = self.quote.decode()
        if len(text) > 1 and text.startswith(quote) and text.endswith(quote):
            inner = text[1:-1]
            if quote not in inner.replace(2 * quote, ""):
                return inner.replace(2 * quote, quote)
        return text

    def cell(self, text: str) -> str:
        """Return a text as a cell, in quotes if it needs them."""
        quote = self.quote.decode() or '"'
        if any(c in text for c in (self.delimiter.decode(), quote, "\n", "\r")):
            return quote + text.replace(quote, quote * 2) + quote
        return text


def check_quotes(dialect: Dialect, record: bytes, name: str = "the record") -> None:
    """Raise Unfit for a record with a quote that is never closed, or with text after a closing quote."""
    if not dialect.quote or dialect.quote not in record:
        return
    fields, quote = dialect.fields(record), dialect.quote.decode()
    if fields.strays:
        raise Unfit(Fault(f"opens a {quote} that is never closed", name, malformed=True))
    rest = record + dialect.newline
    if not all(rest.startswith((dialect.delimiter, b"\n", b"\r\n"), close + 1) for close in fields.closes):
        raise Unfit(Fault(f"has text after a closing {quote}", name, malformed=True))


def _places(record: bytes, mark: bytes) -> list[int]:
    places, at = list[int](), record.find(mark)
    while at >= 0:
        places.append(at)
        at = record.find(mark, at + 1)
    return places


class Tokens:
    """The cells and quoted fields of whole records; all positions are offsets in the data."""

    def __init__(self, dialect: Dialect, data: bytes) -> None:
        self.dialect = dialect
        self.data = data

    @cached_property
    def separators(self) -> Positions:
        """The delimiters between cells and the newlines between records."""
        found = self._separating if self._inside is None else self._separating & ~self._inside
        return np.flatnonzero(found)

    def even(self, n: int, width: int) -> bool:
        """Return whether the data are n records of `width` cells each."""
        last = self.separators[width - 1 :: width]
        return len(self.separators) == n * width and bool((self._buffer[last] == NEWLINE).all())

    @property
    def strays(self) -> Positions:
        """The quotes that open a field and are never closed."""
        return np.empty(0, np.intp) if self._fields is None else self._fields.strays

    @property
    def torn(self) -> Positions:
        """The closing quotes that have more text after them in their cell."""
        if self._fields is None:
            return np.empty(0, np.intp)
        return self._fields.closes[~self._end_cells]

    @property
    def widths(self) -> Positions:
        """The number of cells in each record, (n,)."""
        newlines = np.flatnonzero(self._buffer[self.separators] == NEWLINE)
        return np.diff(newlines, prepend=-1)

    @property
    def bare(self) -> bytes:
        """The data in UTF-8, without the quotes around cells.

        DAMAGED stands for bytes that would then be misread: a newline, a delimiter or a quote within a cell,
        and bytes that are not UTF-8.
        """
        if self._fields is None or self._inside is None:
            return _utf8(self.data)
        buffer = self._buffer.copy()
        quotes = buffer == ord(self.dialect.quote)
        buffer[self._inside & (self._separating | quotes)] = ord(DAMAGED)
        kept = np.ones(len(buffer), np.bool_)
        kept[self._fields.opens[self._end_cells]] = False
        kept[self._fields.closes[self._end_cells]] = False
        return _utf8(buffer[kept].tobytes())

    @property
    def plain(self) -> Tokens:
        """The same cells as `bare` has them, for a dialect without quotes."""
        bare = self.bare
        return self if bare is self.data else Tokens(self.dialect._replace(quote=b""), bare)

    @cached_property
    def _buffer(self) -> NDArray[np.uint8]:
        return np.frombuffer(self.data, np.uint8)

    @cached_property
    def _separating(self) -> Flags:
        flags: Flags = (self._buffer == ord(self.dialect.delimiter)) | (self._buffer == NEWLINE)
        return flags

    @cached_property
    def _fields(self) -> Quoted | None:
        return self.dialect.quoted(self.data, final=True)

    @cached_property
    def _end_cells(self) -> Flags:
        """A mask of the closing quotes that end their cell."""
        assert self._fields is not None
        closes = self._fields.closes
        after = self._buffer[closes + 1]  # there is one, because the data end with a newline
        ends: Flags = (after == ord(self.dialect.delimiter)) | (after == NEWLINE)
        ends |= (after == RETURN) & (self._buffer[np.minimum(closes + 2, len(self.data) - 1)] == NEWLINE)
        return ends

    @cached_property
    def _inside(self) -> Flags | None:
        """A mask of the bytes in quoted fields; None without such fields."""
        if self._fields is None:
            return None
        steps = np.zeros(len(self.data), np.int8)
        steps[self._fields.opens] = 1
        steps[self._fields.closes] = -1
        return np.cumsum(steps, dtype=np.int8).view(np.bool_)


def _utf8(data: bytes) -> bytes:
    """Replace bytes beyond ASCII by DAMAGED if the data are not UTF-8, which polars refuses in any column."""
    return data if is_utf8(data) else data.translate(ASCII)


class Fields(NamedTuple):
    """The quoted fields of data as they are found one by one; see `Quoted`."""

    opens: list[int]
    closes: list[int]
    open_at: int | None
    strays: list[int]


class Quoted(NamedTuple):
    """The quoted fields of data, in order."""

    opens: Positions
    closes: Positions
    open_at: int | None  # the last opening quote, if the data end before it is closed
    strays: Positions  # quotes that would open a field, but are never closed

    def inside(self, positions: Positions) -> NDArray[np.bool_]:
        """Return a mask of the (ascending) positions in a quoted field, or after `open_at`."""
        depth = np.searchsorted(self.opens, positions) - np.searchsorted(self.closes, positions)
        if self.open_at is not None:
            depth[np.searchsorted(positions, self.open_at) :] = 1
        return depth > 0


def quoted(data: bytes, quote: int, delimiter: int, final: bool) -> Quoted:
    """Find the quoted fields of data that begin at the start of a record; `final` if no data follow."""
    buffer = np.frombuffer(data, np.uint8)
    found = np.flatnonzero(buffer == quote)
    paired = _in_pairs(buffer, found, delimiter, final)
    if paired is not None:
        return paired
    opens, closes, open_at, strays = _one_by_one(data, found.tolist(), delimiter, final)
    return Quoted(np.array(opens, np.intp), np.array(closes, np.intp), open_at, np.array(strays, np.intp))


def _in_pairs(buffer: NDArray[np.uint8], found: Positions, delimiter: int, final: bool) -> Quoted | None:
    """Pair the quotes, an opening one with the next; return None if that breaks a rule."""
    opens, closes = found[0::2], found[1::2]
    open_at = int(opens[-1]) if len(found) % 2 else None
    doubled = closes[: len(opens) - 1] + 1 == opens[1:]
    if doubled.any():
        opens = opens[np.concatenate(([True], ~doubled))]
        closes = closes[np.concatenate((~doubled, np.ones(len(closes) - len(doubled), np.bool_)))]
    before = buffer[opens[opens > 0] - 1]
    if not ((before == delimiter) | (before == NEWLINE)).all():
        return None
    if open_at is not None:
        if final or open_at != opens[-1] or len(buffer) - open_at > MAX_RECORD_BYTES:
            return None
        opens = opens[:-1]
    if (closes - opens > MAX_RECORD_BYTES).any():
        return None
    return Quoted(opens, closes, open_at, strays=np.empty(0, np.intp))


def _one_by_one(data: bytes, found: list[int], delimiter: int, final: bool) -> Fields:
    opens, closes, strays = list[int](), list[int](), list[int]()
    open_at = None
    i = 0
    while i < len(found):
        position = found[i]
        if position > 0 and data[position - 1] not in (delimiter, NEWLINE):
            i += 1
            continue
        close = _closing(found, i)
        if close is not None and found[close] - position <= MAX_RECORD_BYTES:
            opens.append(position)
            closes.append(found[close])
            i = close + 1
        elif close is None and not final and len(data) - position <= MAX_RECORD_BYTES:
            open_at = position
            break
        else:
            strays.append(position)
            i += 1
    return Fields(opens, closes, open_at, strays)


def _closing(found: list[int], i: int) -> int | None:
    """Return the index of the quote that closes quote `i`: the first after it that is not one of two."""
    i += 1
    while i < len(found):
        if i + 1 == len(found) or found[i + 1] != found[i] + 1:
            return i
        i += 2
    return None
