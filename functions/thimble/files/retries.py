"""When a message that failed comes again: soon, then ever later. Without this it would come after the queue's
visibility timeout, which has to outlast a function that is still at it.

boto3 is imported when the first message fails, and never where none does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

TIMEOUT = 2  # seconds of one try, of two: the function's time may be nearly over


def postpone(seconds: Sequence[int], message: dict[str, Any]) -> None:
    """Hide a message for the pause that follows its attempt; the last pause follows all further attempts."""
    attempt = int(message["attributes"]["ApproximateReceiveCount"])
    client = _client()
    client.change_message_visibility(
        QueueUrl=_url(client, message["eventSourceARN"]),
        ReceiptHandle=message["receiptHandle"],
        VisibilityTimeout=seconds[min(attempt, len(seconds)) - 1],
    )


def _url(client: SQSClient, arn: str) -> str:
    """A queue's URL, where the client sends its requests."""
    account, name = arn.split(":")[4:]
    return f"{client.meta.endpoint_url.rstrip('/')}/{account}/{name}"


@cache
def _client() -> SQSClient:
    import boto3
    from botocore.config import Config

    retries: Any = {"mode": "standard", "total_max_attempts": 2}
    return boto3.client("sqs", config=Config(connect_timeout=TIMEOUT, read_timeout=TIMEOUT, retries=retries))
