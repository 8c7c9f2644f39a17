"""Strangers' bytes: no crash, no hang, bounded memory; and logs that hold no data and cannot be forged."""

import gzip
import io
import json
import logging
import resource
import runpy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thimble.tables.parquet import thrift

HERE = Path(__file__).parent
ROW = '{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
SECONDS, MEGABYTES = 10, 700  # of one evil input, at most


@pytest.fixture(scope="module")
def targets() -> Iterator[dict[str, Any]]:
    logger = logging.getLogger("thimble")
    before = logger.level
    yield runpy.run_path(str(HERE / "fuzz/targets.py"))
    logger.setLevel(before)


def parquet() -> bytes:
    out = io.BytesIO()
    names = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
    pl.DataFrame({name: [5.1, 3.5, 1.0] for name in names}).write_parquet(out)
    return out.getvalue()


MODEL = (HERE.parent / "model/iris.json").read_bytes()
SOUND = [ROW.encode(), b"sepal length (cm),a\n1,2\n", parquet(), MODEL[:2000], gzip.compress(b"1,2,3,4\n")]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Something sound, with some of it cut out, doubled or replaced; or anything at all."""
    data = draw(st.sampled_from(SOUND) | st.binary(max_size=200))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(start + 20, len(data))))
        data = data[:start] + draw(st.binary(max_size=8) | st.just(data[start:stop] * 2)) + data[stop:]
    return draw(st.binary(min_size=0, max_size=4)) + data


@pytest.mark.parametrize("name", ["document", "request", "file", "key", "packed", "alone"])
@settings(suppress_health_check=list(HealthCheck))
@given(data=damaged())
def test_any_bytes_are_answered_or_refused(targets: dict[str, Any], name: str, data: bytes) -> None:
    targets["TARGETS"][name](data)


SEXES = json.loads((HERE.parent / "model/sexes.json").read_bytes())
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        1,
        0.5,
        10**9,
        2**63,
        2**70,
        1e308,
        1e-320,
        "",
        "l",
        "rrr",
        [],
        [0],
        [[0]],
        [None],
        {},
    ]
)


@st.composite
def odd_forests(draw: st.DrawFn) -> dict[str, Any]:
    """A sound forest, some of whose keys or entries are others, too many or too few."""
    forest = dict(SEXES["forest"])
    others = (
        "absent",
        "depths",
        "divide",
        "gain",
        "input_type",
        "leaves",
        "sum_type",
        "tree_outputs",
        "zero",
    )
    for key in draw(st.lists(st.sampled_from([*forest, *others]), min_size=1, max_size=3)):
        value: Any = forest.get(key)
        if isinstance(value, list | str) and value and draw(st.booleans()):
            i = draw(st.integers(0, len(value) - 1))
            odd: Any = draw(st.sampled_from("lrn.x")) if isinstance(value, str) else [draw(ODD)]
            forest[key] = value[:i] + odd + value[i + draw(st.integers(0, 2)) :]
        else:
            forest[key] = draw(ODD)
    return forest


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=50)
@given(forest=odd_forests())
def test_any_forest_is_loaded_or_refused(targets: dict[str, Any], forest: dict[str, Any]) -> None:
    with bounded():
        targets["TARGETS"]["document"](json.dumps(SEXES | {"forest": forest}).encode())


def footer(struct: bytes) -> bytes:
    return b"PAR1" + struct + len(struct).to_bytes(4, "little") + b"PAR1"


def altered(change: Any) -> bytes:
    """A sound Parquet file with another footer."""
    data = parquet()
    length = int.from_bytes(data[-8:-4], "little")
    struct = thrift.loads(data[-8 - length : -8])
    change(struct)
    written = thrift.dumps(struct)
    return data[: -8 - length] + written + len(written).to_bytes(4, "little") + b"PAR1"


def rows_of_a_group(n: int) -> Any:
    def change(struct: Any) -> None:
        struct[4][0][3] = thrift.I64(n)

    return change


BOMB = b"0" * (200 << 20)  # bytes of one record that never ends
HEADER = ",".join(f"c{i}" for i in range(200_000)).encode()
FILES: dict[str, tuple[str, bytes]] = {
    "gzip that swells": ("a.csv.gz", gzip.compress(BOMB, 1)),
    "zstd that swells": ("a.csv.zst", zstd.compress(BOMB)),
    "gzip in gzip": ("a.json.gz", gzip.compress(gzip.compress(BOMB, 1))),
    "zstd of a huge window": ("a.csv.zst", b"\x28\xb5\x2f\xfd\x00\xf8" + bytes(100)),
    "ten thousand empty gzip members": ("a.csv.gz", gzip.compress(b"") * 10_000),
    "a header of 200,000 columns": ("a.csv", HEADER + b"\n1\n"),
    "a record of 200,000 cells": ("a.csv", b"1," * 200_000 + b"1\n"),
    "quotes that never close": ("a.csv", b'"' * 1_000_001),
    "nested a million deep": ("a.json", b"[" * 1_000_000),
    "objects nested deep": ("a.jsonl", b'{"a":' * 500_000 + b"\n"),
    "numbers of a million digits": ("a.jsonl", b'{"a":' + b"9" * 1_000_000 + b"}\n"),
    "backslashes": ("a.json", b'[{"a":"' + b"\\" * 1_000_001),
    "no newline": ("a.jsonl", b"{" * 3_000_000),
    "a footer that nests": ("a.parquet", footer(b"\x1c" * 1_000_000)),
    "a footer of an endless integer": ("a.parquet", footer(b"\x15" + b"\xff" * 1_000_000)),
    "a footer of an absurd length": ("a.parquet", footer(b"\x18" + b"\xff" * 9 + b"\x01")),
    "a footer of a billion fields": ("a.parquet", footer(b"\x19\xf1" + b"\xff" * 4 + b"\x07")),
    "a footer that says it is larger than the file": ("a.parquet", b"PAR1" + b"\xff" * 4 + b"PAR1"),
    "a row group of 2^60 rows": ("a.parquet", altered(rows_of_a_group(1 << 60))),
    "a row group of -1 rows": ("a.parquet", altered(rows_of_a_group(-1))),
}


@pytest.mark.parametrize("name", FILES)
def test_an_evil_file_costs_little_and_is_refused_or_rejected(targets: dict[str, Any], name: str) -> None:
    key, data = FILES[name]
    with bounded():
        summary = targets["classify"](key, data)
    assert summary.get("predictions", 0) == 0


DOCUMENTS = {
    "nested": b'{"training":' + b"[" * 1_000_000,
    "wide": b'{"coefs":[[' + b",".join([b"[0]"] * 1_000_000) + b"]]}",
    "huge numbers": MODEL.replace(b'"coefs"', b'"coefs":[[[1e999]]],"x"', 1),
    "many labels": b'{"classes":[' + b",".join(b'"%d"' % i for i in range(300_000)) + b"]}",
    "many keys": b"{" + b",".join(b'"%d":0' % i for i in range(300_000)) + b"}",
    "too many bytes": b" " * (65 << 20),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_an_evil_document_costs_little(targets: dict[str, Any], name: str) -> None:
    with bounded():
        targets["document"](DOCUMENTS[name])


BODIES: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "nested": ("/classify", b'{"instances":' + b"[" * 1_000_000, {}),
    "a million empty rows": ("/classify", b'{"instances":[' + b"[]," * 1_000_000 + b"[]]}", {}),
    "1e308": ("/classify", b'{"instances":[[1e308,1e308,1e308,1e308]]}', {}),
    "a number of a million digits": ("/classify", b'{"instance":[' + b"9" * 1_000_000 + b"]}", {}),
    "a huge shape": (
        "/v2/models/iris/infer",
        b'{"inputs":[{"name":"x","shape":[9223372036854775807,4],"datatype":"FP64","data":[1]}]}',
        {},
    ),
    "a shape that overflows": (
        "/v2/models/iris/infer",
        b'{"inputs":[{"name":"x","shape":[4294967296,4294967296],"datatype":"FP64","data":[]}]}',
        {},
    ),
    "gzip that swells": ("/classify", gzip.compress(BOMB, 1), {"content-encoding": "gzip"}),
    "zstd that swells": ("/classify", zstd.compress(BOMB), {"content-encoding": "zstd"}),
    "npy of a huge shape": (
        "/invocations",
        b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999999, 4), }",
        {"content-type": "application/x-npy"},
    ),
    "npy of objects": (
        "/invocations",
        b"\x93NUMPY\x01\x00\x46\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        {"content-type": "application/x-npy"},
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_an_evil_request_costs_little_and_is_the_callers_fault(targets: dict[str, Any], name: str) -> None:
    path, body, headers = BODIES[name]
    with bounded():
        answer = targets["call"](path, body, {"content-type": "application/json", **headers})
    assert 400 <= answer["statusCode"] < 500
    assert len(answer["body"]) < 2000


KEYS = [
    "..",
    "a/../b.csv",
    "%2e%2e/a.csv",
    "a+b %20.csv",
    "ä/ß 😀.csv",
    "a\nb.csv",
    "a\0b.csv",
    "//a.csv",
    " .csv",
    "k" * 1024,
]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_any_text_is_classified_in_its_own_folder_or_refused(
    targets: dict[str, Any], key: str
) -> None:
    targets["key"](key.encode())


def test_a_log_cannot_be_forged_and_holds_no_data(
    targets: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    evil = '\n{"level":"ERROR","message":"forged"}\r\nforged'
    for path in ("/classify", f"/x{evil}", "/x\ud800", "/\u2028x"):
        targets["call"](
            path, b'{"instances":[["secret"]]}', {"content-type": f"x{evil}", "x-request-id": evil}
        )
    lines = [json.loads(line) for line in capsys.readouterr().out.split("\n") if line]
    assert [line["level"] for line in lines] == ["INFO"] * 4  # one for each
    assert "secret" not in str(lines)


class bounded:  # noqa: N801
    """Time and memory, by the process's own peak, which earlier tests may have raised."""

    def __enter__(self) -> None:
        self.started, self.before = time.process_time(), peak()

    def __exit__(self, *raised: object) -> None:
        assert time.process_time() - self.started < SECONDS
        assert peak() - self.before < MEGABYTES


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
