"""API Gateway on loopback: HTTP/1.1 in front of the API function, with every request in payload format 2.0.

It uses the standard library's server: a thread for each connection, nothing to configure, and raw requests.
(WSGI would already have decoded the path and merged the headers.)
"""

import logging
import socket
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from threading import Lock

from thimble_infra.invocation import Context, EventTooLarge, Handler, invoke
from thimble_infra.payload import HttpRequest, HttpResponse, event, message, response

MAX_BODY_BYTES = 10 * 1024 * 1024  # API Gateway's quota; Lambda's quota for the whole event is lower
FUNCTION_TIMEOUT = 29.0  # seconds: API Gateway's timeout for an integration

logger = logging.getLogger(__name__)


class ApiGateway(ThreadingHTTPServer):
    """A server for a handler on a socket that is already bound. `log` gets one line per request."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, listener: socket.socket, handler: Handler, log: Callable[[str], None]) -> None:
        super().__init__(listener.getsockname(), _Connection, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_address = listener.getsockname()
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.server_activate()
        self.handler, self._log = handler, log
        self._one_at_a_time = Lock()

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Return the function's answer. It takes one request at a time, as an instance of Lambda does."""
        started = time.perf_counter()
        if len(request.body) > MAX_BODY_BYTES:
            answer = message(413, "Request Entity Too Large")
        else:
            with self._one_at_a_time:
                answer = _answer(self.handler, request)
        milliseconds = 1000 * (time.perf_counter() - started)
        self._log(f"{request.method} {request.target} {answer.status} {milliseconds:.1f} ms")
        return answer

    def handle_error(self, request: object, client_address: object) -> None:
        """Log the error, unless the client broke the connection."""
        if not isinstance(sys.exception(), ConnectionError):
            logger.exception("connection from %s", client_address)


def _answer(handler: Handler, request: HttpRequest) -> HttpResponse:
    try:
        return response(invoke(handler, event(request), Context("thimble-api", FUNCTION_TIMEOUT)))
    except EventTooLarge as error:
        logger.error("%s", error)
        return message(413, "Request Entity Too Large")
    except Exception:
        logger.exception("%s %s", request.method, request.target)
        return message(500, "Internal Server Error")


class _Connection(BaseHTTPRequestHandler):
    server: ApiGateway
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # buffered: head and body leave in one packet

    def _serve(self) -> None:
        try:
            body = self._read_body()
        except ValueError:
            self.close_connection = True
            self._send(message(400, "Bad Request"))
            return
        request = HttpRequest(
            method=self.command,
            target=self.path,
            protocol=self.request_version,
            headers=self.headers.items(),
            body=body,
            source_ip=self.client_address[0],
            port=self.server.server_port,
        )
        self._send(self.server.answer(request))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815
    do_TRACE = do_QUERY = _serve  # noqa: N815

    def _read_body(self) -> bytes:
        """Return the body, or the beginning of a too large one. Raises ValueError if it is malformed."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return _read_chunks(self.rfile)
        length = self.headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()):
            raise ValueError("content-length")
        return _read(self.rfile, int(length), keep=MAX_BODY_BYTES + 1)

    def _send(self, answer: HttpResponse) -> None:
        self.send_response_only(answer.status)
        self.send_header("date", formatdate(usegmt=True))
        for name, value in answer.headers:
            if name.lower() not in ("content-length", "date"):
                self.send_header(name, value.encode("utf-8").decode("latin-1"))
        bodiless = answer.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
        if not bodiless:
            self.send_header("content-length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD" and not bodiless:
            self.wfile.write(answer.body)

    def send_error(self, code: int, message_: str | None = None, explain: str | None = None) -> None:
        """Answer what the server's parser refuses, such as an unknown method, in API Gateway's form."""
        self.close_connection = True
        self._send(message(code, HTTPStatus(code).phrase))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        logger.info(format, *args)


def _read(stream: BufferedIOBase, length: int, keep: int) -> bytes:
    """Read `length` bytes and keep the first `keep`: clients read a refusal only after sending all."""
    kept = stream.read(min(length, keep))
    left = length - len(kept)
    while left and (skipped := stream.read(min(left, 1 << 20))):
        left -= len(skipped)
    return kept


def _read_chunks(stream: BufferedIOBase) -> bytes:
    body = bytearray()
    while size := int(stream.readline(100).partition(b";")[0], 16):
        body += _read(stream, size, keep=max(0, MAX_BODY_BYTES + 1 - len(body)))
        stream.readline(100)
    while stream.readline(65536).strip():
        pass  # trailers
    return bytes(body)
