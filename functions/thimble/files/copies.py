"""Write an object that begins with the bytes of another; S3 or the file system copies those bytes itself.

boto3 is imported only for copies by S3; Lambda's runtime has it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypedDict

import obstore
from obstore.store import LocalStore, ObjectStore, S3Store

from thimble.errors import Overwritten
from thimble.files import uploads
from thimble.files.uploads import Upload
from thimble.store import ObjectVersion
from thimble.tables.blocks import BLOCK_BYTES
from thimble.tables.compression import Compression

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

COPIES = 32  # at once; S3 does the work itself
LEAST, MOST = 5 << 20, 5 << 30  # bytes of a part that S3 copies


class Place(TypedDict):
    """The place of a part, as arguments of boto3's methods for multipart uploads."""

    Bucket: str
    Key: str
    UploadId: str
    PartNumber: int


def begun(
    source: ObjectVersion, results: ObjectStore, path: str, compression: Compression | None = None
) -> Upload | S3Copy | LocalCopy:
    """Begin an object with all bytes of the source; the caller writes the rest and finishes it."""
    if source.size > LEAST and bucket_name(source.store) and bucket_name(results):
        return S3Copy(source, bucket_name(results), path)
    here = _local(source.store, source.path)
    there = _local(results, path) if compression is None else None
    if there and (here or not source.size):
        return LocalCopy(here, source.size, results, path, there)
    upload = Upload(results, path, compression)
    for at in range(0, source.size, BLOCK_BYTES):
        upload.write(source.read(at, at + BLOCK_BYTES))
    return upload


def bucket_name(store: ObjectStore) -> str:
    """Return the bucket of a store; "" if the store is not S3."""
    return store.config.get("bucket", "") if isinstance(store, S3Store) else ""


def _local(store: ObjectStore, path: str) -> Path | None:
    """Return the path of an object's file; None if the store is not local or the path has an escape (%)."""
    if not isinstance(store, LocalStore) or store.prefix is None or "%" in path:
        return None
    return Path(store.prefix) / path


class S3Copy:
    """An object whose first bytes S3 copies from the source; data written after them is uploaded in parts."""

    def __init__(self, source: ObjectVersion, bucket: str, path: str) -> None:
        self._s3, self._bucket, self._path = client(), bucket, path
        self._upload = self._s3.create_multipart_upload(Bucket=bucket, Key=path)["UploadId"]
        self._pool = ThreadPoolExecutor(uploads.UPLOADS)
        self._parts: list[Future[str]] = []
        self._held: list[bytes] = []
        self._finished = False
        for at in range(0, source.size, MOST):
            stop = min(at + MOST, source.size)
            if stop - at < LEAST:
                self.write(source.read(at, stop))
            else:
                self._send(partial(copy_part, self._s3, source, at, stop))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        if not self._finished:
            self._s3.abort_multipart_upload(Bucket=self._bucket, Key=self._path, UploadId=self._upload)

    def write(self, data: bytes, /) -> int:
        self._held.append(data)
        if sum(map(len, self._held)) >= uploads.PART_BYTES:
            self._send_held()
        return len(data)

    def finish(self) -> str:
        """Make the object visible and return its ETag."""
        if self._held:
            self._send_held()
        completed: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": part.result()} for number, part in enumerate(self._parts, 1)
        ]
        done = self._s3.complete_multipart_upload(
            Bucket=self._bucket, Key=self._path, UploadId=self._upload, MultipartUpload={"Parts": completed}
        )
        self._finished = True
        return done["ETag"]

    def _send_held(self) -> None:
        self._send(partial(self._put, b"".join(self._held)))
        self._held.clear()

    def _put(self, data: bytes, place: Place) -> str:
        return self._s3.upload_part(**place, Body=data)["ETag"]

    def _send(self, part: Callable[[Place], str]) -> None:
        """Submit the next part; wait first if too many are in flight."""
        if len(self._parts) > uploads.UPLOADS:
            self._parts[-uploads.UPLOADS].result()
        place = Place(
            Bucket=self._bucket, Key=self._path, UploadId=self._upload, PartNumber=len(self._parts) + 1
        )
        self._parts.append(self._pool.submit(part, place))


def copy_part(s3: S3Client, source: ObjectVersion, start: int, stop: int, place: Place) -> str:
    """Let S3 copy a part, and return its ETag. Raises Overwritten if the source has changed."""
    try:
        return s3.upload_part_copy(
            **place,
            CopySource={"Bucket": bucket_name(source.store), "Key": source.path},
            CopySourceRange=f"bytes={start}-{stop - 1}",
            CopySourceIfMatch=source.etag or "*",
        )["CopyPartResult"]["ETag"]
    except s3.exceptions.ClientError as error:
        code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status in (404, 412) and code != "NoSuchUpload":
            raise Overwritten(f"{source.path} is no longer what it was") from error
        raise


def client() -> S3Client:
    import boto3
    from botocore.config import Config

    config = Config(max_pool_connections=COPIES, retries={"mode": "standard", "max_attempts": 5})
    return boto3.client("s3", region_name=os.environ.get("AWS_REGION"), config=config)


class LocalCopy:
    """A file whose first bytes, if any, are copied from the source; data written later is appended."""

    def __init__(self, source: Path | None, size: int, results: ObjectStore, path: str, there: Path) -> None:
        self._results, self._path, self._there = results, path, there
        self._made = there.with_name(f"{there.name}#{os.getpid()}")  # obstore does not list such a name
        there.parent.mkdir(parents=True, exist_ok=True)
        if source and size:
            shutil.copyfile(source, self._made)
        self._file = self._made.open("ab")
        self._file.truncate(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()
        self._made.unlink(missing_ok=True)

    def write(self, data: bytes, /) -> int:
        return self._file.write(data)

    def finish(self) -> str | None:
        """Make the object visible and return its ETag."""
        self._file.close()
        self._made.replace(self._there)
        return obstore.head(self._results, self._path)["e_tag"]
