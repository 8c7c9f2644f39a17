"""Models by name and version: every caller asks a `Models`, one document or a registry behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from thimble import store
from thimble.errors import NotFound, ThimbleError
from thimble.inference.classifier import Classifier, load
from thimble.inference.document import digest
from thimble.registry.cache import Cache
from thimble.registry.pointer import matches, no_such_model, no_such_version
from thimble.registry.published import Registry, Serving
from thimble.settings import Settings


class Models(Protocol):
    """The models that answer. NotFound: never published; Unavailable, InvalidModel: not to be had now."""

    def get(self, name: str = "", version: str = "") -> Classifier:
        """Return a name's model, or the default, in its current version or the one asked for."""

    def serving(self, name: str = "", version: str = "") -> Serving:
        """Return the same with the version on trial; there is none beside a version that was asked for."""

    def document(self, name: str = "", version: str = "") -> bytes:
        """Return the bytes of its document, unchanged."""

    def names(self) -> list[str]:
        """Return the names of all models, sorted."""

    def versions(self, name: str) -> list[str]:
        """Return a model's digests, newest first."""


def models(settings: Settings, folder: store.Folder | None = None) -> Models:
    """Return what the environment names: one document, or a registry, whose folder may be open."""
    if settings.model_uri or not settings.models_uri:
        return OneModel(settings.model_uri)
    return Registry(
        folder or store.Folder(settings.models_uri),
        default=settings.model_name,
        pin=settings.model_version,
        refresh=settings.model_refresh_seconds,
        cache=Cache(settings.model_cache_bytes),
    )


def warm(models: Models) -> None:
    """Load the default at cold start. If that fails, the request that needs it says so."""
    with suppress(ThimbleError):
        models.get()


def name_for(models: Models, key: str) -> str:
    """Return the model that an object's first folder names, if there is one; otherwise "", the default."""
    folder, slash, _ = key.partition("/")
    if not slash:
        return ""
    try:
        models.get(folder)
    except NotFound:
        return ""
    return folder


def for_key(models: Models, key: str) -> Classifier:
    return models.get(name_for(models, key))


class OneModel:
    """One document at a URI, without a registry: loaded when first asked for, and kept. After a failure, the
    next call tries again. It answers to its own name and to `default`."""

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
            raise no_such_model(name, [found.name])
        if version and not matches(version, found.digest):
            raise no_such_version(name or self.names()[0], version)
        return found

    def serving(self, name: str = "", version: str = "") -> Serving:
        return Serving(self.get(name, version))

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
