"""Join pieces to one object. S3 copies large pieces that it has already; the rest is streamed through here.

S3 takes up to 10,000 parts of 5 MiB to 5 GiB; the last one may be smaller. A large piece is a part of its
own, small pieces are put together. boto3 is imported for a large result only; Lambda's runtime has it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypedDict

import orjson
from obstore.store import ObjectStore, S3Store

from thimble.errors import InvalidFile, Overwritten
from thimble.files import streams
from thimble.files.uploads import Upload
from thimble.store import READ_AHEAD, Folder, ObjectVersion
from thimble.tables.blocks import BLOCK_BYTES
from thimble.threads import ahead

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

Piece = bytes | ObjectVersion  # what is at hand, or lies in a store

COPIES = 32  # at once; S3 does the work
LEAST, MOST = 5 << 20, 5 << 30  # bytes of a part
MOST_PARTS = 10_000


@dataclass(frozen=True)
class Slice:
    """Some of a piece."""

    piece: int
    start: int
    stop: int


def join(
    pieces: Sequence[Piece], results: ObjectStore, path: str, memory: Folder, deadline: float
) -> str | None:
    """Write the whole and return its ETag; Late if the time is over. Called again, it goes on with the upload
    that the folder `memory` names: parts that are there are not copied again."""
    stores = [results, *(piece.store for piece in pieces if isinstance(piece, ObjectVersion))]
    if sum(map(_size, pieces)) > LEAST and all(map(_bucket, stores)):
        return Copying(pieces, _bucket(results), path, memory).run(deadline)
    with Upload(results, path) as upload:
        for data in streams.until_deadline(_streamed(pieces), deadline):
            upload.write(data)
        return upload.finish()


def _streamed(pieces: Sequence[Piece]) -> Iterator[bytes]:
    calls = (
        partial(_read, piece, at, at + BLOCK_BYTES)
        for piece in pieces
        for at in range(0, _size(piece), BLOCK_BYTES)
    )
    return ahead(calls, READ_AHEAD)


def _bucket(store: ObjectStore) -> str:
    """Return its name, or nothing where the store is not S3."""
    return store.config.get("bucket", "") if isinstance(store, S3Store) else ""


def _size(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.size


def _read(piece: Piece, start: int, stop: int) -> bytes:
    return piece[start:stop] if isinstance(piece, bytes) else piece.read(start, stop)


class Place(TypedDict):
    """Where a part goes, in S3's words."""

    Bucket: str
    Key: str
    UploadId: str
    PartNumber: int


@dataclass(frozen=True)
class Copying:
    """An upload whose parts S3 copies from the pieces."""

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
        """Return an unfinished upload of these very pieces, and the ETags of its parts."""
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
        try:
            return self._s3.upload_part_copy(
                **where,
                CopySource={"Bucket": _bucket(piece.store), "Key": piece.path},
                CopySourceRange=f"bytes={slices[0].start}-{slices[0].stop - 1}",
                CopySourceIfMatch=piece.etag or "*",
            )["CopyPartResult"]["ETag"]
        except self._s3.exceptions.ClientError as error:
            code, status = (
                error.response["Error"]["Code"],
                error.response["ResponseMetadata"]["HTTPStatusCode"],
            )
            if status in (404, 412) and code != "NoSuchUpload":
                raise Overwritten(f"{piece.path} is no longer what its report says") from error
            raise

    @cached_property
    def _digest(self) -> str:
        """The digest of all pieces."""
        found = hashlib.sha256()
        for piece in self.pieces:
            if isinstance(piece, bytes):
                found.update(piece)
            else:
                found.update(orjson.dumps({"path": piece.path, "size": piece.size, "etag": piece.etag}))
        return found.hexdigest()

    @cached_property
    def _s3(self) -> S3Client:
        import boto3
        from botocore.config import Config

        config = Config(max_pool_connections=COPIES, retries={"mode": "standard", "max_attempts": 5})
        return boto3.client("s3", region_name=os.environ.get("AWS_REGION"), config=config)


def parts(sizes: Sequence[int]) -> list[list[Slice]]:
    """Return the slices of each part, all bytes in order. S3 can copy a part that is one slice of 5 MiB or
    more; the others are put together from bytes.

    There is at most one part more than pieces, unless pieces exceed 5 GiB.
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
