"""S3 of the local stack with objects that are larger than its memory should be."""

import io
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from thimble_infra import aws

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

MIB = 1 << 20
SIZE = 192 * MIB
PART = 8 * MIB
PROC = Path("/proc/self/status")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    """The address and the process of thimble_infra.aws."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "thimble_infra.aws", str(listener.fileno())],
            env=aws.environment(url),
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
    with process:
        yield url, process.pid


@pytest.fixture
def local_s3(server: tuple[str, int]) -> "S3Client":
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=server[0],
        region_name=aws.REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    for bucket in ("source", "target"):
        client.create_bucket(Bucket=bucket)
    return client


def peak(pid: int) -> int:
    """The most memory that a process has had, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def byte_at(offset: int) -> bytes:
    return b"%d" % (offset // MIB % 10)


def upload(s3: "S3Client", key: str, size: int = SIZE) -> str:
    """In parts, of which each MiB is a digit; the ETag."""
    where = {"Bucket": "source", "Key": key}
    started = s3.create_multipart_upload(Bucket="source", Key=key)["UploadId"]
    parts: list[Any] = []
    for number, offset in enumerate(range(0, size, PART), 1):
        body = b"".join(byte_at(offset + at) * MIB for at in range(0, PART, MIB))
        put = s3.upload_part(**where, UploadId=started, PartNumber=number, Body=body)  # type: ignore[arg-type]
        parts.append({"PartNumber": number, "ETag": put["ETag"]})
    done = s3.complete_multipart_upload(
        Bucket="source",
        Key=key,
        UploadId=started,
        MultipartUpload={"Parts": parts},
    )
    return done["ETag"]


@pytest.mark.skipif(not PROC.exists(), reason="no /proc to read the memory from")
def test_a_large_object_is_put_together_and_read_in_ranges_without_being_held(
    local_s3: "S3Client", server: tuple[str, int]
) -> None:
    upload(local_s3, "small", 2 * PART)  # what a server keeps, whatever the size
    before = peak(server[1])
    etag = upload(local_s3, "large")
    assert etag.endswith(f'-{SIZE // PART}"')
    head = local_s3.head_object(Bucket="source", Key="large")
    assert (head["ContentLength"], head["ETag"]) == (SIZE, etag)
    for offset in (0, 5 * MIB - 3, SIZE - 10):
        span = f"bytes={offset}-{offset + 99}"
        read = local_s3.get_object(Bucket="source", Key="large", Range=span)["Body"].read()
        assert read == b"".join(byte_at(at) for at in range(offset, min(offset + 100, SIZE)))
    assert peak(server[1]) - before < SIZE  # it was several times as much


@pytest.mark.skipif(not PROC.exists(), reason="no /proc to read the memory from")
def test_parts_are_copied_whole_and_in_ranges_without_being_held(
    local_s3: "S3Client", server: tuple[str, int]
) -> None:
    upload(local_s3, "origin")
    started = local_s3.create_multipart_upload(Bucket="target", Key="copy")["UploadId"]
    where = {"Bucket": "target", "Key": "copy", "UploadId": started}
    source = {"Bucket": "source", "Key": "origin"}
    ranged = {"CopySourceRange": f"bytes={3 * MIB}-{9 * MIB - 1}"}
    before = peak(server[1])
    parts: list[Any] = []
    for number, given in enumerate(({}, ranged), 1):
        copied: Any = local_s3.upload_part_copy(**where, PartNumber=number, CopySource=source, **given)  # type: ignore[arg-type]
        parts.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
    local_s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})  # type: ignore[arg-type]
    assert peak(server[1]) - before < SIZE / 2
    copy = local_s3.get_object(Bucket="target", Key="copy")["Body"]
    whole = b"".join(byte_at(at) * MIB for at in range(0, SIZE, MIB))
    assert copy.read() == whole + whole[3 * MIB : 9 * MIB]


def test_what_was_uploaded_in_parts_is_overwritten_and_deleted(local_s3: "S3Client") -> None:
    upload(local_s3, "gone")
    local_s3.put_object(Bucket="source", Key="gone", Body=b"small")
    assert local_s3.get_object(Bucket="source", Key="gone")["Body"].read() == b"small"
    local_s3.delete_object(Bucket="source", Key="gone")
    left = local_s3.list_objects_v2(Bucket="source").get("Contents", [])  # none where no other test wrote
    assert "gone" not in {found["Key"] for found in left}


def test_a_part_that_is_not_the_one_named_is_refused(local_s3: "S3Client") -> None:
    from botocore.exceptions import ClientError

    started = local_s3.create_multipart_upload(Bucket="target", Key="refused")["UploadId"]
    local_s3.upload_part(
        Bucket="target", Key="refused", UploadId=started, PartNumber=1, Body=io.BytesIO(os.urandom(10))
    )
    with pytest.raises(ClientError, match="InvalidPart"):
        local_s3.complete_multipart_upload(
            Bucket="target",
            Key="refused",
            UploadId=started,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": '"other"'}]},
        )
