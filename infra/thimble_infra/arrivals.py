"""Tell whether a summary, or a plan, is of the object that lies in the inbox."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from thimble.errors import ThimbleError
from thimble.store import current


class Arrival(NamedTuple):
    """An object as its results know it. None: not known."""

    etag: str | None
    version: str | None
    metadata: Mapping[str, str] | None  # that say what is asked of it

    @classmethod
    def described(cls, given: Mapping[str, Any]) -> Arrival:
        """Read the input of a summary or a plan."""
        return cls(given.get("etag"), given.get("version"), given.get("metadata", {}))

    @classmethod
    def looked_up(cls, inbox: ObjectStore, key: str, etag: str | None) -> Arrival:
        """Look up an object of which the ETag is known; one may not be allowed to read it."""
        with suppress(BaseError, ThimbleError):
            found = current(inbox, key)
            return cls(found.etag, found.version, found.metadata)
        return cls(etag, None, None)

    def is_same(self, other: Arrival) -> bool:
        """Return whether both are one upload.

        Without versions, the same bytes with the same metadata count: their result is the same.
        """
        if self.version and other.version:
            return self.version == other.version
        same = None in (self.metadata, other.metadata) or self.metadata == other.metadata
        return same and _plain(self.etag) == _plain(other.etag)


NOT_YET = Arrival(None, None, None)


def _plain(etag: str | None) -> str:
    return (etag or "").strip('"')
