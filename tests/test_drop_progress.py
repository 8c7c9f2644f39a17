"""`thimble drop` of a file that is split: its ranges on a terminal, and the bytes of the single path."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore, S3Store

from thimble_infra.arrivals import Arrival
from thimble_infra.buckets import Place, place
from thimble_infra.drop import parts_of
from thimble_infra.drop_progress import Parts

ROOT = Path(__file__).parents[1]
HEADER = "id,sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"
PROGRAM = (sys.executable, "-c", "from thimble_infra.cli import app; app()")


def on_a_terminal(*command: str) -> str:
    """What a command shows where somebody is watching."""
    master, slave = pty.openpty()
    process = subprocess.Popen(command, stdout=slave, stderr=slave, env={**os.environ, "COLUMNS": "120"})
    os.close(slave)
    shown = b""
    with process, open(master, "rb", buffering=0) as terminal:
        while block := read(terminal):
            shown += block
    assert process.returncode == 0, shown
    return shown.decode()


def read(terminal: Any) -> bytes:
    try:
        return bytes(terminal.read(65536))
    except OSError:  # the other end is closed
        return b""


def test_a_split_file_shows_its_ranges_and_comes_out_as_from_one_function(
    start_local_stack: Callable[..., AbstractContextManager[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [f"{i},{i % 80 / 10},3.5,{'oh' if i % 91 == 0 else 1.4},0.2\n" for i in range(8000)]
    large = tmp_path / "large [1].csv"
    large.write_text(HEADER + "".join(rows))
    monkeypatch.setenv("SPLIT_BYTES", "30000")
    monkeypatch.setenv("RANGE_BYTES", "20000")
    with start_local_stack() as stack:
        shown = on_a_terminal(
            *PROGRAM, "drop", str(large), "-o", str(tmp_path / "out"), "--endpoint-url", stack.s3_url
        )
    counts = re.findall(r"ranges of large \[1\]\.csv.*?(\d+)/(\d+)", shown)
    assert counts
    assert {total for _, total in counts} == {str(-(-(large.stat().st_size - len(HEADER)) // 20000))}

    alone = tmp_path / "alone.csv"
    classify = ("classify", str(large), "-o", str(alone), "--model", str(ROOT / "model" / "iris.json"))
    subprocess.run([*PROGRAM, *classify], check=True, stdout=subprocess.DEVNULL)
    split = tmp_path / "out" / "large [1].csv"
    assert (split / "result.csv").read_bytes() == alone.read_bytes()
    rejections = tmp_path / "alone.csv.rejections.jsonl"
    assert (split / "rejections.jsonl").read_bytes() == rejections.read_bytes()
    assert len(rejections.read_bytes().splitlines()) == 88


def planned(store: MemoryStore, folder: str, etag: str, ranges: int, done: int, **of: Any) -> None:
    plan = {"identity": {"input": {"etag": etag, **of}}, "bounds": list(range(ranges + 1))}
    obstore.put(store, f"{folder}/plan.json", json.dumps(plan).encode())
    for name in ("model.json", "ranges.json", "000000-0.result", *(f"{i:06d}.json" for i in range(done))):
        obstore.put(store, f"{folder}/{name}", b"x")


def upload(etag: str, **said: str) -> Arrival:
    return Arrival(etag, None, {f"thimble-{name}": text for name, text in said.items()})


def test_only_reports_of_the_very_upload_count() -> None:
    store = MemoryStore()
    planned(store, "a/x.csv/old", '"1"', 9, 9)
    planned(store, "a/x.csv/new", '"2"', 5, 3)
    planned(store, "a/x.csv/asked", '"2"', 7, 6, metadata={"thimble-explain": "3"})
    planned(store, "a/y.csv/versions", '"2"', 7, 6, version="1")
    parts = Parts(store, "a")
    assert parts.progress("x.csv", upload("2")) == (3, 5)
    assert parts.progress("x.csv", upload("2", explain="3")) == (6, 7)
    assert parts.progress("x.csv", upload("2", explain="4")) is None
    assert parts.progress("x.csv", upload('"3"')) is None
    assert parts.progress("y.csv", Arrival("2", "1", {})) == (6, 7)
    assert parts.progress("y.csv", Arrival("2", "2", {})) is None
    assert parts.progress("other.csv", upload("2")) is None


def test_where_one_may_not_look_nothing_is_shown_and_nothing_asked_again(s3_server: str) -> None:
    store = S3Store("no-such-bucket", endpoint=s3_server, client_options={"allow_http": True})
    parts = Parts(store)
    assert parts.progress("x.csv", upload("1")) is None
    parts.store = there = MemoryStore()
    planned(there, "x.csv/f", "1", 1, 1)
    assert parts.progress("x.csv", upload("1")) is None


@pytest.mark.parametrize(
    ("inbox", "parts"),
    [("s3://stack-inbox-1-eu-west-1/a", Place("stack-parts-1-eu-west-1", "")), ("s3://mine", None)],
)
def test_the_parts_bucket_is_named_after_the_inbox(inbox: str, parts: Place | None) -> None:
    assert parts_of(place(inbox)) == parts
