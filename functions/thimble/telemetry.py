"""What is logged and what is counted: JSON lines on standard output, no data.

A metric costs by the month, once for each combination of its dimensions: what an alarm watches is one, and
everything else is a field of a line in the log, which a query of the dashboard finds.

The logger is Powertools', imported when first needed. What every request writes, its line in the log and its
metrics, is written here in Powertools' own formats: its logger and metrics cost a request more than the
answer does, and a cold start a seventh of its time.
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
    """An environment variable; CloudWatch drops a metric whose dimension is blank or not printable ASCII."""
    return (os.environ.get(name, "").strip() or default).encode("unicode_escape").decode()


# The stack's name: two stacks' metrics stay apart.
SERVICE = _dimension("POWERTOOLS_SERVICE_NAME", "thimble")
VERSION = _dimension("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
BY_VERSION = {
    "ServerErrors"
}  # a deployment is guarded by what the new version does, whatever the old one did
NAMESPACE = "Thimble"
QUIET = os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO").upper() in ("WARNING", "ERROR", "CRITICAL")

_counts: dict[str, list[float]] = {}
_noted: dict[str, float] = {}


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
    """Add metrics by name; `flush` writes them."""
    for name, value in values.items():
        _counts.setdefault(name, []).append(float(value))


def note(**values: float) -> None:
    """Add numbers to the line of the request at work."""
    for name, value in values.items():
        _noted[name] = _noted.get(name, 0) + value


def flush() -> None:
    """Write what was counted, if anything was."""
    if _counts:
        sys.stdout.write(f"{_metrics(_counts)}\n")
        _counts.clear()


def request(**about: Any) -> None:
    """Write a request's line, with what was noted, and what was counted while it was answered."""
    line("request", **about, **_noted)
    _noted.clear()
    flush()
    sys.stdout.flush()


def line(message: str, **about: Any) -> None:
    """Write a line of the level INFO."""
    if not QUIET:
        sys.stdout.write(f"{_logged('INFO', message, about)}\n")


def drift(lines: Iterable[tuple[str, Mapping[str, Any]]], drifted: bool | None) -> None:
    """Write a report on drift; its verdict, if there is one, is a metric, 1 or 0, for the alarm."""
    for message, about in lines:
        line(message, **about)
    if drifted is not None:
        count(Drifted=drifted)


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


def _metrics(counts: Mapping[str, list[float]]) -> str:
    """CloudWatch's embedded metric format, as Powertools' metrics write it."""
    stamp = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": _directives(tuple(counts))}
    version = {"version": VERSION} if BY_VERSION & counts.keys() else {}
    about = {"service": SERVICE, "thimble": __version__}
    return orjson.dumps({"_aws": stamp, **version, **about, **counts}).decode()


@lru_cache(maxsize=64)
def _directives(names: tuple[str, ...]) -> orjson.Fragment:
    """What says which keys are metrics: the same for all lines with these names."""
    of_version = [name for name in names if name in BY_VERSION]
    others = [name for name in names if name not in BY_VERSION]
    found = [_directive(["version", "service"], of_version), _directive(["service"], others)]
    return orjson.Fragment(orjson.dumps([directive for directive in found if directive["Metrics"]]))


def _directive(dimensions: list[str], names: Iterable[str]) -> dict[str, Any]:
    units = [{"Name": name, "Unit": "Count"} for name in names]
    return {"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": units}
