"""The function killed at every call of S3, before it and after: the complete right result, or none."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from thimble.files.pipeline import Pipeline
from thimble.inference.classifier import load

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "model" / "iris.json"
HEADER = b"id,sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"
RUN = "import json, sys, files; files.handler(json.load(sys.stdin), None)"
SMALL, LARGE = 40, 70_000  # rows; a large result goes up in parts


def rows(n: int, version: int) -> bytes:
    lines = (b"%d,5.1,3.5,%d.4,0.%d\n" % (i, version, i % 9) for i in range(n))
    return HEADER + b"".join(lines) + b"bad,x,,1\n" * version


class Proxy(BaseHTTPRequestHandler):
    """Passes requests on to S3, and kills the function at one of them."""

    protocol_version = "HTTP/1.1"

    def handle_one_call(self) -> None:
        server: Any = self.server
        with server.lock:
            server.calls += 1
            fatal = server.calls == server.at
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if fatal and not server.after:
            return self.kill()
        upstream = HTTPConnection(server.upstream)
        upstream.request(self.command, self.path, body, dict(self.headers))
        response = upstream.getresponse()
        content = response.read()
        upstream.close()
        if fatal:
            return self.kill()
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = response.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        self.wfile.write(content)
        return None

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_one_call  # noqa: N815

    def kill(self) -> None:
        server: Any = self.server
        os.kill(server.function.pid, signal.SIGKILL)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@contextmanager
def proxy(upstream: str, at: int, after: bool) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    server.upstream, server.at, server.after = urlsplit(upstream).netloc, at, after
    server.calls, server.lock = 0, Lock()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run_function(s3_server: str, event: dict[str, Any], at: int = 0, after: bool = False) -> tuple[int, int]:
    """The entry in a process of its own, killed at call `at`: its exit code, and how many calls it made."""
    with proxy(s3_server, at, after) as server:
        environment = os.environ | {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.server_port}",
            "MODEL_URI": MODEL.as_uri(),
            "RESULTS_URI": "s3://thimble-results",
            "PYTHONPATH": str(ROOT / "functions"),
            "POLARS_MAX_THREADS": "1",
        }
        server.function = subprocess.Popen(
            [sys.executable, "-c", RUN], env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        server.function.communicate(json.dumps(event).encode(), timeout=60)
        return server.function.returncode, server.calls


def expected(data: bytes, s3: "S3Client") -> tuple[bytes, bytes]:
    """Result and rejections of an undisturbed run, elsewhere."""
    s3.put_object(Bucket="thimble-inbox", Key="calm.csv", Body=data)
    classify(s3, "calm.csv")
    return get(s3, "calm.csv/result.csv"), get(s3, "calm.csv/rejections.jsonl")


def classify(s3: "S3Client", key: str) -> dict[str, Any]:
    classifier = load(MODEL.read_bytes())
    summary = Pipeline(lambda key: classifier, "s3://thimble-results").classify("thimble-inbox", key)
    assert summary is not None
    return summary


def get(s3: "S3Client", key: str) -> bytes:
    return s3.get_object(Bucket="thimble-results", Key=key)["Body"].read()


def check_nothing_is_mixed(s3: "S3Client", key: str) -> None:
    """A summary, if there is one, speaks of the bytes that lie beside it."""
    if "summary.json" not in {path.rpartition("/")[2] for path in listed(s3, key)}:
        return
    summary = json.loads(get(s3, f"{key}/summary.json"))
    result, rejections = get(s3, f"{key}/result.csv"), get(s3, f"{key}/rejections.jsonl")
    assert result.count(b"\n") == summary["predictions"] + 1
    assert rejections.count(b"\n") == summary["rejections"]
    assert s3.head_object(Bucket="thimble-results", Key=f"{key}/result.csv")["ETag"] == summary["result_etag"]


def listed(s3: "S3Client", key: str) -> list[str]:
    return [
        item["Key"]
        for item in s3.list_objects_v2(Bucket="thimble-results", Prefix=f"{key}/").get("Contents", [])
    ]


@pytest.mark.parametrize("version", [b"a,b\nx,y\n", HEADER + b"1,x,,1\n"], ids=["refused", "all rejected"])
def test_killed_at_any_call_a_refusal_leaves_nothing_of_before(
    version: bytes,
    s3: "S3Client",
    s3_server: str,
    load_event: Callable[..., dict[str, Any]],
    monkeypatch: Any,
) -> None:
    event = load_event("s3_put")
    key = event["Records"][0]["s3"]["object"]["key"]
    monkeypatch.setenv("MAX_REJECTED_SHARE", "0.9")
    s3.put_object(Bucket="thimble-inbox", Key=key, Body=version)
    _, calls = run_function(s3_server, event)
    left = {"refused": [f"{key}/summary.json"]}.get("refused" if version.startswith(b"a") else "")
    for at in range(1, calls + 1):
        s3.put_object(Bucket="thimble-inbox", Key=key, Body=rows(SMALL, 1))
        run_function(s3_server, event)
        s3.put_object(Bucket="thimble-inbox", Key=key, Body=version)
        assert run_function(s3_server, event, at, after=True)[0] == -signal.SIGKILL
        assert (
            f"{key}/summary.json" not in listed(s3, key)
            or "error" in json.loads(get(s3, f"{key}/summary.json"))
            or f"{key}/result.csv" in listed(s3, key)
        )
        run_function(s3_server, event)
        assert listed(s3, key) == (left or [f"{key}/rejections.jsonl", f"{key}/summary.json"])


@pytest.mark.parametrize("n", [SMALL, LARGE], ids=["put at once", "in parts"])
def test_killed_at_any_call_it_leaves_a_whole_result_and_a_retry_mends_all(
    n: int, s3: "S3Client", s3_server: str, load_event: Callable[..., dict[str, Any]]
) -> None:
    event = load_event("s3_put")
    key = event["Records"][0]["s3"]["object"]["key"]
    versions = [rows(n, 1), rows(n, 2)]
    results = [expected(data, s3) for data in versions]
    s3.put_object(Bucket="thimble-inbox", Key=key, Body=versions[1])
    code, calls = run_function(s3_server, event)
    assert (code, get(s3, f"{key}/result.csv")) == (0, results[1][0])
    assert calls >= 7
    for at in range(1, calls + 1):
        for after in (False, True):
            s3.put_object(Bucket="thimble-inbox", Key=key, Body=versions[0])
            classify(s3, key)
            s3.put_object(Bucket="thimble-inbox", Key=key, Body=versions[1])
            code, _ = run_function(s3_server, event, at, after)
            assert code == -signal.SIGKILL
            assert get(s3, f"{key}/result.csv") in (results[0][0], results[1][0])
            check_nothing_is_mixed(s3, key)
            summary = classify(s3, key)
            assert (get(s3, f"{key}/result.csv"), get(s3, f"{key}/rejections.jsonl")) == results[1]
            assert summary == json.loads(get(s3, f"{key}/summary.json"))
            assert summary["rejections"] == 2
