"""Models by name and version, for whoever classifies: all ask a `Models`, whatever lies behind it.

A version is a document's digest, or a unique beginning of it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Protocol

from thimble import store
from thimble.classifier import Classifier, load
from thimble.document import digest
from thimble.errors import NotFound, ThimbleError
from thimble.settings import Settings

VERSION = re.compile(r"[0-9a-f]{6,64}")


class Models(Protocol):
    """What answers. Raises NotFound for what was never published, Unavailable or InvalidModel for what
    cannot be had now."""

    def get(self, name: str = "", version: str = "") -> Classifier:
        """A name's model, or the default; its current version, or the one asked for."""

    def document(self, name: str = "", version: str = "") -> bytes:
        """The very bytes of its document."""

    def names(self) -> list[str]:
        """Of all models, sorted."""

    def versions(self, name: str) -> list[str]:
        """Digests, newest first."""

    def warm(self) -> ThimbleError | None:
        """Load the default at cold start. A failure is returned, not raised: the request that needs it says
        so."""


class OneModel:
    """One document at a URI, without a registry: read when first asked for, then kept; a failure is tried
    again at the next call. It answers to its own name and to `default`."""

    def __init__(self, uri: str, read: Callable[[str], bytes] = store.read) -> None:
        self.uri = uri
        self._read = read
        self._lock = threading.Lock()
        self._classifier: Classifier | None = None

    def get(self, name: str = "", version: str = "") -> Classifier:
        if self._classifier is None:
            with self._lock:
                if self._classifier is None:
                    self._classifier = load(self._read(self.uri))
        found = self._classifier
        if name not in ("", "default", found.name):
            raise no_such_model(name, self.names())
        if version and not matches(version, found.digest):
            raise no_such_version(name or self.names()[0], version)
        return found

    def document(self, name: str = "", version: str = "") -> bytes:
        if name or version:
            self.get(name, version)
        data = self._read(self.uri)
        if version and not matches(version, digest(data)):
            raise no_such_version(name, version)
        return data

    def names(self) -> list[str]:
        return [self.get().name or "default"]

    def versions(self, name: str) -> list[str]:
        return [self.get(name).digest]

    def warm(self) -> ThimbleError | None:
        return failure(self.get)


def models(settings: Settings) -> Models:
    """What the environment names."""
    return OneModel(settings.model_uri)


def matches(version: str, digest: str) -> bool:
    return VERSION.fullmatch(version) is not None and digest.startswith(version)


def no_such_model(name: str, names: list[str]) -> NotFound:
    return NotFound(f"there is no model {name!r}; published are {', '.join(names) or 'none'}")


def no_such_version(name: str, version: str) -> NotFound:
    return NotFound(f"{name} has no version {version!r}")


def failure(attempt: Callable[[], object]) -> ThimbleError | None:
    try:
        attempt()
    except ThimbleError as error:
        return error
    return None
