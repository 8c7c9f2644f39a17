"""A file becomes its result once, whole and of its newest version, whatever happens on the way."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from backports import zstd
from obstore.store import LocalStore, MemoryStore

from thimble import store
from thimble.errors import Unavailable
from thimble.files import jobs, streams, uploads
from thimble.files.options import FileOptions
from thimble.files.pipeline import Pipeline
from thimble.inference.classifier import Classifier, load
from thimble.tables import blocks

ROOT = Path(__file__).parents[1]
IRIS = load((ROOT / "model" / "iris.json").read_bytes())
HEADER = b"id,sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"
ROWS = HEADER + b"1,5.1,3.5,1.4,0.2\n2,x,3.5,1.4,0.2\n3,6.3,3.3,6.0,2.5\n"
KEY = "monday/iris.csv"


class Bench:
    """An inbox and results in memory, and the pipeline between them."""

    def __init__(self, results_uri: str, **options: Any) -> None:
        self.inbox, self.results = MemoryStore(), store.object_store("memory:///")[0]
        self.model = IRIS
        self.on_model: Callable[[], None] = lambda: None
        self.pipeline = Pipeline(self.models, results_uri, buckets=lambda name: self.inbox, **options)

    def models(self, key: str) -> Classifier:
        self.on_model()
        return self.model

    def put(self, data: bytes, key: str = KEY) -> None:
        obstore.put(self.inbox, key, data)

    def classify(self, key: str = KEY) -> dict[str, Any]:
        summary = self.pipeline.classify("inbox", key)
        assert summary is not None
        assert summary == json.loads(self.get(f"{key}/summary.json"))
        return summary

    def get(self, path: str) -> bytes:
        return bytes(obstore.get(self.results, path).bytes())

    def listed(self) -> dict[str, Any]:
        return {found["path"]: found["e_tag"] for found in obstore.list(self.results).collect()}


def empty() -> None:
    """Other tests in this process use the same store."""
    kept = store.object_store("memory:///")[0]
    for found in obstore.list(kept).collect():
        obstore.delete(kept, found["path"])


@pytest.fixture
def bench() -> Iterator[Bench]:
    empty()
    yield Bench("memory:///")
    empty()


def test_a_file_has_a_result_rejections_and_a_summary_under_its_key(bench: Bench) -> None:
    bench.put(ROWS)
    summary = bench.classify()
    assert summary.pop("seconds") >= 0
    assert summary.pop("drift")["rows"] == 2
    assert summary == {
        "input": {"bucket": "inbox", "key": KEY, "version": None, "etag": "0", "bytes": len(ROWS)},
        "model": {"name": "iris", "digest": IRIS.digest},
        "options": {"max_rejected_share": 1.0, "delimiter": "", "quote": "", "header": "", "decimal": ""},
        "results_version": jobs.RESULTS_VERSION,
        "format": "csv",
        "rows": 3,
        "predictions": 2,
        "rejections": 1,
        "classes": {"setosa": 1, "versicolor": 0, "virginica": 1},
        "result": f"{KEY}/result.csv",
        "result_etag": bench.listed()[f"{KEY}/result.csv"],
        "rejected": f"{KEY}/rejections.jsonl",
    }
    assert bench.get(f"{KEY}/result.csv").count(b"\n") == 3
    assert json.loads(bench.get(f"{KEY}/rejections.jsonl"))["line"] == 3


def test_a_compressed_file_comes_back_compressed(bench: Bench) -> None:
    bench.put(ROWS)
    bench.classify()
    plain = bench.get(f"{KEY}/result.csv")
    bench.put(gzip.compress(ROWS), "a.csv.gz")
    bench.put(zstd.compress(ROWS), "a.csv.zst")
    for key in ("a.csv.gz", "a.csv.zst"):
        assert bench.classify(key)["rejections"] == 1
    assert gzip.decompress(bench.get("a.csv.gz/result.csv.gz")) == plain
    assert zstd.decompress(bench.get("a.csv.zst/result.csv.zst")) == plain


def test_a_file_that_is_classified_is_left_alone(bench: Bench) -> None:
    bench.put(ROWS)
    bench.classify()
    before = bench.listed()
    bench.classify()
    assert bench.listed() == before


@pytest.mark.parametrize("lost", ["result.csv", "rejections.jsonl", "summary.json"])
def test_what_is_lost_is_made_again(bench: Bench, lost: str) -> None:
    bench.put(ROWS)
    bench.classify()
    names = ("result.csv", "rejections.jsonl")
    before = [bench.get(f"{KEY}/{name}") for name in names]
    obstore.delete(bench.results, f"{KEY}/{lost}")
    bench.classify()
    assert [bench.get(f"{KEY}/{name}") for name in names] == before


@pytest.mark.parametrize("odd", [b"", b"{half", b"[]", b"5", b"{}", b'{"input": 5, "result": 6}'])
def test_a_summary_that_is_none_of_ours_is_written_over(bench: Bench, odd: bytes) -> None:
    bench.put(ROWS)
    obstore.put(bench.results, f"{KEY}/summary.json", odd)
    assert bench.classify()["predictions"] == 2
    assert json.loads(bench.get(f"{KEY}/summary.json"))["predictions"] == 2


def test_what_an_earlier_program_made_otherwise_is_made_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put(ROWS)
    bench.classify()
    before = bench.listed()
    monkeypatch.setattr("thimble.files.jobs.RESULTS_VERSION", 99)
    assert bench.classify()["results_version"] == 99
    assert all(bench.listed()[path] != etag for path, etag in before.items())


def test_a_result_that_is_not_the_summarys_is_made_again(bench: Bench) -> None:
    bench.put(ROWS)
    bench.classify()
    before = bench.get(f"{KEY}/result.csv")
    obstore.put(bench.results, f"{KEY}/result.csv", b"of another function")
    bench.classify()
    assert bench.get(f"{KEY}/result.csv") == before


def test_another_version_or_model_or_option_is_another_result(bench: Bench) -> None:
    bench.put(ROWS)
    first = bench.classify()
    bench.put(ROWS + b"4,5,3,1,1\n")
    assert bench.classify()["rows"] == 4
    text = (ROOT / "model" / "iris.json").read_bytes()
    bench.model = load(text + b"\n")
    assert bench.classify()["model"]["digest"] != first["model"]["digest"]
    strict = Bench("memory:///", options=FileOptions.of(max_rejected_share=0.1))
    strict.put(ROWS)
    assert "error" in strict.classify()
    told = Bench("memory:///", options=FileOptions.of(delimiter=";"))
    told.put(ROWS)
    assert told.classify()["error"].startswith("the header lacks")
    headless = Bench("memory:///", options=FileOptions.of(header="absent"))
    headless.put(ROWS)
    assert headless.classify()["error"].startswith("there is no header")


def test_an_overwrite_while_it_is_read_is_noticed(bench: Bench) -> None:
    newer = HEADER + b"9,6.3,3.3,6.0,2.5\n"

    def overwrite() -> None:
        bench.on_model = lambda: None
        bench.put(newer)

    bench.put(ROWS)
    bench.on_model = overwrite
    assert bench.classify()["rows"] == 1
    assert bench.get(f"{KEY}/result.csv").startswith(HEADER[:-1] + b",label")
    assert b"\n9,6.3," in bench.get(f"{KEY}/result.csv")


def test_an_overwrite_is_noticed_before_a_result_is_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put(ROWS)
    bench.classify()
    first, newer, there = bench.get(f"{KEY}/result.csv"), [ROWS + b"4,1,1,1,1\n", ROWS + b"5,2,2,2,2\n"], []

    def overwrite(tally: streams.Tally) -> None:
        there.append(bench.get(f"{KEY}/result.csv"))
        if newer:
            bench.put(newer.pop())

    monkeypatch.setattr(streams.Tally, "reconcile", overwrite)
    bench.put(ROWS + b"6,3,3,3,3\n")
    bench.classify()
    assert there == [first] * 3
    assert b"\n4,1,1," in bench.get(f"{KEY}/result.csv")


def test_a_file_that_never_rests_is_tried_again_later(bench: Bench) -> None:
    count = iter(range(99))
    bench.put(ROWS)
    bench.on_model = lambda: bench.put(HEADER + b"%d,1,1,1,1\n" % next(count))
    with pytest.raises(Unavailable, match="overwritten faster than it can be read"):
        bench.pipeline.classify("inbox", KEY)
    assert bench.listed() == {}


def test_a_file_that_is_gone_is_nothing_to_do(bench: Bench) -> None:
    assert bench.pipeline.classify("inbox", "none.csv") is None


def test_a_refused_file_has_no_result_not_even_a_former_one(bench: Bench) -> None:
    bench.put(ROWS)
    bench.classify()
    bench.put(b"a,b\nx,y\n")
    assert bench.classify()["error"].startswith("the header lacks")
    assert list(bench.listed()) == [f"{KEY}/summary.json"]
    before = bench.listed()
    bench.classify()
    assert bench.listed() == before


def test_too_many_rejections_fail_the_file(bench: Bench) -> None:
    strict = Bench("memory:///", options=FileOptions.of(max_rejected_share=0.3))
    strict.put(ROWS)
    summary = strict.classify()
    assert summary["error"] == "1 of 3 records were rejected, and at most a share of 0.3 may be"
    assert (summary["predictions"], summary["rejections"]) == (2, 1)
    assert sorted(strict.listed()) == [f"{KEY}/rejections.jsonl", f"{KEY}/summary.json"]


def test_a_count_that_does_not_reconcile_leaves_no_result(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams.Tally, "add", lambda self, part: setattr(self, "records", 7))
    bench.put(ROWS)
    with pytest.raises(Exception, match="of 7 records, 0 were answered"):
        bench.pipeline.classify("inbox", KEY)
    assert bench.listed() == {}


@pytest.mark.parametrize(
    ("key", "pack", "unpack"),
    [
        ("again.csv", bytes, bytes),
        ("again.csv.gz", gzip.compress, gzip.decompress),
        ("again.csv.zst", zstd.compress, zstd.decompress),
    ],
)
def test_a_large_result_goes_up_in_parts_and_is_the_same(
    bench: Bench,
    key: str,
    pack: Callable[[bytes], bytes],
    unpack: Callable[[bytes], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = HEADER + b"".join(b"%d,5.1,3.5,1.4,0.%d\n" % (i, i % 7) for i in range(10_000))
    bench.put(data)
    bench.classify()
    whole = bench.get(f"{KEY}/result.csv")
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 10_000)
    monkeypatch.setattr(uploads, "PART_BYTES", 100_000)
    bench.put(pack(data), key)
    result = bench.get(bench.classify(key)["result"])
    assert (result != whole) == (key != "again.csv")
    assert unpack(result) == whole


@pytest.mark.parametrize("records", [1, 7, 10_000])
def test_blocks_of_any_size_give_the_same_result_and_lines(
    bench: Bench, records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [b'"%d\nx",5.1,3.5,1.4,%s\n' % (i, b"no" if i % 11 == 3 else b"0.2") for i in range(100)]
    bench.put(HEADER + b"".join(rows))
    bench.classify()
    whole = [bench.get(f"{KEY}/{name}") for name in ("result.csv", "rejections.jsonl")]
    monkeypatch.setattr(blocks, "BLOCK_RECORDS", records)
    bench.put(HEADER + b"".join(rows), "again.csv")
    summary = bench.classify("again.csv")
    assert [bench.get(summary[name]) for name in ("result", "rejected")] == whole
    assert summary["rejections"] == 9


def test_an_upload_that_is_not_finished_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PART_BYTES", 10)
    results = MemoryStore()
    with uploads.Upload(results, "a") as upload:
        for _ in range(5):
            upload.write(b"123456789")
    assert obstore.list(results).collect() == []


def test_an_upload_that_fails_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(uploads, "PART_BYTES", 10)
    (tmp_path / "a").write_bytes(b"a file where a folder should be")
    with uploads.Upload(LocalStore(tmp_path), "a/b") as upload:
        for _ in range(50):
            upload.write(b"123456789")
        with pytest.raises(Exception, match="a/b"):
            upload.finish()


def test_two_functions_at_once_write_the_same(bench: Bench) -> None:
    together = threading.Barrier(2)
    bench.on_model = lambda: None if together.broken else _wait(together)
    bench.put(ROWS)
    threads = [threading.Thread(target=bench.pipeline.classify, args=("inbox", KEY)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together.abort()
    before = bench.get(f"{KEY}/result.csv")
    bench.classify()
    assert bench.get(f"{KEY}/result.csv") == before
    assert len(bench.listed()) == 3


def _wait(barrier: threading.Barrier) -> None:
    barrier.wait(timeout=10)
