"""The one logger and the one set of metrics, Powertools' both: JSON lines on standard output, no data."""

from __future__ import annotations

import orjson
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

logger = Logger(service="thimble", json_serializer=lambda record: orjson.dumps(record, default=str).decode())
metrics = Metrics(namespace="Thimble", service="thimble")


def count(**values: float) -> None:
    """Add metrics by name, all counts; `flush` writes them."""
    for name, value in values.items():
        metrics.add_metric(name, MetricUnit.Count, value)


def flush() -> None:
    metrics.flush_metrics()


def exception(message: str) -> None:
    """Log the exception at hand with its traceback: for us, never for the caller."""
    logger.exception(message)
