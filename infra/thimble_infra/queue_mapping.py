"""Lambda's event source mapping: pass messages from the queue to the files function, one by one.

A message that the function reports as done is deleted. One that failed stays in the queue: the function
itself has set when it comes again, and after the last attempt it goes to the dead letter queue. This is a
process of its own, so that a large file does not slow the HTTP API down.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from thimble_infra.aws import ATTEMPTS, FUNCTION_TIMEOUT, REGION, RESULTS, queue_arn, queue_url
from thimble_infra.invocation import Context, Handler, invoke, load
from thimble_infra.output import separate

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

BATCH_SIZE = 1  # as in template.yaml

logger = logging.getLogger("thimble_infra.queue_mapping")


def event(messages: Sequence["MessageTypeDef"]) -> dict[str, Any]:
    """Return Lambda's event for a batch of messages."""
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": dict(message.get("Attributes", {})),
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": queue_arn(),
                "awsRegion": REGION,
            }
            for message in messages
        ]
    }


def failed_ids(answer: Any, ids: set[str]) -> set[str]:
    """Return the ids of the messages that failed, by the function's partial batch response.

    As in Lambda, no response or an empty list means success, and an invalid response fails the whole batch.
    """
    if not answer:
        return set()
    try:
        failed = {item["itemIdentifier"] for item in answer["batchItemFailures"] or ()}
    except (TypeError, KeyError):
        return ids
    return failed if failed <= ids else ids


@dataclass(frozen=True)
class QueueMapping:
    """A queue, the function that it feeds, and the output that tells a person what became of each message."""

    sqs: "SQSClient"
    url: str
    handler: Handler
    say: Callable[[str], None]
    fate: Callable[[str, str], str] = lambda bucket, key: "done"  # for a message that did not fail

    def take(self, wait: int = 20) -> int:
        """Wait for messages, pass them to the function, settle each, and return how many there were."""
        messages = self.sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=BATCH_SIZE,
            WaitTimeSeconds=wait,
            MessageSystemAttributeNames=["All"],
        ).get("Messages", [])
        if messages:
            started = time.perf_counter()
            failed = _failures(self.handler, messages)
            for message in messages:
                self._settle(message, message["MessageId"] in failed, time.perf_counter() - started)
        return len(messages)

    def _settle(self, message: "MessageTypeDef", failed: bool, seconds: float) -> None:
        if not failed:
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        for bucket, key in _subjects(message):
            outcome = _failed(message) if failed else self.fate(bucket, key)
            self.say(f"s3://{bucket}/{key} {outcome} {seconds:.2f} s")


def _failures(handler: Handler, messages: Sequence["MessageTypeDef"]) -> set[str]:
    ids = {message["MessageId"] for message in messages}
    try:
        return failed_ids(invoke(handler, event(messages), Context("thimble-files", FUNCTION_TIMEOUT)), ids)
    except Exception:
        logger.exception("the files function raised")
        return ids


def _subjects(message: "MessageTypeDef") -> list[tuple[str, str]]:
    """Return the buckets and keys of the objects that a message announces; S3's test event has none."""
    records = json.loads(message["Body"]).get("Records", [])
    return [(r["s3"]["bucket"]["name"], unquote_plus(r["s3"]["object"]["key"])) for r in records]


def _failed(message: "MessageTypeDef") -> str:
    attempt = int(message.get("Attributes", {}).get("ApproximateReceiveCount", "1"))
    return f"failed, attempt {attempt} of {ATTEMPTS}" + ("; given up" if attempt >= ATTEMPTS else "")


def fate(s3: "S3Client", bucket: str, key: str) -> str:
    """Return what became of an object, by its summary: the function only says that it did not fail."""
    try:
        etag = s3.head_object(Bucket=bucket, Key=key)["ETag"]
    except s3.exceptions.ClientError:
        return "gone"
    try:
        summary = json.load(s3.get_object(Bucket=RESULTS, Key=f"{key}/summary.json")["Body"])
    except s3.exceptions.NoSuchKey:
        summary = None
    if summary is None or summary["input"]["etag"] != etag:
        return "handed over to the state machine"
    return "refused" if "error" in summary else "done"


def main() -> None:
    """Run the mapping: `python -m thimble_infra.queue_mapping S3_URL [LOG]`.

    The environment holds the function's settings.
    """
    Thread(target=_end_with_parent, daemon=True).start()
    import boto3

    s3_url, *log = sys.argv[1:]
    say = separate(log[0] if log else None)
    handler = load("files")
    sqs = boto3.client("sqs", endpoint_url=s3_url, region_name=REGION)
    s3 = boto3.client("s3", endpoint_url=s3_url, region_name=REGION)
    mapping = QueueMapping(sqs, queue_url(s3_url), handler, say, partial(fate, s3))
    while True:
        mapping.take()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
