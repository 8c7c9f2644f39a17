"""The default's document, fetched in a thread while the libraries are imported: both take as long."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

from thimble.registry import pointer
from thimble.settings import Settings
from thimble.store import Folder, Found


class Reading:
    """What `current` says and the document that it names, or the one that is pinned."""

    def __init__(self, read: Callable[[str], Found], name: str, pin: str) -> None:
        self._read = read
        self._found: dict[str, Found | Exception] = {}
        self._thread = threading.Thread(target=self._read_ahead, args=(name, pin), daemon=True)
        self._thread.start()

    def _read_ahead(self, name: str, pin: str) -> None:
        with suppress(Exception):  # whoever asks for it is told
            version = pin or pointer.parse(self._get(pointer.current(name))[0]).version
            if pointer.DIGEST.fullmatch(version):
                self._get(pointer.document(name, version))

    def _get(self, path: str) -> Found:
        try:
            found = self._found[path] = self._read(path)
        except Exception as error:
            self._found[path] = error
            raise
        return found

    def take(self, path: str) -> Found | None:
        """What was read, or the error that came of it, once; None if it was not read, or is taken."""
        self._thread.join()
        found = self._found.pop(path, None)
        if isinstance(found, Exception):
            raise found
        return found


class ReadAhead(Folder):
    """A folder of which some objects are read already."""

    def __init__(self, uri: str, name: str, pin: str) -> None:
        super().__init__(uri)
        self._reading = Reading(super().get, name, pin)

    def get(self, path: str) -> Found:
        return self._reading.take(path) or super().get(path)


def folder(settings: Settings) -> Folder:
    """The registry's; reading begins at once, if there is a registry with a default."""
    found = _opened(settings)
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        from snapshot_restore_py import register_before_snapshot  # of Lambda's runtime

        register_before_snapshot(found.disconnect)  # what is restored would find its connections dead
    return found


def _opened(settings: Settings) -> Folder:
    if settings.model_uri or not (settings.models_uri and pointer.NAME.fullmatch(settings.model_name)):
        return Folder(settings.models_uri)
    return ReadAhead(settings.models_uri, settings.model_name, settings.model_version)
