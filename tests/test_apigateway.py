"""The HTTP server in front of the API function, spoken to over a socket."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from threading import Thread
from typing import Any

import pytest

from thimble_infra.apigateway import MAX_BODY_BYTES, ApiGateway


def echo(event: dict[str, Any], context: Any) -> Any:
    """Answers with the event; /raise raises, /large is more than Lambda may answer, /none has no content."""
    assert context.get_remaining_time_in_millis() > 0
    if event["rawPath"] == "/raise":
        raise RuntimeError("secret")
    if event["rawPath"] == "/large":
        return {"statusCode": 200, "body": "x" * 7_000_000}
    if event["rawPath"] == "/none":
        return {"statusCode": 204}
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def gateway(log: list[str]) -> Iterator[ApiGateway]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    with ApiGateway(listener, echo, log.append) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def client(gateway: ApiGateway) -> Iterator[HTTPConnection]:
    connection = HTTPConnection("127.0.0.1", gateway.server_port, timeout=10)
    yield connection
    connection.close()


def ask(
    client: HTTPConnection, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, bytes]:
    client.request(method, path, body, headers)
    answer = client.getresponse()
    return answer.status, answer.read()


def test_one_connection_carries_many_requests_with_every_method(client: HTTPConnection) -> None:
    client.connect()
    same = client.sock
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"):
        status, body = ask(client, method, "/x")
        assert (status, json.loads(body)["requestContext"]["http"]["method"]) == (200, method)
    assert ask(client, "HEAD", "/x") == (200, b"")
    assert ask(client, "GET", "/none") == (204, b"")
    assert client.sock is same


def test_a_body_in_chunks_arrives_whole(client: HTTPConnection) -> None:
    chunks = iter([b'{"a": ', b"1}"])
    _, body = ask(client, "POST", "/", chunks, **{"Content-Type": "application/json"})
    assert json.loads(body)["body"] == '{"a": 1}'


def test_a_body_over_the_limit_is_refused_after_it_was_sent(client: HTTPConnection) -> None:
    status, body = ask(client, "POST", "/", b"x" * (MAX_BODY_BYTES + 1))
    assert (status, json.loads(body)) == (413, {"message": "Request Entity Too Large"})


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/octet-stream", b"x" * 4_600_000, 204),  # 6.1 MB in base64
        ("application/octet-stream", b"x" * 5_000_000, 413),
        ("application/json", b'"' * 3_000_000, 204),  # escaped, twice as many
        ("application/json", b'"' * 3_200_000, 413),
        ("application/json", "ż".encode() * 3_000_000, 204),  # as they are, in UTF-8
        ("application/json", "ż".encode() * 3_200_000, 413),
    ],
)
def test_an_event_over_lambda_s_limit_is_refused(
    client: HTTPConnection, content_type: str, body: bytes, status: int
) -> None:
    """Counted as Lambda counts it: the event as JSON."""
    client.request("POST", "/none", body, {"content-type": content_type})
    answer = client.getresponse()
    answer.read()
    assert answer.status == status


@pytest.mark.parametrize("path", ["/raise", "/large"])
def test_a_function_that_fails_is_a_500_that_says_nothing(client: HTTPConnection, path: str) -> None:
    status, body = ask(client, "GET", path)
    assert (status, json.loads(body)) == (500, {"message": "Internal Server Error"})


def test_a_malformed_length_is_a_400(gateway: ApiGateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.server_port), timeout=10) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400 ")


def test_32_clients_at_once_each_get_their_own_answer(gateway: ApiGateway) -> None:
    def many(number: int) -> set[str]:
        client = HTTPConnection("127.0.0.1", gateway.server_port, timeout=30)
        answers = {json.loads(ask(client, "GET", f"/{number}")[1])["rawPath"] for _ in range(20)}
        client.close()
        return answers

    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(many, range(32))) == [{f"/{number}"} for number in range(32)]


def test_every_request_leaves_one_line(client: HTTPConnection, log: list[str]) -> None:
    ask(client, "GET", "/x?y")
    ask(client, "GET", "/raise")
    assert [line.split()[:3] for line in log] == [["GET", "/x?y", "200"], ["GET", "/raise", "500"]]


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("BREW / HTTP/1.1", 501),
        ("GET / HTTP/1.1\r\n" + "\r\n".join(f"h{i}: 1" for i in range(150)), 431),
        ("GET / HTTP/9", 505),
        ("no request at all", 400),
    ],
)
def test_what_is_no_request_is_refused_in_json(gateway: ApiGateway, request_line: str, status: int) -> None:
    with socket.create_connection(("127.0.0.1", gateway.server_port), timeout=10) as connection:
        connection.sendall(f"{request_line}\r\n\r\n".encode())
        head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    assert list(json.loads(body or head)) == ["message"]
    assert not body or head.startswith(f"HTTP/1.1 {status} ".encode())
