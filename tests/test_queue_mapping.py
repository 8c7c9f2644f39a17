"""From the inbox through the queue to the function, as Lambda's event source mapping would."""

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from thimble.errors import Unavailable
from thimble.files import events
from thimble_infra import aws
from thimble_infra.queue_mapping import QueueMapping, failed_ids, fate

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sqs.client import SQSClient


class Function:
    """A files function that keeps the keys it was told of, and fails on demand."""

    def __init__(self, fails: Callable[[str], bool] = lambda key: False) -> None:
        self.keys: list[str] = []
        self._fails = fails

    def __call__(self, event: dict[str, Any], context: object) -> Any:
        [record] = event["Records"]
        assert record["eventSource"] == "aws:sqs"
        assert int(record["attributes"]["ApproximateReceiveCount"]) >= 1
        keys = [
            announced["s3"]["object"]["key"] for announced in json.loads(record["body"]).get("Records", [])
        ]
        self.keys += keys
        failed = [{"itemIdentifier": record["messageId"]}] if any(map(self._fails, keys)) else []
        return {"batchItemFailures": failed}


@pytest.fixture
def inbox(s3_server: str) -> "S3Client":
    import boto3

    aws.create_resources(s3_server)
    return boto3.client("s3")


@pytest.fixture
def sqs(s3_server: str) -> "SQSClient":
    import boto3

    return boto3.client("sqs")


def drain(sqs: "SQSClient", s3_server: str, function: Any) -> list[str]:
    """Feed the function until the queue is empty; returns the lines for the person."""
    lines: list[str] = []
    mapping = QueueMapping(sqs, aws.queue_url(s3_server), function, lines.append)
    while mapping.take(wait=0):
        pass
    return lines


def waiting(sqs: "SQSClient", s3_server: str, queue: str) -> int:
    attributes = sqs.get_queue_attributes(QueueUrl=aws.queue_url(s3_server, queue), AttributeNames=["All"])
    counts = attributes["Attributes"]
    return int(counts["ApproximateNumberOfMessages"]) + int(counts["ApproximateNumberOfMessagesNotVisible"])


def test_what_is_dropped_reaches_the_function_once(
    inbox: "S3Client", sqs: "SQSClient", s3_server: str
) -> None:
    inbox.put_object(Bucket=aws.INBOX, Key="a b.csv", Body=b"x")
    function = Function()
    lines = drain(sqs, s3_server, function)
    assert function.keys == ["a+b.csv"]  # as S3 encodes it
    assert waiting(sqs, s3_server, aws.QUEUE) == 0
    assert [line.rsplit(maxsplit=2)[0] for line in lines] == ["s3://thimble-inbox/a b.csv done"]


def test_a_file_is_done_only_when_its_summary_says_so(inbox: "S3Client") -> None:
    def summary(etag: str, **more: str) -> None:
        body = json.dumps({"input": {"etag": etag}, **more}).encode()
        inbox.put_object(Bucket=aws.RESULTS, Key="a b.csv/summary.json", Body=body)

    assert fate(inbox, aws.INBOX, "a b.csv") == "gone"
    former = inbox.put_object(Bucket=aws.INBOX, Key="a b.csv", Body=b"x")["ETag"]
    assert fate(inbox, aws.INBOX, "a b.csv") == "handed over to the state machine"
    summary(former)
    assert fate(inbox, aws.INBOX, "a b.csv") == "done"
    summary(former, error="the header lacks x")
    assert fate(inbox, aws.INBOX, "a b.csv") == "refused"
    inbox.put_object(Bucket=aws.INBOX, Key="a b.csv", Body=b"y")
    assert fate(inbox, aws.INBOX, "a b.csv") == "handed over to the state machine"


def test_what_keeps_failing_ends_among_the_dead_letters_and_stops_nobody(
    inbox: "S3Client", sqs: "SQSClient", s3_server: str
) -> None:
    for key in ("poison.csv", "good.csv"):
        inbox.put_object(Bucket=aws.INBOX, Key=key, Body=b"x")
    keys: list[str] = []

    def classify(bucket: str, key: str, deadline: float) -> None:
        keys.append(key)
        if key == "poison.csv":
            raise Unavailable("the store failed")

    lines = drain(sqs, s3_server, events.handler(classify, partial(events.postpone, (0,))))
    assert sorted(keys) == ["good.csv"] + ["poison.csv"] * aws.ATTEMPTS
    assert "attempt 5 of 5; given up" in next(line for line in lines if "given up" in line)
    assert waiting(sqs, s3_server, aws.QUEUE) == 0
    assert waiting(sqs, s3_server, aws.DEAD_LETTERS) == 1


def test_what_ends_without_an_answer_is_left_to_the_queue_and_stops_nobody(
    inbox: "S3Client", sqs: "SQSClient", s3_server: str
) -> None:
    """As at AWS: the function may be at it still, for all that the queue knows."""
    for key in ("poison.csv", "good.csv"):
        inbox.put_object(Bucket=aws.INBOX, Key=key, Body=b"x")

    def fails(key: str) -> bool:
        if key == "poison.csv":
            raise RuntimeError(key)
        return False

    function = Function(fails)
    drain(sqs, s3_server, function)
    assert sorted(function.keys) == ["good.csv", "poison.csv"]
    assert waiting(sqs, s3_server, aws.QUEUE) == 1


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (None, set()),
        ({"batchItemFailures": []}, set()),
        ({"batchItemFailures": None}, set()),
        ({"batchItemFailures": [{"itemIdentifier": "a"}]}, {"a"}),
        ({"batchItemFailures": [{"itemIdentifier": "no such message"}]}, {"a", "b"}),
        ({"batchItemFailures": [{"wrong": "a"}]}, {"a", "b"}),
        ("nonsense", {"a", "b"}),
    ],
)
def test_a_batch_response_is_read_as_lambda_reads_it(answer: object, failed: set[str]) -> None:
    assert failed_ids(answer, {"a", "b"}) == failed


def test_nothing_of_somebody_s_aws_reaches_the_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "real")
    monkeypatch.setenv("MAX_ROWS", "7")
    environment = aws.environment("http://127.0.0.1:1")
    assert "real" not in environment.values()
    assert environment["MAX_ROWS"] == "7"
