"""Fetch the default model's document in a thread while the libraries are imported: both take equally long."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

from thimble.registry import pointer
from thimble.settings import Settings
from thimble.store import Folder, Found


class ReadAhead(Folder):
    """A folder that starts at once to read the default model's `current` and its document, or only the
    pinned document."""

    def __init__(self, uri: str, name: str, pin: str) -> None:
        super().__init__(uri)
        self._found: dict[str, Found | Exception] = {}
        self._thread = threading.Thread(target=self._read_ahead, args=(name, pin), daemon=True)
        self._thread.start()

    def get(self, path: str) -> Found:
        """Return what was read ahead, or raise its error. This works once per path; later calls read anew."""
        self._thread.join()
        found = self._found.pop(path, None)
        if isinstance(found, Exception):
            raise found
        return found or super().get(path)

    def _read_ahead(self, name: str, pin: str) -> None:
        with suppress(Exception):  # `get` raises it
            version = pin or pointer.parse(self._keep(pointer.current(name))[0]).version
            if pointer.DIGEST.fullmatch(version):
                self._keep(pointer.document(name, version))

    def _keep(self, path: str) -> Found:
        try:
            found = self._found[path] = super().get(path)
        except Exception as error:
            self._found[path] = error
            raise
        return found


def folder(settings: Settings) -> Folder:
    """Return the registry's folder. Start to read ahead if there is a registry with a default model."""
    found = _opened(settings)
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        from snapshot_restore_py import register_before_snapshot  # part of Lambda's runtime

        register_before_snapshot(found.disconnect)  # connections would be dead after a restore
    return found


def _opened(settings: Settings) -> Folder:
    if settings.model_uri or not (settings.models_uri and pointer.NAME.fullmatch(settings.model_name)):
        return Folder(settings.models_uri)
    return ReadAhead(settings.models_uri, settings.model_name, settings.model_version)
