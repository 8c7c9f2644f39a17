"""The pages for people, at / and /docs, and the files in `page` that the one at / is made of.

The files are read when they are first asked for, never at a cold start. Their addresses hold a digest of
all of them, so a browser may keep them for good: what has changed has another address.
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
ADDRESS = re.compile(rb'(["\'](?:page/|\./)[a-z]+)\.(css|js|svg)(?=["\'])')  # of a file, in a file
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
    """The page for whoever asks for HTML; for everybody else what a probe is answered."""
    if not _wants_html(request.headers.get("accept", "")):
        answer = v1.alive(service, request)
        return answer._replace(headers={**answer.headers, "vary": "accept"})
    policy = POLICY.format(scripts="'self'", styles="'self'", connected=_connected(service))
    page = _page(request, _versioned("index.html"), policy)
    return page._replace(headers={**page.headers, "vary": "accept"})


def docs(service: Service, request: Request) -> Response:
    """A page of one file: it is found at /docs/ too, from where other addresses would be relative."""
    body, scripts, styles = _docs()
    return _page(request, body, POLICY.format(scripts=scripts, styles=styles, connected="'self'"))


def file(service: Service, request: Request, file: str) -> Response:
    """A file of the page, by its name with the digest, `page.3f2a91c0.js`, or without."""
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
    except InvalidInput:  # a probe was answered whatever it accepts
        return False


def _connected(service: Service) -> str:
    """Where the page may send anything to: here, and files to the inbox where it takes them."""
    if not service.settings.inbox_uri:
        return "'self'"
    from thimble.web import uploads  # where they are on

    return f"'self' {uploads.origin(service.settings)}"


def _page(request: Request, body: bytes, policy: str) -> Response:
    headers = {**NO_STRANGERS, "content-security-policy": policy}
    return native.kept(request, Response(200, body, HTML, headers))


@cache
def _versioned(name: str) -> bytes:
    """A file, in which the others have the addresses that hold the digest."""
    return ADDRESS.sub(rb"\1." + _digest().encode() + rb".\2", _bytes(name))


@cache
def _docs() -> tuple[bytes, str, str]:
    """The page at /docs with the style of the other, and its scripts and styles by their digests."""
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
