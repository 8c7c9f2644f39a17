"""API Gateway's part of payload format 2.0: turn a request into an event, and an answer into a response.

These functions are pure. Where AWS's documentation is silent, they follow measurements at the real HTTP API:
a body stays text only under `text/*` and three application types, and `rawPath` is decoded while
`rawQueryString` is not.
"""

import base64
import binascii
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

TEXT_TYPES = {"application/json", "application/xml", "application/javascript"}
HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class HttpRequest:
    method: str
    target: str  # from the request line: the percent-encoded path and the query string
    protocol: str
    headers: Headers
    body: bytes
    source_ip: str
    port: int  # the server's port


@dataclass(frozen=True)
class HttpResponse:
    status: int
    headers: Headers
    body: bytes


def event(request: HttpRequest) -> dict[str, Any]:
    """Return the event of payload format 2.0. Like API Gateway's, it leaves out empty fields."""
    path, _, query = _origin_form(request.target).partition("?")
    path = unquote(path)
    headers, cookies = _headers(request)
    packed = headers.get("content-encoding", "identity") != "identity"
    body, encoded = _body(request.body, "" if packed else headers.get("content-type", ""))
    optional = {"cookies": cookies, "queryStringParameters": _query(query), "body": body}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": _context(request, path, headers),
        **{key: value for key, value in optional.items() if value},
        "isBase64Encoded": encoded,
    }


def response(answer: object) -> HttpResponse:
    """Return the response for a function's answer. Raises ValueError if API Gateway would send a 500."""
    if not (isinstance(answer, Mapping) and "statusCode" in answer):
        return HttpResponse(200, [("content-type", "application/json")], json.dumps(answer).encode())
    headers = [(str(name), str(value)) for name, value in (answer.get("headers") or {}).items()]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=utf-8"))
    headers += [("set-cookie", cookie) for cookie in answer.get("cookies") or []]
    return HttpResponse(int(answer["statusCode"]), headers, _decoded(answer))


def message(status: int, text: str) -> HttpResponse:
    """Return API Gateway's own response, for when the function is not asked or does not answer."""
    return HttpResponse(
        status, [("content-type", "application/json")], json.dumps({"message": text}).encode()
    )


def _origin_form(target: str) -> str:
    """Return the path and query of a request line, which may hold a whole URL, as sent to a proxy."""
    if target.startswith("/"):
        return target
    _, _, rest = target.partition("://")
    return "/" + rest.partition("/")[2]


def _headers(request: HttpRequest) -> tuple[dict[str, str], list[str]]:
    """Return the event's headers and cookies.

    Names are in lower case, repeated headers are joined by commas, and the gateway's own headers are added.
    """
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in ((name.lower(), value) for name, value in request.headers):
        if name == "cookie":
            cookies += [cookie.strip() for cookie in value.split(";") if cookie.strip()]
        elif name not in HOP_BY_HOP:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    forwarded = headers.get("x-forwarded-for")
    headers["x-forwarded-for"] = f"{forwarded}, {request.source_ip}" if forwarded else request.source_ip
    headers |= {"x-forwarded-port": str(request.port), "x-forwarded-proto": "http"}
    headers["content-length"] = str(len(request.body))
    headers.setdefault("x-amzn-trace-id", f"Root=1-{uuid.uuid4().hex[:8]}-{uuid.uuid4().hex[:24]}")
    return headers, cookies


def _query(query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters


def _body(body: bytes, content_type: str) -> tuple[str, bool]:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.startswith("text/") or media_type in TEXT_TYPES:
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass  # undocumented: the bytes matter more than the content type
    return base64.b64encode(body).decode(), bool(body)


def _context(request: HttpRequest, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    now = datetime.now(UTC)
    host = headers.get("host", "localhost")
    return {
        "accountId": "123456789012",
        "apiId": "local",
        "domainName": host,
        "domainPrefix": host.partition(".")[0],
        "http": {
            "method": request.method,
            "path": path,
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": uuid.uuid4().hex[:16],
        "routeKey": "$default",
        "stage": "$default",
        "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now.timestamp() * 1000),
    }


def _decoded(answer: Mapping[str, Any]) -> bytes:
    body = "" if answer.get("body") is None else answer["body"]
    if not isinstance(body, str):
        raise ValueError("the body is not a string")
    if not answer.get("isBase64Encoded"):
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise ValueError("the body is not base64") from error
