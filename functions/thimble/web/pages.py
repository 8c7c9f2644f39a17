"""The pages for people at / and /docs, and the files in `page` that the page at / loads.

The files are read at the first request for them, never at a cold start. Their addresses hold a digest of all
of them, so a browser may cache them for good: a changed file has another address.
"""

from __future__ import annotations

import os
import re
from binascii import b2a_base64
from functools import cache
from hashlib import sha256

from thimble.errors import InvalidInput, NotFound
from thimble.web import media, native, v1
from thimble.web.app import Request, Response
from thimble.web.service import Service

FOLDER = f"{os.path.dirname(__file__)}/page"
HTML = "text/html; charset=utf-8"
TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
ADDRESS = re.compile(rb'(["\'](?:page/|\./)[a-z]+)\.(css|js|svg)(?=["\'])')  # of one file in another
FILE = re.compile(r"([a-z]+)(?:\.([0-9a-f]{12}))?\.(css|js|svg)")  # with the digest, or without
INLINE = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)
KEPT_FOR_GOOD = "public, max-age=31536000, immutable"
NO_STRANGERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
POLICY = (
    "default-src 'none'; script-src {scripts}; style-src {styles}; connect-src {connected}; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


def front(service: Service, request: Request) -> Response:
    """Return the page to a client that accepts HTML; answer every other client as a probe."""
    if not _wants_html(request.headers.get("accept", "")):
        answer = v1.alive(service, request)
        return answer._replace(headers={**answer.headers, "vary": "accept"})
    policy = POLICY.format(scripts="'self'", styles="'self'", connected=_connected(service))
    page = _page(request, _versioned("index.html"), policy)
    return page._replace(headers={**page.headers, "vary": "accept"})


def docs(service: Service, request: Request) -> Response:
    """Return the page at /docs, which is one file.

    It is served at /docs/ too, where relative addresses of other files would not be found.
    """
    body, scripts, styles = _docs()
    return _page(request, body, POLICY.format(scripts=scripts, styles=styles, connected="'self'"))


def file(service: Service, request: Request, file: str) -> Response:
    """Return a file of the page by its name, with the digest (`page.3f2a91c0b7d4.js`) or without it."""
    found = FILE.fullmatch(file)
    if not found or (name := f"{found[1]}.{found[3]}") not in _names():
        raise NotFound("the page has no such file")
    kept = KEPT_FOR_GOOD if found[2] == _digest() else "no-cache"
    headers = {**NO_STRANGERS, "cache-control": kept}
    return native.kept(request, Response(200, _versioned(name), TYPES[found[3]], headers))


def _wants_html(accept: str) -> bool:
    if media.HTML not in accept.lower():
        return False
    try:
        return media.wanted(accept, (media.JSON, media.HTML), media.PLAIN[media.JSON]).name == media.HTML
    except InvalidInput:  # a probe gets an answer whatever it accepts
        return False


def _connected(service: Service) -> str:
    """Return the policy's `connect-src`: this origin, and the inbox's if uploads are on."""
    if not service.settings.inbox_uri:
        return "'self'"
    from thimble.web import uploads  # imported only if uploads are on

    return f"'self' {uploads.origin(service.settings)}"


def _page(request: Request, body: bytes, policy: str) -> Response:
    headers = {**NO_STRANGERS, "content-security-policy": policy}
    return native.kept(request, Response(200, body, HTML, headers))


@cache
def _versioned(name: str) -> bytes:
    """Return a file, with the digest in the addresses of the other files."""
    return ADDRESS.sub(rb"\1." + _digest().encode() + rb".\2", _bytes(name))


@cache
def _docs() -> tuple[bytes, str, str]:
    """Return the page at /docs, with the style of the page at /, and the policy's sources for its script and
    style: the SHA-256 of the inline text.
    """
    body = _bytes("docs.html").replace(b"<style></style>", b"<style>" + _bytes("page.css") + b"</style>")
    sources: dict[bytes, str] = {}
    for kind, text in INLINE.findall(body):
        digest = b2a_base64(sha256(text).digest(), newline=False).decode()
        sources[kind] = f"'sha256-{digest}'"
    return body, sources[b"script"], sources[b"style"]


@cache
def _digest() -> str:
    return sha256(b"\0".join(map(_bytes, _names()))).hexdigest()[:12]


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(name for name in os.listdir(FOLDER) if not name.startswith(".")))


def _bytes(name: str) -> bytes:
    with open(f"{FOLDER}/{name}", "rb") as found:
        return found.read()
