"""The rival: the same service around scikit-learn, joblib, boto3 and Powertools' router, the usual way."""

import io
import os
from typing import Any
from urllib.parse import urlsplit

import boto3
import joblib
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger(service="rival")
metrics = Metrics(namespace="Rival", service="rival")
app = APIGatewayHttpResolver()

_uri = urlsplit(os.environ["MODEL_URI"])
_body = boto3.client("s3").get_object(Bucket=_uri.netloc, Key=_uri.path[1:])["Body"]
model = joblib.load(io.BytesIO(_body.read()))


@app.post("/classify")
def classify() -> dict[str, Any]:
    rows = app.current_event.json_body["instances"]
    probabilities = model.predict_proba(rows)
    labels = model.classes_[probabilities.argmax(axis=1)]
    metrics.add_metric(name="Rows", unit=MetricUnit.Count, value=len(rows))
    logger.info("classified", extra={"rows": len(rows)})
    return {
        "predictions": [
            {
                "label": str(label),
                "probabilities": dict(zip(map(str, model.classes_), map(float, p), strict=True)),
            }
            for label, p in zip(labels, probabilities, strict=True)
        ]
    }


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
