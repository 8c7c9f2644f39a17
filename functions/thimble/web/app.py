"""Requests and responses as plain values, and the one place where an error gets its status."""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from thimble import errors, telemetry
from thimble.web import options

STATUS: dict[type[Exception], int] = {
    errors.MalformedBody: 400,
    errors.UnprocessableRows: 422,
    errors.TooLarge: 413,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.NotAcceptable: 406,
    errors.UnsupportedMediaType: 415,
    errors.InvalidInput: 400,
    errors.InvalidModel: 503,
    errors.Unavailable: 503,
    Exception: 500,
}
MAX_MESSAGE = 400
MESSAGES = {500: "internal error", 503: "the model is not available"}  # a 5xx gives no details
WORTH_PACKING = 1024  # bytes of an answer: a shorter one fits in a packet uncompressed
MAX_CARRIED_BYTES = 6 << 20  # of an answer as JSON text, with its headers: Lambda refuses more
FEW_BYTES = 1_000_000  # of an answer's body: JSON text makes six times as many of it at most
ASKED_HEADERS = (  # that a browser may send: of bodies, the protocols, AWS's signature and its SDK
    "accept, content-type, content-encoding, if-none-match, inference-header-content-length, "
    "x-amzn-sagemaker-target-model, x-amzn-sagemaker-target-variant, x-amzn-sagemaker-custom-attributes, "
    "authorization, x-amz-date, x-amz-security-token, x-amz-content-sha256, "
    "x-amz-user-agent, amz-sdk-invocation-id, amz-sdk-request"
)
SIGNED = "x-amz-"  # parameters of a URL that is signed in advance: API Gateway reads them
OWN = ("x-amzn-sagemaker-", "inference-header-")  # headers that ask for something of a protocol's own
TOLD_HEADERS = (
    "etag, inference-header-content-length, x-amzn-invoked-production-variant, x-amzn-errortype, allow"
)


class Request(NamedTuple):
    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = {}  # names in lower case
    query: Mapping[str, str] = {}
    request_id: str = ""
    doubled: tuple[str, ...] = ()  # parameters that the query has more than once
    caller: str = ""  # who it is, by the token or the signature; "" where nobody asks

    @property
    def named(self) -> tuple[str, str]:
        """The model and the version that the query names; "" where it names none."""
        return self.query.get("model", ""), self.query.get("version", "")


class Response(NamedTuple):
    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}
    rows: int = 0  # classified, for the log and the metrics

    @property
    def carried(self) -> dict[str, Any]:
        """Return the answer as Lambda gives it to API Gateway; a body that is not UTF-8 in base64."""
        headers = dict(self.headers)
        if self.status != 204:  # the answer to HEAD has no body, but has its type
            headers["content-type"] = self.content_type
        try:
            body, encoded = self.body.decode(), False
        except UnicodeDecodeError:
            body, encoded = binascii.b2a_base64(self.body, newline=False).decode(), True
        return {"statusCode": self.status, "headers": headers, "body": body, "isBase64Encoded": encoded}


class Operation(NamedTuple):
    """What answers a method of a path, and the names of the options that it takes."""

    handler: Callable[[Request], Response]
    parameters: tuple[str, ...] = ()  # of the query
    headers: tuple[str, ...] = ()  # of those that ask for something


Failure = Callable[[int, str], Response]  # writes an error, a status and a sentence, as a protocol does


class Resource(NamedTuple):
    """What a path leads to."""

    operations: Mapping[str, Operation]  # by method
    failure: Failure


def json_response(status: int, value: Any, rows: int = 0) -> Response:
    return Response(status, orjson.dumps(value), rows=rows)


def failure(status: int, sentence: str) -> Response:
    return json_response(status, {"error": sentence})


class App:
    """Answers every request: by its route, or by an error's status."""

    def __init__(
        self, find: Callable[[str], Resource | None], max_body_bytes: int, cors_allow_origin: str = ""
    ) -> None:
        self.find = find
        self.max_body_bytes = max_body_bytes
        self.cors_allow_origin = cors_allow_origin

    def __call__(self, request: Request) -> Response:
        resource = None
        try:
            resource = self.find(request.path) or self.find(request.path.rstrip("/") or "/")
            if request.method == "OPTIONS" and self.cors_allow_origin:
                response = self._with_cors(_preflight(resource))
            else:
                response = self._with_cors(self._answer(resource, request))
            _check_size(response)
        except Exception as error:
            response = self._with_cors(error_response(error, resource.failure if resource else failure))
        _record(request, response)
        return response._replace(body=b"") if request.method == "HEAD" else response

    def _answer(self, resource: Resource | None, request: Request) -> Response:
        if resource is None:
            raise errors.NotFound("there is no such path; GET /docs or /openapi.json says what there is")
        operation = resource.operations.get("GET" if request.method == "HEAD" else request.method)
        if operation is None:
            return _not_allowed(resource)
        _check_options(request, operation)
        response = operation.handler(self._unpacked(request))
        return _packed(response, request.headers.get("accept-encoding", ""))

    def _unpacked(self, request: Request) -> Request:
        if len(request.body) > self.max_body_bytes:
            raise errors.TooLarge(
                f"the body has {len(request.body)} bytes; the most is {self.max_body_bytes}"
            )
        if "content-encoding" not in request.headers:
            return request
        from thimble.web import codings

        coding = request.headers["content-encoding"]
        return request._replace(body=codings.unpacked(request.body, coding, self.max_body_bytes))

    def _with_cors(self, response: Response) -> Response:
        if not self.cors_allow_origin:
            return response
        cors = {
            "access-control-allow-origin": self.cors_allow_origin,
            "access-control-allow-headers": ASKED_HEADERS,
            "access-control-expose-headers": TOLD_HEADERS,
            "access-control-max-age": "3600",
        }
        if self.cors_allow_origin != "*":
            cors["vary"] = _varying(response, "origin")
        return response._replace(headers={**response.headers, **cors})


def _check_options(request: Request, operation: Operation) -> None:
    """InvalidInput for a parameter, or a header of a protocol, that the operation does not take, for an empty
    one, and for a parameter that is there twice."""
    for name, value in request.query.items():
        if not name.lower().startswith(SIGNED):
            options.check("parameter", name, value, operation.parameters, "this path")
            if name in request.doubled:
                raise errors.InvalidInput(f"the parameter {name} is there more than once: send it once")
    for name, value in request.headers.items():
        if name.startswith(OWN):
            options.check("header", name, value, operation.headers, "this path")


def _methods(resource: Resource) -> str:
    """Return the methods that a path takes; HEAD wherever GET is."""
    return ", ".join(resource.operations).replace("GET", "GET, HEAD")


def _preflight(resource: Resource | None) -> Response:
    """Answer what a browser asks before its request, on an unknown path too: its request gets the 404."""
    methods = _methods(resource) if resource else "GET, HEAD, POST"
    return Response(204, headers={"access-control-allow-methods": methods})


def _not_allowed(resource: Resource) -> Response:
    methods = _methods(resource)
    refused = error_response(errors.MethodNotAllowed(f"this path takes {methods}"), resource.failure)
    return refused._replace(headers={**refused.headers, "allow": methods})


def _packed(response: Response, accepted: str) -> Response:
    """Return the answer in a content coding, if the caller accepts one and it is worth it."""
    if not accepted or len(response.body) < WORTH_PACKING or response.status >= 400:
        return response
    from thimble.web import codings

    coding = codings.accepted(accepted)
    if not coding:
        return response
    vary = _varying(response, "accept-encoding")
    headers = {**response.headers, "content-encoding": coding, "vary": vary}
    return response._replace(body=codings.packed(response.body, coding), headers=headers)


def _varying(response: Response, header: str) -> str:
    """Return the headers of a request that the answer varies by, with one more."""
    known = response.headers.get("vary")
    return f"{known}, {header}" if known else header


def _check_size(response: Response) -> None:
    """TooLarge for an answer that Lambda refuses: the caller has to send fewer rows."""
    if len(response.body) <= FEW_BYTES:
        return
    size = carried_bytes(response.carried)
    if size > MAX_CARRIED_BYTES:
        fewer = response.rows * MAX_CARRIED_BYTES * 9 // (10 * size)
        advice = f": send {fewer} at a time" if fewer else ""
        raise errors.TooLarge(f"the answer to {response.rows} rows is too large for one response{advice}")


def carried_bytes(answer: dict[str, Any]) -> int:
    """Count an answer's bytes as Lambda does: in the JSON that its runtime client writes, in UTF-8."""
    return len(json.dumps(answer, ensure_ascii=False).encode())


def error_response(error: Exception, shape: Failure = failure) -> Response:
    """Answer an error by the status of its class. A 4xx says what to change; a 5xx only goes to the log."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    if status >= 500:
        _count_failure(error)
    return shape(status, MESSAGES.get(status) or shortened(str(error)))


def _count_failure(error: Exception) -> None:
    """Log an error of ours and count it: the count rolls a deployment back, and Lambda does not count errors
    that are answered. It is no fault of a deployment that no model was published yet."""
    telemetry.exception(str(error))
    if not isinstance(error, errors.NoDefaultModel):
        telemetry.count(ServerErrors=1)


def shortened(sentence: str) -> str:
    """Return a sentence that can be sent: it may name a key of a megabyte, or half of a surrogate pair, which
    JSON can spell and UTF-8 cannot."""
    return errors.shortened(sentence, MAX_MESSAGE).encode("utf-8", "backslashreplace").decode()


def _record(request: Request, response: Response) -> None:
    telemetry.request(
        method=request.method,
        path=request.path,
        status=response.status,
        rows=response.rows,
        request_id=request.request_id,
    )
