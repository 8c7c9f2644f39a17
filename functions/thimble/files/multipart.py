"""Join pieces to one object. S3 copies the large pieces that it stores; the others are uploaded from here.

A multipart upload has up to 10,000 parts of 5 MiB to 5 GiB; the last one may be smaller. A large piece is a
part of its own, and small pieces are combined. boto3 is imported only for a large result; Lambda's runtime
has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import orjson
from obstore.store import ObjectStore

from thimble.errors import InvalidFile
from thimble.files import copies, streams
from thimble.files.copies import COPIES, MOST, Place, bucket_name
from thimble.store import READ_AHEAD, Folder, ObjectVersion
from thimble.tables.blocks import BLOCK_BYTES
from thimble.threads import ahead

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

Piece = bytes | ObjectVersion  # bytes in memory, or an object in a store

LEAST = copies.LEAST  # bytes of a part
MOST_PARTS = 10_000


@dataclass(frozen=True)
class Slice:
    """A range of bytes in a piece."""

    piece: int  # its index
    start: int
    stop: int


def join(
    source: ObjectVersion,
    others: Sequence[Piece],
    results: ObjectStore,
    path: str,
    memory: Folder,
    deadline: float,
) -> str | None:
    """Write the source and the other pieces as one object, and return its ETag. Raises Late at the deadline.

    The folder `memory` holds the id of the multipart upload. A second call continues it, and does not copy
    parts again that are there.
    """
    pieces = [source, *others]
    stores = [results, *(piece.store for piece in pieces if isinstance(piece, ObjectVersion))]
    if sum(map(_size, pieces)) > LEAST and all(map(bucket_name, stores)):
        return Copying(pieces, bucket_name(results), path, memory).run(deadline)
    with copies.begun(source, results, path) as upload:
        for data in streams.until_deadline(_streamed(others), deadline):
            upload.write(data)
        return upload.finish()


def _streamed(pieces: Sequence[Piece]) -> Iterator[bytes]:
    slices = ((piece, at, at + BLOCK_BYTES) for piece in pieces for at in range(0, _size(piece), BLOCK_BYTES))
    return ahead(lambda slice_: _read(*slice_), slices, READ_AHEAD)


def _size(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.size


def _read(piece: Piece, start: int, stop: int) -> bytes:
    return piece[start:stop] if isinstance(piece, bytes) else piece.read(start, stop)


@dataclass(frozen=True)
class Copying:
    """A multipart upload for which S3 copies the parts from the pieces."""

    pieces: Sequence[Piece]
    bucket: str
    path: str
    memory: Folder

    def run(self, deadline: float) -> str:
        slices = parts([_size(piece) for piece in self.pieces])
        upload, there = self._begun() or (self._begin(), {})
        missing = [(k, part) for k, part in enumerate(slices, 1) if k not in there]
        with ThreadPoolExecutor(COPIES) as pool:
            done = pool.map(lambda item: (item[0], self._part(upload, item[0], item[1], deadline)), missing)
            there |= dict(done)
        completed: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": etag} for number, etag in sorted(there.items())
        ]
        return self._s3.complete_multipart_upload(
            Bucket=self.bucket, Key=self.path, UploadId=upload, MultipartUpload={"Parts": completed}
        )["ETag"]

    def _begin(self) -> str:
        upload = self._s3.create_multipart_upload(Bucket=self.bucket, Key=self.path)["UploadId"]
        self.memory.write("upload.json", orjson.dumps({"id": upload, "of": self._digest}))
        return upload

    def _begun(self) -> tuple[str, dict[int, str]] | None:
        """Return the id of an unfinished upload of the same pieces, and the ETags of its parts by number."""
        begun = orjson.loads(self.memory.read("upload.json") or b"{}")
        if begun.get("of") != self._digest:
            return None
        pages = self._s3.get_paginator("list_parts").paginate(
            Bucket=self.bucket, Key=self.path, UploadId=begun["id"]
        )
        try:
            found = [part for page in pages for part in page.get("Parts", [])]
        except self._s3.exceptions.NoSuchUpload:
            return None
        return begun["id"], {part["PartNumber"]: part["ETag"] for part in found}

    def _part(self, upload: str, number: int, slices: list[Slice], deadline: float) -> str:
        streams.check_time(deadline)
        where = Place(Bucket=self.bucket, Key=self.path, UploadId=upload, PartNumber=number)
        piece = self.pieces[slices[0].piece]
        if len(slices) > 1 or isinstance(piece, bytes):
            data = b"".join(_read(self.pieces[s.piece], s.start, s.stop) for s in slices)
            return self._s3.upload_part(**where, Body=data)["ETag"]
        return copies.copy_part(self._s3, piece, slices[0].start, slices[0].stop, where)

    @cached_property
    def _digest(self) -> str:
        """A digest of all pieces."""
        found = hashlib.sha256()
        for piece in self.pieces:
            if isinstance(piece, bytes):
                found.update(piece)
            else:
                found.update(orjson.dumps({"path": piece.path, "size": piece.size, "etag": piece.etag}))
        return found.hexdigest()

    @cached_property
    def _s3(self) -> S3Client:
        return copies.client()


def parts(sizes: Sequence[int]) -> list[list[Slice]]:
    """Return the slices of each part; together they are all bytes in order.

    S3 can copy a part that is one slice of 5 MiB or more; other parts are combined from bytes. There is at
    most one part more than there are pieces, unless pieces exceed 5 GiB. Raises InvalidFile for too many
    parts.
    """
    found: list[list[Slice]] = []
    gathered: list[Slice] = []
    for piece, size in enumerate(sizes):
        at = 0
        while at < size:
            held = _length(gathered)
            most = MOST if not held and size - at >= LEAST else LEAST - held
            gathered.append(Slice(piece, at, min(size, at + most)))
            at = gathered[-1].stop
            if _length(gathered) >= LEAST:
                found.append(gathered)
                gathered = []
    if gathered:
        found.append(gathered)
    if len(found) > MOST_PARTS:
        raise InvalidFile("the result would be larger than S3 takes: send the input in several files")
    return found


def _length(slices: Sequence[Slice]) -> int:
    return sum(part.stop - part.start for part in slices)
