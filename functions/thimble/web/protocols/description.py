"""What there is, for programs and for people: the OpenAPI document, and a page to read and try it.

Both are files beside this module, read when they are asked for. The page needs nothing from another host.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from thimble.web.http import Methods, Operation, Request, Response
from thimble.web.serving import Service

FOLDER = Path(__file__).parent
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'"


def openapi(service: Service, request: Request) -> Response:
    return Response(200, (FOLDER / "openapi.json").read_bytes())


def docs(service: Service, request: Request) -> Response:
    headers = {"content-security-policy": POLICY}
    return Response(200, (FOLDER / "docs.html").read_bytes(), "text/html; charset=utf-8", headers)


ROUTES: Mapping[str, Methods] = {
    "/openapi.json": {"GET": Operation(openapi)},
    "/docs": {"GET": Operation(docs)},
}
