"""A file that many functions share becomes what one function would have made of it, byte for byte."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import obstore
from obstore.store import MemoryStore

from thimble import store
from thimble.classifier import load
from thimble.pipeline import Pipeline
from thimble.workflow import Workflow, handler

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "model" / "iris.json").read_bytes()
IRIS = load(DOCUMENT)
HEADER = b"id,sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"


class Bench:
    """An inbox, results and parts in memory, and Step Functions as a loop."""

    def __init__(self, range_bytes: int = 50, **options: Any) -> None:
        store.MEMORY = MemoryStore()
        self.inbox = MemoryStore()
        self.pipeline = Pipeline(lambda key: IRIS, "memory:///", buckets=lambda name: self.inbox, **options)
        self.single = replace(self.pipeline, results_uri="memory:///single")
        self.workflow = Workflow(
            self.pipeline, lambda key, digest: DOCUMENT, "memory:///parts", range_bytes=range_bytes
        )
        self.call = handler(self.workflow)
        self.calls = 0

    def put(self, data: bytes, key: str) -> None:
        obstore.put(self.inbox, key, data)

    def get(self, path: str) -> bytes | None:
        try:
            return bytes(obstore.get(store.MEMORY, path).bytes())
        except FileNotFoundError:
            return None

    def execute(self, key: str) -> str:
        """What infra/workflow.asl.json does."""
        while (planned := self.call({"task": "plan", "bucket": "inbox", "key": key}, None))[
            "outcome"
        ] == "split":
            assembled = {"outcome": "repair", "manifest": planned["manifest"]}
            while assembled["outcome"] == "repair":
                for item in json.loads(self.get(assembled["manifest"]["Key"]) or b""):
                    assert self.call(item, None) == {}
                    self.calls += 1
                assembled = self.call({"task": "assemble", "folder": planned["folder"]}, None)
            if assembled["outcome"] == "done":
                return "done"
        return str(planned["outcome"])

    def outcome(self, key: str, root: str = "") -> tuple[bytes | None, bytes | None, dict[str, Any]]:
        """Result, rejections and summary, but for what may differ."""
        summary = json.loads(self.get(f"{root}{key}/summary.json") or b"")
        for name in ("seconds", "result_etag"):
            summary.pop(name, None)
        for name in ("result", "rejected"):
            summary[name] = summary.get(name, "").removeprefix(root)
        extension = key.partition(".")[2]
        return (
            self.get(f"{root}{key}/result.{extension}"),
            self.get(f"{root}{key}/rejections.jsonl"),
            summary,
        )

    def check(self, data: bytes, key: str) -> dict[str, Any]:
        """Both ways, and the same comes out."""
        self.put(data, key)
        self.single.classify("inbox", key)
        assert self.execute(key) == "done"
        assert self.outcome(key) == self.outcome(key, "single/")
        assert not [path for path in self.listed() if path.startswith("parts/")]
        return self.outcome(key)[2]

    def listed(self) -> list[str]:
        return [found["path"] for found in obstore.list(store.MEMORY).collect()]


def test_a_file_in_ranges_is_the_file_in_one() -> None:
    rows = b"1,5.1,3.5,1.4,0.2\n2,x,3.5,1.4,0.2\n\n3,6.3,3.3,6.0,2.5\n"
    bench = Bench()
    summary = bench.check(HEADER + rows * 20, "a.csv")
    assert (summary["rows"], summary["rejections"]) == (60, 20)
    assert bench.calls > 20
