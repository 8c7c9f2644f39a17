"""Which bytes of which pieces become which parts of an S3 upload: S3 takes 10,000 of at least 5 MiB, but for
the last, and at most 5 GiB. Pure arithmetic; a large piece goes whole, what is too small goes with its
neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thimble.errors import InvalidFile

LEAST, MOST = 5 << 20, 5 << 30  # bytes of a part
MOST_PARTS = 10_000


@dataclass(frozen=True)
class Slice:
    """Some of a piece."""

    piece: int
    start: int
    stop: int


def parts(sizes: Sequence[int]) -> list[list[Slice]]:
    """The pieces' bytes in order. A part of several slices, or a small last one, is put together from bytes;
    any other is one slice, which S3 can copy.

    There are at most as many as pieces and one more, but where pieces exceed 5 GiB.
    """
    found: list[list[Slice]] = []
    gathered: list[Slice] = []
    for piece, size in enumerate(sizes):
        at = 0
        while at < size:
            held = _size(gathered)
            most = MOST if not held and size - at >= LEAST else LEAST - held
            gathered.append(Slice(piece, at, min(size, at + most)))
            at = gathered[-1].stop
            if _size(gathered) >= LEAST:
                found.append(gathered)
                gathered = []
    if gathered:
        found.append(gathered)
    if len(found) > MOST_PARTS:
        raise InvalidFile("the result would be larger than S3 takes: send the input in several files")
    return found


def _size(slices: Sequence[Slice]) -> int:
    return sum(part.stop - part.start for part in slices)
