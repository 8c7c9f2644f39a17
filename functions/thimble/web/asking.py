"""How rows are to be answered, from the options of any protocol: text of a URL or header, or JSON's types."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from thimble.errors import InvalidInput
from thimble.inference.asked import Asked
from thimble.tables.cells import is_decimal

MOST = sys.float_info.max


def asked(found: Mapping[str, Any]) -> Asked:
    """Return what is asked for; InvalidInput for a value that an option cannot have."""
    return Asked(
        threshold=_number(
            found, "threshold", "a number, such as 0.3: the least at which the positive class applies"
        ),
        abstain_below=_number(
            found, "abstain_below", "a number, such as 0.8: where the label has less, none is answered"
        ),
    )


def _number(found: Mapping[str, Any], name: str, meaning: str) -> float | None:
    value = found.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and is_decimal(value):
        value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= MOST:
        raise InvalidInput(f"{name} is {meaning}")
    return float(value)
