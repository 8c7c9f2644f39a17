"""gzip and zstd as streams: pieces in, pieces out, never the whole. The same input gives the same bytes."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from backports import zstd

from thimble.errors import InvalidFile

PIECE_BYTES = 1 << 20  # decompressed at a time, whatever the input swells to
GZIP_BITS = 31  # zlib's window bits for gzip's own header and checksum
GZIP_LEVEL = 1  # digits shrink by a tenth more at level 6, six times as slowly
ZSTD_LEVEL = 1  # and by nothing more at zstd's default level 3


class Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


@dataclass(frozen=True)
class Compression:
    """`member` begins to read what one compressor wrote, of which a file may hold several."""

    name: str
    compressor: Callable[[], Compressor]
    member: Callable[[], Any]
    decompressed: Callable[[Any, bytes], Iterator[bytes]]

    def compress(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        compressor = self.compressor()
        for piece in pieces:
            if compressed := compressor.compress(piece):
                yield compressed
        yield compressor.flush()

    def decompress(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """InvalidFile if the bytes are something else, broken or cut short."""
        try:
            yield from self._members(pieces)
        except (zlib.error, zstd.ZstdError) as error:
            raise InvalidFile(f"the file is not {self.name}, or broken: {error}") from None

    def _members(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        member = self.member()
        begun = False
        for piece in pieces:
            data = piece
            while data:
                if member.eof:
                    member, begun = self.member(), False
                begun = True
                yield from self.decompressed(member, data)
                data = member.unused_data.lstrip(b"\x00")  # with which some writers fill their last block
        if begun and not member.eof:
            raise InvalidFile(f"the {self.name} data end too early: the file was cut short")


def _inflated(member: Any, data: bytes) -> Iterator[bytes]:
    while data:
        yield member.decompress(data, PIECE_BYTES)
        data = member.unconsumed_tail


def _unpacked(member: zstd.ZstdDecompressor, data: bytes) -> Iterator[bytes]:
    yield member.decompress(data, PIECE_BYTES)
    while not member.eof and not member.needs_input:
        yield member.decompress(b"", PIECE_BYTES)


GZIP = Compression(
    "gzip",
    lambda: zlib.compressobj(GZIP_LEVEL, wbits=GZIP_BITS),
    lambda: zlib.decompressobj(GZIP_BITS),
    _inflated,
)
ZSTD = Compression("zstd", lambda: zstd.ZstdCompressor(level=ZSTD_LEVEL), zstd.ZstdDecompressor, _unpacked)
BY_EXTENSION = {".gz": GZIP, ".gzip": GZIP, ".zst": ZSTD, ".zstd": ZSTD}
