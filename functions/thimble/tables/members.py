"""Compressed data as the members that they consist of, one after the other.

However small they are, the time grows with the data and no faster: what a member did not use comes back
as a copy, so a new member gets little to begin with, and twice as much each time that it wants more.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

GZIP_BITS = 16 + zlib.MAX_WBITS  # zlib's window bits for gzip's own header and checksum
PIECE_BYTES = 1 << 20  # unpacked at a time, whatever the data swell to
LEAST_BYTES = 256  # that a new member gets

Unpack = Callable[[Any, bytes], Iterator[bytes]]


def unpacked(pieces: Iterable[bytes], begin: Callable[[], Any], unpack: Unpack) -> Iterator[bytes]:
    """What all members hold; EOFError if the last one is cut short. Zeros after a member, with which some
    writers fill their last block, are passed over."""
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
    """What zlib makes of the data."""
    while data:
        yield member.decompress(data, PIECE_BYTES)
        data = member.unconsumed_tail


def gunzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """zlib.error if it is not gzip."""
    return unpacked(pieces, lambda: zlib.decompressobj(GZIP_BITS), inflated)


def gathered(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of that size, and a last one: many small pieces cost as little as few."""
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
