"""A file that many functions share becomes what one function would have made of it, byte for byte."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import obstore
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
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


# However it is split.

NUMBERS = st.sampled_from(["5.1", "3", "0.2", " 6", "-1e-3", '"4.2"', "+7", "1."])
ODD = st.sampled_from(["", "x", "nan", '"1', '2"3', "1e999", "é", '"', "1e308"])
NOTES = st.sampled_from(
    [
        "1",
        "",
        '"a,b"',
        '"two\nlines"',
        '"1,2,3,4,5\n1,2,3,4,5\n1,2,3,4,5\n"',
        '"say ""hi"""',
        'in"ch',
        '"\r\n"',
        '"open',
    ]
)
NAMES = HEADER.decode().strip().split(",")[1:]


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """CSV in all its dialects, with records that are none."""
    delimiter, ending = draw(st.sampled_from([",", ";", "\t"])), draw(st.sampled_from(["\n", "\r\n"]))
    at = draw(st.integers(0, 4))  # the column of notes

    def record(note: str, cells: list[str]) -> str:
        return delimiter.join([*cells[:at], note, *cells[at:]])

    text = draw(st.sampled_from(["", "\ufeff"])) + draw(st.sampled_from(["", ending]))
    text += record("note", draw(st.sampled_from([NAMES, ["1", "2", "3", "4"]]))) + ending
    for _ in range(draw(st.integers(0, 14))):
        kind = draw(st.integers(0, 9))
        line = record(draw(NOTES), [draw(NUMBERS if kind else NUMBERS | ODD) for _ in range(4)])
        if kind == 1:
            line = line[: draw(st.integers(0, 20))]
        text += "" if kind == 2 else line
        text += draw(st.sampled_from(["\n", "\r\n"])) if kind == 3 else ending
    if draw(st.booleans()):
        text = text.rstrip("\r\n")
    return text.encode()


@settings(max_examples=150, deadline=None)
@given(tables(), st.sampled_from(["a.csv", "a.tsv"]), st.integers(3, 150))
def test_a_table_comes_out_the_same_however_it_is_split(data: bytes, key: str, size: int) -> None:
    Bench(size).check(data, key)


OBJECTS = st.fixed_dictionaries({name: st.sampled_from([5.1, 3, "x", None]) for name in NAMES}).map(
    json.dumps
)
LINES = OBJECTS | st.sampled_from(["", "  ", "{", "[1]", '{"a": "\\n"}', "\u00e9"])


@settings(max_examples=50, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=12), st.booleans(), st.integers(20, 400))
def test_json_lines_come_out_the_same_however_they_are_split(
    lines: list[str], ended: bool, size: int
) -> None:
    Bench(size).check(
        "\n".join([json.dumps(dict.fromkeys(NAMES, 1)), *lines]).encode() + b"\n" * ended, "a.jsonl"
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 60), st.integers(1, 20), st.sets(st.integers(0, 60)), st.integers(1, 9000))
def test_parquet_comes_out_the_same_however_it_is_split(n: int, rows: int, bad: set[int], size: int) -> None:
    columns = {name: [None if i in bad else i % 7 + k / 10 for i in range(n)] for k, name in enumerate(NAMES)}
    file = io.BytesIO()
    pl.DataFrame(columns, schema=dict.fromkeys(NAMES, pl.Float64)).write_parquet(file, row_group_size=rows)
    summary = Bench(size).check(file.getvalue(), "a.parquet")
    assert summary["rejections"] == len([i for i in bad if i < n])
