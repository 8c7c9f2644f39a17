"""The file function behind a network that fails: nothing lost, nothing doubled, bounded retries, clear logs.

A proxy stands between the function and S3 and spoils calls of one kind, the first or every one, in one way.
The function is the deployed entry, a new one for each delivery of the event, as after a cold start; what the
queue does, deliver again what failed, is done here.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest

from thimble import store
from thimble.files import uploads
from thimble.inference.document import digest
from thimble.registry import pointer
from thimble.registry.cache import Cache
from thimble.registry.published import Registry

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ROOT = Path(__file__).parents[1]
IRIS = (ROOT / "model" / "iris.json").read_bytes()
KEY = "iris/iris.csv"
HEADER = b"id,sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"
FILE = HEADER + b"".join(b"%d,5.1,3.5,%d.4,0.2\n" % (i, i % 7) for i in range(60)) + b"bad,x,,1\n"
NO_TABLE = b"\xff\xfenot a table"
DELIVERIES = 5  # of the queue, before the dead letters
PATIENCE = 0.15  # seconds, of one request; deployed: store.TIMEOUT

# What the function asks of S3, by what is asked: a new kind of call is a line here.
CALLS = (
    *("GET model", "HEAD input", "GET input", "GET summary", "HEAD result", "HEAD rejections"),
    *("PUT rejections", "PUT result", "PUT summary", "POST delete"),
)
MOST_CALLS = {"HEAD input": 6, "GET input": 3, "PUT part": 4}  # of one delivery, without a fault
CALLS_IN_PARTS = ("POST uploads", "PUT part", "POST complete")
KINDS = {
    r"GET /thimble-models/.*/current": "GET pointer",
    r"GET /thimble-models/.*": "GET model",
    r"(\w+) /thimble-inbox/.*": r"\1 input",
    r"POST .*[?]uploads.*": "POST uploads",
    r"PUT .*partNumber.*": "PUT part",
    r"POST .*uploadId.*": "POST complete",
    r"DELETE .*uploadId.*": "DELETE upload",
    r"POST .*[?]delete.*": "POST delete",
    r"(\w+) /thimble-results/.*/(result|rejections|summary)\..*": r"\1 \2",
}

Fault = Callable[["Proxy", bytes], None]
FAULTS: dict[str, Fault] = {}


def fault(spoil: Fault) -> Fault:
    FAULTS[spoil.__name__.replace("_", " ")] = spoil
    return spoil


@fault
def throttled(call: Proxy, body: bytes) -> None:
    call.refuse(503, "SlowDown")


@fault
def internal_error_after_the_deed(call: Proxy, body: bytes) -> None:
    call.forwarded(body)
    call.refuse(500, "InternalError")


@fault
def reset_before_the_deed(call: Proxy, body: bytes) -> None:
    call.reset()


@fault
def reset_after_the_deed(call: Proxy, body: bytes) -> None:
    call.forwarded(body)
    call.reset()


@fault
def reset_mid_body(call: Proxy, body: bytes) -> None:
    response, content = call.forwarded(body)
    call.begin(response, len(content))
    call.wfile.write(content[: len(content) // 2])
    call.wfile.flush()
    call.reset()


@fault
def slow(call: Proxy, body: bytes) -> None:
    response, content = call.forwarded(body)
    call.begin(response, len(content))
    for byte in content or b"\n":
        if not call.wait(PATIENCE):
            return
        call.wfile.write(bytes([byte]))


@fault
def another_etag(call: Proxy, body: bytes) -> None:
    response, content = call.forwarded(body)
    call.begin(response, len(content), ETag='"00000000000000000000000000000000"')
    call.wfile.write(content)


@fault
def not_found(call: Proxy, body: bytes) -> None:
    call.refuse(404, "NoSuchKey")


@fault
def credentials_expired(call: Proxy, body: bytes) -> None:
    call.refuse(400, "ExpiredToken")


@fault
def access_denied(call: Proxy, body: bytes) -> None:
    call.refuse(403, "AccessDenied")


@fault
def an_error_in_a_200(call: Proxy, body: bytes) -> None:
    """As S3 answers when joining an upload's parts fails after it began to answer."""
    call.refuse(200, "InternalError") if call.kind() == "POST complete" else call.refuse(503, "SlowDown")


@dataclass
class Plan:
    """Which calls are spoilt, and what was asked so far."""

    kind: str = ""
    fault: str = ""
    always: bool = False
    asked: list[str] = field(default_factory=list)
    spoilt: int = 0
    lock: Lock = field(default_factory=Lock)

    def spoils(self, kind: str) -> bool:
        with self.lock:
            self.asked.append(kind)
            hit = kind == self.kind and (self.always or not self.spoilt)
            self.spoilt += hit
            return hit


class Proxy(BaseHTTPRequestHandler):
    """Passes requests on to S3, but for those that the plan spoils."""

    protocol_version = "HTTP/1.1"

    def serve(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if server.plan.spoils(self.kind()):
            self.close_connection = True
            FAULTS[server.plan.fault](self, body)
            return
        response, content = self.forwarded(body)
        self.begin(response, len(content))
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = serve  # noqa: N815

    def kind(self) -> str:
        line = f"{self.command} {self.path}"
        for pattern, name in KINDS.items():
            if match := re.fullmatch(pattern, line):
                return match.expand(name)
        return line

    def forwarded(self, body: bytes) -> tuple[HTTPResponse, bytes]:
        server: Any = self.server
        upstream = HTTPConnection(server.upstream)
        upstream.request(self.command, self.path, body, dict(self.headers))
        response = upstream.getresponse()
        content = response.read()
        upstream.close()
        return response, content

    def begin(self, response: HTTPResponse, length: int, **replaced: str) -> None:
        """The head of an answer."""
        names = {"transfer-encoding", "connection", "content-length", *map(str.lower, replaced)}
        self.send_response_only(response.status)
        for name, value in [*response.getheaders(), *replaced.items()]:
            if name.lower() not in names or name in replaced:
                self.send_header(name, value)
        known = response.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", known or str(length))
        self.end_headers()

    def refuse(self, status: int, code: str) -> None:
        content = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def reset(self) -> None:
        """The connection ends as if the other side had crashed."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.wfile = self.rfile = open("/dev/null", "r+b")  # noqa: SIM115

    def wait(self, seconds: float) -> bool:
        """Whether the other side is still there after a while."""
        self.connection.settimeout(seconds)
        try:
            return bool(self.connection.recv(1))
        except TimeoutError:
            return True
        except OSError:
            return False

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


Left = tuple[bytes | None, bytes | None, dict[str, Any] | None]


@dataclass(frozen=True)
class Behind:
    """The function behind the proxy, and what it left in S3."""

    s3: S3Client
    proxy: Any
    event: dict[str, Any]
    caplog: pytest.LogCaptureFixture
    calm_runs: dict[bytes, Left]
    entry: Callable[[str], Any]

    @property
    def plan(self) -> Plan:
        plan: Plan = self.proxy.plan
        return plan

    def plans(self, *plan: Any) -> None:
        self.proxy.plan = Plan(*plan)

    def drop(self, data: bytes) -> None:
        self.s3.put_object(Bucket="thimble-inbox", Key=KEY, Body=data)

    def deliver(self) -> bool:
        """One delivery to a new function; whether it was the last."""
        return bool(self.entry("files")(self.event, None) == {"batchItemFailures": []})

    def deliveries(self, most: int = DELIVERIES) -> int:
        """As the queue does it: how many until it was done."""
        for number in range(1, most + 1):
            if self.deliver():
                return number
        return most + 1

    def found(self, name: str) -> bytes | None:
        try:
            return self.s3.get_object(Bucket="thimble-results", Key=f"{KEY}/{name}")["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return None

    def left(self) -> Left:
        """Result, rejections, and of the summary what does not depend on the clock or the run."""
        summary = json.loads(self.found("summary.json") or b"null")
        for name in ("seconds", "result_etag"):
            (summary or {}).pop(name, None)
        return self.found("result.csv"), self.found("rejections.jsonl"), summary

    def logged(self, level: str) -> list[str]:
        records = [r for r in self.caplog.records if r.name == "thimble" and r.levelname == level]
        return [f"{r.getMessage()} {vars(r).get('key', '')} {r.exc_text or ''}" for r in records]


@pytest.fixture
def behind(
    s3: S3Client,
    s3_server: str,
    load_event: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    calm_runs: dict[bytes, Left],
    entry: Callable[[str], Any],
) -> Iterator[Behind]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    server.handle_error = lambda *about: None  # a connection that was reset
    server.upstream, server.plan = urlsplit(s3_server).netloc, Plan()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(
        store,
        "BACKOFF",
        {"init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(milliseconds=5)},
    )
    try:
        yield Behind(s3, server, received(load_event("sqs_s3_put")), caplog, calm_runs, entry)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def received(event: dict[str, Any]) -> dict[str, Any]:
    """The event with its message under way in a real queue, so that it can be postponed."""
    sqs: Any = boto3.client("sqs")
    url = sqs.create_queue(QueueName="thimble-queue")["QueueUrl"]
    [message] = event["Records"]
    sqs.send_message(QueueUrl=url, MessageBody=message["body"])
    [sent] = sqs.receive_message(QueueUrl=url)["Messages"]
    return {"Records": [message | {"receiptHandle": sent["ReceiptHandle"]}]}


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads in parts of a few kilobytes, where S3 asks for 5 MiB."""
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    monkeypatch.setattr(uploads, "PART_BYTES", 2048)


@pytest.fixture(scope="module")
def calm_runs() -> dict[bytes, Left]:
    """What each file leaves when nothing goes wrong, as far as it was seen."""
    return {}


def prepared(behind: Behind, kind: str) -> Left:
    """All is set for a delivery that makes calls of a kind; what it should leave, seen in a calm run."""
    replaced = kind == "POST delete"  # a table by something that is none: what it left is to go
    data = NO_TABLE if replaced else FILE
    if replaced or data not in behind.calm_runs:
        behind.drop(FILE)
        assert behind.deliver()
        behind.calm_runs[FILE] = behind.left()
    behind.drop(data)
    if data not in behind.calm_runs:
        empty(behind.s3)
        assert behind.deliver()
        behind.calm_runs[data] = behind.left()
        return prepared(behind, kind)
    if kind in ("HEAD result", "HEAD rejections"):  # which look whether a duplicate has anything to do
        assert behind.deliver()
    elif not replaced:
        empty(behind.s3)
    return behind.calm_runs[data]


def empty(s3: S3Client) -> None:
    for item in s3.list_objects_v2(Bucket="thimble-results").get("Contents", []):
        s3.delete_object(Bucket="thimble-results", Key=item["Key"])


# A quarter of all, in which each kind of call and each fault has its turn; the rest takes long.
CASES = [
    pytest.param(kind, spoil, id=f"{spoil}, {kind}", marks=[pytest.mark.wide] if (i + j) % 4 else [])
    for i, kind in enumerate(CALLS + CALLS_IN_PARTS)
    for j, spoil in enumerate(FAULTS)
    if not (spoil == "reset mid body" and kind.startswith(("HEAD", "PUT")))  # which have no body
    and not (spoil == "an error in a 200" and kind != "POST complete")
]
BOUND = 1 + store.RETRIES


@pytest.fixture
def spoiling(behind: Behind, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Behind:
    kind, spoil = request.node.callspec.params["kind"], request.node.callspec.params["spoil"]
    if kind in CALLS_IN_PARTS:
        request.getfixturevalue("small_parts")
    if spoil == "slow":
        monkeypatch.setattr(store, "TIMEOUT", timedelta(seconds=2 * PATIENCE))
    return behind


def test_the_calls_of_a_calm_run_are_the_kinds_that_are_spoilt(behind: Behind, small_parts: None) -> None:
    """So that a new call of S3 is noticed here."""
    calls = Counter[str]()
    for data in (FILE, FILE, NO_TABLE):
        behind.drop(data)
        behind.plans()
        assert behind.deliver()
        calls.update(behind.plan.asked)
    behind.plans()
    behind.drop(FILE)
    uploads.PART_BYTES = 1 << 20  # which the fixture puts back
    assert behind.deliver()
    calls.update(behind.plan.asked)
    assert calls.keys() == {*CALLS, *CALLS_IN_PARTS}


@pytest.mark.parametrize(("kind", "spoil"), CASES)
def test_a_call_that_fails_once_changes_nothing(spoiling: Behind, kind: str, spoil: str) -> None:
    calm = prepared(spoiling, kind)
    spoiling.caplog.clear()
    spoiling.plans(kind, spoil, False)
    deliveries = spoiling.deliveries()
    assert spoiling.plan.spoilt == 1
    assert deliveries <= 2
    assert spoiling.left() == calm
    assert len(spoiling.logged("ERROR")) == deliveries - 1 + (kind == "POST delete")
    spoiling.plans()
    assert spoiling.deliver()  # a duplicate
    assert spoiling.left() == calm


@pytest.mark.parametrize(("kind", "spoil"), CASES)
def test_a_call_that_always_fails_is_given_up_and_mended_later(
    spoiling: Behind, kind: str, spoil: str
) -> None:
    calm = prepared(spoiling, kind)
    before = spoiling.left()
    spoiling.caplog.clear()
    spoiling.plans(kind, spoil, True)
    done = spoiling.deliver()
    of_the_kind = spoiling.plan.asked.count(kind)
    assert 1 <= spoiling.plan.spoilt == of_the_kind <= MOST_CALLS.get(kind, 1) * BOUND
    if done:
        harmless = spoiling.left() == calm
        gone = (kind, spoil) == ("HEAD input", "not found")
        assert harmless or gone
        assert [line for line in spoiling.logged("WARNING") if "the file is gone" in line] or not gone
    else:
        result, _, summary = spoiling.left()
        assert result in (before[0], calm[0])
        of = [(found[0], found[2]) for found in (before, calm)]
        assert summary is None or (result, summary) in of  # never one beside other bytes
        [said] = spoiling.logged("ERROR")
        assert said.startswith("a message failed and will come again")
        assert KEY in said or "model.json" in said
    spoiling.plans()
    assert spoiling.deliver()
    assert spoiling.left() == calm


RUN = """
import json, sys
import files
from thimble.files import uploads
uploads.PART_BYTES = 2048
files.handler(json.load(sys.stdin), None)
"""


@pytest.mark.parametrize(
    ("kind", "after"), [("PUT part", False), ("POST complete", False), ("POST complete", True)]
)
def test_killed_while_a_result_goes_up_in_parts_it_leaves_a_whole_one_and_a_retry_mends_all(
    behind: Behind, small_parts: None, kind: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, which nothing can catch: test_killed.py has all other calls."""
    newer = FILE + b"99,5.1,3.5,4.4,0.2\n"
    left = []
    for data in (newer, FILE):
        behind.drop(data)
        assert behind.deliver()
        left.append(behind.left())
    behind.drop(newer)
    behind.plans(kind, "killed", False)
    path = {"PYTHONPATH": str(ROOT / "functions"), "POLARS_MAX_THREADS": "1"}
    function = subprocess.Popen(
        [sys.executable, "-c", RUN], env=os.environ | path, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )

    def killed(call: Proxy, body: bytes) -> None:
        if after:
            call.forwarded(body)
        function.kill()
        call.reset()

    monkeypatch.setitem(FAULTS, "killed", killed)
    function.communicate(json.dumps(behind.event).encode(), timeout=60)
    assert function.returncode == -signal.SIGKILL
    found = behind.left()
    assert found[0] in (left[0][0], left[1][0])
    assert found[2] is None or found in left
    behind.plans()
    assert behind.deliver()
    assert behind.left() == left[0]


REFRESHES = [
    pytest.param(kind, spoil, id=f"{spoil}, {kind}")
    for kind in ("GET pointer", "GET model")
    for spoil in FAULTS
    if spoil not in ("an error in a 200", "internal error after the deed", "reset after the deed")
]


def publish(s3: S3Client, data: bytes) -> str:
    version = digest(data)
    for path, body in (
        (pointer.document("iris", version), data),
        (pointer.current("iris"), pointer.dump(pointer.Pointer(version))),
    ):
        s3.put_object(Bucket="thimble-models", Key=f"models/{path}", Body=body)
    return version


@pytest.mark.parametrize(("kind", "spoil"), REFRESHES)
def test_a_model_that_cannot_be_refreshed_goes_on_and_is_refreshed_later(
    spoiling: Behind, kind: str, spoil: str
) -> None:
    now = [0.0]
    folder, cache = store.Folder("s3://thimble-models/models"), Cache(1 << 30)
    registry = Registry(folder, default="iris", refresh=60, cache=cache, clock=lambda: now[0])
    first = publish(spoiling.s3, IRIS)
    assert registry.get().digest == first
    second = publish(spoiling.s3, IRIS.replace(b'"iris"', b'"iris 2"', 1))
    spoiling.caplog.clear()
    spoiling.plans(kind, spoil, True)
    now[0] += 100
    answering = registry.get().digest
    assert answering == (second if spoil == "another etag" else first)
    assert 1 <= spoiling.plan.asked.count(kind) <= 2 * BOUND
    assert spoiling.logged("ERROR") or answering == second
    spoiling.plans()
    for _ in range(2):  # the look after this one, at the latest
        now[0] += 100
        registry.get()
    assert registry.get().digest == second
