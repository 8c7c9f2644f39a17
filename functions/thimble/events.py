"""What S3 announces, alone or through SQS, and what is to be done again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

import orjson

from thimble import telemetry

Event = dict[str, Any]


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


def handler(classify: Callable[[str, str], Event | None]) -> Callable[[Event, Any], Event]:
    """SQS is told which messages failed, so that only they come again; S3's own event fails as a whole."""

    def handle(event: Event, context: Any = None) -> Event:
        try:
            messages = [
                record for record in event.get("Records", []) if record.get("eventSource") == "aws:sqs"
            ]
            if not messages:
                _take(event, classify)
                return {}
            failed = [message["messageId"] for message in messages if not _succeeds(message, classify)]
            return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}
        finally:
            if telemetry.metrics.metric_set:
                telemetry.flush()

    return handle


def _succeeds(message: Event, classify: Callable[[str, str], Event | None]) -> bool:
    try:
        _take(orjson.loads(message["body"]), classify)
    except Exception:
        telemetry.exception("a message failed and will come again")
        telemetry.count(FilesFailed=1)
        return False
    return True


def _take(notification: Event, classify: Callable[[str, str], Event | None]) -> None:
    for file in announced(notification):
        summary = classify(file.bucket, file.key)
        _report(file, summary)


def _report(file: Announced, summary: Event | None) -> None:
    if summary is None:
        telemetry.logger.warning("the file is gone", key=file.key)
        return
    known = summary["input"]["etag"] or ""
    if file.etag and file.etag != known.strip('"'):
        telemetry.logger.info(
            "the file was overwritten since it was announced; the newest counts", key=file.key
        )
    if "error" in summary:
        telemetry.logger.error("the file was refused", key=file.key, reason=summary["error"])
        telemetry.count(FilesRefused=1)
    else:
        telemetry.logger.info("the file was classified", key=file.key, rows=summary["rows"])
        telemetry.count(
            FilesClassified=1, RowsClassified=summary["predictions"], RowsRejected=summary["rejections"]
        )
