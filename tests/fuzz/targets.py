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

import obstore
from obstore.store import MemoryStore

from thimble import classifier, store
from thimble.errors import InvalidModel, ThimbleError
from thimble.files.pipeline import Pipeline
from thimble.models.registry import OneModel
from thimble.settings import from_environment
from thimble.web import gateway, routes

MODELS = Path(__file__).parents[2] / "model"
IRIS = (MODELS / "iris.json").read_bytes()
PENGUINS = (MODELS / "penguins.json").read_bytes()
NAMES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]

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
    """A model document is read, or refused with its path."""
    try:
        found = classifier.load(data)
    except InvalidModel:
        return
    json.dumps(found.class_texts)


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


TARGETS: dict[str, Callable[[bytes], None]] = {
    "document": document,
    "request": request,
    "file": file,
    "key": key,
}
assert store.MEMORY is not None  # where results go
