"""The default's document, fetched in a thread while the libraries are imported: both take as long."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

from thimble.registry import pointer
from thimble.settings import Settings
from thimble.store import Folder, Found


class ReadAhead(Folder):
    """A folder that reads the default's `current` and document at once, or the document that is pinned."""

    def __init__(self, uri: str, name: str, pin: str) -> None:
        super().__init__(uri)
        self._found: dict[str, Found | Exception] = {}
        self._thread = threading.Thread(target=self._read_ahead, args=(name, pin), daemon=True)
        self._thread.start()

    def get(self, path: str) -> Found:
        """Return what was read, or raise the error that came of it, once; then read it anew."""
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
