"""Requests and responses as plain values, and the only place where an error gets its status."""

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
WORTH_PACKING = 1024  # bytes of a body; a shorter one fits in one packet uncompressed
MAX_CARRIED_BYTES = 6 << 20  # of a response as JSON text, with its headers; Lambda refuses more
FEW_BYTES = 1_000_000  # of a body; as JSON text it is at most six times as long
ASKED_HEADERS = (  # that a browser may send: for the body, the protocols, AWS's signature and its SDK
    "accept, content-type, content-encoding, if-none-match, inference-header-content-length, "
    "x-amzn-sagemaker-target-model, x-amzn-sagemaker-target-variant, x-amzn-sagemaker-custom-attributes, "
    "authorization, x-amz-date, x-amz-security-token, x-amz-content-sha256, "
    "x-amz-user-agent, amz-sdk-invocation-id, amz-sdk-request"
)
SIGNED = "x-amz-"  # the prefix of a presigned URL's parameters; API Gateway reads them
OWN = ("x-amzn-sagemaker-", "inference-header-")  # prefixes of headers with a protocol's own options
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
    doubled: tuple[str, ...] = ()  # names that the query has more than once
    caller: str = ""  # the caller's identity, by its token or signature; "" where the API is open

    @property
    def named(self) -> tuple[str, str]:
        """The model and the version in the query; "" for one that is absent."""
        return self.query.get("model", ""), self.query.get("version", "")


class Response(NamedTuple):
    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}
    rows: int = 0  # number of rows classified, for the log and the metrics

    @property
    def carried(self) -> dict[str, Any]:
        """The response as Lambda returns it to API Gateway; a body that is not UTF-8 is in base64."""
        headers = dict(self.headers)
        if self.status != 204:  # the response to HEAD has a type, though no body
            headers["content-type"] = self.content_type
        try:
            body, encoded = self.body.decode(), False
        except UnicodeDecodeError:
            body, encoded = binascii.b2a_base64(self.body, newline=False).decode(), True
        return {"statusCode": self.status, "headers": headers, "body": body, "isBase64Encoded": encoded}


class Operation(NamedTuple):
    """The handler for one method of a path, and the names of the options that it takes."""

    handler: Callable[[Request], Response]
    parameters: tuple[str, ...] = ()  # of the query
    headers: tuple[str, ...] = ()  # with a protocol's own options


Failure = Callable[[int, str], Response]  # writes an error's status and sentence in a protocol's form


class Resource(NamedTuple):
    """A path's operations, and the form of its errors."""

    operations: Mapping[str, Operation]  # by method
    failure: Failure


def json_response(status: int, value: Any, rows: int = 0) -> Response:
    return Response(status, orjson.dumps(value), rows=rows)


def failure(status: int, sentence: str) -> Response:
    return json_response(status, {"error": sentence})


class App:
    """The application: it answers every request through its route, or with an error's status."""

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
    """Check the query's parameters and the protocols' own headers.

    Raises InvalidInput for one that the operation does not take, for an empty one, and for a parameter that
    is sent more than once.
    """
    for name, value in request.query.items():
        if not name.lower().startswith(SIGNED):
            options.check("parameter", name, value, operation.parameters, "this path")
            if name in request.doubled:
                raise errors.InvalidInput(f"the parameter {name} is there more than once: send it once")
    for name, value in request.headers.items():
        if name.startswith(OWN):
            options.check("header", name, value, operation.headers, "this path")


def _methods(resource: Resource) -> str:
    """Return the methods that a path takes; a path that takes GET takes HEAD."""
    return ", ".join(resource.operations).replace("GET", "GET, HEAD")


def _preflight(resource: Resource | None) -> Response:
    """Answer a browser's CORS preflight, on an unknown path too: the request after it gets the 404."""
    methods = _methods(resource) if resource else "GET, HEAD, POST"
    return Response(204, headers={"access-control-allow-methods": methods})


def _not_allowed(resource: Resource) -> Response:
    methods = _methods(resource)
    refused = error_response(errors.MethodNotAllowed(f"this path takes {methods}"), resource.failure)
    return refused._replace(headers={**refused.headers, "allow": methods})


def _packed(response: Response, accepted: str) -> Response:
    """Compress a response's body if the caller accepts it and the body is long enough."""
    if len(response.body) < WORTH_PACKING or response.status >= 400:
        return response
    headers = {**response.headers, "vary": _varying(response, "accept-encoding")}
    if accepted:
        from thimble.web import codings

        if coding := codings.accepted(accepted):
            headers["content-encoding"] = coding
            return response._replace(body=codings.packed(response.body, coding), headers=headers)
    return response._replace(headers=headers)


def _varying(response: Response, header: str) -> str:
    """Return the response's Vary header with one more header's name."""
    known = response.headers.get("vary")
    return f"{known}, {header}" if known else header


def _check_size(response: Response) -> None:
    """Raise TooLarge for a response that Lambda would refuse; the sentence says how many rows to send."""
    if len(response.body) <= FEW_BYTES:
        return
    size = carried_bytes(response.carried)
    if size > MAX_CARRIED_BYTES:
        fewer = response.rows * MAX_CARRIED_BYTES * 9 // (10 * size)
        advice = f": send {fewer} at a time" if fewer else ""
        raise errors.TooLarge(f"the answer to {response.rows} rows is too large for one response{advice}")


def carried_bytes(answer: dict[str, Any]) -> int:
    """Return the size that Lambda counts: the UTF-8 bytes of the JSON that its runtime client writes."""
    return len(json.dumps(answer, ensure_ascii=False).encode())


def error_response(error: Exception, shape: Failure = failure) -> Response:
    """Answer an error with the status of its class.

    The sentence of a 4xx says what to change. Details of a 5xx go to the log only.
    """
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    if status >= 500:
        _count_failure(error)
    return shape(status, MESSAGES.get(status) or shortened(str(error)))


def _count_failure(error: Exception) -> None:
    """Log a 5xx and count it: the metric rolls a deployment back, and Lambda does not count answered errors.

    NoDefaultModel is not counted: a deployment is not at fault if no model is published yet.
    """
    telemetry.exception(str(error))
    if not isinstance(error, errors.NoDefaultModel):
        telemetry.count(ServerErrors=1)


def shortened(sentence: str) -> str:
    """Return a sentence that can be sent: short, and valid in UTF-8.

    A caller's key in it may have a megabyte, or half of a surrogate pair, which JSON can hold but UTF-8 not.
    """
    return errors.shortened(sentence, MAX_MESSAGE).encode("utf-8", "backslashreplace").decode()


def _record(request: Request, response: Response) -> None:
    telemetry.request(
        method=request.method,
        path=request.path,
        status=response.status,
        rows=response.rows,
        request_id=request.request_id,
    )
