"""Logs and metrics: JSON lines on standard output. They hold no data of callers.

CloudWatch charges for a metric by the month, for each combination of its dimensions. So only a value that an
alarm watches is a metric. Every other value is a field of a log line, which the dashboard queries.

The logger is Powertools', imported when first needed. The log line and the metrics of each request are
written here, in Powertools' formats: its own logger and metrics would take more time than the answer, and a
seventh of a cold start.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from thimble import __version__

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

    logger: Logger


def _dimension(name: str, default: str) -> str:
    """Return an environment variable as the value of a dimension.

    CloudWatch drops a metric if a dimension is blank or not printable ASCII.
    """
    return (os.environ.get(name, "").strip() or default).encode("unicode_escape").decode()


# The stack's name, so that the metrics of two stacks stay apart.
SERVICE = _dimension("POWERTOOLS_SERVICE_NAME", "thimble")
VERSION = _dimension("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
BY_VERSION = {
    "ServerErrors"
}  # metrics by version of the function: a deployment is judged by its new version alone
NAMESPACE = "Thimble"
QUIET = os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO").upper() in ("WARNING", "ERROR", "CRITICAL")

_counts: dict[str, list[float]] = {}
_noted: dict[str, float] = {}


@cache
def _logger() -> Logger:
    from aws_lambda_powertools import Logger

    return Logger(service=SERVICE, json_serializer=_line)


def __getattr__(name: str) -> Any:
    """Return `logger`, made at its first use."""
    if name == "logger":
        return _logger()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def count(**values: float) -> None:
    """Add values to metrics by name; `flush` writes them."""
    for name, value in values.items():
        _counts.setdefault(name, []).append(float(value))


def note(**values: float) -> None:
    """Add numbers to the log line of the current request."""
    for name, value in values.items():
        _noted[name] = _noted.get(name, 0) + value


def flush() -> None:
    """Write the metrics that were counted, if there are any."""
    if _counts:
        sys.stdout.write(f"{_metrics(_counts)}\n")
        _counts.clear()


def request(**about: Any) -> None:
    """Write a request's log line, with the noted numbers, and the metrics that were counted."""
    line("request", **about, **_noted)
    _noted.clear()
    flush()
    sys.stdout.flush()


def line(message: str, **about: Any) -> None:
    """Write a log line of level INFO."""
    if not QUIET:
        sys.stdout.write(f"{_logged('INFO', message, about)}\n")


def drift(lines: Iterable[tuple[str, Mapping[str, Any]]], drifted: bool | None) -> None:
    """Log a report on drift; count its verdict, if there is one, as a metric of 1 or 0 for the alarm."""
    for message, about in lines:
        line(message, **about)
    if drifted is not None:
        count(Drifted=drifted)


def exception(message: str) -> None:
    """Log the current exception with its traceback. The caller never sees it."""
    _logger().exception(message)


def _logged(level: str, message: str, about: Mapping[str, Any]) -> str:
    """Return a line as Powertools' logger writes it, but without the location in the code."""
    seconds, milliseconds = divmod(int(time.time() * 1000), 1000)
    timestamp = _second(seconds) % milliseconds
    record = {"level": level, "message": message, "timestamp": timestamp, "service": SERVICE, **about}
    if trace := os.environ.get("_X_AMZN_TRACE_ID"):
        record["xray_trace_id"] = trace.split(";")[0].replace("Root=", "")
    return _line(record)


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    """Return the timestamp for a second's lines, with a %d where the milliseconds go."""
    return time.strftime("%Y-%m-%d %H:%M:%S,%%03d%z", time.localtime(seconds))


def _line(record: Any) -> str:
    try:
        return orjson.dumps(record, default=str).decode()
    except TypeError:  # half of a surrogate pair: a path may hold it, UTF-8 cannot
        return json.dumps(record, default=str)


def _metrics(counts: Mapping[str, list[float]]) -> str:
    """Return the counts in CloudWatch's embedded metric format, as Powertools writes it."""
    stamp = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": _directives(tuple(counts))}
    version = {"version": VERSION} if BY_VERSION & counts.keys() else {}
    about = {"service": SERVICE, "thimble": __version__}
    return orjson.dumps({"_aws": stamp, **version, **about, **counts}).decode()


@lru_cache(maxsize=64)
def _directives(names: tuple[str, ...]) -> orjson.Fragment:
    """Return the part that declares the metrics; it is the same for all lines with these names."""
    of_version = [name for name in names if name in BY_VERSION]
    others = [name for name in names if name not in BY_VERSION]
    found = [_directive(["version", "service"], of_version), _directive(["service"], others)]
    return orjson.Fragment(orjson.dumps([directive for directive in found if directive["Metrics"]]))


def _directive(dimensions: list[str], names: Iterable[str]) -> dict[str, Any]:
    units = [{"Name": name, "Unit": "Count"} for name in names]
    return {"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": units}
