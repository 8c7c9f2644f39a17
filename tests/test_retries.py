"""A file that fails comes again soon, ever later, and is given up within an hour; none runs twice at a time.

The deployed entry takes messages of moto's queue; its clock is moved by hand.
"""

import runpy
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from samcli.yamlhelper import yaml_parse

from thimble.files import events
from thimble_infra import aws
from thimble_infra.invocation import Context
from thimble_infra.queue_mapping import QueueMapping

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

ROOT = Path(__file__).parents[1]
RESOURCES: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
FUNCTION: dict[str, Any] = RESOURCES["FilesFunction"]["Properties"]

Handler = Callable[[dict[str, Any], Context], Any]


@pytest.fixture
def sqs(s3_server: str) -> "SQSClient":
    """A queue with the announcement of a file that no model can classify: none is published."""
    import boto3

    aws.create_resources(s3_server)
    client = boto3.client("sqs")
    client.purge_queue(QueueUrl=aws.queue_url(s3_server))  # of S3's test event
    events._client.cache_clear()
    boto3.client("s3").put_object(Bucket=aws.INBOX, Key="iris.csv", Body=b"5.1,3.5,1.4,0.2\n")
    return client


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Handler:
    """functions/files.py as Lambda loads it, with the pauses of the template."""
    monkeypatch.setenv("MODELS_URI", f"s3://{aws.MODELS}/models")
    monkeypatch.setenv("MODEL_NAME", "iris")
    monkeypatch.setenv("RESULTS_URI", f"s3://{aws.RESULTS}")
    monkeypatch.setenv("RETRY_SECONDS", FUNCTION["Environment"]["Variables"]["RETRY_SECONDS"])
    loaded: Handler = runpy.run_path(str(ROOT / "functions" / "files.py"))["handler"]
    return loaded


def hidden() -> Any:
    """The message in moto's queue, whose `visible_at` is in milliseconds."""
    from moto.sqs.models import sqs_backends

    [message] = sqs_backends[aws.ACCOUNT][aws.REGION].queues[aws.QUEUE]._messages
    return message


def dead_letters(sqs: "SQSClient") -> int:
    [url] = sqs.list_queues(QueueNamePrefix=aws.DEAD_LETTERS)["QueueUrls"]
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(counts["Attributes"]["ApproximateNumberOfMessages"])


def test_a_file_that_keeps_failing_comes_again_soon_and_is_given_up_within_an_hour(
    sqs: "SQSClient", s3_server: str, handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping = QueueMapping(sqs, aws.queue_url(s3_server), handler, lambda line: None)
    now = time.time() * 1000
    monkeypatch.setattr(
        "moto.sqs.models.unix_time_millis", lambda: now
    )  # stands still while a file is at work
    pauses: list[float] = []
    while not dead_letters(sqs):
        if not mapping.take(wait=0):
            continue  # the look that gives it up
        pauses.append((hidden().visible_at - now) / 1000)
        now = hidden().visible_at + 1
    assert len(pauses) == RESOURCES["Queue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"]
    assert 0 < pauses[0] <= 60
    assert pauses == sorted(pauses)
    assert pauses[3] > 10 * pauses[0]  # an outage of some minutes is outlasted
    assert sum(pauses) < 3600 - 15 * 60  # with time for the attempts themselves


def test_a_file_at_work_is_nobody_elses_for_longer_than_a_function_may_take(
    sqs: "SQSClient", s3_server: str, handler: Handler
) -> None:
    left: list[float] = []

    def killed(event: dict[str, Any], context: Context) -> None:
        left.append(hidden().visible_at / 1000 - time.time())
        raise TimeoutError("Task timed out")

    mapping = QueueMapping(sqs, aws.queue_url(s3_server), killed, lambda line: None)
    assert mapping.take(wait=0) == 1
    assert left[0] > 5 * FUNCTION["Timeout"]
    assert hidden().visible_at / 1000 - time.time() > 5 * FUNCTION["Timeout"]
    assert mapping.take(wait=0) == 0


def test_a_file_whose_queue_cannot_be_told_is_reported_as_failed(
    sqs: "SQSClient", s3_server: str, handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9")
    answers: list[Any] = []

    def told(event: dict[str, Any], context: Context) -> Any:
        answers.append(handler(event, context))
        return answers[-1]

    QueueMapping(sqs, aws.queue_url(s3_server), told, lambda line: None).take(wait=0)
    assert answers == [{"batchItemFailures": [{"itemIdentifier": hidden().id}]}]
    assert hidden().visible_at / 1000 - time.time() > 5 * FUNCTION["Timeout"]
    events._client.cache_clear()
