"""Which known name is meant by one that nobody knows: what a sentence asks with "did you mean"."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

LONGEST = 100  # characters of a name that is compared: what is longer is no slip of the pen
MOST = 1000  # names that are compared letter by letter: of more, only those that differ in form alone
CLOSE = 0.75  # of difflib's ratio


def hint(name: str, known: Iterable[str]) -> str:
    """The end of a sentence: the known name that is close to this one, or nothing."""
    found = closest(name, known)
    return f'; did you mean "{found}"?' if found else ""


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that differs in case, blanks and signs only, or in a letter or two."""
    short = tuple(each for each in known if len(each) <= LONGEST)
    if len(name) > LONGEST or name in short:
        return None
    return _forms(short).get(_form(name)) if len(short) > MOST else _closest(name, short)


@lru_cache(maxsize=64)
def _closest(name: str, known: tuple[str, ...]) -> str | None:
    forms, form = _forms(known), _form(name)
    if form in forms or not form:
        return forms.get(form)
    from difflib import get_close_matches  # only for an error: an answer is spared its import

    swapped = next((each for each in forms if sorted(each) == sorted(form)), None)
    found = [swapped] if swapped else get_close_matches(form, forms, n=1, cutoff=CLOSE)
    return forms[found[0]] if found else None


def _forms(known: tuple[str, ...]) -> dict[str, str]:
    """Names by their form, of several the first."""
    return {form: name for name in reversed(known) if (form := _form(name))}


def _form(name: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))
