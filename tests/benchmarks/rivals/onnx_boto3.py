"""A usual way: onnxruntime and boto3; no router, no logger, no metrics."""

import json
import os
from typing import Any
from urllib.parse import urlsplit

import boto3
import numpy as np
import onnxruntime

_uri = urlsplit(os.environ["MODEL_URI"])
_body = boto3.client("s3").get_object(Bucket=_uri.netloc, Key=_uri.path[1:])["Body"]
_options = onnxruntime.SessionOptions()
_options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(_body.read(), _options)
name = session.get_inputs()[0].name


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    rows = np.array(json.loads(event["body"])["instances"], np.float32)
    labels, probabilities = session.run(None, {name: rows})
    predictions = {"labels": labels.tolist(), "probabilities": probabilities.tolist()}
    return {"statusCode": 200, "body": json.dumps(predictions)}
