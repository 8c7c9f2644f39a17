"""Parts put together as one object: by S3 itself where they lie there and are large, else streamed through
here. boto3 is imported for the first only; Lambda's runtime has it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import orjson
from obstore.store import ObjectStore, S3Store

from thimble.files import streams
from thimble.files.streams import Overwritten
from thimble.files.uploads import Upload
from thimble.split import multipart
from thimble.split.multipart import Slice
from thimble.split.plan import Folder, Stored

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

Piece = bytes | Stored  # what is at hand, or lies in the folder

COPIES = 32  # at once; S3 does the work


def join(
    folder: Folder, pieces: Sequence[Piece], results: ObjectStore, path: str, deadline: float
) -> str | None:
    """The ETag of the whole. Late if there is no time for it; what S3 has copied is not copied again."""
    large = sum(map(size, pieces)) > multipart.LEAST
    if large and isinstance(folder.store, S3Store) and isinstance(results, S3Store):
        return Copying(folder, pieces, folder.store.config["bucket"], results.config["bucket"], path).run(
            deadline
        )
    with Upload(results, path) as upload:
        for data in streams.in_time(_streamed(folder, pieces), deadline):
            upload.write(data)
        return upload.finish()


def _streamed(folder: Folder, pieces: Sequence[Piece]) -> Iterator[bytes]:
    block = streams.BLOCK_BYTES
    calls = (
        partial(read, folder, piece, at, at + block)
        for piece in pieces
        for at in range(0, size(piece), block)
    )
    return streams.ahead(calls, streams.READ_AHEAD)


def size(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.size


def read(folder: Folder, piece: Piece, start: int, stop: int) -> bytes:
    """Overwritten if it is no longer there as it was."""
    if isinstance(piece, bytes):
        return piece[start:stop]
    return streams.Source(folder.store, piece.path, piece.size, piece.etag, None).read(start, stop)


@dataclass(frozen=True)
class Copying:
    """An upload whose parts S3 copies from the pieces. The folder remembers which upload it is."""

    folder: Folder
    pieces: Sequence[Piece]
    source: str  # bucket
    bucket: str
    path: str

    def run(self, deadline: float) -> str:
        parts = multipart.parts([size(piece) for piece in self.pieces])
        upload, there = self._begun() or (self._begin(), {})
        missing = [(k, part) for k, part in enumerate(parts, 1) if k not in there]
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
        self.folder.put("upload.json", {"id": upload, "of": self._digest})
        return upload

    def _begun(self) -> tuple[str, dict[int, str]] | None:
        """An upload of these very pieces that was not completed, and the ETags of its parts."""
        begun = orjson.loads(self.folder.get("upload.json") or b"{}")
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
        where: Any = {"Bucket": self.bucket, "Key": self.path, "UploadId": upload, "PartNumber": number}
        piece = self.pieces[slices[0].piece]
        if len(slices) > 1 or isinstance(piece, bytes):
            data = b"".join(read(self.folder, self.pieces[s.piece], s.start, s.stop) for s in slices)
            return self._s3.upload_part(**where, Body=data)["ETag"]
        try:
            return self._s3.upload_part_copy(
                **where,
                CopySource={"Bucket": self.source, "Key": piece.path},
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
        """Of what the upload is of."""
        found = hashlib.sha256()
        for piece in self.pieces:
            found.update(piece if isinstance(piece, bytes) else orjson.dumps(piece))
        return found.hexdigest()

    @cached_property
    def _s3(self) -> S3Client:
        import boto3
        from botocore.config import Config

        config = Config(max_pool_connections=COPIES, retries={"mode": "standard", "max_attempts": 5})
        return boto3.client("s3", region_name=os.environ.get("AWS_REGION"), config=config)
