"""A file that many functions share becomes what one function would have made of it, byte for byte."""

import gzip
import io
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import obstore
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from obstore.store import MemoryStore
from sklearn.linear_model import LogisticRegression

from tests import states
from tests.test_abstentions import NAMES as COLUMNS
from tests.test_abstentions import X
from tests.test_explained import MODEL
from thimble import store
from thimble.errors import MalformedBody, Unavailable
from thimble.files import jobs
from thimble.files.jobs import Job, result_paths
from thimble.files.options import FileOptions
from thimble.files.pipeline import Pipeline
from thimble.inference.batch import Batch
from thimble.inference.classifier import load
from thimble.split import range_task
from thimble.split.plan import Report
from thimble.split.ranges import GUESSES, Range, checked, planned
from thimble.split.tasks import Workflow, handler
from thimble.tables import blocks, tokens
from thimble.tables.blocks import MAX_RECORD_BYTES
from thimble_model import export

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "model" / "iris.json").read_bytes()
IRIS = load(DOCUMENT)
HEADER = b"id,sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"


class Bench:
    """An inbox, results and parts in memory, and Step Functions as a loop."""

    def __init__(self, range_bytes: int = 50, document: bytes = DOCUMENT, **options: Any) -> None:
        model = load(document)
        self.inbox, self.outside = MemoryStore(), MemoryStore()
        store.OPENERS["memory"] = lambda host, path: (self.outside, path)
        self.pipeline = Pipeline(lambda key: model, "memory:///", buckets=lambda name: self.inbox, **options)
        self.single = replace(self.pipeline, results_uri="memory:///single")
        self.workflow = Workflow(
            self.pipeline, lambda key, digest: document, "memory:///parts", range_bytes=range_bytes
        )
        self.handler = handler(self.workflow)
        self.calls = 0

    def put(self, data: bytes, key: str) -> None:
        obstore.put(self.inbox, key, data)

    def get(self, path: str) -> bytes | None:
        try:
            return bytes(obstore.get(self.outside, path).bytes())
        except FileNotFoundError:
            return None

    def call(self, event: dict[str, Any]) -> dict[str, Any]:
        self.calls += event["task"] == "classify"
        return self.handler(event, None)

    def execute(self, key: str) -> str:
        answers = states.execute(self.call, lambda path: self.get(path) or b"", "inbox", key)
        return str(answers[-1]["outcome"])

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
        return self.finish(key)

    def finish(self, key: str) -> dict[str, Any]:
        self.single.classify("inbox", key)
        assert self.execute(key) == "done"
        assert self.outcome(key) == self.outcome(key, "single/")
        assert not [path for path in self.listed() if path.startswith("parts/")]
        return self.outcome(key)[2]

    def listed(self) -> list[str]:
        return [found["path"] for found in obstore.list(self.outside).collect()]


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


@settings(max_examples=80)
@given(tables(), st.sampled_from(["a.csv", "a.tsv"]), st.integers(3, 150))
def test_a_table_comes_out_the_same_however_it_is_split(data: bytes, key: str, size: int) -> None:
    Bench(size).check(data, key)


OBJECTS = st.fixed_dictionaries({name: st.sampled_from([5.1, 3, "x", None]) for name in NAMES}).map(
    json.dumps
)
LINES = OBJECTS | st.sampled_from(["", "  ", "{", "[1]", '{"a": "\\n"}', "\u00e9"])


@settings(max_examples=25)
@given(st.lists(LINES, min_size=1, max_size=12), st.booleans(), st.integers(20, 400))
def test_json_lines_come_out_the_same_however_they_are_split(
    lines: list[str], ended: bool, size: int
) -> None:
    Bench(size).check(
        "\n".join([json.dumps(dict.fromkeys(NAMES, 1)), *lines]).encode() + b"\n" * ended, "a.jsonl"
    )


@settings(max_examples=25)
@given(st.integers(0, 60), st.integers(1, 20), st.sets(st.integers(0, 60)), st.integers(1, 9000))
def test_parquet_comes_out_the_same_however_it_is_split(n: int, rows: int, bad: set[int], size: int) -> None:
    columns = {name: [None if i in bad else i % 7 + k / 10 for i in range(n)] for k, name in enumerate(NAMES)}
    file = io.BytesIO()
    pl.DataFrame(columns, schema=dict.fromkeys(NAMES, pl.Float64)).write_parquet(file, row_group_size=rows)
    summary = Bench(size).check(file.getvalue(), "a.parquet")
    assert summary["rejections"] == len([i for i in bad if i < n])


@settings(max_examples=30)
@given(tables(), st.integers(3, 150), st.integers(20, 70))
def test_a_record_that_is_too_long_refuses_the_file_with_its_line(data: bytes, size: int, limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module in (blocks, tokens):
            patch.setattr(module, "MAX_RECORD_BYTES", limit)
        Bench(size).check(data, "a.csv")


def test_the_line_of_a_record_that_is_too_long_is_the_files() -> None:
    rows = b'1,5.1,3.5,1.4,0.2\n"two\nlines",6.3,3.3,6.0,2.5\n' * 20
    data = HEADER + rows + b"x" * MAX_RECORD_BYTES + b",5.1,3.5,1.4,0.2\n" + rows
    summary = Bench(100_000).check(data, "a.csv")
    assert summary["error"] == "the record that begins on line 62 is longer than 1048576 bytes"


NEWLINES = [
    '"line one\nline two, with a comma\n\nand ""more"""',
    '"1,2,3,4,5\n6,7,8,9,10\n"',
    '"' + "some words\n" * 50 + '"',
]


@pytest.mark.parametrize("note", NEWLINES)
def test_quoted_newlines_hardly_ever_mislead(note: str) -> None:
    rows = "".join(f"{note if i % 3 else 'plain'},5.{i % 10},3.5,1.4,0.2\n" for i in range(6000)).encode()
    bench = Bench((len(HEADER) + len(rows)) // 100)
    assert bench.check(HEADER + rows, "a.csv")["predictions"] == 6000
    assert bench.calls <= 103  # a range or two again


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.data())
def test_with_every_round_one_more_range_is_right(lengths: list[int], draw: st.DataObject) -> None:
    """However wrong the guesses are."""
    bounds = [0, *accumulate(lengths)]
    true = sorted({0, bounds[-1], *draw.draw(st.sets(st.integers(0, bounds[-1])))})

    def begin(at: int) -> int:
        return next(start for start in true if start >= at)

    def done(part: Range, start: int) -> Report:
        end = begin(part.stop) if start in true else draw.draw(st.integers(part.stop, bounds[-1]))
        return Report(part.index, part.round, start, part.stop, max(start, end), {})

    reports = {p.index: done(p, draw.draw(st.integers(p.start, bounds[-1]))) for p in planned(bounds)}
    reports[0] = done(planned(bounds)[0], 0)
    for _ in range(GUESSES + 1):
        right, again = checked(bounds, reports)
        if not again:
            break
        assert all(found.start in true for found in right)
        assert again[0].start == begin(right[-1].end or 0)
        reports |= {part.index: done(part, part.start) for part in again}
    right, again = checked(bounds, reports)
    assert again == []
    assert [found.start for found in right[1:]] == [found.end for found in right[:-1]]
    assert right[-1].end == bounds[-1]


# One version, one model, once.

ROWS = HEADER + b"1,5.1,3.5,1.4,0.2\n2,x,3.5,1.4,0.2\n3,6.3,3.3,6.0,2.5\n" * 9
NEWER = HEADER + b"9,6.3,3.3,6.0,2.5\n" * 20


def plan(bench: Bench, key: str = "a.csv") -> dict[str, Any]:
    return bench.call({"task": "plan", "bucket": "inbox", "key": key})


def items(bench: Bench, answer: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(bench.get(answer["manifest"]["Key"]) or b"")
    return found


def assemble(bench: Bench, planned: dict[str, Any]) -> dict[str, Any]:
    return bench.call({"task": "assemble", "folder": planned["folder"]})


def test_what_is_done_is_not_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(100)
    bench.put(ROWS, "a.csv")
    planned = plan(bench)
    ranges = items(bench, planned)
    for item in ranges[:2]:
        bench.call(item)
    later = plan(bench)
    assert later["folder"] == planned["folder"]
    assert items(bench, later) == ranges[2:]
    before = {path: obstore.head(bench.outside, path)["e_tag"] for path in bench.listed()}
    for item in ranges[:2]:
        bench.call(item)
    assert before == {path: obstore.head(bench.outside, path)["e_tag"] for path in bench.listed()}
    bench.finish("a.csv")
    assert plan(bench) == {"outcome": "done"}


def test_a_plan_that_is_there_is_kept() -> None:
    bench = Bench(100)
    bench.put(ROWS, "a.csv")
    planned = plan(bench)
    wider = replace(bench.workflow, range_bytes=1000)
    assert wider.plan("inbox", "a.csv", 0) == planned


def test_a_wrong_guess_that_ends_late_changes_nothing() -> None:
    note = '"' + "like,5.1,3.5,1.4,0.2\n" * 60 + '",5.1,3.5,1.4,0.2\n'  # lines as of records
    bench = Bench(500)
    bench.put(HEADER + ROWS[len(HEADER) :] * 2 + note.encode(), "a.csv")
    planned, folder = plan(bench), bench.workflow._at
    guesses = items(bench, planned)
    for item in guesses:
        bench.call(item)
    answer = assemble(bench, planned)
    assert answer["outcome"] == "repair"
    again = items(bench, answer)
    for item in again:
        bench.call(item)
    job = bench.pipeline.job("inbox", "a.csv")
    there = folder(planned["folder"])
    found = there.plan()
    assert found is not None
    for index in [item["index"] for item in again]:
        part = Range(index, guesses[index]["start"], guesses[index]["stop"])
        range_task.classify(job, found, there, part, math.inf)
    assert assemble(bench, planned) == {"outcome": "done"}
    bench.finish("a.csv")


def test_missing_ranges_are_classified_after_all() -> None:
    bench = Bench(100)
    bench.put(ROWS, "a.csv")
    planned = plan(bench)
    for item in items(bench, planned)[::2]:
        bench.call(item)
    answer = assemble(bench, planned)
    assert answer["outcome"] == "repair"
    assert [item["index"] for item in items(bench, answer)] == [1, 3]
    bench.finish("a.csv")


@pytest.mark.parametrize("when", [0, 1, 5])
def test_an_overwrite_in_between_is_noticed(when: int) -> None:
    """Before a range, between two, and before the assembly."""
    bench = Bench(100)
    bench.put(ROWS, "a.csv")
    planned = plan(bench)
    for k, item in enumerate(items(bench, planned)):
        if k == when:
            bench.put(NEWER, "a.csv")
        assert bench.call(item) == {}
    bench.put(NEWER, "a.csv")
    assert assemble(bench, planned) == {"outcome": "again"}
    assert bench.check(NEWER, "a.csv")["rows"] == 20


def test_a_file_that_is_gone_is_nothing_to_do() -> None:
    bench = Bench()
    assert plan(bench) == {"outcome": "gone"}
    bench.put(ROWS, "a.csv")
    planned = plan(bench)
    obstore.delete(bench.inbox, "a.csv")
    for item in items(bench, planned):
        assert bench.call(item) == {}
    assert assemble(bench, planned) == {"outcome": "again"}
    assert plan(bench) == {"outcome": "gone"}
    assert bench.listed() == []


def test_the_model_of_the_plan_classifies_every_range() -> None:
    bench = Bench(100)
    bench.put(ROWS, "a.csv")
    planned = plan(bench)
    other = replace(bench.workflow, pipeline=replace(bench.pipeline, models=lambda key: pytest.fail("asked")))
    for item in items(bench, planned):
        handler(other)(item, None)
    assert handler(other)({"task": "assemble", "folder": planned["folder"]}, None) == {"outcome": "done"}
    assert bench.get("a.csv/result.csv") is not None


def test_too_many_rejections_fail_the_file_in_the_same_words() -> None:
    bench = Bench(100, options=FileOptions.of(max_rejected_share=0.3))
    summary = bench.check(ROWS, "a.csv")
    assert summary["error"] == "9 of 27 records were rejected, and at most a share of 0.3 may be"


@pytest.mark.parametrize("key", ["a.csv.gz", "a.json"])
def test_what_cannot_be_split_is_done_by_the_planner(key: str) -> None:
    bench = Bench()
    data = gzip.compress(ROWS) if key.endswith("gz") else b"[]"
    bench.put(data, key)
    assert plan(bench, key) == {"outcome": "done"}
    bench.single.classify("inbox", key)
    assert bench.outcome(key) == bench.outcome(key, "single/")


def test_what_an_earlier_program_planned_is_planned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.put(ROWS, "a.csv")
    planned = plan(bench)
    following = jobs.RESULTS_VERSION + 1
    monkeypatch.setattr(jobs, "RESULTS_VERSION", following)
    for item in items(bench, planned):
        assert bench.call(item) == {}
    assert not [path for path in bench.listed() if path.endswith(".result")]
    assert assemble(bench, planned) == {"outcome": "again"}
    assert bench.finish("a.csv")["results_version"] == following


def test_what_is_said_of_the_header_holds_for_every_range() -> None:
    rows = b"5.1,3.5,1.4,0.2\n" * 20
    assert Bench(options=FileOptions.of(header="absent")).check(rows, "a.csv")["predictions"] == 20
    names = b",".join(name.encode() for name in NAMES) + b"\n"
    summary = Bench(options=FileOptions.of(header="absent")).check(names + rows, "b.csv")
    assert (summary["predictions"], summary["rejections"]) == (20, 1)
    assert "the header lacks" in Bench(options=FileOptions.of(header="present")).check(rows, "c.csv")["error"]


def test_what_is_no_table_is_refused_by_the_planner() -> None:
    bench = Bench()
    assert bench.check(b"a,b\nx,y\n", "a.csv")["error"].startswith("the header lacks")
    assert bench.calls == 0


def test_an_event_that_is_no_task_says_so() -> None:
    with pytest.raises(MalformedBody, match="none of plan, classify and assemble"):
        Bench().call({"task": "dance"})


def test_a_range_that_is_too_much_for_a_function_fails_and_says_what_to_do() -> None:
    bench = Bench()
    bench.put(ROWS, "a.csv")
    planned = plan(bench)
    with pytest.raises(Unavailable, match="range 0 takes more time than one function has: lower RANGE_BYTES"):
        bench.workflow.classify(planned["folder"], Range(0, len(HEADER), len(HEADER) + 50), deadline=0)


def test_a_file_whose_records_cannot_be_told_apart_in_time_is_refused() -> None:
    bench = Bench()
    bench.put(ROWS, "a.csv")
    planned = plan(bench)
    for item in items(bench, planned):
        bench.call(item)
    rest = Range(0, len(HEADER), len(ROWS), GUESSES + 1)
    bench.workflow.classify(planned["folder"], rest, deadline=0)
    assert assemble(bench, planned) == {"outcome": "done"}
    assert "cannot be split, because its quoted fields hold newlines" in bench.outcome("a.csv")[2]["error"]


def test_a_threshold_holds_for_every_range() -> None:
    X = np.random.default_rng(0).normal(size=(60, 2))
    document = export(LogisticRegression().fit(X, np.where(X[:, 0] > 0, "yes", "no")), X)
    rows = "".join(f"{a!r},{b!r}\n" for a, b in X.tolist()).encode()
    here = MemoryStore()
    here.put("a.csv", rows)
    source, model = store.current(here, "a.csv"), load(document)
    results, digests = set[bytes | None](), set[str]()
    for threshold in (None, 0.2, 0.9):
        options = FileOptions.of(header="absent", threshold=threshold)
        bench = Bench(document=document, options=options)
        summary = bench.check(rows, "a.csv")
        assert (summary["predictions"], summary["options"].get("threshold")) == (60, threshold)
        assert bench.calls > 10
        results.add(bench.outcome("a.csv")[0])
        assert list(_labels(bench)) == list(_decided(document, options, X))
        for asked in (options, replace(options)):
            digests.add(Job("inbox", source, model, bench.outside, result_paths("a", ".csv"), asked).digest)
    assert len(results) == len(digests) == 3


def _labels(bench: Bench) -> Iterator[str]:
    for line in (bench.outcome("a.csv")[0] or b"").splitlines():
        yield line.split(b",")[2].decode()


def _decided(document: bytes, options: FileOptions, X: NDArray[np.float64]) -> Iterator[Any]:
    model = options.decided(load(document))
    for k in model.predict(Batch.of(model.features, X.T)).outputs[0].labels:
        yield model.heads[0].classes[k]


@pytest.mark.parametrize("key", ["a.csv", "a.jsonl", "a.parquet"])
def test_what_is_asked_beside_labels_is_asked_of_every_range(key: str) -> None:
    options = FileOptions.of(explain=-1, coverage=0.9, by_class=True, abstain_below=0.8, what_if=True)
    bench = Bench(400, document=MODEL, options=options)
    if key.endswith("parquet"):
        out = io.BytesIO()
        frame = pl.DataFrame(X, schema=COLUMNS, orient="row")
        frame.write_parquet(out, row_group_size=10)
        data = out.getvalue()
    elif key.endswith("csv"):
        lines = [",".join(COLUMNS), *(",".join(map(repr, row)) for row in X.tolist())]
        data = "".join(f"{line}\n" for line in lines).encode()
    else:
        rows = (dict(zip(COLUMNS, row, strict=True)) for row in X.tolist())
        data = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    summary = bench.check(data, key)
    assert bench.calls > 3
    assert summary["abstained"] + sum(summary["classes"].values()) == summary["rows"] == len(X)
    assert 0 < summary["abstained"] < len(X)
