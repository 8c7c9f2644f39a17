"""The pages for people as they are sent: to whom, kept how long, and with which policy."""

from __future__ import annotations

import gzip
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from tests.door import get, iris
from thimble.web import codings, gateway, pages
from thimble.web.app import Request, Response

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
FILES = sorted(path for path in Path(pages.FOLDER).iterdir() if path.suffix != ".html")
MOST_BYTES = 60_000


def front(method: str = "GET", path: str = "/", **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return iris(Request(method, path, headers={"accept": BROWSER, **named}))


def addresses() -> list[str]:
    """Of the files, as the page and its scripts name them."""
    page = front().body.decode()
    named = re.findall(r'(?:href|src)="(page/[^"]+)"', page)
    scripts = [get(f"/{address}").body.decode() for address in named if address.endswith(".js")]
    imported = re.findall(r"from '\./([^']+)'", "".join(scripts))
    return sorted({*named, *(f"page/{name}" for name in imported)})


@pytest.mark.parametrize("accept", [BROWSER, "text/html", "TEXT/HTML", "text/html, application/json;q=0.9"])
def test_who_asks_for_html_gets_the_page(accept: str) -> None:
    answer = front(accept=accept)
    assert answer.content_type == "text/html; charset=utf-8"
    assert answer.body.startswith(b"<!doctype html>")
    assert answer.headers["vary"] == "accept, accept-encoding"


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json", "text/plain", "text/html;q=0", "text/html;q=0.1, */*", "x", ","]
)
def test_every_other_client_gets_the_probe_s_answer(accept: str) -> None:
    answer = front(accept=accept)
    assert answer.content_type == "application/json"
    assert answer.body == b'{"status":"alive","docs":"/docs"}'
    assert answer.headers["vary"] == "accept"


def test_a_packed_page_still_varies_by_what_is_accepted() -> None:
    answer = front(accept_encoding="gzip")
    assert gzip.decompress(answer.body) == front().body
    assert answer.headers["vary"] == "accept, accept-encoding"


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip, deflate, br", "gzip"),
        ("gzip;q=0.5, deflate", "deflate"),
        ("GZIP", "gzip"),
        ("*", "gzip"),
        ("gzip;q=0, *", "deflate"),
        ("gzip;q=0, *;q=0", ""),
        ("br, identity", ""),
        ("gzip;q=x", ""),
        ("", ""),
    ],
)
def test_the_coding_is_the_one_that_is_preferred(accept: str, coding: str) -> None:
    assert codings.accepted(accept) == coding
    assert front(accept_encoding=accept).headers.get("content-encoding", "") == coding


@pytest.mark.parametrize("path", ["/", "/docs", "/page/page.css"])
def test_head_says_what_get_says_and_sends_no_body(path: str) -> None:
    head, whole = front("HEAD", path), front("GET", path)
    assert (head.status, head.body, head.headers) == (200, b"", whole.headers)
    assert whole.body


def test_every_file_is_named_by_the_page_and_every_name_is_a_file() -> None:
    names = {re.sub(r"\.[0-9a-f]{12}\.", ".", address.removeprefix("page/")) for address in addresses()}
    assert names == {path.name for path in FILES}


def test_what_does_not_change_is_kept_for_good_and_the_page_is_asked_for_again() -> None:
    for address in addresses():
        assert get(f"/{address}").headers["cache-control"] == "public, max-age=31536000, immutable"
    assert front().headers["cache-control"] == "no-cache"
    assert get("/page/page.css").headers["cache-control"] == "no-cache"
    assert get("/page/page.0123456789ab.css").headers["cache-control"] == "no-cache"  # of another deployment


@pytest.mark.parametrize("path", ["/", "/docs", *(f"/page/{path.name}" for path in FILES)])
def test_who_has_the_bytes_is_told_so(path: str) -> None:
    tag = front(path=path).headers["etag"]
    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}'):
        answer = front(path=path, if_none_match=known)
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
    assert front(path=path, if_none_match='"other"').status == 200
    assert front(path=path, accept_encoding="gzip").headers["etag"] == tag


def forget() -> None:
    for kept in (pages._versioned, pages._docs, pages._digest, pages._names):
        kept.cache_clear()


def test_a_stage_has_the_page_and_every_file_below_its_own_name() -> None:
    handle = gateway.handler(iris)

    def asked(path: str) -> dict[str, Any]:
        context = {"http": {"method": "GET"}, "stage": "prod"}
        return handle({"requestContext": context, "rawPath": path, "headers": {"accept": BROWSER}}, None)

    page = asked("/prod/")
    assert page["body"].encode() == front().body
    for address in addresses():
        assert asked(urljoin("/prod/", address))["statusCode"] == 200


def test_a_changed_file_changes_every_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = addresses()
    for path in Path(pages.FOLDER).iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "text.js").write_bytes(b"// changed\n" + (tmp_path / "text.js").read_bytes())
    monkeypatch.setattr(pages, "FOLDER", str(tmp_path))
    forget()
    try:
        after = addresses()
    finally:
        monkeypatch.undo()
        forget()
    assert len(after) == len(before)
    assert not {*after} & {*before}


@pytest.mark.parametrize(
    "name",
    ["..", "nothing.js", "index.html", "docs.html", ".css", "page", "page.css.css", "%2e%2e", "pages.py"],
)
def test_nothing_but_the_page_s_files_is_sent(name: str) -> None:
    assert get(f"/page/{name}").status == 404
    assert get("/page/../pages.py").status == 404


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_the_policy_lets_nothing_run_that_is_not_ours(path: str) -> None:
    answer = front(path=path)
    policy = dict(
        part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert not re.search("unsafe|https?:|[*]", answer.headers["content-security-policy"])
    body = answer.body.decode()
    inline = [
        text
        for kind in ("script", "style")
        for text in re.findall(f"<{kind}>(.*?)</{kind}>", body, re.DOTALL)
    ]
    for text in inline:
        assert (
            f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
            in answer.headers["content-security-policy"]
        )
    assert len(inline) == (2 if path == "/docs" else 0)
    assert not re.search(r" style=| on[a-z]+=|javascript:", body)


@pytest.mark.parametrize("path", ["/", "/docs", *(f"/page/{path.name}" for path in FILES)])
def test_browsers_are_told_to_guess_nothing_and_to_tell_nobody(path: str) -> None:
    headers = front(path=path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_nothing_comes_from_another_host_and_every_address_is_relative() -> None:
    for path in Path(pages.FOLDER).iterdir():
        text = path.read_text()
        named = re.findall(r"https?://[^\s'\"`]+", text)
        assert {*named} <= {"http://www.w3.org/2000/svg", "https://"}, path.name
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|@import|url\(", text
        ), path.name
        assert not re.search(r"""(?:href|src)=["']/|(?:fetch|ask|json)\([`'"]/""", text), path.name


def test_all_of_the_page_is_sent_in_less_than_60_kilobytes() -> None:
    bodies = [front().body, *(get(f"/{address}").body for address in addresses())]
    assert sum(len(gzip.compress(body)) for body in bodies) < MOST_BYTES
