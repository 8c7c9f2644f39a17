"""Content codings, gzip and deflate: decompress a request's body, and compress an answer on request.

A limit bounds the decompressed size; no more than that is ever in memory.
"""

from __future__ import annotations

import zlib

from thimble.errors import MalformedBody, TooLarge, UnsupportedMediaType
from thimble.tables import members

LEVEL = 1  # of 9; it has most of the gain in a fifth of the time
IDENTITY = ("", "identity")


def unpacked(body: bytes, coding: str, most: int) -> bytes:
    """Decompress a body to at most `most` bytes.

    Raises TooLarge if there are more, MalformedBody if the body is not in its coding, UnsupportedMediaType
    for an unknown coding.
    """
    coding = coding.strip().lower()
    if coding in IDENTITY or not body:
        return body
    if coding in ("gzip", "x-gzip"):
        return _gunzipped(body, most)
    if coding == "deflate":
        raw = not (body[0] & 15 == 8 and int.from_bytes(body[:2]) % 31 == 0)  # some omit zlib's header
        found, rest = _stream(body, -zlib.MAX_WBITS if raw else zlib.MAX_WBITS, most)
        if rest:
            raise MalformedBody("the body goes on after its deflate stream")
        return found
    raise UnsupportedMediaType(f"the content coding {coding} is not read here; send gzip, deflate or none")


def _gunzipped(body: bytes, most: int) -> bytes:
    """Decompress gzip, which may have several members one after another."""
    found, size = [], 0
    try:
        for piece in members.gunzipped([body]):
            found.append(piece)
            size += len(piece)
            if size > most:
                raise _too_large(most)
    except zlib.error:
        raise _not_packed() from None
    except EOFError:
        raise _cut_short() from None
    return b"".join(found)


def _stream(body: bytes, bits: int, most: int) -> tuple[bytes, bytes]:
    """Decompress one zlib stream; return its data and the bytes after it."""
    stream = zlib.decompressobj(bits)
    try:
        found = stream.decompress(body, most + 1)
    except zlib.error:
        raise _not_packed() from None
    if len(found) > most:
        raise _too_large(most)
    if not stream.eof:
        raise _cut_short()
    return found, stream.unused_data


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"the body unpacks to more than {most} bytes, which is the most")


def _not_packed() -> MalformedBody:
    return MalformedBody("the body is not in the content coding that it is said to be")


def _cut_short() -> MalformedBody:
    return MalformedBody("the body ends in the middle of its content coding")


def accepted(accept: str) -> str:
    """Return the coding that Accept-Encoding prefers; "" if it takes neither gzip nor deflate."""
    weights: dict[str, float] = {}
    for choice in accept.lower().split(","):
        name, _, weight = choice.partition(";")
        try:
            weights[name.strip()] = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
    any_other = weights.get("*", 0.0)
    best = max(("gzip", "deflate"), key=lambda name: weights.get(name, any_other))
    return best if weights.get(best, any_other) > 0 else ""


def packed(body: bytes, coding: str) -> bytes:
    stream = zlib.compressobj(LEVEL, wbits=members.GZIP_BITS if coding == "gzip" else zlib.MAX_WBITS)
    return stream.compress(body) + stream.flush()
