"""S3 takes keys of 1,024 bytes, and a result's is longer than its input's: one too long is refused, once."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import pytest
from moto.s3.exceptions import S3ClientError
from moto.s3.responses import S3Response

from tests import states
from thimble import telemetry
from thimble.errors import InvalidInput
from thimble_infra.buckets import Place
from thimble_infra.drop import collect
from thimble_infra.inputs import below
from thimble_infra.invocation import Context

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ROOT = Path(__file__).parents[1]
ROWS = b"5.1,3.5,1.4,0.2\n" * 1000
MOST = 1024
SUMMARY, REJECTIONS = len("/summary.json"), len("/rejections.jsonl")

Entry = Callable[[str], Callable[[dict[str, Any], Context], Any]]


@pytest.fixture
def strict_s3(s3: "S3Client", monkeypatch: pytest.MonkeyPatch) -> "S3Client":
    """As AWS, S3 takes no key of more than 1,024 bytes, to read or to write."""
    answer: Any = S3Response._key_response

    def checked(self: Any, request: Any, full_url: str) -> Any:
        if len(self.parse_key_name().encode()) > MOST:
            raise S3ClientError("KeyTooLongError", "Your key is too long")
        return answer(self, request, full_url)

    monkeypatch.setattr(S3Response, "_key_response", checked)
    return s3


@pytest.fixture
def strict_entry(strict_s3: "S3Client", entry: Entry, monkeypatch: pytest.MonkeyPatch) -> Entry:
    monkeypatch.setenv("RANGE_BYTES", "5000")
    return entry


def key_of(size: int, letter: str) -> str:
    """A key of so many bytes in UTF-8."""
    letters = (size - len(".csv")) // len(letter.encode())
    key = letter * letters + ".csv"
    return "x" * (size - len(key.encode())) + key


def announcement(key: str) -> dict[str, Any]:
    s3 = {"bucket": {"name": "thimble-inbox"}, "object": {"key": quote_plus(key)}}
    body = {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3}]}
    return {"Records": [{"eventSource": "aws:sqs", "messageId": "1", "body": json.dumps(body)}]}


def results(s3: "S3Client", key: str) -> list[str]:
    listed = s3.list_objects_v2(Bucket="thimble-results").get("Contents", [])
    return [found["Key"].removeprefix(f"{key}/") for found in listed]


def summary(s3: "S3Client", key: str) -> dict[str, Any]:
    found = s3.get_object(Bucket="thimble-results", Key=f"{key}/summary.json")["Body"].read()
    return dict(json.loads(found))


def drop(s3: "S3Client", key: str, entry: Entry, function: str) -> None:
    """Put a file into the inbox and have it done, by either function, without a failure."""
    s3.put_object(Bucket="thimble-inbox", Key=key, Body=ROWS)
    if function == "files":
        assert entry("files")(announcement(key), Context("files", 900)) == {"batchItemFailures": []}
    else:
        handler = entry("workflow")
        answers = states.execute(
            lambda event: handler(event, Context("workflow", 900)),
            lambda name: s3.get_object(Bucket="thimble-parts", Key=name)["Body"].read(),
            "thimble-inbox",
            key,
        )
        assert answers[-1] == {"outcome": "done"}


@pytest.mark.parametrize(("letter", "function"), [("☃", "files"), ("ż", "workflow")])
@pytest.mark.parametrize("size", [900, MOST - REJECTIONS])
def test_a_key_whose_results_have_room_is_classified(
    strict_s3: "S3Client", strict_entry: Entry, size: int, letter: str, function: str
) -> None:
    key = key_of(size, letter)
    drop(strict_s3, key, strict_entry, function)
    assert results(strict_s3, key) == ["rejections.jsonl", "result.csv", "summary.json"]
    assert summary(strict_s3, key)["predictions"] == 1000
    assert strict_s3.list_objects_v2(Bucket="thimble-parts")["KeyCount"] == 0


@pytest.mark.parametrize(("letter", "function"), [("☃", "files"), ("x", "workflow")])
@pytest.mark.parametrize("size", [MOST - REJECTIONS + 1, MOST - SUMMARY])
def test_a_key_whose_results_have_no_room_is_refused_in_its_summary(
    strict_s3: "S3Client", strict_entry: Entry, size: int, letter: str, function: str
) -> None:
    key = key_of(size, letter)
    drop(strict_s3, key, strict_entry, function)
    assert results(strict_s3, key) == ["summary.json"]
    assert summary(strict_s3, key)["error"] == (
        f"the key of {size:,} bytes is too long: its results are named after it, and S3 takes no name of "
        "more than 1,024; send the file under a key of at most 1,007 bytes of UTF-8"
    )


@pytest.mark.parametrize(("letter", "function"), [("☃", "files"), ("x", "workflow")])
@pytest.mark.parametrize("size", [MOST - SUMMARY + 1, MOST])
def test_a_key_without_room_for_a_summary_is_refused_in_the_log_and_the_metrics(
    strict_s3: "S3Client",
    strict_entry: Entry,
    size: int,
    letter: str,
    function: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    telemetry.flush()
    key = key_of(size, letter)
    drop(strict_s3, key, strict_entry, function)
    assert results(strict_s3, key) == []
    [record] = [record for record in caplog.records if record.name == "thimble"]
    assert record.message == "the file was refused, and has no summary"
    assert "send the file under a key of at most 1,007 bytes" in vars(record)["reason"]
    assert '"FilesRefused":[1.0]' in capsys.readouterr().out


@pytest.mark.parametrize(("longer", "fits"), [(0, True), (1, False)])
def test_a_file_whose_results_would_have_no_room_is_not_sent(tmp_path: Path, longer: int, fits: bool) -> None:
    (tmp_path / "iris.csv").touch()
    prefix = "ż" * 499 + "x" * (MOST - REJECTIONS - len("/iris.csv") - 998 + longer)
    with nullcontext() if fits else pytest.raises(InvalidInput, match="is too long"):
        collect(below([tmp_path / "iris.csv"]), Place("thimble-inbox", prefix))
