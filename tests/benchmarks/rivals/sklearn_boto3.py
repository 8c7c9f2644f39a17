"""The usual way: scikit-learn, joblib, boto3; no router, no logger, no metrics."""

import io
import json
import os
from typing import Any
from urllib.parse import urlsplit

import boto3
import joblib

_uri = urlsplit(os.environ["MODEL_URI"])
_body = boto3.client("s3").get_object(Bucket=_uri.netloc, Key=_uri.path[1:])["Body"]
model = joblib.load(io.BytesIO(_body.read()))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    probabilities = model.predict_proba(json.loads(event["body"])["instances"]).tolist()
    predictions = [dict(zip(map(str, model.classes_), p, strict=True)) for p in probabilities]
    return {"statusCode": 200, "body": json.dumps({"predictions": predictions})}
