"""boto3's client of SageMaker's runtime."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from conftest import Served


@pytest.fixture
def client(served: Served) -> Any:
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=served.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 0}),
    )


def test_csv(client: Any, served: Served) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(served.rows)
    answer = client.invoke_endpoint(EndpointName=served.name, ContentType="text/csv", Body=text.getvalue())
    assert answer["ContentType"] == "text/csv"
    found = list(csv.reader(io.StringIO(answer["Body"].read().decode())))
    assert [row[0] for row in found] == served.labels
    np.testing.assert_array_equal(np.array([row[2:] for row in found], float), served.probabilities)


@pytest.mark.parametrize("count", [1, 5])
def test_json_and_the_answer_that_is_accepted(client: Any, served: Served, count: int) -> None:
    answer = client.invoke_endpoint(
        EndpointName=served.name,
        ContentType="application/json",
        Accept="application/jsonlines",
        Body=json.dumps({"instances": [{"features": row} for row in served.rows[:count]]}),
    )
    found = [json.loads(line) for line in answer["Body"].read().splitlines()]
    assert [row["label"] for row in found] == served.labels[:count]
    assert answer["InvokedProductionVariant"]


def test_json_lines(client: Any, served: Served) -> None:
    body = "\n".join(json.dumps({"features": row}) for row in served.rows)
    answer = client.invoke_endpoint(
        EndpointName=served.name, ContentType="application/jsonlines", Body=body, Accept="application/json"
    )
    found = json.loads(answer["Body"].read())["predictions"]
    assert [row["label"] for row in found] == served.labels


@pytest.mark.parametrize("served", ["iris"], indirect=True)
def test_npy(client: Any, served: Served) -> None:
    body = io.BytesIO()
    np.save(body, np.array(served.rows))
    answer = client.invoke_endpoint(
        EndpointName=served.name, ContentType="application/x-npy", Body=body.getvalue()
    )
    found = np.load(io.BytesIO(answer["Body"].read()), allow_pickle=False)
    np.testing.assert_array_equal(found, served.probabilities)


def test_errors_have_a_code_and_a_sentence(client: Any, served: Served) -> None:
    with pytest.raises(ClientError, match="there is no model 'nothing'") as refused:
        client.invoke_endpoint(EndpointName="nothing", ContentType="text/csv", Body="1,2")
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    with pytest.raises(client.exceptions.ValidationError):
        client.invoke_endpoint(EndpointName=served.name, ContentType="image/png", Body=b"1")
