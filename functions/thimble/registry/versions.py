"""Versions as callers spell them, and what is said of names and versions that are not there."""

from __future__ import annotations

import re
from collections.abc import Iterable

from thimble.errors import NotFound

VERSION = re.compile(r"[0-9a-f]{6,64}")  # a digest, or the beginning of one


def matches(version: str, digest: str) -> bool:
    return VERSION.fullmatch(version) is not None and digest.startswith(version)


def no_such_model(name: str, known: Iterable[str] = ()) -> NotFound:
    """With the name that may be meant, of those that this process knows."""
    from thimble import spelling  # only for an error

    meant = spelling.hint(name, known)
    return NotFound(f"there is no model {name!r}{meant or ';'} GET /v2/models lists those that are published")


def no_such_version(name: str, version: str) -> NotFound:
    sentence = f"{name} has no version {version!r}"
    if not VERSION.fullmatch(version):
        sentence += "; a version is its digest, or at least the first 6 digits of it, in lower case"
    return NotFound(sentence)


def too_many_versions(name: str, version: str, many: int) -> NotFound:
    return NotFound(f"{name} has {many} versions that begin with {version}; say more of it")
