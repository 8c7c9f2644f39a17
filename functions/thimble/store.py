"""Objects by URI, through obstore."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store

from thimble.errors import Unavailable

TIMEOUT = timedelta(seconds=10)  # of one request to S3
RETRY_TIMEOUT = timedelta(seconds=20)  # of all of obstore's tries of one request

MEMORY = MemoryStore()  # what memory:// names: one store of this process, for tests


def object_store(uri: str) -> tuple[ObjectStore, str]:
    """The store and the key that a URI names: s3://bucket/key, file:///path or memory:///key.

    S3's credentials, region and endpoint come from the usual environment variables.
    """
    parts = urlsplit(uri, allow_fragments=False)
    if parts.scheme == "s3" and parts.netloc:
        return bucket(parts.netloc), parts.path.removeprefix("/")
    if parts.scheme == "file" and not parts.netloc:
        path = Path(unquote(parts.path))
        return LocalStore(path.parent), path.name
    if parts.scheme == "memory":
        return MEMORY, parts.path.removeprefix("/")
    raise Unavailable(f"{uri!r} is neither s3://bucket/key nor file:///path")


def bucket(name: str) -> S3Store:
    return S3Store(
        name,
        client_options={"timeout": TIMEOUT, "allow_http": os.environ.get("AWS_ALLOW_HTTP") == "true"},
        retry_config={"max_retries": 3, "retry_timeout": RETRY_TIMEOUT},
    )


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
