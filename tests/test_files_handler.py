"""The second door, from S3's event to S3's objects: the deployed entry against a server that speaks S3."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sklearn.datasets import load_iris

from thimble.inference.batch import Batch
from thimble.inference.classifier import load

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

IRIS = load((Path(__file__).parents[1] / "model" / "iris.json").read_bytes())
NAMES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
KEY = "my flowers/50% more + café.csv"

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]
Load = Callable[..., dict[str, Any]]


@pytest.fixture
def handler(entry: Callable[[str], Handler]) -> Handler:
    return entry("files")


def result(s3: "S3Client", name: str) -> bytes:
    return s3.get_object(Bucket="thimble-results", Key=f"{KEY}/{name}")["Body"].read()


def test_a_dropped_csv_comes_back_with_the_answers_of_the_model(
    s3: "S3Client", handler: Handler, load_event: Load
) -> None:
    X = load_iris().data
    lines = [
        ",".join(["id", *NAMES]),
        *(f"{i}," + ",".join(map(repr, row)) for i, row in enumerate(X.tolist())),
    ]
    s3.put_object(Bucket="thimble-inbox", Key=KEY, Body="\n".join(lines).encode())

    assert handler(load_event("sqs_s3_put_encoded_key"), None) == {"batchItemFailures": []}

    [expected] = IRIS.predict(Batch.of(IRIS.features, X.T)).outputs
    classes = IRIS.heads[0].classes
    rows = list(csv.DictReader(io.StringIO(result(s3, "result.csv").decode())))
    assert [row["id"] for row in rows] == [str(i) for i in range(150)]
    assert [row["label"] for row in rows] == [classes[k] for k in expected.labels]
    for k, name in enumerate(classes):
        assert [float(row[f"p_{name}"]) for row in rows] == expected.probabilities[k].tolist()
    assert [float(row["probability"]) for row in rows] == expected.probabilities.max(axis=0).tolist()
    summary = json.loads(result(s3, "summary.json"))
    assert (summary["rows"], summary["predictions"], summary["rejections"]) == (150, 150, 0)
    assert sum(summary["classes"].values()) == 150
    assert summary["model"] == {"name": "iris", "digest": IRIS.digest}
    assert summary["input"]["key"] == KEY
    assert result(s3, "rejections.jsonl") == b""


def test_s3s_own_event_works_without_a_queue(s3: "S3Client", handler: Handler, load_event: Load) -> None:
    event = load_event("sqs_s3_put_encoded_key")["Records"][0]["body"]
    s3.put_object(Bucket="thimble-inbox", Key=KEY, Body=b"5.1,3.5,1.4,0.2\n")
    handler(json.loads(event), None)
    assert result(s3, "result.csv").startswith(b"5.1,3.5,1.4,0.2,setosa,0.99")


def test_an_event_without_a_file_is_done(s3: "S3Client", handler: Handler, load_event: Load) -> None:
    assert handler(load_event("sqs_s3_test"), None) == {"batchItemFailures": []}
    assert handler(load_event("sqs_s3_put"), None) == {"batchItemFailures": []}  # the file is gone
    assert s3.list_objects_v2(Bucket="thimble-results")["KeyCount"] == 0
