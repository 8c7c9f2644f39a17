"""Lambda's own runtime client over a Runtime API that knows snapshots, which Lambda's emulator does not."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import IO, Any

from tests.emulator import PATIENCE, seen
from thimble_infra.build import lambda_python


class Function:
    """A function that is initialized, laid aside as in a snapshot, and gone on with when it is restored."""

    def __init__(self) -> None:
        self._laid_aside, self._restored = Event(), Event()
        self._events: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._answers: SimpleQueue[Any] = SimpleQueue()

    def wait_for_snapshot(self) -> None:
        """Return when the hooks that Lambda calls before a snapshot have ended."""
        assert self._laid_aside.wait(PATIENCE)

    def restore(self) -> None:
        self._restored.set()

    def __call__(self, event: dict[str, Any]) -> Any:
        self._events.put(event)
        return self._answers.get(timeout=PATIENCE)

    def api(self, path: str, body: bytes) -> bytes:
        """Answer the runtime client, when there is an answer."""
        if path.endswith("/restore/next"):
            self._laid_aside.set()
            self._restored.wait()
        elif path.endswith("/invocation/next"):
            return json.dumps(self._events.get()).encode()
        else:
            self._answers.put(json.loads(body))
        return b""


@contextmanager
def laid_aside(
    handler: str, path: Sequence[Path], environment: dict[str, str], output: IO[bytes]
) -> Iterator[Function]:
    function = Function()

    class RuntimeApi(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(200, function.api(self.path, b""))

        def do_POST(self) -> None:
            self._send(202, function.api(self.path, self.rfile.read(int(self.headers["content-length"]))))

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.send_header("lambda-runtime-aws-request-id", "request")
            self.send_header("lambda-runtime-deadline-ms", str(int((time.time() + PATIENCE) * 1000)))
            self.send_header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:::function:function")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi) as server:
        server.daemon_threads = True
        server.block_on_close = False  # a thread waits for the next event for ever
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        snapstart = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
        }
        process = subprocess.Popen(
            [lambda_python(), "-S", "-s", "-m", "awslambdaric", handler],
            cwd=path[0],
            env=environment | seen(path) | snapstart,
            stdout=output,
            stderr=output,
        )
        try:
            yield function
        finally:
            process.kill()
            process.wait()
            server.shutdown()
