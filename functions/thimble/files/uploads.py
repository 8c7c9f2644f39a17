"""Write a stream of bytes as one object."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Full, Queue
from typing import TYPE_CHECKING, Self

import obstore
from obstore.store import ObjectStore

from thimble.tables.compression import Compression

if TYPE_CHECKING:
    from obstore import PutResult

PART_BYTES = 8 << 20  # S3 takes 10,000 parts of at least 5 MiB
UPLOADS = 2  # parts in flight; two use all of a function's network, and more would only wait in memory


class Upload:
    """An object written piece by piece. It becomes visible only when it is finished; else it is aborted.

    An object of more than PART_BYTES is uploaded in parts by another thread, while the caller makes the next.
    """

    def __init__(self, store: ObjectStore, path: str, compression: Compression | None = None) -> None:
        self.path, self.size = path, 0  # bytes before compression
        self._store, self._compression = store, compression
        self._held: list[bytes] = []
        self._queue: Queue[bytes | None] = Queue(maxsize=1)
        self._pool = ThreadPoolExecutor(1)
        self._uploading: Future[PutResult] | None = None
        self._finished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._uploading is not None and not self._finished:
            self._feed(None)
            self._uploading.exception()
        self._pool.shutdown()

    def write(self, data: bytes, /) -> int:
        self.size += len(data)
        if self._uploading is not None:
            self._feed(data)
        elif data:
            self._held.append(data)
            if self.size > PART_BYTES:
                self._start()
        return len(data)

    def finish(self) -> str | None:
        """Make the object visible and return its ETag."""
        self._finished = True
        if self._uploading is None:
            data = b"".join(self._compressed(self._held))
            return obstore.put(self._store, self.path, data, use_multipart=False)["e_tag"]
        self._feed(None)
        etag: str | None = self._uploading.result()["e_tag"]
        return etag

    def _start(self) -> None:
        self._uploading = self._pool.submit(
            obstore.put,
            self._store,
            self.path,
            self._compressed(self._pieces()),
            chunk_size=PART_BYTES,
            max_concurrency=UPLOADS,
        )
        self._feed(b"".join(self._held))
        self._held.clear()

    def _compressed(self, pieces: Iterable[bytes]) -> Iterable[bytes]:
        return pieces if self._compression is None else self._compression.compress(pieces)

    def _feed(self, data: bytes | None) -> None:
        """Wait until the uploading thread takes the data, or has failed; then `finish` raises its error."""
        while self._uploading is not None and not self._uploading.done():
            with contextlib.suppress(Full):
                self._queue.put(data, timeout=0.1)
                break

    def _pieces(self) -> Iterator[bytes]:
        while (piece := self._queue.get()) is not None:
            yield piece
        if not self._finished:
            raise Abandoned


class Abandoned(Exception):
    """Raised in the uploading thread to abort an upload that was not finished."""
