"""What S3 announces, alone or through SQS, and what is to be done again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

import orjson

from thimble import telemetry
from thimble.drift import recent

Event = dict[str, Any]
Classify = Callable[
    [str, str, float], Event | None
]  # an object by bucket and key, until time.monotonic() says so

Postpone = Callable[[Event], None]  # a message that failed, until it may come again

MARGIN = 15  # seconds to say that the time is over


@dataclass(frozen=True)
class Announced:
    """An object that was put into a bucket."""

    bucket: str
    key: str
    etag: str | None


def announced(notification: Event) -> Iterator[Announced]:
    """The files of an S3 notification: none in its test event, and a console's folder marker is none."""
    for record in notification.get("Records", []):
        if record.get("eventSource") != "aws:s3" or not record["eventName"].removeprefix("s3:").startswith(
            "ObjectCreated"
        ):
            continue
        s3 = record["s3"]
        key = unquote_plus(s3["object"]["key"])
        if not key.endswith("/"):
            yield Announced(s3["bucket"]["name"], key, s3["object"].get("eTag"))


def deadline(context: Any) -> float:
    """When a function has to come to its end, by time.monotonic(); never, where Lambda does not say."""
    if context is None:
        return math.inf
    return time.monotonic() + float(context.get_remaining_time_in_millis()) / 1000 - MARGIN


def handler(classify: Classify, postpone: Postpone) -> Callable[[Event, Any], Event]:
    """Return the Lambda handler. SQS is told which messages failed, so that only they come again, after a
    pause; S3's own event fails as a whole."""

    def handle(event: Event, context: Any = None) -> Event:
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
    """Whatever keeps a message from coming again soon, it is reported as failed, and comes again later."""
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
    """Log and count what became of a file. Why it was refused stands in its summary alone: a reason may quote
    the file, and the log holds no data. Only a key too long for a summary is a reason for the log."""
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
        counts = {name: summary[name] for name in ("rows", "predictions", "rejections")}
        telemetry.logger.info("the file was classified", key=key, **counts)
        if summary.get("drift"):
            recent.log(summary["drift"], summary["classes"], summary["predictions"], **summary["model"])
