"""What is logged and what is counted: JSON lines on standard output, no data.

The logger is Powertools', imported when first needed. What every request writes, its line in the log and its
metrics, is written here in Powertools' own formats: its logger and metrics cost a request more than the
answer does, and a cold start a seventh of its time.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

    logger: Logger

# The stack's name: two stacks' metrics stay apart.
SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "thimble")
NAMESPACE = "Thimble"
QUIET = os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO").upper() in ("WARNING", "ERROR", "CRITICAL")

_counts: dict[str, list[float]] = {}


@cache
def _logger() -> Logger:
    from aws_lambda_powertools import Logger

    return Logger(service=SERVICE, json_serializer=_line)


def __getattr__(name: str) -> Any:
    """`logger`, made for whoever asks for it first."""
    if name == "logger":
        return _logger()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def count(**values: float) -> None:
    """Add metrics by name, all counts; `flush` writes them."""
    for name, value in values.items():
        _counts.setdefault(name, []).append(float(value))


def flush() -> None:
    """Write what was counted, if anything was."""
    if _counts:
        sys.stdout.write(f"{_metrics(_counts, {})}\n")
        _counts.clear()


def request(**about: Any) -> None:
    """A request's line in the log, and what was counted while it was answered."""
    lines = "" if QUIET else f"{_logged('INFO', 'request', about)}\n"
    if _counts:
        lines += f"{_metrics(_counts, {})}\n"
        _counts.clear()
    sys.stdout.write(lines)
    sys.stdout.flush()


def emit(
    counts: Mapping[str, float],
    values: Mapping[str, float] = {},
    *,
    dimensions: Mapping[str, str] = {},
    about: Mapping[str, Any] = {},
) -> None:
    """Write metrics at once, beside those that wait for `flush`; `about` is for the log alone."""
    sys.stdout.write(f"{_metrics(_listed(counts), _listed(values), dimensions, about)}\n")


def _listed(metrics: Mapping[str, float]) -> dict[str, list[float]]:
    return {name: [float(value)] for name, value in metrics.items()}


def exception(message: str) -> None:
    """Log the exception at hand with its traceback: for us, never for the caller."""
    _logger().exception(message)


def _logged(level: str, message: str, about: Mapping[str, Any]) -> str:
    """As Powertools' logger writes it, without the place in the code."""
    seconds, milliseconds = divmod(int(time.time() * 1000), 1000)
    timestamp = _second(seconds) % milliseconds
    record = {"level": level, "message": message, "timestamp": timestamp, "service": SERVICE, **about}
    if trace := os.environ.get("_X_AMZN_TRACE_ID"):
        record["xray_trace_id"] = trace.split(";")[0].replace("Root=", "")
    return _line(record)


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    """The timestamp of a second's lines, a place left for their milliseconds."""
    return time.strftime("%Y-%m-%d %H:%M:%S,%%03d%z", time.localtime(seconds))


def _line(record: Any) -> str:
    try:
        return orjson.dumps(record, default=str).decode()
    except TypeError:  # half of a surrogate pair, which a path may hold and UTF-8 cannot
        return json.dumps(record, default=str)


def _metrics(
    counts: Mapping[str, list[float]],
    values: Mapping[str, list[float]],
    dimensions: Mapping[str, str] = {},
    about: Mapping[str, Any] = {},
) -> str:
    """CloudWatch's embedded metric format, as Powertools' metrics write it."""
    named = {**dimensions, "service": SERVICE}
    directives = _directives(tuple(named), tuple(counts), tuple(values))
    stamp = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": directives}
    return orjson.dumps({"_aws": stamp, **named, **about, **counts, **values}, default=str).decode()


@lru_cache(maxsize=64)
def _directives(
    dimensions: tuple[str, ...], counts: tuple[str, ...], values: tuple[str, ...]
) -> orjson.Fragment:
    """What says which keys are metrics: the same for all lines with these names."""
    units = [{"Name": name, "Unit": "Count"} for name in counts]
    units += [{"Name": name, "Unit": "None"} for name in values]
    directive = {"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": units}
    return orjson.Fragment(orjson.dumps([directive]))
