"""Turn an event of API Gateway's HTTP API (payload format 2.0) into a request, and a response into JSON.

No other module here knows Lambda's event.
"""

from __future__ import annotations

import binascii
from collections import Counter
from collections.abc import Callable
from typing import Any

from thimble.errors import MalformedBody
from thimble.web.app import Request, Response, error_response


def handler(app: Callable[[Request], Response]) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the Lambda handler of an application."""

    def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
        try:
            request = _request(event)
        except MalformedBody as error:
            return error_response(error).carried
        return app(request).carried

    return handle


def _request(event: dict[str, Any]) -> Request:
    context = event["requestContext"]
    path = event["rawPath"]
    stage = context.get("stage", "$default")
    if stage != "$default":
        path = path.removeprefix(f"/{stage}")
    query = event.get("queryStringParameters") or {}
    return Request(
        method=context["http"]["method"],
        path=path or "/",
        body=_body(event),
        headers=event.get("headers") or {},
        query=query,
        request_id=context.get("requestId", ""),
        doubled=_doubled(event.get("rawQueryString") or "", len(query)),
        caller=_caller(context["authorizer"]) if "authorizer" in context else "",
    )


def _caller(authorizer: dict[str, Any]) -> str:
    """Return the caller's identity, from the token or signature that API Gateway has checked.

    All sessions of an IAM role are one caller.
    """
    claims = (authorizer.get("jwt") or {}).get("claims") or {}
    if claims:
        return f"{claims.get('iss', '')} {claims.get('sub', '')}"
    return str((authorizer.get("iam") or {}).get("userId") or "").partition(":")[0]


def _doubled(query: str, names: int) -> tuple[str, ...]:
    """Return the parameters that the query has more than once; the event joins their values with commas."""
    if query.count("&") < max(names, 1):
        return ()
    from urllib.parse import parse_qsl

    times = Counter(name for name, _ in parse_qsl(query, keep_blank_values=True))
    return tuple(name for name in times if times[name] > 1)


def _body(event: dict[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return bytes(body, "utf-8", "surrogatepass")
    try:
        return binascii.a2b_base64(body, strict_mode=True)
    except ValueError:  # not ASCII, or not base64
        raise MalformedBody("the body is not the base64 that it is said to be") from None
