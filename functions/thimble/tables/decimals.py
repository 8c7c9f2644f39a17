"""Read short decimal numbers of JSON, such as 5, -1.5 or 20.25, but not 1e5, to float64, a column at once.
JSON allows no leading zeros, and no point at the beginning or the end.

A number of at most eight bytes fits in one machine word. So a column of cells is an array of words, and about
twenty operations on it give all values. The digits without the point are an integer. That integer and the
power of ten are exact, so their quotient is rounded only once, to the same bits as those of any correct
reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Flags
from thimble.tables.blocks import Positions

U64 = np.uint64
Words = NDArray[np.uint64]

WORD = 8  # bytes
SHAPES = 8  # tried at most; numbers with the same number of decimals have one shape
MINUS, POINT, ZERO = b"-.0"
ONES = 0x0101010101010101
BEYOND_NINE = 0x80 - 10  # added to a byte of more than 9, it sets the top bit


@dataclass(frozen=True)
class Decimals:
    """Reads numbers in data, by their positions."""

    data: bytes

    def read(self, starts: Positions, ends: Positions) -> tuple[FloatArray, Flags]:
        """Return the values of cells, and a mask of the cells that are no short decimals.

        The values of the latter mean nothing.
        """
        if self._signed:
            negative = self.bytes.take(starts, mode="clip") == MINUS
            starts = starts + negative
        lengths = ends - starts
        digits = next(self.words(starts)) ^ U64(ZERO * ONES)
        digits <<= ((WORD - lengths) << 3).view(U64)  # the last byte highest, zeros before the first
        values, doubtful = np.empty(len(starts)), np.ones(len(starts), np.bool_)
        left = np.flatnonzero((lengths - 1).view(U64) < U64(WORD))
        some: Positions | slice = slice(None) if len(left) == len(starts) else left
        for k in range(SHAPES):
            if not len(left):
                break
            cell = left[-1 - k * len(left) // SHAPES]  # the last column, as the first is often a key
            tail = self._tail(int(starts[cell]), int(ends[cell]))
            values[some], fits = _of_shape(digits[some], lengths[some], tail)
            doubtful[some] = ~fits
            some = left = left[~fits]
        if self._signed:
            doubtful |= negative & (lengths == 1) & (values == 0)  # -0 is an integer, so not -0.0
            values *= 1.0 - 2.0 * negative
        return values, doubtful

    def words(self, positions: Positions, n: int = 1) -> Iterator[Words]:
        """Yield the first n words of eight bytes from each position on, in little-endian order.

        Bytes beyond the end of the data have any value.
        """
        first, bits = positions >> 3, (positions & 7).view(U64) << U64(3)
        rest = U64(64) - bits
        low = self._words.take(first, mode="clip")
        for _ in range(n):
            first += 1
            high = self._words.take(first, mode="clip")
            low >>= bits
            low |= high << rest
            yield low
            low = high

    @cached_property
    def bytes(self) -> NDArray[np.uint8]:
        return np.frombuffer(self.data, np.uint8)

    @cached_property
    def _words(self) -> Words:
        return np.frombuffer(self.data + bytes(2 * WORD - len(self.data) % WORD), "<u8")

    @cached_property
    def _signed(self) -> bool:
        return MINUS in self.data

    def _tail(self, start: int, end: int) -> int:
        """Return the number of bytes from a cell's decimal point to its end; 0 without a point."""
        point = self.data.find(POINT, start, end)
        return 0 if point < 0 else end - point


def _of_shape(digits: Words, lengths: Positions, tail: int) -> tuple[FloatArray, Flags]:
    """Return the values of words of digits with a point before the last `tail - 1` digits (without one for
    a `tail` of 0), and a mask of the words that have this shape. The lengths are 1 to 8.
    """
    limits = BEYOND_NINE * ONES
    if tail:
        at = 8 * (WORD - tail)  # the point's bits
        digits = digits ^ U64((POINT ^ ZERO) << at)  # makes a point 0, and any other byte not 0
        limits += 9 << at
    fits: Flags = ((digits + U64(limits)) | digits) & U64(0x80 * ONES) == 0
    fits &= lengths > tail
    if tail:
        digits += (digits & U64((1 << at) - 1)) * U64(255)  # moves the digits before the point into its place
    digits = digits * U64(10 * 0x100 + 1) >> U64(8) & U64(0x00FF00FF00FF00FF)  # pairs of digits
    digits = digits * U64(100 * 0x10000 + 1) >> U64(16) & U64(0x0000FFFF0000FFFF)  # fours
    digits = digits * U64(10000 * 0x100000000 + 1) >> U64(32)
    fits &= digits >= _least(tail).take(lengths, mode="clip")
    values = digits.view(np.int64).astype(np.float64)
    return values / 10.0 ** (tail - 1) if tail > 1 else values, fits


@cache
def _least(tail: int) -> Words:
    """By a cell's length, the least integer that its digits make: a zero comes first only if it is alone
    before the point. Nothing is as large where the point is the last byte."""
    if tail == 1:
        return np.full(WORD + 1, 10**WORD, U64)
    before = [length - tail for length in range(WORD + 1)]
    return np.array([10 ** (n - 1 + max(tail - 1, 0)) if n > 1 else 0 for n in before], U64)
