"""S3 on loopback that takes no key but those of its credentials endpoint, while they live, rightly signed.

The endpoint is what Lambda has under SnapStart: it wants a token, and its keys expire. What a client signs is
held against botocore's signature.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from thimble.inference.document import digest
from thimble.registry import pointer
from thimble.registry.pointer import Pointer

TOKEN = "token-of-the-environment"
ENDPOINT = "/2021-04-23/credentials"
REGION = "us-east-1"


class Key(NamedTuple):
    id: str
    secret: str
    token: str
    expires: datetime


class Keys:
    """What the endpoint gave, what S3 was asked, and by which connections."""

    def __init__(self, objects: dict[str, bytes], lifetime: timedelta) -> None:
        self.objects = objects  # by bucket and key: models/iris/current
        self.lifetime = lifetime
        self.token = TOKEN
        self.answer: bytes | None = None  # of the endpoint, in place of a key
        self.given: dict[str, Key] = {}
        self.asked: list[tuple[str, str, int]] = []  # path, key and the client's port, of requests answered
        self.refused: list[str] = []  # paths, for their keys
        self.open: dict[int, socket.socket] = {}  # connections to S3 by the client's port
        self.url = ""

    def environment(self) -> dict[str, str]:
        """What a function finds under SnapStart: no key."""
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": self.url + ENDPOINT,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": TOKEN,
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def give(self) -> bytes:
        number = len(self.given)
        key = Key(
            f"ASIA{number:016}", f"secret {number}", f"session {number}", datetime.now(UTC) + self.lifetime
        )
        self.given[key.id] = key
        names = ("AccessKeyId", "SecretAccessKey", "Token", "Expiration")
        return json.dumps(dict(zip(names, (*key[:3], key.expires.isoformat()), strict=True))).encode()

    def drop(self) -> None:
        """Forget all connections, as the other side has while a snapshot lay on a disk."""
        for connection in list(self.open.values()):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving(objects: dict[str, bytes], lifetime: timedelta = timedelta(seconds=30)) -> Iterator[Keys]:
    keys = Keys(objects, lifetime)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            keys.open[self.client_address[1]] = self.connection

        def finish(self) -> None:
            del keys.open[self.client_address[1]]
            super().finish()

        def do_GET(self) -> None:
            if self.path == ENDPOINT:
                return self._give()
            key_id = self._key()
            if key_id is None:
                keys.refused.append(self.path)
                return self._send(403, b"<Error><Code>InvalidAccessKeyId</Code></Error>")
            keys.asked.append((self.path, key_id, self.client_address[1]))
            found = keys.objects.get(self.path.removeprefix("/"))
            if found is None:
                return self._send(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return self._send(200, found)

        def _give(self) -> None:
            self.close_connection = True
            if self.headers.get("authorization") != keys.token:
                return self._send(401, b"")
            return self._send(200, keys.give() if keys.answer is None else keys.answer)

        def _key(self) -> str | None:
            """The request's key, if it was given, lives, and has signed the request."""
            given = self.headers.get("authorization", "")
            key = keys.given.get(given.partition("Credential=")[2].partition("/")[0])
            if key is None or key.expires < datetime.now(UTC):
                return None
            signed = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
            request = AWSRequest(
                "GET", keys.url + self.path, headers={name: self.headers[name] for name in signed}
            )
            request.context["timestamp"] = self.headers["x-amz-date"]
            auth = S3SigV4Auth(Credentials(key.id, key.secret, key.token), "s3", REGION)
            text = auth.string_to_sign(request, auth.canonical_request(request))
            right = self.headers["x-amz-security-token"] == key.token
            return key.id if right and given.endswith(auth.signature(text, request)) else None

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("etag", f'"{len(body)}"')
            self.send_header("last-modified", "Mon, 23 Nov 2026 12:00:00 GMT")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    keys.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    try:
        yield keys
    finally:
        server.shutdown()
        keys.drop()
        server.server_close()


def published(*documents: bytes) -> dict[str, bytes]:
    """Models in a registry at s3://models/models, each under its own name."""
    objects = {}
    for document in documents:
        name, version = json.loads(document)["name"], digest(document)
        objects[f"models/models/{pointer.current(name)}"] = pointer.dump(Pointer(version))
        objects[f"models/models/{pointer.document(name, version)}"] = document
    return objects
