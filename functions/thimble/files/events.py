"""Handle S3 event notifications, sent directly or through SQS, and retry messages that failed.

Each retry waits longer than the one before. Without these pauses a message would come back only after the
queue's visibility timeout, which has to be longer than a function may run. boto3 is imported when the first
message fails.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote_plus

import orjson

from thimble import telemetry
from thimble.drift import report as drift

if TYPE_CHECKING:
    from botocore.config import _RetryDict
    from mypy_boto3_sqs.client import SQSClient

Event = dict[str, Any]
# Takes a bucket, a key and a deadline by time.monotonic(); returns the summary, or None without an object.
Classify = Callable[[str, str, float], Event | None]

Postpone = Callable[[Event], None]  # hides a failed message until its next attempt


class Context(Protocol):
    """The part of Lambda's context object that is used."""

    def get_remaining_time_in_millis(self) -> int: ...


MARGIN = 15  # seconds left to report that the time is over
SQS_TIMEOUT = 2  # seconds for each of two tries; the function may have little time left


@dataclass(frozen=True)
class Announced:
    """An object that was put into a bucket."""

    bucket: str
    key: str
    etag: str | None


def announced(notification: Event) -> Iterator[Announced]:
    """Yield the new objects of an S3 notification; a test event has none, and folder markers are left out."""
    for record in notification.get("Records", []):
        if record.get("eventSource") != "aws:s3" or not record["eventName"].removeprefix("s3:").startswith(
            "ObjectCreated"
        ):
            continue
        s3 = record["s3"]
        key = unquote_plus(s3["object"]["key"])
        if not key.endswith("/"):
            yield Announced(s3["bucket"]["name"], key, s3["object"].get("eTag"))


def deadline(context: Context | None) -> float:
    """Return when a function has to end, by time.monotonic(); infinity if there is no context."""
    if context is None:
        return math.inf
    return time.monotonic() + context.get_remaining_time_in_millis() / 1000 - MARGIN


def handler(classify: Classify, postpone: Postpone) -> Callable[[Event, Context | None], Event]:
    """Return the Lambda handler.

    It reports to SQS the messages that failed, so that only they come back, after a pause. An event straight
    from S3 fails as a whole.
    """

    def handle(event: Event, context: Context | None = None) -> Event:
        until = deadline(context)
        try:
            messages = [
                record for record in event.get("Records", []) if record.get("eventSource") == "aws:sqs"
            ]
            if not messages:
                _take(event, classify, until)
                return {}
            failed = [message for message in messages if not _succeeds(message, classify, until)]
            for message in failed:
                _postpone(message, postpone)
            return {"batchItemFailures": [{"itemIdentifier": message["messageId"]} for message in failed]}
        finally:
            telemetry.flush()

    return handle


def _succeeds(message: Event, classify: Classify, until: float) -> bool:
    try:
        _take(orjson.loads(message["body"]), classify, until)
    except Exception:
        telemetry.exception("a message failed and will come again")
        telemetry.count(FilesFailed=1)
        return False
    return True


def _postpone(message: Event, postpone: Postpone) -> None:
    """Shorten the wait for a message's next attempt; if that fails, it waits for the visibility timeout."""
    try:
        postpone(message)
    except Exception:
        telemetry.exception("a failed message will come again only after its queue's visibility timeout")


def _take(notification: Event, classify: Classify, until: float) -> None:
    for file in announced(notification):
        try:
            summary = classify(file.bucket, file.key, until)
        except Exception as error:
            error.add_note(f"at {file.key} in {file.bucket}")
            raise
        if summary is not None and file.etag and file.etag != (summary["input"]["etag"] or "").strip('"'):
            telemetry.logger.info(
                "the file was overwritten since it was announced; the newest counts", key=file.key
            )
        report(file.key, summary)


def report(key: str, summary: Event | None) -> None:
    """Log and count the outcome of a file.

    A reason for refusing may quote the file, so only the summary has it. The log has it if the key is too
    long for a summary.
    """
    if summary is None:
        telemetry.logger.warning("the file is gone", key=key)
    elif "workflow" in summary:
        telemetry.logger.info("the file is handed over", key=key, execution=summary["workflow"])
    elif "unwritten" in summary:
        telemetry.logger.error("the file was refused, and has no summary", key=key, reason=summary["error"])
        telemetry.count(FilesRefused=1)
    elif "error" in summary:
        telemetry.logger.error("the file was refused; its summary says why", key=key)
        telemetry.count(FilesRefused=1)
    else:
        names = ("rows", "predictions", "rejections", "abstained")
        counts = {name: summary[name] for name in names if name in summary}
        telemetry.logger.info("the file was classified", key=key, **counts)
        if "abstained" in summary:
            telemetry.count(RowsAbstained=summary["abstained"])
        if summary.get("drift"):
            about = summary["drift"], summary["classes"], summary["predictions"]
            telemetry.drift(*drift.observed(*about, **summary["model"]))


def postpone(seconds: Sequence[int], message: Event) -> None:
    """Hide a message until its next attempt. `seconds` are the pauses after the first attempt, the second and
    so on; the last one is repeated.
    """
    attempt = int(message["attributes"]["ApproximateReceiveCount"])
    client = _client()
    client.change_message_visibility(
        QueueUrl=_url(client, message["eventSourceARN"]),
        ReceiptHandle=message["receiptHandle"],
        VisibilityTimeout=seconds[min(attempt, len(seconds)) - 1],
    )


def _url(client: SQSClient, arn: str) -> str:
    """Return the URL of a queue at the client's endpoint."""
    account, name = arn.split(":")[4:]
    return f"{client.meta.endpoint_url.rstrip('/')}/{account}/{name}"


@cache
def _client() -> SQSClient:
    import boto3
    from botocore.config import Config

    retries: _RetryDict = {"mode": "standard", "total_max_attempts": 2}
    return boto3.client(
        "sqs", config=Config(connect_timeout=SQS_TIMEOUT, read_timeout=SQS_TIMEOUT, retries=retries)
    )
