"""Read the options of requests and files by name.

A value is a text (from a URL, a header, the environment, a file's metadata or a command) or of a JSON type.
Only this module says which values are valid.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from thimble.errors import InvalidInput
from thimble.inference.asked import ALL, Asked
from thimble.inference.head import label_text
from thimble.tables.cells import is_decimal, whole, whole_in_text

MOST = sys.float_info.max


def number(value: Any) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and is_decimal(value):
        value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= MOST:
        raise ValueError
    return float(value)


def flag(value: Any) -> bool:
    if value in (None, "", "true", "false") or isinstance(value, bool):
        return value in ("true", True)
    raise ValueError


def contributions(value: Any) -> int:
    """Return the number of the largest contributions to show; ALL for all, 0 for none."""
    if value in (None, "", "false") or value is False:
        return 0
    if value in ("true", "all") or value is True:
        return ALL
    found = whole_in_text(value) if isinstance(value, str) else whole(value)
    if not found:
        raise ValueError
    return found


def label(value: Any) -> str:
    """Return the text of a class; a number or a boolean is written as in JSON."""
    if isinstance(value, bool | int | float):
        return label_text(value)
    if not isinstance(value, str | None):
        raise ValueError
    return value or ""


def share(value: Any) -> float:
    found = number(value)
    if found is None or not 0 <= found <= 1:
        raise ValueError
    return found


class Option(NamedTuple):
    read: Callable[[Any], Any]  # raises ValueError for a value that is not valid
    meaning: str  # the valid values, for a sentence


OF_REQUESTS = {
    "threshold": Option(number, "a number, such as 0.3: the least at which the positive class applies"),
    "explain": Option(
        contributions, "true (or all), false, or how many contributions to show: a whole number from 1"
    ),
    "class": Option(label, "the name of one of the model's classes"),
    "coverage": Option(number, "a number, such as 0.95: how often a set holds the true label"),
    "by_class": Option(flag, "true or false"),
    "abstain_below": Option(number, "a number, such as 0.8: where the label has less, none is answered"),
    "what_if": Option(flag, "true or false"),
}
AS_WRITTEN = Option(str, "")
NONE = "none"  # unsets an option of a file's answers, even if it is set for all files
OPTIONS = OF_REQUESTS | {"max_rejected_share": Option(share, "from 0 to 1")}


def asked(found: Mapping[str, Any]) -> Asked:
    """Return the options of a request.

    Raises InvalidInput for a value that is not valid, or an option that needs another one.
    """
    values = {}
    for name, option in OF_REQUESTS.items():
        try:
            values[name] = option.read(found.get(name))
        except ValueError:
            raise InvalidInput(f"{name} is {option.meaning}") from None
    told = Asked(of=values.pop("class"), **values)
    if told.of and not told.explain:
        raise InvalidInput("class says whose score is explained: send explain with it, such as explain=true")
    return told


def of_file(texts: Mapping[str, str], called: Callable[[str], str]) -> dict[str, Any]:
    """Return the options of a file from their texts; those of its dialect stay texts.

    Raises InvalidInput for a value that is not valid; `called` gives the option's name in the error.
    """
    return {name: _of_file(name, text, called) for name, text in texts.items()}


def _of_file(name: str, text: str, called: Callable[[str], str]) -> Any:
    option = OPTIONS.get(name, AS_WRITTEN)
    if not (text if option is AS_WRITTEN else text.strip()):
        raise InvalidInput(f"{called(name)} is empty: give it a value, or leave it out")
    may_be_none = name in OF_REQUESTS
    try:
        return option.read(None if may_be_none and text == NONE else text)
    except ValueError:
        more = f"; or {NONE}, as if it was not said" if may_be_none else ""
        raise InvalidInput(f"{called(name)} is {text!r}: it has to be {option.meaning}{more}") from None
