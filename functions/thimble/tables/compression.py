"""Compress and decompress gzip and zstd as streams, never as a whole. The same input gives the same bytes."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from thimble.errors import InvalidFile
from thimble.tables import members
from thimble.tables.members import GZIP_BITS, PIECE_BYTES

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GZIP_LEVEL = 1  # level 6 makes tables of digits smaller by a tenth, but takes six times as long
ZSTD_LEVEL = 1  # level 3, zstd's default, makes them no smaller


class Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


@dataclass(frozen=True)
class Compression:
    name: str
    compressor: Callable[[], Compressor]
    unpacked: Callable[[Iterable[bytes]], Iterator[bytes]]

    def compress(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        compressor = self.compressor()
        for piece in pieces:
            if compressed := compressor.compress(piece):
                yield compressed
        yield compressor.flush()

    def decompress(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the decompressed bytes. Raises InvalidFile for another format, broken or cut data."""
        try:
            yield from members.gathered(self.unpacked(pieces), PIECE_BYTES)
        except (zlib.error, zstd.ZstdError) as error:
            raise InvalidFile(f"the file is not {self.name}, or broken: {error}") from None
        except EOFError:
            raise InvalidFile(f"the {self.name} data end too early: the file was cut short") from None


def _unpacked(member: Any, data: bytes) -> Iterator[bytes]:
    yield member.decompress(data, PIECE_BYTES)
    while not member.eof and not member.needs_input:
        yield member.decompress(b"", PIECE_BYTES)


GZIP = Compression("gzip", lambda: zlib.compressobj(GZIP_LEVEL, wbits=GZIP_BITS), members.gunzipped)
ZSTD = Compression(
    "zstd",
    lambda: zstd.ZstdCompressor(level=ZSTD_LEVEL),
    lambda pieces: members.unpacked(pieces, zstd.ZstdDecompressor, _unpacked),
)
BY_EXTENSION = {".gz": GZIP, ".gzip": GZIP, ".zst": ZSTD, ".zstd": ZSTD}
