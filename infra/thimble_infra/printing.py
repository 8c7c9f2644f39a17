"""Print for a person at a terminal, for a pipe, or as JSON for a script."""

from __future__ import annotations

import sys
from typing import Any

import orjson
from rich.console import Console

INDENTED = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS

PIPE = 120  # columns, if there is no terminal with a width


def console(*, stderr: bool = False) -> Console:
    """Return a console that does not fold lines in a pipe."""
    found = Console(highlight=False, soft_wrap=True, stderr=stderr)
    return found if found.is_terminal else Console(highlight=False, soft_wrap=True, width=1000, stderr=stderr)


def fitted() -> Console:
    """Return a console that folds lines to the terminal's width, or to PIPE columns in a pipe."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=PIPE)


def as_json(value: Any) -> None:
    sys.stdout.write(orjson.dumps(value, option=INDENTED).decode())
