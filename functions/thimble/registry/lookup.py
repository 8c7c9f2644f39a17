"""Models by name and version: every caller asks a `Models`, one document or a registry behind it."""

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


class Folders(NamedTuple):
    """What answers a file: the model that the first folder of its key names, NAME/ or NAME@VERSION/.

    A key without a folder asks for the default. So does a folder that names no model if the default is
    `for_unknown`; otherwise it is InvalidFile: a slip of the pen gets no other model's answers.
    """

    models: Models
    for_unknown: bool = False

    def get(self, key: str) -> Classifier:
        return self.models.get(*self._asked_for(key))

    def document(self, key: str, version: str) -> bytes:
        return self.models.document(self._asked_for(key)[0], version)

    def _asked_for(self, key: str) -> tuple[str, str]:
        """A name and a version, "" for the default and for the current one."""
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
    """Where one document is all there is, folders are the sender's own."""
    return Folders(models(settings), bool(settings.model_uri) or settings.unknown_folder == "default")


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
