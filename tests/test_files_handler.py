"""The second door, from S3's event to S3's objects: the deployed entry against a server that speaks S3."""

import csv
import io
import json
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from thimble.inference.classifier import Classifier, load

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ROOT = Path(__file__).parents[1]
IRIS = (ROOT / "model" / "iris.json").read_bytes()
NAMES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]
Load = Callable[..., dict[str, Any]]


@pytest.fixture
def classifier() -> Classifier:
    return load(IRIS)


@pytest.fixture
def handler(s3: "S3Client", monkeypatch: pytest.MonkeyPatch) -> Handler:
    """functions/files.py as Lambda loads it."""
    s3.put_object(Bucket="thimble-models", Key="model.json", Body=IRIS)
    monkeypatch.setenv("MODEL_URI", "s3://thimble-models/model.json")
    monkeypatch.setenv("RESULTS_URI", "s3://thimble-results")
    spec = spec_from_file_location("files", ROOT / "functions" / "files.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "files", module)
    spec.loader.exec_module(module)
    handle: Handler = module.handler
    return handle


def result(s3: "S3Client", key: str) -> bytes:
    return s3.get_object(Bucket="thimble-results", Key=key)["Body"].read()


def summary(s3: "S3Client", key: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result(s3, f"{key}/summary.json"))
    return found


def rejections(s3: "S3Client", key: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result(s3, f"{key}/rejections.jsonl").splitlines()]


def test_a_dropped_csv_comes_back_with_the_answers_of_the_model(
    s3: "S3Client", handler: Handler, load_event: Load, classifier: Classifier
) -> None:
    X = load_iris().data
    lines = [
        ",".join(["id", *NAMES]),
        *(f"{i}," + ",".join(map(repr, row)) for i, row in enumerate(X.tolist())),
    ]
    s3.put_object(Bucket="thimble-inbox", Key="my-flowers/iris.csv", Body="\n".join(lines).encode())
    event = load_event("sqs_s3_put")
    event["Records"][0]["body"] = event["Records"][0]["body"].replace(_key(event), "my-flowers/iris.csv")

    assert handler(event, None) == {"batchItemFailures": []}

    expected = classifier.predict(np.ascontiguousarray(X.T))
    rows = list(csv.DictReader(io.StringIO(result(s3, "my-flowers/iris.csv/result.csv").decode())))
    assert [row["id"] for row in rows] == [str(i) for i in range(150)]
    assert [row["label"] for row in rows] == [
        classifier.heads[0].classes[k] for k in expected.outputs[0].labels
    ]
    for k, name in enumerate(classifier.heads[0].classes):
        assert [float(row[f"p_{name}"]) for row in rows] == expected.outputs[0].probabilities[k].tolist()
    assert [float(row["probability"]) for row in rows] == expected.outputs[0].probabilities.max(
        axis=0
    ).tolist()
    counts = summary(s3, "my-flowers/iris.csv")
    assert (counts["rows"], counts["predictions"], counts["rejections"]) == (150, 150, 0)
    assert sum(counts["classes"].values()) == 150
    assert counts["model"] == {"name": "iris", "digest": classifier.digest}
    assert rejections(s3, "my-flowers/iris.csv") == []


def _key(event: dict[str, Any]) -> str:
    key: str = json.loads(event["Records"][0]["body"])["Records"][0]["s3"]["object"]["key"]
    return key


def test_a_key_with_spaces_and_signs_is_found(s3: "S3Client", handler: Handler, load_event: Load) -> None:
    key = "my flowers/50% more + café.csv"
    s3.put_object(Bucket="thimble-inbox", Key=key, Body=b"5.1,3.5,1.4,0.2\n")
    assert handler(load_event("sqs_s3_put_encoded_key"), None) == {"batchItemFailures": []}
    assert result(s3, f"{key}/result.csv").startswith(b"5.1,3.5,1.4,0.2,setosa,0.99")
    assert summary(s3, key)["input"]["key"] == key


def test_s3s_own_event_works_without_a_queue(s3: "S3Client", handler: Handler, load_event: Load) -> None:
    event = load_event("s3_put")
    key = event["Records"][0]["s3"]["object"]["key"]
    s3.put_object(Bucket="thimble-inbox", Key=key, Body=b"5.1,3.5,1.4,0.2\n")
    handler(event, None)
    assert summary(s3, key)["predictions"] == 1


def test_a_bad_line_costs_itself_and_says_why(s3: "S3Client", handler: Handler, load_event: Load) -> None:
    event = load_event("s3_put")
    key = event["Records"][0]["s3"]["object"]["key"]
    lines = [",".join(NAMES), "5.1,3.5,1.4,0.2", "5.1,3.5", "", "5.1,3.5,x,0.2", "6.3,3.3,6.0,2.5"]
    s3.put_object(Bucket="thimble-inbox", Key=key, Body="\r\n".join(lines).encode())
    handler(event, None)
    answered = result(s3, f"{key}/result.csv").splitlines(keepends=True)
    assert [line.split(b",")[4] for line in answered] == [b"label", b"setosa", b"virginica"]
    assert all(line.endswith(b"\r\n") for line in answered)
    assert rejections(s3, key) == [
        {"line": 3, "reason": "the record has 2 cells, where 4 cells belong", "record": "5.1,3.5"},
        {"line": 5, "reason": 'petal length (cm) is "x", not a number', "record": "5.1,3.5,x,0.2"},
    ]
    counts = summary(s3, key)
    assert (counts["rows"], counts["predictions"], counts["rejections"]) == (4, 2, 2)


def test_a_file_that_cannot_be_read_is_refused_with_a_summary(
    s3: "S3Client", handler: Handler, load_event: Load
) -> None:
    event = load_event("s3_put")
    key = event["Records"][0]["s3"]["object"]["key"]
    s3.put_object(Bucket="thimble-inbox", Key=key, Body=b"a,b\n1,2\n")
    handler(event, None)
    assert summary(s3, key)["error"].startswith('the header lacks "sepal length (cm)"')
    listed = s3.list_objects_v2(Bucket="thimble-results")["Contents"]
    assert [found["Key"] for found in listed] == [f"{key}/summary.json"]


def test_the_same_event_twice_changes_nothing(s3: "S3Client", handler: Handler, load_event: Load) -> None:
    event = load_event("s3_put")
    key = event["Records"][0]["s3"]["object"]["key"]
    s3.put_object(Bucket="thimble-inbox", Key=key, Body=b"5.1,3.5,1.4,0.2\n")
    handler(event, None)
    before = s3.list_objects_v2(Bucket="thimble-results")["Contents"]
    handler(event, None)
    assert s3.list_objects_v2(Bucket="thimble-results")["Contents"] == before


def test_an_event_without_a_file_is_done(s3: "S3Client", handler: Handler, load_event: Load) -> None:
    assert handler(load_event("sqs_s3_test"), None) == {"batchItemFailures": []}
    assert handler(load_event("sqs_s3_put"), None) == {"batchItemFailures": []}  # the file is gone
    assert s3.list_objects_v2(Bucket="thimble-results")["KeyCount"] == 0


def test_without_a_model_the_message_comes_again(s3: "S3Client", handler: Handler, load_event: Load) -> None:
    event = load_event("sqs_s3_put")
    s3.put_object(Bucket="thimble-inbox", Key=_key(event), Body=b"5.1,3.5,1.4,0.2\n")
    s3.delete_object(Bucket="thimble-models", Key="model.json")
    again = handler(event, None)
    assert again == {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}
    s3.put_object(Bucket="thimble-models", Key="model.json", Body=IRIS)
    assert handler(event, None) == {"batchItemFailures": []}
    assert summary(s3, _key(event))["predictions"] == 1
