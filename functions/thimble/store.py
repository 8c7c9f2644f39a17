"""Read and write objects in S3 or on disk by URI, through obstore."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotModifiedError, PreconditionError
from obstore.store import LocalStore, ObjectStore, S3Store

from thimble.errors import Gone, InvalidFile, Overwritten, Unavailable

if TYPE_CHECKING:
    from obstore import GetOptions, UpdateVersion
    from obstore.store import BackoffConfig, S3Config, S3CredentialProvider

TIMEOUT = timedelta(seconds=10)  # of one request to S3
RETRY_TIMEOUT = timedelta(seconds=20)  # of one request with all its retries by obstore
RETRIES = 3
BACKOFF: BackoffConfig = {"init_backoff": timedelta(milliseconds=100), "base": 2}
# Variables from which obstore gets credentials itself; botocore too prefers them to an endpoint's full URI.
FOUND_BY_OBSTORE = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)

OURS = "thimble-"  # the prefix of an object's metadata keys that Thimble reads
KEY_BYTES = 1024  # of a key in UTF-8; S3 takes no longer one
BEYOND_BYTES = 64 << 10  # read at a time past a range's end, for the rest of its last record
READ_AHEAD = 3  # requests made in advance, besides the one that is awaited


Opened = tuple[ObjectStore, str]  # a store and a key in it


def object_store(uri: str) -> Opened:
    """Return the store and the key that a URI names: s3://bucket/key or file:///path.

    The usual environment variables give the credentials, region and endpoint of S3. Raises Unavailable for
    another URI.
    """
    scheme, _, rest = uri.partition(":")
    host, _, path = rest.removeprefix("//").partition("/")
    opened = OPENERS[scheme](host, path) if scheme in OPENERS else None
    if opened is None:
        raise Unavailable(f"{uri!r} is neither s3://bucket/key nor file:///path")
    return opened


def _s3(host: str, path: str) -> Opened | None:
    return (bucket(host), path) if host else None


def _local(host: str, quoted: str) -> Opened | None:
    from pathlib import Path  # a Lambda function reads no models from disk
    from urllib.parse import unquote

    path = Path(unquote(f"/{quoted}"))
    return None if host else (LocalStore(path.parent), path.name)


OPENERS: dict[str, Callable[[str, str], Opened | None]] = {"s3": _s3, "file": _local}


def bucket(name: str) -> S3Store:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3")  # obstore does not read this variable
    config: S3Config = {"endpoint": endpoint} if endpoint else {}
    return S3Store(
        name,
        config=config,
        client_options={"timeout": TIMEOUT, "allow_http": os.environ.get("AWS_ALLOW_HTTP") == "true"},
        retry_config={"max_retries": RETRIES, "retry_timeout": RETRY_TIMEOUT, "backoff": BACKOFF},
        credential_provider=_credential_provider(),
    )


def _credential_provider() -> S3CredentialProvider | None:
    """Return the function that asks SnapStart's endpoint, whose token obstore does not read.

    Returns None where obstore finds the credentials itself.
    """
    if not os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        return None
    if any(os.environ.get(name) for name in FOUND_BY_OBSTORE):
        return None
    from thimble import credentials  # its http.client is imported in no other environment

    return credentials.ask


def read(uri: str) -> bytes:
    """Read a whole object. Raises Unavailable if it is not there or its store does not answer."""
    try:
        store, key = object_store(uri)
        return bytes(store.get(key).bytes())
    except (
        BaseError,
        FileNotFoundError,
        ValueError,
    ) as error:  # obstore raises ValueError for a key that it does not take
        raise Unavailable(f"{uri} cannot be read") from error


def fits(key: str) -> bool:
    """Return whether a key is short enough for S3."""
    return len(key.encode()) <= KEY_BYTES


def is_plain(key: str) -> bool:
    """Return whether obstore passes a key on unchanged: S3 takes keys that obstore's paths cannot hold."""
    return not {"", ".", ".."} & set(key.split("/")) and not any(c < " " or c == "\x7f" for c in key)


class ObjectVersion(NamedTuple):
    """One version of one object: all reads require the ETag that was seen first."""

    store: ObjectStore
    path: str
    size: int
    etag: str | None
    version: str | None = None
    metadata: Mapping[str, str] = {}  # the user metadata whose keys begin with thimble-
    on_read: Callable[[int], object] = int  # called with the number of bytes after each read of the table

    def read(self, start: int, stop: int) -> bytes:
        """Read the bytes from start to stop. Raises Overwritten if the object has changed."""
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        options: GetOptions = {"range": (start, stop)}
        if self.etag:
            options["if_match"] = self.etag
        try:
            return bytes(obstore.get(self.store, self.path, options=options).bytes())
        except (PreconditionError, FileNotFoundError) as error:
            raise Overwritten(f"{self.path} changed while it was read") from error

    def beginning(self, size: int) -> ObjectVersion:
        """Return the object as if it had only its first `size` bytes."""
        return self._replace(size=size)

    def head(self, size: int) -> tuple[bytes, bool]:
        return self.read(0, size), self.size <= size

    def stream(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from start to stop, read ahead, then those after stop in small reads."""
        from thimble.tables.blocks import BLOCK_BYTES  # imported here because the API reads no streams
        from thimble.threads import ahead

        starts = range(start, min(stop, self.size), BLOCK_BYTES)
        for data in ahead(lambda at: self.read(at, min(at + BLOCK_BYTES, stop)), starts, READ_AHEAD):
            self.on_read(len(data))
            yield data
        for at in range(stop, self.size, BEYOND_BYTES):
            yield self.read(at, at + BEYOND_BYTES)


def current(store: ObjectStore, path: str) -> ObjectVersion:
    """Return the object's current version.

    Raises Gone if there is no object, InvalidFile for a key that obstore cannot pass on.
    """
    if not is_plain(path):
        raise InvalidFile(
            f"{path!r} cannot be read: a part of the key is empty or dots, or it has control characters"
        )
    try:
        found = obstore.get(store, path, options={"head": True})  # obstore.head omits the metadata
    except FileNotFoundError as error:
        raise Gone(f"there is no {path}") from error
    metadata = {key: str(text) for key, text in sorted(found.attributes.items()) if _is_meant_for_us(key)}
    meta = found.meta
    return ObjectVersion(store, path, meta["size"], meta["e_tag"], meta["version"], metadata)


def _is_meant_for_us(key: str) -> bool:
    """Return whether a metadata key begins with thimble-, or with thimble_, which its reader then refuses."""
    return key.replace("_", "-").startswith(OURS)


Found = tuple[bytes, str | None]


class Folder:
    """The objects below a URI, by their path under it. All methods raise Unavailable if the store fails.

    The client is made at the first request and kept, so later requests reuse its connections.
    """

    def __init__(self, uri: str, opening: Callable[[str], Opened] = object_store) -> None:
        self.uri = uri
        self._opening = opening

    @cached_property
    def _opened(self) -> Opened:
        store, prefix = self._opening(self.uri)
        return store, prefix.strip("/")

    def disconnect(self) -> None:
        """Drop the client with its connections and credentials; the next request makes another."""
        self.__dict__.pop("_opened", None)

    def key(self, path: str) -> str:
        prefix = self._opened[1]
        return f"{prefix}/{path}" if prefix else path

    @property
    def store(self) -> ObjectStore:
        return self._opened[0]

    def get(self, path: str) -> Found:
        """Return an object's bytes and its ETag. Raises FileNotFoundError if there is none."""
        with self._answering(path):
            found = obstore.get(self.store, self.key(path))
            return bytes(found.bytes()), found.meta["e_tag"]

    def changed(self, path: str, etag: str) -> Found | None:
        """Return an object's bytes and its ETag; None if it still has the given ETag."""
        with self._answering(path), suppress(NotModifiedError):
            found = obstore.get(self.store, self.key(path), options={"if_none_match": etag})
            return bytes(found.bytes()), found.meta["e_tag"]
        return None

    def put(self, path: str, data: bytes, etag: str | None = None) -> bool:
        """Create the object, or replace the version with this ETag; False if another writer was first."""
        with self._answering(path):
            try:
                mode: Literal["create"] | UpdateVersion = "create" if etag is None else {"e_tag": etag}
                obstore.put(self.store, self.key(path), data, mode=mode, use_multipart=False)
                return True
            except (AlreadyExistsError, PreconditionError):
                return False

    def read(self, path: str) -> bytes | None:
        """Return an object's bytes, or None if there is none."""
        try:
            return self.get(path)[0]
        except FileNotFoundError:
            return None

    def write(self, path: str, data: bytes) -> str:
        """Write an object, or overwrite it; return its key."""
        with self._answering(path):
            obstore.put(self.store, self.key(path), data)
        return self.key(path)

    def keys(self) -> list[str]:
        """Return the keys of all objects below the URI."""
        with self._answering(""):
            return [meta["path"] for meta in obstore.list(self.store, self.key("")).collect()]

    def remove(self) -> None:
        """Delete all objects below the URI."""
        if keys := self.keys():
            with self._answering(""):
                obstore.delete(self.store, keys)

    def folders(self) -> list[str]:
        with self._answering(""):
            found = obstore.list_with_delimiter(self.store, self._opened[1] or None)
            return sorted(path.rpartition("/")[2] for path in found["common_prefixes"])

    def files(self, folder: str) -> list[tuple[str, datetime]]:
        """Return the paths of the objects in a folder with their times of modification, newest first."""
        with self._answering(folder):
            found = obstore.list_with_delimiter(self.store, self.key(folder))["objects"]
            listed = [
                (f"{folder}/{item['path'].rpartition('/')[2]}", item["last_modified"]) for item in found
            ]
            return sorted(listed, key=lambda item: item[1], reverse=True)

    @contextmanager
    def _answering(self, path: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, ValueError) as error:  # obstore raises ValueError for a path that it does not take
            raise Unavailable(f"{self.uri}/{path} cannot be read or written") from error
