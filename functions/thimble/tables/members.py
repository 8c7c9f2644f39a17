"""Decompress data that consist of several members, one after another.

The time grows only in proportion to the data, however small the members are. A member returns a copy of the
data that it did not use, so a new member gets few bytes at first, and twice as many each time it needs more.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

GZIP_BITS = 16 + zlib.MAX_WBITS  # zlib's window bits for gzip's own header and checksum
PIECE_BYTES = 1 << 20  # decompressed at a time, however large the result is
LEAST_BYTES = 256  # that a new member gets first

Unpack = Callable[[Any, bytes], Iterator[bytes]]


def unpacked(pieces: Iterable[bytes], begin: Callable[[], Any], unpack: Unpack) -> Iterator[bytes]:
    """Yield the decompressed bytes of all members. Raises EOFError if the last one is cut short.

    Zeros after a member, with which some writers fill their last block, are skipped.
    """
    member, window, begun = begin(), LEAST_BYTES, False
    for piece in pieces:
        at = 0
        while at < len(piece):
            data = piece[at : at + window]
            at += len(data)
            if member.eof:
                data = data.lstrip(b"\0")
                if not data:
                    continue
                member, window = begin(), LEAST_BYTES
                at, data = at - len(data) + len(data[:window]), data[:window]
            begun = True
            yield from unpack(member, data)
            at -= len(member.unused_data)
            window = LEAST_BYTES if member.eof else min(2 * window, PIECE_BYTES)
    if begun and not member.eof:
        raise EOFError


def inflated(member: Any, data: bytes) -> Iterator[bytes]:
    """Yield the bytes that a zlib member decompresses from the data."""
    while data:
        yield member.decompress(data, PIECE_BYTES)
        data = member.unconsumed_tail


def gunzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the unpacked bytes. Raises zlib.error if the data are not gzip, EOFError if they end early."""
    return unpacked(pieces, lambda: zlib.decompressobj(GZIP_BITS), inflated)


def gathered(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield the same bytes in pieces of `size`, and a smaller last one; many small inputs stay cheap."""
    held: list[bytes] = []
    length = 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        if length >= size:
            data = b"".join(held)
            whole = length - length % size
            yield from (data[at : at + size] for at in range(0, whole, size))
            held, length = [data[whole:]], length - whole
    if length:
        yield b"".join(held)
