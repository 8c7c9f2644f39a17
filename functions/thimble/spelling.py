"""Find the known name that a misspelled one means, for the "did you mean" of an error sentence."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

LONGEST = 100  # characters of a name that is compared; a longer one is no misspelling
MOST = 1000  # names that are compared letter by letter; among more, only case, blanks and signs may differ
CLOSE = 0.75  # the least ratio, as difflib computes it


def hint(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that suggests the closest known name; "" if none is close."""
    found = closest(name, known)
    return f'; did you mean "{found}"?' if found else ""


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that differs only in case, blanks and signs, or in a letter or two."""
    short = tuple(each for each in known if len(each) <= LONGEST)
    if len(name) > LONGEST or name in short:
        return None
    return _forms(short).get(_form(name)) if len(short) > MOST else _closest(name, short)


@lru_cache(maxsize=64)
def _closest(name: str, known: tuple[str, ...]) -> str | None:
    forms, form = _forms(known), _form(name)
    if form in forms or not form:
        return forms.get(form)
    from difflib import get_close_matches  # imported only for an error

    swapped = next((each for each in forms if sorted(each) == sorted(form)), None)
    found = [swapped] if swapped else get_close_matches(form, forms, n=1, cutoff=CLOSE)
    return forms[found[0]] if found else None


def _forms(known: tuple[str, ...]) -> dict[str, str]:
    """Return the names by their form; the first of those that share one."""
    return {form: name for name in reversed(known) if (form := _form(name))}


def _form(name: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))
