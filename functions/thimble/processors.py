"""The processors that this process may use: in a Lambda function those that its memory pays for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

WHOLE = 1769  # megabytes of a function's memory for which it gets one processor


def usable() -> int:
    """Return how many processors this process may use. More blocks at once would evict each other's cache."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_to_share(environment: Mapping[str, str] = os.environ) -> None:
    """Use only as many processors as a Lambda function's memory pays for; elsewhere all of them.

    Every function sees two processors or more, and is halted when it has used its share. Two threads that
    take turns at one processor's time need a fifth more of it than one thread. This has to be called before
    another thread starts.
    """
    memory = int(environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0"))
    if memory and hasattr(os, "sched_setaffinity"):
        share = max(round(memory / WHOLE), 1)
        with suppress(OSError):  # where it is not allowed, a function is as fast as without
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:share])
