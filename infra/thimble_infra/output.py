"""Separate two outputs: a line per request for the person at the terminal, the functions' log in a file."""

import logging
import sys
import time
from collections.abc import Callable


def separate(log: str | None) -> Callable[[str], None]:
    """Send what this process prints to the file `log` from now on; if it is None, leave it here.

    Returns a function that prints a line for the person, on a terminal that does not show the log, so that
    nothing appears twice. Elsewhere this function prints nothing: a program that waits for the banner may
    never read on, and a full pipe would stop the service.
    """
    here = sys.stdout
    if log:
        sys.stdout = open(log, "a", buffering=1, encoding="utf-8")  # noqa: SIM115
    _log_to_stdout()
    watched = log is not None and here.isatty()

    def say(line: str) -> None:
        if watched:
            print(time.strftime("%H:%M:%S"), line, file=here, flush=True)

    return say


def _log_to_stdout() -> None:
    """Let our own logger write to stdout; the functions' logger has its own handler."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    ours = logging.getLogger("thimble_infra")
    ours.handlers = [handler]
    ours.setLevel(logging.INFO)
