"""A dialect of delimited text, and data taken apart by it: where cells end, what they are without quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from thimble import encodings
from thimble.errors import InvalidInput
from thimble.inference.arrays import FloatArray
from thimble.tables import headers, text_columns
from thimble.tables.blocks import Flags, Positions, is_utf8
from thimble.tables.decimals import Decimals
from thimble.tables.quotes import Quoted, quoted

SEPARATING = ",;\t"
NEWLINE, RETURN = ord("\n"), ord("\r")
DAMAGED = ord(text_columns.DAMAGED)
ASCII = bytes(range(128)) + bytes([DAMAGED]) * 128


@dataclass(frozen=True)
class Dialect:
    """One byte each, but for the newline: \\n or \\r\\n. No quote: quotes are characters like the rest."""

    delimiter: bytes
    quote: bytes = b'"'
    newline: bytes = b"\n"

    def quoted(self, data: bytes, final: bool) -> Quoted | None:
        """The quoted fields; None where there is no quote at all."""
        if not self.quote or self.quote not in data:
            return None
        return quoted(data, ord(self.quote), ord(self.delimiter), final)

    def ends(self, data: bytes, final: bool) -> Positions:
        """The newlines that end records."""
        newlines = np.flatnonzero(np.frombuffer(data, np.uint8) == NEWLINE)
        fields = self.quoted(data, final)
        return newlines if fields is None else newlines[~fields.inside(newlines)]

    def cells(self, record: bytes) -> list[str]:
        """A record's cells, without the quotes around them."""
        separators = Tokens(self, record).separators.tolist()
        return [
            self._unquoted(encodings.text(record[before + 1 : end]))
            for before, end in pairwise([-1, *separators, len(record)])
        ]

    def _unquoted(self, text: str) -> str:
        quote = self.quote.decode()
        mark = re.escape(quote)
        if quote and re.fullmatch(f"{mark}(?:[^{mark}]|{mark}{mark})*{mark}", text, re.DOTALL):
            return text[1:-1].replace(quote * 2, quote)
        return text

    def cell(self, text: str) -> str:
        """Text as a cell, quoted where it has to be."""
        quote = self.quote.decode() or '"'
        if any(c in text for c in (self.delimiter.decode(), quote, "\n", "\r")):
            return quote + text.replace(quote, quote * 2) + quote
        return text


@dataclass(frozen=True)
class Given:
    """What is said of a file beforehand. What is empty is found; no quote at all is "none"."""

    delimiter: str = ""
    quote: str = ""
    header: str = ""  # present or absent

    def __post_init__(self) -> None:
        """InvalidInput for what cannot tell cells apart, or whether there is a header."""
        if self.header and self.header not in headers.SAID:
            raise InvalidInput(f"the header {self.header!r} is neither present nor absent, nor empty")
        for name, text in (("delimiter", self._delimiter), ("quote", self._quote)):
            if text and not _is_mark(text):
                raise InvalidInput(f"the {name} {text!r} is not one character of ASCII punctuation, or a tab")
        if self._quote and self._quote == self._delimiter:
            raise InvalidInput(f"the delimiter and the quote are both {self._quote!r}")
        if self._quote and self._quote in SEPARATING and not self._delimiter:
            raise InvalidInput(
                f"the quote {self._quote!r} is what separates cells; if not here, name what does"
            )

    def dialects(self, delimiters: Sequence[str], quotes: Sequence[str]) -> Iterator[list[Dialect]]:
        """What a file may be in, the likelier first: by quotes, then by delimiters."""
        for quote in [self._quote] if self.quote else quotes:
            found = [self._delimiter] if self.delimiter else [d for d in delimiters if d != quote]
            yield [Dialect(delimiter.encode(), quote.encode()) for delimiter in found]

    @property
    def _delimiter(self) -> str:
        return "\t" if self.delimiter in ("tab", "\\t") else self.delimiter

    @property
    def _quote(self) -> str:
        return "" if self.quote == "none" else self.quote


def _is_mark(text: str) -> bool:
    """A number needs letters, digits, signs and the point for itself."""
    return text == "\t" or (
        len(text) == 1 and " " <= text <= "~" and not text.isalnum() and text not in "+-."
    )


@dataclass(frozen=True)
class Tokens:
    """Whole records, taken apart."""

    dialect: Dialect
    data: bytes

    @cached_property
    def separators(self) -> Positions:
        """The delimiters between cells and the newlines between records."""
        found = self._separating if self._inside is None else self._separating & ~self._inside
        return np.flatnonzero(found)

    def even(self, n: int, width: int) -> bool:
        """Whether the data are n records of that many cells each."""
        last = self.separators[width - 1 :: width]
        return len(self.separators) == n * width and bool((self._buffer[last] == NEWLINE).all())

    @property
    def strays(self) -> Positions:
        """The quotes that open a field and are never closed."""
        return np.empty(0, np.intp) if self._fields is None else self._fields.strays

    @property
    def torn(self) -> Positions:
        """The quotes that close a field and have more text after them in the cell."""
        if self._fields is None:
            return np.empty(0, np.intp)
        return self._fields.closes[~self._end_cells]

    @property
    def widths(self) -> NDArray[np.intp]:
        """(n,) cells in each record."""
        newlines = np.flatnonzero(self._buffer[self.separators] == NEWLINE)
        return np.diff(newlines, prepend=-1)

    @property
    def bare(self) -> bytes:
        """UTF-8 without the quotes around cells. What of a cell cannot be said so is DAMAGED: a newline, a
        delimiter or a quote within it, or bytes that are not UTF-8."""
        if self._fields is None or self._inside is None:
            return _utf8(self.data)
        buffer = self._buffer.copy()
        quotes = buffer == ord(self.dialect.quote)
        buffer[self._inside & (self._separating | quotes)] = DAMAGED
        kept = np.ones(len(buffer), np.bool_)
        kept[self._fields.opens[self._end_cells]] = False
        kept[self._fields.closes[self._end_cells]] = False
        return _utf8(buffer[kept].tobytes())

    @property
    def plain(self) -> Tokens:
        """The same cells with no quotes around them, and nothing in them that means something else."""
        bare = self.bare
        return self if bare is self.data else Tokens(replace(self.dialect, quote=b""), bare)

    def numbers(self, columns: Sequence[int], width: int, rows: slice) -> tuple[FloatArray, Flags]:
        """Of rows, the numbers in some columns, and which cells are none; the data are even."""
        starts, ends = (bounds[:, columns].reshape(-1) for bounds in self.bounds(width, rows))
        if self.dialect.newline == b"\r\n":
            ends -= (self._buffer[ends - 1] == RETURN) & (ends > starts)
        values, doubtful = self.decimals.read(starts, ends)
        return values.reshape(-1, len(columns)), doubtful.reshape(-1, len(columns))

    def bounds(self, width: int, rows: slice) -> tuple[Positions, Positions]:
        """(rows, width), where cells begin and end; the data are even."""
        ends = self.separators[rows.start * width : rows.stop * width]
        before = self.separators[rows.start * width - 1] if rows.start else -1
        starts = np.concatenate(([before], ends[:-1])) + 1
        return starts.reshape(-1, width), ends.reshape(-1, width)

    @cached_property
    def decimals(self) -> Decimals:
        return Decimals(self.data)

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
        """Which of the closing quotes end their cell."""
        assert self._fields is not None
        closes = self._fields.closes
        after = self._buffer[closes + 1]  # data end with a newline, so there is one
        ends: Flags = (after == ord(self.dialect.delimiter)) | (after == NEWLINE)
        ends |= (after == RETURN) & (self._buffer[np.minimum(closes + 2, len(self.data) - 1)] == NEWLINE)
        return ends

    @cached_property
    def _inside(self) -> Flags | None:
        """Which bytes lie in a quoted field."""
        if self._fields is None:
            return None
        steps = np.zeros(len(self.data), np.int8)
        steps[self._fields.opens] = 1
        steps[self._fields.closes] = -1
        return np.cumsum(steps, dtype=np.int8).view(np.bool_)


def _utf8(data: bytes) -> bytes:
    """polars takes no broken UTF-8, even where nobody asks for it."""
    return data if is_utf8(data) else data.translate(ASCII)
