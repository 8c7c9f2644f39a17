"""Objects by URI, through obstore, and the model that lives at one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store

from thimble.classifier import Classifier, load
from thimble.errors import ThimbleError, Unavailable

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


class ModelStore:
    """The model at a URI: read when first asked for, then kept; a failure is tried again at the next call."""

    def __init__(self, uri: str, read: Callable[[str], bytes] = read) -> None:
        self.uri = uri
        self._read = read
        self._lock = threading.Lock()
        self._classifier: Classifier | None = None

    def get(self) -> Classifier:
        """Unavailable or InvalidModel if there is none to be had."""
        if self._classifier is None:
            with self._lock:
                if self._classifier is None:
                    self._classifier = load(self._read(self.uri))
        return self._classifier

    def warm(self) -> ThimbleError | None:
        """Load at cold start; a failure is returned, not raised: the request that needs the model says so."""
        try:
            self.get()
        except ThimbleError as error:
            return error
        return None
