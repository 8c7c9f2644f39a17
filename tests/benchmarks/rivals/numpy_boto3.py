"""The usual way without scikit-learn: numpy, boto3, and Powertools' router, logger and metrics."""

import json
import os
from typing import Any
from urllib.parse import urlsplit

import boto3
import numpy as np
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger(service="rival")
metrics = Metrics(namespace="Rival", service="rival")
app = APIGatewayHttpResolver()

_uri = urlsplit(os.environ["MODEL_URI"])
model = json.load(boto3.client("s3").get_object(Bucket=_uri.netloc, Key=_uri.path[1:])["Body"])
layers = [(np.array(W), np.array(b)) for W, b in zip(model["coefs"], model["intercepts"], strict=True)]


def predict_proba(rows: list[list[float]]) -> Any:
    h = np.array(rows)
    for W, b in layers[:-1]:
        h = np.maximum(h @ W + b, 0)
    z = h @ layers[-1][0] + layers[-1][1]
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@app.post("/classify")
def classify() -> dict[str, Any]:
    rows = app.current_event.json_body["instances"]
    metrics.add_metric(name="Rows", unit=MetricUnit.Count, value=len(rows))
    logger.info("classified", extra={"rows": len(rows)})
    return {
        "predictions": [dict(zip(model["classes"], p, strict=True)) for p in predict_proba(rows).tolist()]
    }


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
