"""Parts put together as one object: by S3 itself where they lie there, else streamed through here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from obstore.store import ObjectStore

from thimble import streams
from thimble.parts import Stored

Piece = bytes | Stored  # what is at hand, or lies in the parts' store


def join(parts: ObjectStore, pieces: Sequence[Piece], results: ObjectStore, path: str) -> str | None:
    """The ETag of the whole."""
    with streams.Upload(results, path) as upload:
        for piece in pieces:
            for data in read(parts, piece):
                upload.write(data)
        return upload.finish()


def read(parts: ObjectStore, piece: Piece) -> Iterator[bytes]:
    """Overwritten if it is no longer there as it was."""
    if isinstance(piece, bytes):
        yield piece
    else:
        source = streams.Source(parts, piece.path, piece.size, piece.etag, None)
        yield from streams.chunks(source, 0, piece.size, streams.BLOCK_BYTES)
