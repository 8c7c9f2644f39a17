"""Where the quoted fields of delimited text are, so that newlines and delimiters inside them are text.

The rules are those of RFC 4180, and Python's csv module for what it leaves open: a quote opens a field only
as its first byte, two quotes inside a quoted field are one, and any other quote is a character like the rest.
A quote that is not closed within MAX_RECORD_BYTES, or before the file ends, opens nothing: a stray quote
costs its own record, not the rest of the file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thimble.tables.blocks import MAX_RECORD_BYTES, Positions

NEWLINE, RETURN = ord("\n"), ord("\r")


@dataclass(frozen=True)
class Quoted:
    """The quoted fields, in order; from `open_at` on the data do not tell."""

    opens: Positions
    closes: Positions
    open_at: int | None
    strays: Positions  # quotes that would open a field, were they ever closed

    def inside(self, positions: Positions) -> NDArray[np.bool_]:
        """Which of the (ascending) positions lie in a quoted field, or in what may become one."""
        depth = np.searchsorted(self.opens, positions) - np.searchsorted(self.closes, positions)
        if self.open_at is not None:
            depth[np.searchsorted(positions, self.open_at) :] = 1
        return depth > 0


def quoted(data: bytes, quote: int, delimiter: int, final: bool) -> Quoted:
    """The quoted fields of data that begin with a record."""
    buffer = np.frombuffer(data, np.uint8)
    found = np.flatnonzero(buffer == quote)
    return _in_pairs(buffer, found, delimiter, final) or _one_by_one(data, found.tolist(), delimiter, final)


def _in_pairs(buffer: NDArray[np.uint8], found: Positions, delimiter: int, final: bool) -> Quoted | None:
    """Every other quote opens, the next one closes; None unless that is what the rules say, too."""
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


def _one_by_one(data: bytes, found: list[int], delimiter: int, final: bool) -> Quoted:
    opens, closes, strays = [], [], []
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
    starts, ends, unclosed = (np.array(found, np.intp) for found in (opens, closes, strays))
    return Quoted(starts, ends, open_at, unclosed)


def _closing(found: list[int], i: int) -> int | None:
    """The quote that closes what quote `i` opened: the first after it that is not one of two."""
    i += 1
    while i < len(found):
        if i + 1 == len(found) or found[i + 1] != found[i] + 1:
            return i
        i += 2
    return None
