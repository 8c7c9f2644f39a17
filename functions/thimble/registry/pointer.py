"""The objects of a registry, the spelling of names and versions, and the contents of `<name>/current`.

<name>/<digest>.json    a document, never changed
<name>/current          {"version": digest, "previous": [digests, newest first], "moved": time,
                         and at most one of "canary": {"version", "percent"} and "shadow": {"version"}}

A version is a document's digest, or a unique prefix of it. A cold start reads `current` before anything else,
so it is parsed by the standard library's `json`, which is loaded by then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from thimble.errors import InvalidModel, NotFound

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # always a single segment of a path
DIGEST = re.compile(r"[0-9a-f]{64}")
VERSION = re.compile(r"[0-9a-f]{6,64}")  # a digest, or a prefix of one
MOST_PREVIOUS = 20


class Trial(NamedTuple):
    """A version on trial beside the current one. A canary answers a share of the rows, a shadow none."""

    version: str
    percent: float = 0.0  # of the rows; 0 for a shadow
    shadow: bool = False


class Pointer(NamedTuple):
    version: str
    previous: tuple[str, ...] = ()
    trial: Trial | None = None
    moved: str = ""  # time of the change, in UTC; it makes the bytes of each pointer, and its ETag, unique


def current(name: str) -> str:
    return f"{name}/current"


def document(name: str, version: str) -> str:
    return f"{name}/{version}.json"


def version_of(path: str) -> str | None:
    """Return the digest in the path of a document; None for any other object."""
    stem = path.rpartition("/")[2].removesuffix(".json")
    return stem if DIGEST.fullmatch(stem) else None


def parse(data: bytes) -> Pointer:
    """Read a pointer. Raises InvalidModel, which says what is wrong with it."""
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidModel(f"current is not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise InvalidModel("current is not a JSON object")
    previous = raw.get("previous", [])
    if not isinstance(previous, list):
        raise InvalidModel("current.previous is not a list")
    return Pointer(
        version=_digest(raw, "version", "current"),
        previous=tuple(_digest({i: value}, i, "current.previous") for i, value in enumerate(previous)),
        trial=_trial(raw),
        moved=str(raw.get("moved", "")),
    )


def _trial(raw: Mapping[str, Any]) -> Trial | None:
    for key in ("canary", "shadow"):
        found = raw.get(key)
        if found is None:
            continue
        if not isinstance(found, dict):
            raise InvalidModel(f"current.{key} is not an object")
        version = _digest(found, "version", f"current.{key}")
        return Trial(version, shadow=True) if key == "shadow" else Trial(version, _percent(found))
    return None


def _percent(found: Mapping[str, Any]) -> float:
    percent = found.get("percent")
    if isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 <= percent <= 100:
        raise InvalidModel(f"current.canary.percent is {percent!r}, not a number from 0 to 100")
    return float(percent)


def _digest(raw: Mapping[Any, Any], key: Any, path: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or not DIGEST.fullmatch(value):
        raise InvalidModel(f"{path}.{key} is no digest of a document")
    return value


def dump(pointer: Pointer) -> bytes:
    found: dict[str, Any] = {"version": pointer.version, "previous": pointer.previous[:MOST_PREVIOUS]}
    if pointer.trial is not None and pointer.trial.shadow:
        found["shadow"] = {"version": pointer.trial.version}
    elif pointer.trial is not None:
        found["canary"] = {"version": pointer.trial.version, "percent": pointer.trial.percent}
    return json.dumps({**found, "moved": pointer.moved}, indent=2).encode()


def matches(version: str, digest: str) -> bool:
    return VERSION.fullmatch(version) is not None and digest.startswith(version)


def no_such_model(name: str, known: Iterable[str] = ()) -> NotFound:
    """Return a NotFound that suggests the closest of the `known` names, if any is close."""
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
