"""One row through each protocol beside /classify, and 10,000 rows of 64 numbers as bytes beside JSON.

The handler in this process, event in to response out, its log lines and metrics included and thrown away.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.report import AtMost, Case, Contender, Figure, duration
from thimble import telemetry
from thimble.registry import lookup
from thimble.settings import from_environment
from thimble.web import app as web
from thimble.web import gateway, routes
from thimble.web.open_inference import wire

MODELS = Path(__file__).parents[2] / "model"
ROW = [5.1, 3.5, 1.4, 0.2]
ONE = {"name": "x", "shape": [1, 4], "datatype": "FP64"}
LENGTH = "inference-header-content-length"
SLOWEST = AtMost(
    1.5,
    "V2's bodies take the longest. No array is made of one row or of its answer, as at /classify, but every "
    "tensor is checked key by key, and one in bytes also for its length.",
)
TENTH = AtMost(0.1)
REPEATS = 300  # of one row, in one figure
NOWHERE = open(os.devnull, "w")  # noqa: SIM115
Event = dict[str, Any]


def cases() -> Iterator[Case]:
    iris = _handler("iris")
    classify = Contender("/classify", _run(iris, _event("/classify", {"instances": [ROW]})), SLOWEST)
    for name, event in _one_row().items():
        yield Case(f"one row: {name}", Contender("Thimble", _run(iris, event)), [classify])
    digits, app = _handler("digits"), _app("digits")
    rows = np.random.default_rng(0).normal(8, 4, size=(10_000, 64))
    native = _event("/classify", {"instances": rows.tolist()})
    for datatype in ("FP64", "FP32"):
        binary, text = _many(rows.astype(wire.DTYPES[datatype]), datatype)
        yield Case(
            f"10,000 rows of 64, {datatype}: binary body to answer",
            Contender("Thimble", _request(app, binary)),
            [
                Contender("the same tensor as JSON", _request(app, text), TENTH),
                Contender("/classify", _request(app, native), TENTH),
            ],
        )
        yield Case(
            f"10,000 rows of 64, {datatype}: the same with API Gateway's base64",
            Contender("Thimble", _run(digits, binary, 1)),
            [Contender("the same tensor as JSON", _run(digits, text, 1))],
        )


def _one_row() -> dict[str, Event]:
    v2 = "/v2/models/iris/infer"
    names = json.loads((MODELS / "iris.json").read_bytes())["feature_names_in"]
    split = {"dataframe_split": {"columns": names, "data": [ROW]}}
    asked = json.dumps({"inputs": [ONE | {"parameters": {"binary_data_size": 32}}]}).encode()
    npy = io.BytesIO()
    np.save(npy, np.array([ROW]))
    return {
        "V2, JSON": _event(v2, {"inputs": [ONE | {"data": ROW}]}),
        "V2, binary": _event(v2, asked + np.array(ROW).tobytes(), **{LENGTH: str(len(asked))}),
        "V1": _event("/v1/models/iris:predict", {"instances": [ROW]}),
        "SageMaker, JSON": _event("/endpoints/iris/invocations", {"instances": [ROW]}),
        "SageMaker, CSV": _event("/invocations", b"5.1,3.5,1.4,0.2\n", **{"content-type": "text/csv"}),
        "SageMaker, npy": _event("/invocations", npy.getvalue(), **{"content-type": "application/x-npy"}),
        "MLflow, split": _event("/invocations", split),
    }


def _many(rows: Any, datatype: str) -> tuple[Event, Event]:
    tensor = {"name": "x", "shape": rows.shape, "datatype": datatype}
    asked = {
        "inputs": [tensor | {"parameters": {"binary_data_size": rows.nbytes}}],
        "parameters": {"binary_data_output": True},
    }
    head, path = json.dumps(asked).encode(), "/v2/models/digits/infer"
    text = _event(path, {"inputs": [tensor | {"data": rows.ravel().tolist()}]})
    return _event(path, head + rows.tobytes(), **{LENGTH: str(len(head))}), text


def _app(name: str) -> web.App:
    telemetry.logger.registered_handler.stream = NOWHERE  # type: ignore[attr-defined]
    settings = from_environment({"MODEL_URI": "any", "MAX_BODY_BYTES": "100000000"})
    document = (MODELS / f"{name}.json").read_bytes()
    return routes.app(lookup.OneModel("any", lambda uri: document), settings)


def _handler(name: str) -> Any:
    return gateway.handler(_app(name))


def _event(path: str, body: Any, **headers: str) -> Event:
    binary = isinstance(body, bytes)
    return {
        "version": "2.0",
        "rawPath": path,
        "headers": {"content-type": "application/json", **headers},
        "requestContext": {"http": {"method": "POST", "path": path}, "requestId": "id", "stage": "$default"},
        "body": base64.b64encode(body).decode() if binary else json.dumps(body),
        "isBase64Encoded": binary,
    }


def _run(handler: Any, event: Event, repeats: int = REPEATS) -> Callable[[], Figure]:
    return lambda: _timed(lambda: handler(event, None)["statusCode"], repeats)


def _request(app: web.App, event: Event) -> Callable[[], Figure]:
    """Without what API Gateway makes of a body on its way."""
    body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()
    request = web.Request("POST", event["rawPath"], body, event["headers"])
    return lambda: _timed(lambda: app(request).status, 1)


def _timed(ask: Callable[[], int], repeats: int) -> Figure:
    """The median of some requests after a first."""
    seconds = []
    with contextlib.redirect_stdout(NOWHERE):
        assert ask() == 200
        for _ in range(repeats):
            start = time.perf_counter()
            ask()
            seconds.append(time.perf_counter() - start)
    return duration(statistics.median(seconds))
