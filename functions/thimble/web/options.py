"""Check the names of a request's options: parameters, headers and keys.

An unknown name is refused, and the closest known one suggested: an answer that ignores an option would be
wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from thimble.errors import InvalidInput, MalformedBody
from thimble.tables.cells import json_kind

LONGEST = 60  # characters of a name in a sentence
# Options for how rows are answered.
ASKED = ("threshold", "explain", "class", "coverage", "by_class", "abstain_below", "what_if")
ROWS = ("instances", "instance", "inputs", "features", "dataframe_split", "dataframe_records")


def check(what: str, name: str, value: str, known: Collection[str], where: str) -> None:
    """Raise InvalidInput if a parameter or header is unknown or empty."""
    if name not in known:
        takes = f"; {where} takes {', '.join(known) or 'none'}"
        raise InvalidInput(f"there is no {what} {_quoted(name)} here{_hint(name, known) or takes}")
    if not value.strip():
        raise InvalidInput(f"the {what} {name} is empty: give it a value, or leave it out")


def check_parameters(sent: Sequence[tuple[str, str]], known: Collection[str], media: str) -> None:
    """Raise InvalidInput if a parameter of a media type is unknown, empty, or sent more than once."""
    for name, value in sent:
        check("parameter", name, value, known, media)
    if len(dict(sent)) < len(sent):
        raise InvalidInput(f"{media} has a parameter more than once: send it once")


def check_keys(
    body: Mapping[str, Any],
    known: Collection[str],
    path: str = "the body",
    elsewhere: Collection[str] = (),
) -> None:
    """Raise MalformedBody for an unknown key, and for one in `elsewhere`, a parameter of the query."""
    for name in body:
        if name in elsewhere:
            raise MalformedBody(f"{path} has {name}, which is a parameter: send it in the URL, ?{name}=")
        if name not in known:
            told = _hint(name, known) or f"; it takes {', '.join(known)}"
            raise MalformedBody(f"{path} has an unknown key {_quoted(name)}{told}")


def check_close(body: Mapping[str, Any], known: Collection[str], path: str) -> None:
    """Raise MalformedBody for an unknown key that is close to a known one.

    Other unknown keys are ignored, because clients add some.
    """
    for name in body:
        if name not in known and (told := _hint(name, known)):
            raise MalformedBody(f"{path} has an unknown key {_quoted(name)}{told}")


def check_one_source(body: Iterable[str]) -> None:
    """Raise MalformedBody if the body has rows under two keys."""
    found = [key for key in body if key in ROWS]
    if len(found) > 1:
        first, second, *_ = sorted(found, key=ROWS.index)
        raise MalformedBody(f"the body has both {first} and {second}; send one")


def check_none(body: Mapping[str, Any], key: str) -> None:
    """Raise MalformedBody if there is any option under the key; this protocol takes none there."""
    found = body.get(key)
    if found is not None and not isinstance(found, dict):
        raise MalformedBody(f"{key} is {json_kind(found)}, not an object")
    for name in found or ():
        raise MalformedBody(f"there is no {_quoted(name)} among {key} here: leave {key} out")


def flag(options: Mapping[str, Any], name: str, path: str) -> bool | None:
    """Return an option that is true or false; None if it is absent. Raises MalformedBody otherwise."""
    found = options.get(name)
    if found is not None and not isinstance(found, bool):
        raise MalformedBody(f"{name} of {path} is {json_kind(found)}, not true or false")
    return found


def _quoted(name: str) -> str:
    """Return a name in quotes, shortened so that the sentence around it is not cut."""
    return f'"{name}"' if len(name) <= LONGEST else f'"{name[:LONGEST]}..."'


def _hint(name: str, known: Collection[str]) -> str:
    from thimble import spelling  # imported only for an error

    return spelling.hint(name, known)
