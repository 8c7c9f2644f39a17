"""How rows are to be answered, from the options of any protocol: text of a URL or header, or JSON's types."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from thimble.errors import InvalidInput
from thimble.inference.asked import ALL, Asked
from thimble.inference.head import label_text
from thimble.tables.cells import is_decimal
from thimble.web import options

MOST = sys.float_info.max


def asked(found: Mapping[str, Any]) -> Asked:
    """Return what is asked for; InvalidInput for a value that an option cannot have, or one that another
    option has to stand beside."""
    told = Asked(
        threshold=_number(
            found, "threshold", "a number, such as 0.3: the least at which the positive class applies"
        ),
        explain=explain(found.get("explain")),
        of=_class(found.get("class")),
        coverage=_number(found, "coverage", "a number, such as 0.95: how often a set holds the true label"),
        by_class=_flag(found, "by_class"),
        abstain_below=_number(
            found, "abstain_below", "a number, such as 0.8: where the label has less, none is answered"
        ),
        what_if=_flag(found, "what_if"),
    )
    if told.of and not told.explain:
        raise InvalidInput("class says whose score is explained: send explain with it, such as explain=true")
    return told


def explain(value: Any) -> int:
    """Return how many contributions are asked for; ALL for all, 0 for none."""
    if value in (None, "", "false") or value is False:
        return 0
    if value in ("true", "all") or value is True:
        return ALL
    found = options.whole_in_text(value) if isinstance(value, str) else options.whole(value)
    if not found:
        raise InvalidInput("explain is true, false, or how many contributions to show: a whole number from 1")
    return found


def _class(value: Any) -> str:
    """The text of a class: of a number or a boolean as JSON has it."""
    if isinstance(value, bool | int | float):
        return label_text(value)
    if not isinstance(value, str | None):
        raise InvalidInput("class is the name of one of the model's classes")
    return value or ""


def _flag(found: Mapping[str, Any], name: str) -> bool:
    value = found.get(name)
    if value in (None, "", "true", "false") or isinstance(value, bool):
        return value in ("true", True)
    raise InvalidInput(f"{name} is true or false")


def _number(found: Mapping[str, Any], name: str, meaning: str) -> float | None:
    value = found.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and is_decimal(value):
        value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= MOST:
        raise InvalidInput(f"{name} is {meaning}")
    return float(value)
