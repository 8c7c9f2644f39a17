"""Large files' functions killed before every call of S3: the complete right result, or none.

A killed function makes no further call, so here every later one fails too; and to be killed after a call is
to be killed before the next.
"""

import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.client
import obstore
import pytest

from thimble.files import multipart
from thimble.files.pipeline import Pipeline
from thimble.inference.classifier import load
from thimble.split.tasks import Workflow, handler

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

DOCUMENT = (Path(__file__).parents[1] / "model" / "iris.json").read_bytes()
IRIS = load(DOCUMENT)
HEADER = b"note,sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"
KEY = "large/iris.csv"


class Killed(BaseException):
    """What no function catches."""


class Calls:
    """Counts the calls of S3, and kills at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("get", "head", "put", "list", "delete"):
            monkeypatch.setattr(obstore, name, self._fatal(getattr(obstore, name)))
        client = botocore.client.BaseClient
        monkeypatch.setattr(client, "_make_api_call", self._fatal(client._make_api_call))  # type: ignore[attr-defined]
        self.spare()

    def kill(self, at: int) -> None:
        self.made, self.at = 0, at

    def spare(self) -> None:
        self.kill(sys.maxsize)

    def _fatal(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **options: Any) -> Any:
            self.made += 1
            if self.made >= self.at:
                raise Killed
            return call(*args, **options)

        return called


def rows(n: int, version: int) -> bytes:
    lines = (b'"a\nnote",5.1,3.5,%d.4,0.%d\n' % (version, i % 9) for i in range(n))
    return HEADER + b"".join(lines) + b"bad,x,,1\n" * version


class Bench:
    """Buckets behind S3, Step Functions as a loop."""

    def __init__(self, s3: "S3Client") -> None:
        self.s3 = s3
        self.pipeline = Pipeline(lambda key: IRIS, "s3://thimble-results")

    def put(self, data: bytes, key: str = KEY) -> None:
        self.s3.put_object(Bucket="thimble-inbox", Key=key, Body=data)

    def get(self, name: str, key: str = KEY) -> bytes:
        return self.s3.get_object(Bucket="thimble-results", Key=f"{key}/{name}")["Body"].read()

    def expected(self, data: bytes) -> tuple[bytes, bytes]:
        self.put(data, "calm.csv")
        self.pipeline.classify("thimble-inbox", "calm.csv")
        return self.get("result.csv", "calm.csv"), self.get("rejections.jsonl", "calm.csv")

    def execute(self) -> int:
        """In functions that are cold. How many calls of them there were."""
        call = handler(Workflow(self.pipeline, lambda key, digest: DOCUMENT, "s3://thimble-parts", 130))
        calls = 1
        planned = call({"task": "plan", "bucket": "thimble-inbox", "key": KEY}, None)
        answer = {**planned, "outcome": "repair"} if planned["outcome"] == "split" else planned
        while answer["outcome"] == "repair":
            for item in self.items(answer["manifest"]):
                call(item, None)
                calls += 1
            answer = call({"task": "assemble", "folder": planned["folder"]}, None)
            calls += 1
        assert answer == {"outcome": "done"}
        return calls

    def items(self, manifest: dict[str, str]) -> list[dict[str, Any]]:
        """Read as Step Functions does: not a call of ours."""
        from thimble import store

        data = store.bucket(manifest["Bucket"]).get(manifest["Key"]).bytes()
        items: list[dict[str, Any]] = json.loads(bytes(data))
        return items


def test_killed_at_any_call_it_leaves_a_whole_result_and_a_retry_mends_all(
    s3: "S3Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multipart, "LEAST", 300)
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 300)
    bench = Bench(s3)
    versions = [rows(9, 1), rows(14, 2)]
    results = [bench.expected(data) for data in versions]
    calls = Calls(monkeypatch)

    def begin(at: int) -> None:
        """The first version is done, the second is there."""
        calls.spare()
        bench.put(versions[0])
        bench.pipeline.classify("thimble-inbox", KEY)
        bench.put(versions[1])
        calls.kill(at)

    for at in itertools.count(1):
        begin(at)
        try:
            assert bench.execute() >= 5
        except Killed:
            pass
        else:
            break
        calls.spare()
        assert bench.get("result.csv") in (results[0][0], results[1][0])
        bench.execute()
        assert (bench.get("result.csv"), bench.get("rejections.jsonl")) == results[1]
        summary = json.loads(bench.get("summary.json"))
        assert (summary["rows"], summary["rejections"]) == (16, 2)
        assert bench.pipeline.job("thimble-inbox", KEY).finished_summary() == summary
    assert at > 50  # kills
