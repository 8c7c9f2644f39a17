"""The one logger and the one set of metrics, Powertools' both: JSON lines on standard output, no data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import orjson
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, Metrics, MetricUnit

SERVICE = os.environ.get(
    "POWERTOOLS_SERVICE_NAME", "thimble"
)  # the stack's name: two stacks' metrics stay apart
logger = Logger(service=SERVICE, json_serializer=lambda record: orjson.dumps(record, default=str).decode())
metrics = Metrics(namespace="Thimble", service=SERVICE)


def count(**values: float) -> None:
    """Add metrics by name, all counts; `flush` writes them."""
    for name, value in values.items():
        metrics.add_metric(name, MetricUnit.Count, value)


def emit(
    counts: Mapping[str, float],
    values: Mapping[str, float] = {},
    *,
    dimensions: Mapping[str, str] = {},
    about: Mapping[str, Any] = {},
) -> None:
    """Write metrics at once, beside those that wait for `flush`; `about` is for the log alone."""
    written = EphemeralMetrics(namespace="Thimble", service=SERVICE)
    for name, value in dimensions.items():
        written.add_dimension(name, value)
    for unit, numbers in ((MetricUnit.Count, counts), (MetricUnit.NoUnit, values)):
        for name, number in numbers.items():
            written.add_metric(name, unit, number)
    for name, text in about.items():
        written.add_metadata(name, text)
    written.flush_metrics()


def flush() -> None:
    metrics.flush_metrics()


def exception(message: str) -> None:
    """Log the exception at hand with its traceback: for us, never for the caller."""
    logger.exception(message)
