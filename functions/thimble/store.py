"""Objects by URI, through obstore."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotModifiedError, PreconditionError
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store

from thimble.errors import Unavailable

if TYPE_CHECKING:
    from obstore import UpdateVersion
    from obstore.store import BackoffConfig, S3Config, S3CredentialProvider

TIMEOUT = timedelta(seconds=10)  # of one request to S3
RETRY_TIMEOUT = timedelta(seconds=20)  # of all of obstore's tries of one request
RETRIES = 3
BACKOFF: BackoffConfig = {"init_backoff": timedelta(milliseconds=100), "base": 2}
# Where obstore finds keys itself; botocore too looks there before it asks an endpoint by its full URI.
FOUND_BY_OBSTORE = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)

MEMORY = MemoryStore()  # what memory:// names: one store of this process, for tests


def object_store(uri: str) -> tuple[ObjectStore, str]:
    """The store and the key that a URI names: s3://bucket/key, file:///path or memory:///key.

    S3's credentials, region and endpoint come from the usual environment variables.
    """
    scheme, _, rest = uri.partition(":")
    host, _, path = rest.removeprefix("//").partition("/")
    if scheme == "s3" and host:
        return bucket(host), path
    if scheme == "file" and not host:
        return _local(f"/{path}")
    if scheme == "memory":
        return MEMORY, path
    raise Unavailable(f"{uri!r} is neither s3://bucket/key nor file:///path")


def _local(quoted: str) -> tuple[LocalStore, str]:
    from pathlib import Path  # no Lambda function has its models on a disk
    from urllib.parse import unquote

    path = Path(unquote(quoted))
    return LocalStore(path.parent), path.name


def bucket(name: str) -> S3Store:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3")  # which obstore does not read
    config: S3Config = {"endpoint": endpoint} if endpoint else {}
    return S3Store(
        name,
        config=config,
        client_options={"timeout": TIMEOUT, "allow_http": os.environ.get("AWS_ALLOW_HTTP") == "true"},
        retry_config={"max_retries": RETRIES, "retry_timeout": RETRY_TIMEOUT, "backoff": BACKOFF},
        credential_provider=_credential_provider(),
    )


def _credential_provider() -> S3CredentialProvider | None:
    """What asks SnapStart's endpoint, whose token obstore does not read; None where obstore needs no help."""
    if not os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        return None
    if any(os.environ.get(name) for name in FOUND_BY_OBSTORE):
        return None
    from thimble import credentials  # http.client: no other environment pays for it

    return credentials.ask


def read(uri: str) -> bytes:
    """A whole object; Unavailable if it is not there or its store does not answer."""
    try:
        store, key = object_store(uri)
        return bytes(store.get(key).bytes())
    except (
        BaseError,
        FileNotFoundError,
        ValueError,
    ) as error:  # ValueError: a key that obstore does not take
        raise Unavailable(f"{uri} cannot be read") from error


Found = tuple[bytes, str | None]


class Folder:
    """All objects below a URI, by their path under it; Unavailable is what keeps the store from answering.

    A client is made when first needed, and kept: the second request takes the first one's connection.
    """

    def __init__(self, uri: str, opening: Callable[[str], tuple[ObjectStore, str]] = object_store) -> None:
        self.uri = uri
        self._opening = opening

    @cached_property
    def _opened(self) -> tuple[ObjectStore, str]:
        store, prefix = self._opening(self.uri)
        return store, prefix.strip("/")

    def disconnect(self) -> None:
        """Give up the client with its connections and keys; the next request makes another."""
        self.__dict__.pop("_opened", None)

    def key(self, path: str) -> str:
        prefix = self._opened[1]
        return f"{prefix}/{path}" if prefix else path

    def get(self, path: str) -> Found:
        """An object and its ETag; FileNotFoundError if there is none."""
        with self._answering(path):
            found = obstore.get(self._opened[0], self.key(path))
            return bytes(found.bytes()), found.meta["e_tag"]

    def changed(self, path: str, etag: str) -> Found | None:
        """The same, or None while it is still what had that ETag."""
        with self._answering(path), suppress(NotModifiedError):
            found = obstore.get(self._opened[0], self.key(path), options={"if_none_match": etag})
            return bytes(found.bytes()), found.meta["e_tag"]
        return None

    def put(self, path: str, data: bytes, etag: str | None = None) -> bool:
        """Write what is not there, or replace what still has that ETag; False if another was first."""
        with self._answering(path):
            try:
                mode: Literal["create"] | UpdateVersion = "create" if etag is None else {"e_tag": etag}
                obstore.put(self._opened[0], self.key(path), data, mode=mode, use_multipart=False)
                return True
            except (AlreadyExistsError, PreconditionError):
                return False

    def folders(self) -> list[str]:
        with self._answering(""):
            found = obstore.list_with_delimiter(self._opened[0], self._opened[1] or None)
            return sorted(path.rpartition("/")[2] for path in found["common_prefixes"])

    def files(self, folder: str) -> list[tuple[str, datetime]]:
        """The paths of a folder's objects, newest first, each with its time."""
        with self._answering(folder):
            found = obstore.list_with_delimiter(self._opened[0], self.key(folder))["objects"]
            listed = [
                (f"{folder}/{item['path'].rpartition('/')[2]}", item["last_modified"]) for item in found
            ]
            return sorted(listed, key=lambda item: item[1], reverse=True)

    @contextmanager
    def _answering(self, path: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, ValueError) as error:  # ValueError: a path that obstore does not take
            raise Unavailable(f"{self.uri}/{path} cannot be read or written") from error
