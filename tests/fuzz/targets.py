"""What strangers' bytes reach: each target takes any bytes, and raises only for what is a fault of ours.

`make fuzz` drives them with atheris, by coverage; tests/test_fuzz.py with hypothesis and with known evil.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import obstore
import orjson
from obstore.store import MemoryStore

from thimble import store
from thimble.errors import InvalidFile, InvalidModel, ThimbleError
from thimble.files.pipeline import Pipeline
from thimble.inference import classifier
from thimble.inference.batch import Batch
from thimble.registry.lookup import OneModel
from thimble.settings import from_environment
from thimble.tables import formats
from thimble.tables.blocks import Block
from thimble.tables.compression import GZIP, ZSTD, Compression
from thimble.web import gateway, routes

RESULTS = MemoryStore()
store.OPENERS["memory"] = lambda host, path: (RESULTS, path)

MODELS = Path(__file__).parents[2] / "model"
IRIS = (MODELS / "iris.json").read_bytes()
PENGUINS = (MODELS / "penguins.json").read_bytes()
SEXES = (MODELS / "sexes.json").read_bytes()
NAMES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]

MANY = [0] * 5_000
WIDE: list[list[dict[str, Any]]] = [
    [{"op": "require", "columns": MANY}] * 4,
    [{"op": "impute", "columns": MANY, "values": MANY}, {"op": "normalize", "columns": MANY, "norm": "l2"}],
    [{"op": "one_hot", "columns": [0, 0], "sizes": [9_000, 9_000]}],
    [{"op": "linear", "columns": MANY, "coefs": [[1]] * 5_000, "intercepts": [0]}],
    [{"op": "bins", "columns": MANY[:999], "edges": [[0]] * 999}],
    [{"op": "interpolate", "columns": [0], "x": [[0]], "y": [[1]]}],
    [
        {
            "op": "interpolate",
            "columns": [0],
            "x": [[0, 0, 3e38]],
            "y": [[-3e38, 3e38, 1]],
            "input_type": "float32",
        }
    ],
]

PATHS = (
    *("/classify", "/v1/models/iris:predict", "/v2/models/iris/infer", "/v2/models/iris/generate"),
    *(
        "/invocations",
        "/ping",
        "/openapi.json",
        "/docs",
        "/model",
        "/v2/models",
        "/v2",
        "/../model",
        "/%2e%2e",
    ),
)
TYPES = (
    *(
        "application/json",
        "text/csv",
        "application/octet-stream",
        "application/x-npy",
        "text/csv; header=present",
    ),
    *(
        "application/jsonlines",
        "application/x-ndjson",
        "",
        "multipart/form-data",
        "application/vnd.apache.parquet",
    ),
)
CODINGS = ("", "gzip", "zstd", "deflate", "br", "gzip, gzip")
EXTENSIONS = (
    *(".csv", ".tsv", ".jsonl", ".json", ".parquet", ".csv.gz", ".csv.zst", ".jsonl.gz", ".json.zst"),
    *("", ".xlsx"),
)

logging.getLogger("thimble").setLevel(logging.CRITICAL)
_kept = {name: classifier.load(data) for name, data in (("iris", IRIS), ("penguins", PENGUINS))}
_app = gateway.handler(routes.app(OneModel("memory:///iris", lambda uri: IRIS), from_environment({})))


def document(data: bytes) -> None:
    """A document is refused with its path, or read and asked within the bounds of time and memory."""
    try:
        found = classifier.load(data)
    except InvalidModel:
        return
    json.dumps(found.heads[0].texts)
    rows = 1_100  # more than are evaluated at once
    found.predict(
        Batch.of(
            found.features,
            [np.full(rows, 0.5) if one.numeric else ["Dream"] * rows for one in found.features],
        )
    )


def request(data: bytes) -> None:
    """A request is answered, and never with a 500; the first bytes say to what path, as what."""
    head, body = (data[:4] + bytes(4))[:4], data[4:]
    call(
        PATHS[head[0] % len(PATHS)],
        body,
        {
            "content-type": TYPES[head[1] % len(TYPES)],
            "content-encoding": CODINGS[head[2] % len(CODINGS)],
            "accept": TYPES[head[3] % len(TYPES)],
            "inference-header-content-length": str(head[3]) if head[2] & 0x80 else "",
        },
    )


def call(path: str, body: bytes, headers: dict[str, str], method: str = "POST") -> dict[str, Any]:
    answer = _app(
        {
            "version": "2.0",
            "rawPath": path,
            "headers": {name: value for name, value in headers.items() if value},
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
            "requestContext": {
                "http": {"method": method, "path": path},
                "requestId": "id",
                "stage": "$default",
            },
        },
        None,
    )
    assert answer["statusCode"] in (200, 204, 304, 400, 404, 405, 406, 413, 415, 422), answer
    return answer


def file(data: bytes) -> None:
    """A file is classified or refused, and every record accounted for; the first byte says the format."""
    extension = EXTENSIONS[(data[:1] or b"\0")[0] % len(EXTENSIONS)]
    classify(f"file{extension}", data[1:], "penguins" if data[:1] > b"\x80" else "iris")


def classify(key: str, data: bytes, model: str = "iris") -> dict[str, Any]:
    inbox = MemoryStore()
    obstore.put(inbox, key, data)
    pipeline = Pipeline(lambda key: _kept[model], "memory:///results", buckets=lambda name: inbox)
    summary = pipeline.classify("inbox", key)
    assert summary is not None
    if "error" not in summary:
        assert summary["rows"] == summary["predictions"] + summary["rejections"]
    return summary


def key(data: bytes) -> None:
    """A key of any text is classified, or refused as one that cannot be read."""
    try:
        name = data.decode() or "k"
        Pipeline(lambda key: _kept["iris"], "memory:///results", buckets=lambda name: MemoryStore()).classify(
            "inbox", name
        )
    except (ThimbleError, UnicodeDecodeError):
        pass


def packed(data: bytes) -> None:
    """Members of gzip and zstd are unpacked, in pieces of any size alike, or refused."""
    form = (GZIP, ZSTD)[(data[:1] or b"\0")[0] % 2]
    size = 1 + (data[1:2] or b"\0")[0]
    found = [_unpacked(form, data[2:], size) for size in (size, 1 << 20)]
    assert found[0] == found[1] or None in found


def _unpacked(form: Compression, data: bytes, size: int) -> bytes | None:
    try:
        return b"".join(form.decompress(data[at : at + size] for at in range(0, len(data), size)))
    except InvalidFile:
        return None


def alone(data: bytes) -> None:
    """A record becomes the same alone and among others, in CSV and JSON Lines."""
    form = ("csv", "jsonl")[(data[:1] or b"\0")[0] % 2]
    head = (",".join([*NAMES, "note"]) + "\n").encode() if form == "csv" else b"{}\n"
    records = [record for record in data[1:].replace(b'"', b"").split(b"\n") if record]
    together = _answered(form, head, records)
    assert together == sorted(answer for record in records for answer in _answered(form, head, [record]))


def _answered(form: str, head: bytes, records: list[bytes]) -> list[bytes]:
    found = formats.find(formats.named(f"a.{form}"), head, True, _kept["iris"])
    body = b"".join(record + b"\n" for record in records)
    answered = found.classify(Block(body, found.cut(body, True), 1))
    reasons = [orjson.dumps(json.loads(line)["reason"]) for line in answered.rejected.splitlines()]
    return sorted([*answered.result.split(b"\n"), *reasons])[1:] if answered.result else sorted(reasons)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "document": document,
    "request": request,
    "file": file,
    "key": key,
    "packed": packed,
    "alone": alone,
}
