"""Look up models by name and version. Callers use a `Models`: one document, or a registry."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Protocol

from thimble import store
from thimble.errors import InvalidFile, NotFound, ThimbleError
from thimble.inference.classifier import Classifier, load
from thimble.inference.document import digest
from thimble.registry.cache import Cache
from thimble.registry.pointer import matches, no_such_model, no_such_version
from thimble.registry.published import Registry, Serving
from thimble.settings import Settings


class Models(Protocol):
    """The models that can answer.

    Methods raise NotFound if a model or version was never published, and Unavailable or InvalidModel if it
    cannot be served now.
    """

    def get(self, name: str = "", version: str = "") -> Classifier:
        """Return the model of that name, or the default; its current version, or the given one."""

    def serving(self, name: str = "", version: str = "") -> Serving:
        """Return the same model, and the version on trial, if any. A given version has none beside it."""

    def document(self, name: str = "", version: str = "") -> bytes:
        """Return the bytes of the model's document, unchanged."""

    def names(self) -> list[str]:
        """Return the names of all models, sorted."""

    def versions(self, name: str) -> list[str]:
        """Return a model's digests, newest first."""


def models(settings: Settings, folder: store.Folder | None = None) -> Models:
    """Return the models that the settings name: one document, or a registry. `folder` is the registry's, if
    it is open already."""
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
    """Load the default model at cold start. Ignore a failure: a request that needs the model reports it."""
    with suppress(ThimbleError):
        models.get()


class Folders(NamedTuple):
    """Choose the model for a file by the first folder of its key: NAME/ or NAME@VERSION/.

    A key without a folder gets the default model. So does a folder that names no model if `for_unknown` is
    set; otherwise it raises InvalidFile, so that a mistyped name does not get another model's answers.
    """

    models: Models
    for_unknown: bool = False

    def get(self, key: str) -> Classifier:
        return self.models.get(*self._asked_for(key))

    def document(self, key: str, version: str) -> bytes:
        return self.models.document(self._asked_for(key)[0], version)

    def _asked_for(self, key: str) -> tuple[str, str]:
        """Return a name and a version; "" stands for the default model and the current version."""
        folder, slash, _ = key.partition("/")
        if not slash:
            return "", ""
        name, _, version = folder.partition("@")
        try:
            self.models.get(name, version)
        except NotFound as error:
            if self.for_unknown:
                return "", ""
            raise InvalidFile(self._refusal(folder, name, error)) from None
        return name, version

    def _refusal(self, folder: str, name: str, error: NotFound) -> str:
        from thimble import spelling  # only for an error

        known = self.models.names()
        if name in known:
            return f'the first folder of the key, "{folder}", names a version that is not there: {error}'
        meant = spelling.hint(name, known)
        return (
            f'the first folder of the key, "{folder}", names no published model{meant}; '
            "send the file under NAME/ or NAME@VERSION/, or without a folder for the default model"
        )


def folders(settings: Settings) -> Folders:
    """Return the choice of models by folder. With only one document, it answers files in any folder."""
    return Folders(models(settings), bool(settings.model_uri) or settings.unknown_folder == "default")


class OneModel:
    """One document at a URI, without a registry. It is loaded on first use and kept; after a failure, the
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
