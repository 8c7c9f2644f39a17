"""The deployed entry of large files against a server that speaks S3: what S3 copies, and what is gathered."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.client
import pytest
from moto.s3 import models
from moto.s3.exceptions import MalformedXML
from moto.s3.responses import S3Response

from thimble.errors import Late
from thimble.files import multipart, streams
from thimble.files.pipeline import Pipeline
from thimble.inference.classifier import load
from thimble.split.plan import PartsFolder
from thimble_infra import aws
from thimble_infra.invocation import Context

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ROOT = Path(__file__).parents[1]
IRIS = (ROOT / "model" / "iris.json").read_bytes()
HEADER = b"note,sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"
KIB = 1 << 10
CONTEXT = Context("workflow", 900)
KEY = "large files/50% + caf\u00e9.csv"

Handler = Callable[..., dict[str, Any]]


@pytest.fixture
def handler(entry: Callable[[str], Handler], monkeypatch: pytest.MonkeyPatch) -> Handler:
    """With an S3 that takes parts of 5 KiB, not MiB."""
    assert vars(models)["S3_UPLOAD_PART_MIN_SIZE"] == multipart.LEAST
    monkeypatch.setattr(multipart, "LEAST", 5 * KIB)
    monkeypatch.setattr(models, "S3_UPLOAD_PART_MIN_SIZE", 5 * KIB)
    monkeypatch.setenv("RANGE_BYTES", str(12 * KIB))
    return entry("workflow")


def rows(size: int, good: bool) -> bytes:
    """About that many bytes of records."""
    row = b"x" * 200 + (b",5.1,3.5,1.4,0.2\n" if good else b",5.1,bad,1.4,0.2\n")
    return row * (size // len(row))


def get(s3: "S3Client", name: str, key: str = KEY) -> bytes:
    return s3.get_object(Bucket="thimble-results", Key=f"{key}/{name}")["Body"].read()


def single(s3: "S3Client", data: bytes) -> tuple[bytes, bytes]:
    s3.put_object(Bucket="thimble-inbox", Key="single.csv", Body=data)
    Pipeline(lambda key: load(IRIS), "s3://thimble-results").classify("thimble-inbox", "single.csv")
    return get(s3, "result.csv", "single.csv"), get(s3, "rejections.jsonl", "single.csv")


def plan_and_classify(s3: "S3Client", handler: Handler) -> dict[str, Any]:
    """The planner's answer, all ranges being classified."""
    planned = handler({"task": "plan", "bucket": "thimble-inbox", "key": KEY}, CONTEXT)
    assert planned["manifest"]["Bucket"] == "thimble-parts"
    for item in manifest(s3, planned):
        assert handler(item, CONTEXT) == {}
    return planned


def manifest(s3: "S3Client", answer: dict[str, Any]) -> list[dict[str, Any]]:
    found = answer["manifest"]
    items: list[dict[str, Any]] = json.loads(
        s3.get_object(Bucket=found["Bucket"], Key=found["Key"])["Body"].read()
    )
    return items


def copies(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What S3 is asked to copy from now on: moto does not look at the condition."""
    found: list[dict[str, Any]] = []
    client: Any = botocore.client.BaseClient
    call = client._make_api_call

    def seen(self: Any, name: str, about: dict[str, Any]) -> Any:
        if name == "UploadPartCopy":
            found.append(dict(about))
        return call(self, name, about)

    monkeypatch.setattr(client, "_make_api_call", seen)
    return found


def test_large_and_small_parts_are_joined_by_s3(
    s3: "S3Client", handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = HEADER + rows(13 * KIB, True) + rows(11 * KIB, False) + rows(14 * KIB, True)
    s3.put_object(Bucket="thimble-inbox", Key=KEY, Body=data)
    planned = plan_and_classify(s3, handler)
    assert (planned["outcome"], planned["ranges"]) == ("split", 4)
    there = {item["Key"]: item["ETag"] for item in s3.list_objects_v2(Bucket="thimble-parts")["Contents"]}
    copied = copies(monkeypatch)
    assert handler({"task": "assemble", "folder": planned["folder"]}, CONTEXT) == {"outcome": "done"}
    assert (get(s3, "result.csv"), get(s3, "rejections.jsonl")) == single(s3, data)
    assert len(copied) == 3
    for copy in copied:  # of what the report says, and of nothing else that took its place
        assert copy["CopySourceIfMatch"] == there[copy["CopySource"]["Key"]]
    etag = s3.head_object(Bucket="thimble-results", Key=f"{KEY}/result.csv")["ETag"]
    assert etag.endswith('-5"')  # header and some gathered, the rest copied, a small one gathered, two copied
    assert json.loads(get(s3, "summary.json"))["result_etag"] == etag
    assert s3.list_objects_v2(Bucket="thimble-parts")["KeyCount"] == 0
    assert handler({"task": "plan", "bucket": "thimble-inbox", "key": KEY}, None) == {"outcome": "done"}


def test_an_assembly_whose_time_is_over_goes_on_where_it_was(
    s3: "S3Client", handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = HEADER + rows(40 * KIB, True)
    s3.put_object(Bucket="thimble-inbox", Key=KEY, Body=data)
    planned = plan_and_classify(s3, handler)
    checks = []

    def check_time(deadline: float) -> None:
        checks.append(deadline)
        if 3 <= len(checks) < 9:
            raise Late

    monkeypatch.setattr(multipart, "COPIES", 1)
    monkeypatch.setattr(streams, "check_time", check_time)
    answer = handler({"task": "assemble", "folder": planned["folder"]}, CONTEXT)
    assert answer["outcome"] == "repair"
    assert [handler(item, CONTEXT) for item in manifest(s3, answer)] == [{}]
    checks = [0.0] * 9
    assert handler({"task": "assemble", "folder": planned["folder"]}, CONTEXT) == {"outcome": "done"}
    assert len(checks) == 9 + 3  # of five parts, the three that were not copied
    assert get(s3, "result.csv") == single(s3, data)[0]


def test_a_part_that_is_lost_is_made_again(s3: "S3Client", handler: Handler) -> None:
    data = HEADER + rows(26 * KIB, True)
    s3.put_object(Bucket="thimble-inbox", Key=KEY, Body=data)
    planned = plan_and_classify(s3, handler)
    (lost,) = (
        found["Key"]
        for found in s3.list_objects_v2(Bucket="thimble-parts")["Contents"]
        if "/000001-" in found["Key"] and found["Key"].endswith(".result")
    )
    s3.delete_object(Bucket="thimble-parts", Key=lost)
    assert handler({"task": "assemble", "folder": planned["folder"]}, CONTEXT) == {"outcome": "again"}
    planned = plan_and_classify(s3, handler)
    assert handler({"task": "assemble", "folder": planned["folder"]}, CONTEXT) == {"outcome": "done"}
    assert get(s3, "result.csv") == single(s3, data)[0]


def test_a_folder_of_more_parts_than_s3_removes_at_once_is_removed_whole(
    s3: "S3Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    """DeleteObjects takes 1,000 keys."""
    asked: list[int] = []
    delete: Any = S3Response._bucket_response_delete_keys

    def checked(self: Any, *about: Any) -> Any:
        asked.append(self.body.count(b"<Key>"))
        if asked[-1] > 1000:
            raise MalformedXML
        return delete(self, *about)

    monkeypatch.setattr(S3Response, "_bucket_response_delete_keys", checked)
    folder = PartsFolder("s3://thimble-parts/a.csv/digest")
    moto = models.s3_backends[aws.ACCOUNT]["aws"]
    for k in range(1001):
        moto.put_object("thimble-parts", f"a.csv/digest/{k:06d}.json", b"{}")
    folder.store.put("a.csv/digest2/000000.json", b"{}")
    assert len(folder.keys()) == 1001
    folder.remove()
    assert sorted(asked) == [1, 1000]
    [left] = s3.list_objects_v2(Bucket="thimble-parts")["Contents"]
    assert left["Key"] == "a.csv/digest2/000000.json"
