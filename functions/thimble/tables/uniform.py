"""Read JSON Lines as programs write them: all with the same keys, in the same order and the same spelling.

In such lines the text before each value is the same on every line, and the values are cells between commas.
Other lines are left to other readers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Batch, Flags
from thimble.tables.blocks import Block, Positions, is_utf8
from thimble.tables.decimals import WORD, Decimals, Words
from thimble.tables.tokens import Dialect, Tokens

CHUNK = 1 << 15  # numbers that are read at once, so that all intermediate arrays stay in the cache
FEW = 64  # one line in so many may be doubtful
MOST_WORDS = 8  # of the text before a value
QUOTE = ord('"')
FIELD = re.compile(rb'([ \t]*"([^"\\\x00-\x1f]*)"[ \t]*:[ \t]*)(.*)')


@dataclass(frozen=True)
class Uniform:
    """Lines from brace to brace, each with as many cells as the first."""

    block: Block
    names: tuple[str, ...]
    prefixes: tuple[bytes, ...]  # the text before each value, without the comma
    strings: Flags  # a mask of the values that are strings

    def fill(self, batch: Batch, places: Mapping[int, int]) -> Flags | None:
        """Fill the batch's numbers from the lines; `places` has the position of each feature's value.

        Returns a mask of the doubtful lines; None if more than a few are, because polars is then faster.
        """
        n, features, columns = len(self.block.ends), [*places], [*places.values()]
        doubtful, step = np.zeros(n, np.bool_), max(1, CHUNK // len(self.names))
        for rows in (slice(at, min(at + step, n)) for at in range(0, n, step)):
            values, wrong = self.numbers(rows)
            batch.numbers[features, rows] = values[columns]
            doubtful[rows] = wrong.any(axis=0)
            if np.count_nonzero(doubtful) * FEW > n:
                return None
        return doubtful

    def numbers(self, rows: slice) -> tuple[FloatArray, Flags]:
        """Return the numbers of some lines, (keys, lines), and a mask of those that are no numbers, or have
        other text before them than on the first line. The numbers of strings mean nothing.
        """
        ends = self._tokens.separators.reshape(-1, len(self.names))[rows].T.copy()
        starts = np.empty_like(ends)
        starts[0], starts[1:] = self.block.starts[rows], ends[:-1] + 1
        ends[-1] -= 1 + self.block.returns[rows]
        wrong = self._other_text(starts)
        starts += self._lengths
        values, doubtful = self._decimals.read(starts.reshape(-1), ends.reshape(-1))
        values, doubtful = values.reshape(starts.shape), doubtful.reshape(starts.shape)
        doubtful[self.strings] = self._no_strings(starts[self.strings], ends[self.strings])
        return values, wrong | doubtful

    @property
    def numeric(self) -> list[bool]:
        """Whether each key has a number."""
        return [not string for string in self.strings.tolist()]

    def _other_text(self, starts: Positions) -> Flags:
        """Return a mask of the values that have other text before them than on the first line."""
        other = np.zeros(starts.shape, np.bool_)
        read = self._decimals.words(starts, len(self._words))
        for (words, masks), found in zip(self._words, read, strict=True):
            found ^= words
            found &= masks
            other |= found != 0
        return other

    @cached_property
    def _lengths(self) -> Positions:
        return np.array([[len(prefix)] for prefix in self.prefixes])

    @cached_property
    def _words(self) -> list[tuple[Words, Words]]:
        """The prefixes in words of eight bytes, each with a mask of the bytes that belong to the prefix."""
        length = -(-max(map(len, self.prefixes)) // WORD) * WORD
        texts, masks = (
            np.frombuffer(b"".join(part.ljust(length, b"\0") for part in parts), "<u8").reshape(
                -1, length // WORD, 1
            )
            for parts in (self.prefixes, [b"\xff" * len(prefix) for prefix in self.prefixes])
        )
        return list(zip(texts.swapaxes(0, 1), masks.swapaxes(0, 1), strict=True))

    def _no_strings(self, starts: Positions, ends: Positions) -> Flags:
        first, last = (self._decimals.bytes.take(at, mode="clip") for at in (starts, ends - 1))
        wrong: Flags = (first != QUOTE) | (last != QUOTE) | (ends - starts < 2)
        return wrong

    @cached_property
    def _decimals(self) -> Decimals:
        return Decimals(self.block.data)

    @cached_property
    def _tokens(self) -> Tokens:
        return Tokens(Dialect(b",", quote=b""), self.block.data)

    @property
    def holds(self) -> bool:
        """Whether each line has the same number of cells, and strings hold nothing but plain text."""
        width, strings = len(self.names), int(self.strings.sum())
        n, data, buffer = len(self.block.ends), self.block.data, self._decimals.bytes
        if not self._tokens.even(n, width):
            return False
        if not strings:
            return True
        controls = np.count_nonzero(buffer < ord(" ")) - n - self.block.returns.sum()
        quotes = np.count_nonzero(buffer == QUOTE) - n * 2 * (width + strings)
        return b"\\" not in data and controls == 0 and quotes == 0 and is_utf8(data)


def found(block: Block) -> Uniform | None:
    """Return the form of lines from brace to brace, taken from the first one; None if they are not alike."""
    pieces = block.record(0)[1:-1].split(b",")
    fields = [FIELD.fullmatch(piece) for piece in pieces]
    if not all(fields):
        return None
    matches = [field for field in fields if field is not None]
    names, values = [match[2] for match in matches], [match[3] for match in matches]
    prefixes = [b"{" * (k == 0) + match[1] for k, match in enumerate(matches)]
    if len(set(names)) < len(names) or max(map(len, prefixes)) > MOST_WORDS * WORD:
        return None
    strings = np.array([value.startswith(b'"') for value in values])
    if any(len(value) > 1 + WORD and not value.startswith(b'"') for value in values):
        return None  # the numbers on the other lines will be as long
    try:
        uniform = Uniform(block, tuple(name.decode() for name in names), tuple(prefixes), strings)
    except UnicodeDecodeError:
        return None
    return uniform if uniform.holds else None
