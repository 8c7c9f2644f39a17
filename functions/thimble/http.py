"""Requests, responses and routes as plain values, and the one place where an error gets its status."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from thimble import errors, telemetry

STATUS: dict[type[Exception], int] = {
    errors.MalformedBody: 400,
    errors.UnprocessableRows: 422,
    errors.TooLarge: 413,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.InvalidInput: 400,
    errors.InvalidModel: 503,
    errors.Unavailable: 503,
    Exception: 500,
}
MAX_MESSAGE = 400
MAX_ANSWER_BYTES = 6_000_000  # in transit: Lambda carries 6 MiB with headers and all, and fails beyond
MESSAGES = {500: "internal error", 503: "the model is not available"}  # a 5xx says nothing of our insides


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    query: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0  # classified, for the log and the metrics


Handler = Callable[[Request], Response]
Routes = Mapping[str, Mapping[str, Handler]]  # path, then method


def json_response(status: int, value: Any, **headers: str) -> Response:
    return Response(status, orjson.dumps(value), headers=headers)


def bytes_in_transit(body: bytes) -> int:
    """What a JSON body weighs on its way: a string in the function's own JSON, its quotes escaped again."""
    return len(json.dumps(body.decode()))


@dataclass(frozen=True)
class App:
    """Answers every request: by its route, or by an error's status."""

    routes: Routes
    cors_allow_origin: str = ""

    def __call__(self, request: Request) -> Response:
        try:
            response = self._answer(request)
        except Exception as error:
            response = error_response(error)
        _record(request, response)
        return self._with_cors(response)

    def _answer(self, request: Request) -> Response:
        methods = self.routes.get(request.path) or self.routes.get(request.path.rstrip("/"))
        if methods is None:
            raise errors.NotFound(f"there is no such path; try {', '.join(sorted(self.routes))}")
        if request.method == "OPTIONS" and self.cors_allow_origin:
            return Response(204, headers={"access-control-allow-methods": ", ".join(methods)})
        handler = methods.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            return replace(
                error_response(errors.MethodNotAllowed(f"this path takes {', '.join(methods)}")),
                headers={"allow": ", ".join(methods)},
            )
        response = handler(request)
        return replace(response, body=b"") if request.method == "HEAD" else response

    def _with_cors(self, response: Response) -> Response:
        if not self.cors_allow_origin:
            return response
        cors = {
            "access-control-allow-origin": self.cors_allow_origin,
            "access-control-allow-headers": "authorization, content-type",
            "access-control-max-age": "3600",
        }
        if self.cors_allow_origin != "*":
            cors["vary"] = "origin"
        return replace(response, headers={**response.headers, **cors})


def error_response(error: Exception) -> Response:
    """The status of the error's class; a 4xx says what to change, a 5xx goes to the log."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    if status >= 500:
        telemetry.exception(str(error))
    return json_response(status, {"error": MESSAGES.get(status) or shortened(str(error))})


def shortened(sentence: str) -> str:
    """A sentence may name what the caller sent: a key of a megabyte is not sent back whole, and half of a
    surrogate pair, which JSON can spell and UTF-8 cannot, comes back as its escape."""
    cut = sentence if len(sentence) <= MAX_MESSAGE else f"{sentence[:MAX_MESSAGE]}..."
    return cut.encode("utf-8", "backslashreplace").decode()


def _record(request: Request, response: Response) -> None:
    """A log line and the metrics of a request: Lambda does not count an error that is answered as a 500."""
    counts = {"Requests": 1, "Rows": response.rows}
    if response.status >= 400:
        counts["ServerErrors" if response.status >= 500 else "ClientErrors"] = 1
    telemetry.count(**counts)
    telemetry.logger.info(
        "request",
        method=request.method,
        path=request.path,
        status=response.status,
        rows=response.rows,
        request_id=request.request_id,
    )
    telemetry.flush()
