"""S3's announcements: which files they are about, and which messages come again."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from thimble import telemetry
from thimble.errors import Unavailable
from thimble.files.events import Announced, announced, handler

Load = Callable[..., dict[str, Any]]


def notification(key: str, name: str = "ObjectCreated:Put") -> dict[str, Any]:
    s3 = {"bucket": {"name": "thimble-inbox"}, "object": {"key": key, "eTag": "abc"}}
    return {"Records": [{"eventSource": "aws:s3", "eventName": name, "s3": s3}]}


def message(identifier: str, body: str) -> dict[str, Any]:
    return {"messageId": identifier, "eventSource": "aws:sqs", "body": body}


def no_queue(message: dict[str, Any]) -> None:
    pytest.fail("a message that nobody sent is postponed")


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("iris.csv", "iris.csv"),
        ("a+b.csv", "a b.csv"),
        ("a%2Bb%25.csv", "a+b%.csv"),
        ("caf%C3%A9%2Fmonday/x.csv", "café/monday/x.csv"),
    ],
)
def test_a_key_is_decoded_once(encoded: str, key: str) -> None:
    assert list(announced(notification(encoded))) == [Announced("thimble-inbox", key, "abc")]


@pytest.mark.parametrize(
    "event",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "thimble-inbox"},
        {},
        notification("a+folder/"),
        notification("iris.csv", "ObjectRemoved:Delete"),
        {"Records": [{"eventSource": "aws:sns"}]},
    ],
)
def test_what_is_no_file_is_passed_over(event: dict[str, Any]) -> None:
    assert list(announced(event)) == []


@pytest.mark.parametrize("name", ["ObjectCreated:CompleteMultipartUpload", "s3:ObjectCreated:Copy"])
def test_a_file_may_arrive_in_any_way(name: str) -> None:
    assert len(list(announced(notification("iris.csv", name)))) == 1


def test_only_the_messages_that_failed_come_again() -> None:
    seen = []

    def classify(bucket: str, key: str, deadline: float) -> None:
        seen.append((bucket, key))
        if key == "away.csv":
            raise Unavailable("the store failed")

    bodies = [json.dumps(notification(key)) for key in ("one.csv", "away.csv", "two.csv")]
    records = [message(str(i), body) for i, body in enumerate([*bodies, "no JSON"])]
    postponed: list[Any] = []
    failed = handler(classify, postponed.append)({"Records": records}, None)
    assert postponed == [records[1], records[3]]
    assert failed == {"batchItemFailures": [{"itemIdentifier": "1"}, {"itemIdentifier": "3"}]}
    assert [key for _, key in seen] == ["one.csv", "away.csv", "two.csv"]


def test_a_message_that_cannot_be_postponed_is_reported_as_failed_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def classify(bucket: str, key: str, deadline: float) -> None:
        raise Unavailable("the store failed")

    def refused(message: dict[str, Any]) -> None:
        raise ConnectionError("SQS is away")

    records = [message(str(i), json.dumps(notification("iris.csv"))) for i in range(2)]
    failed = handler(classify, refused)({"Records": records}, None)
    assert failed == {"batchItemFailures": [{"itemIdentifier": "0"}, {"itemIdentifier": "1"}]}
    assert "only after its queue's visibility timeout" in caplog.text


def test_s3s_own_event_fails_as_a_whole() -> None:
    def classify(bucket: str, key: str, deadline: float) -> None:
        raise Unavailable("the store failed")

    with pytest.raises(Unavailable):
        handler(classify, no_queue)(notification("iris.csv"), None)


def test_a_refused_file_is_done_and_logged_without_its_data(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A reason may quote cells: it stands in the summary alone."""
    reason = 'the header lacks "a"; it has "Jane Doe", "5.1"'
    summary = {"input": {"etag": '"abc"'}, "error": reason}
    assert handler(lambda *file: summary, no_queue)(notification("iris.csv"), None) == {}
    logged = capsys.readouterr().out
    assert "FilesRefused" in logged
    (record,) = caplog.records
    assert record.message == "the file was refused; its summary says why"
    assert "Jane" not in logged + str(vars(record))
    telemetry.flush()
    assert capsys.readouterr().out == ""  # nothing is left for the next event


def test_what_fails_names_its_file(caplog: pytest.LogCaptureFixture) -> None:
    def classify(bucket: str, key: str, deadline: float) -> None:
        raise Unavailable("the store failed")

    body = json.dumps(notification("monday/iris.csv"))
    handler(classify, lambda message: None)({"Records": [message("1", body)]}, None)
    assert "at monday/iris.csv in thimble-inbox" in caplog.text
