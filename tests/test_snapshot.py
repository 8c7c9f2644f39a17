"""SnapStart: an environment restored from a snapshot, perhaps a hundred times, is as good as a new one."""

import ast
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from thimble.store import Folder

FUNCTIONS = Path(__file__).parents[1] / "functions"


def test_nothing_of_ours_draws_a_number_that_copies_would_share() -> None:
    sources = [*FUNCTIONS.rglob("*.py")]
    assert len(sources) > 50
    for path in sources:
        names = {node.id for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Name)}
        assert not names & {"random", "secrets", "uuid", "uuid4", "default_rng"}, path


class Object(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept

    def do_GET(self) -> None:
        self.send_response(200)
        for name, value in (("etag", '"1"'), ("last-modified", "Mon, 23 Nov 2026 12:00:00 GMT")):
            self.send_header(name, value)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"found")

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass


def served(port: int) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", port), Object)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_a_connection_from_before_the_snapshot_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the environment wakes: the other side has long forgotten the connection."""
    before = served(0)
    port = before.server_port
    for name, value in (
        ("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}"),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ):
        monkeypatch.setenv(name, value)
    folder = Folder("s3://models/models")
    assert folder.get("iris/current")[0] == b"found"
    before.shutdown()
    before.server_close()
    after = served(port)
    assert folder.get("iris/current")[0] == b"found"
    after.shutdown()
    after.server_close()
