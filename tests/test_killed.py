"""Functions killed at any call of a store: the right result, complete, or the one before; a retry mends all.

A killed function makes no further call, so here every later call fails too; and to be killed after a call is
to be killed before the next. Uploads in parts, killed in a process of their own, are in test_faults.py.
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
from obstore.store import MemoryStore

from tests import states
from thimble import store
from thimble.files import multipart
from thimble.files.options import FileOptions
from thimble.files.pipeline import Pipeline
from thimble.inference.classifier import load
from thimble.split.tasks import Workflow, handler

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

DOCUMENT = (Path(__file__).parents[1] / "model" / "iris.json").read_bytes()
IRIS = load(DOCUMENT)
HEADER = b"note,sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"
KEY = "large/iris.csv"

Left = tuple[bytes | None, bytes | None, dict[str, Any] | None]


class Killed(BaseException):
    """What no function catches."""


class Calls:
    """Counts the calls of stores by their names, and kills at one of them and all that follow."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("get", "head", "put", "list", "delete"):
            call = getattr(obstore, name)
            monkeypatch.setattr(obstore, name, self._fatal(call, lambda *about, name=name: name))
        client: Any = botocore.client.BaseClient
        fatal = self._fatal(client._make_api_call, lambda client, name, about: name)
        monkeypatch.setattr(client, "_make_api_call", fatal)
        self.spare()

    def kill(self, at: int) -> None:
        self.made, self.at, self.names = 0, at, list[str]()

    def spare(self) -> None:
        self.kill(sys.maxsize)

    def _fatal(self, call: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        def called(*args: Any, **options: Any) -> Any:
            self.made += 1
            if self.made >= self.at:
                raise Killed
            self.names.append(name(*args))
            return call(*args, **options)

        return called


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


def rows(n: int, version: int) -> bytes:
    lines = (b'"a\nnote",5.1,3.5,%d.4,0.%d\n' % (version, i % 9) for i in range(n))
    return HEADER + b"".join(lines) + b"bad,x,,1\n" * version


class Bench:
    """Stores in memory; each run is of functions that are cold."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inbox, self.outside = inbox, outside = MemoryStore(), MemoryStore()
        monkeypatch.setitem(store.OPENERS, "memory", lambda host, path: (outside, path))
        options = FileOptions.of(max_rejected_share=0.9)
        self.pipeline = Pipeline(lambda key: IRIS, "memory:///", options, buckets=lambda name: inbox)

    def put(self, data: bytes) -> None:
        self.inbox.put(KEY, data)

    def one(self) -> None:
        assert self.pipeline.classify("inbox", KEY)

    def many(self) -> None:
        call = handler(Workflow(self.pipeline, lambda key, digest: DOCUMENT, "memory:///parts", 130))
        answers = states.execute(
            lambda event: call(event, None), lambda key: self.get(key) or b"", "inbox", KEY
        )
        assert answers[-1] == {"outcome": "done"}

    def get(self, path: str) -> bytes | None:
        try:
            return bytes(self.outside.get(path).bytes())
        except FileNotFoundError:
            return None

    def left(self) -> Left:
        """Result, rejections and summary, but for what differs from run to run."""
        summary = json.loads(self.get(f"{KEY}/summary.json") or b"null")
        if summary:
            result = self.get(summary["result"]) if "result" in summary else None
            assert (result is None) == ("error" in summary)  # what a summary names is there
            for name in ("seconds", "result_etag"):
                summary.pop(name, None)
            summary["input"].pop("etag")
        return self.get(f"{KEY}/result.csv"), self.get(f"{KEY}/rejections.jsonl"), summary

    def parts(self) -> list[str]:
        return [found["path"] for found in obstore.list(self.outside, "parts/").collect()]


SECOND = {
    "another table": rows(14, 2),
    "what is refused": b"a,b\nx,y\n",
    "what is rejected": HEADER + b"1,x,,1\n",
}


@pytest.mark.parametrize("functions", [Bench.one, Bench.many], ids=["by one function", "by many"])
@pytest.mark.parametrize("second", SECOND)
def test_killed_at_any_call_it_leaves_what_belongs_together_and_a_retry_mends_all(
    second: str, functions: Callable[[Bench], None], calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in itertools.count(0):
        bench = Bench(monkeypatch)
        bench.put(rows(9, 1))
        bench.one()
        first = bench.left()
        bench.put(SECOND[second])
        if not at:
            functions(bench)
            calm = bench.left()
            continue
        calls.kill(at)
        try:
            functions(bench)
        except Killed:
            calls.spare()
        else:
            break
        found = bench.left()
        assert found[2] is None or found in (first, calm)
        assert found[0] in (first[0], calm[0])
        functions(bench)
        assert bench.left() == calm
        assert bench.parts() == []
    assert at > (5 if second == "what is refused" else 10)  # kills
    assert calm[2] is not None
    assert ("error" in calm[2]) == (second != "another table")


def test_an_assembly_killed_while_s3_copies_leaves_a_whole_result_and_a_retry_mends_all(
    s3: "S3Client", calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after S3's first call of each kind."""
    monkeypatch.setattr(multipart, "LEAST", 300)
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 300)
    pipeline = Pipeline(lambda key: IRIS, "s3://thimble-results")
    workflow = handler(Workflow(pipeline, lambda key, digest: DOCUMENT, "s3://thimble-parts", 400))

    def call(event: dict[str, Any]) -> dict[str, Any]:
        return workflow(event, None)

    def get(bucket: str, key: str) -> bytes:
        return store.bucket(bucket).get(key).bytes().to_bytes()

    def results() -> list[bytes]:
        return [get("thimble-results", f"{KEY}/{name}") for name in ("result.csv", "rejections.jsonl")]

    def version(data: bytes) -> list[bytes]:
        s3.put_object(Bucket="thimble-inbox", Key=KEY, Body=data)
        pipeline.classify("thimble-inbox", KEY)
        return results()

    second, first = version(rows(40, 2)), version(rows(9, 1))
    s3.put_object(Bucket="thimble-inbox", Key=KEY, Body=rows(40, 2))
    planned = call({"task": "plan", "bucket": "thimble-inbox", "key": KEY})
    for item in json.loads(get("thimble-parts", planned["manifest"]["Key"])):
        call(item)
    kept = {key: get("thimble-parts", key) for key in _listed(s3)}
    former = {name: get("thimble-results", f"{KEY}/{name}") for name in ("result.csv", "summary.json")}
    calls.spare()
    assert call({"task": "assemble", "folder": planned["folder"]}) == {"outcome": "done"}
    assert results() == second
    names = calls.names
    assert {"CreateMultipartUpload", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload"} <= {*names}
    firsts = [names.index(name) + 1 for name in {*names} if name[0].isupper()]
    for at in sorted({*firsts, *(at + 1 for at in firsts)}):
        calls.spare()
        for key, data in kept.items():
            s3.put_object(Bucket="thimble-parts", Key=key, Body=data)
        for name, data in former.items():
            s3.put_object(Bucket="thimble-results", Key=f"{KEY}/{name}", Body=data)
        calls.kill(at)
        with pytest.raises(Killed):
            call({"task": "assemble", "folder": planned["folder"]})
        calls.spare()
        assert results()[0] in (first[0], second[0])
        answers = states.execute(call, lambda key: get("thimble-parts", key), "thimble-inbox", KEY)
        assert answers[-1] == {"outcome": "done"}
        assert results() == second
        assert json.loads(get("thimble-results", f"{KEY}/summary.json"))["rejections"] == 2
        assert _listed(s3) == []


def _listed(s3: "S3Client") -> list[str]:
    return [found["Key"] for found in s3.list_objects_v2(Bucket="thimble-parts").get("Contents", [])]
