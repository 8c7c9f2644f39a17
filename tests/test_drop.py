"""`thimble drop`: what goes in, what comes back, and what is said when nothing does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.door import IRIS_DIGEST
from thimble.errors import InvalidInput, Unavailable
from thimble_infra.buckets import Place, place
from thimble_infra.drop import PART, collect, door, drop, results_of
from thimble_infra.inputs import below

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

HEADER = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"
INBOX = Place("thimble-inbox", "")


def run(local_stack: Any, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-c", "from thimble_infra.cli import app; app()", "drop", *map(str, arguments)],
        env=own | {"S3_PORT": local_stack.s3_url.rpartition(":")[2]},
        capture_output=True,
        text=True,
        timeout=300,  # a busy machine
    )


def test_a_file_comes_back_counted_with_its_rejections_and_a_line_to_fetch_it(
    local_stack: Any, tmp_path: Path
) -> None:
    (tmp_path / "flowers here.csv").write_text(f"{HEADER}5.1,3.5,1.4,0.2\nno,1,2,3\n6.3,3.3,6.0,2.5\n")
    dropped = run(local_stack, tmp_path / "flowers here.csv")
    assert (dropped.returncode, dropped.stderr) == (0, "")
    assert "\x1b" not in dropped.stdout
    header, counts = dropped.stdout.splitlines()[:2]
    assert header.split()[:4] == ["file", "rows", "predictions", "rejections"]
    assert counts.split()[2:5] == ["3", "2", "1"]
    assert "  line 3: sepal length (cm)" in dropped.stdout
    assert "s3://thimble-results/flowers here.csv/result.csv" in dropped.stdout
    [fetch] = [
        line.removeprefix("  fetch").strip() for line in dropped.stdout.splitlines() if "fetch" in line
    ]
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "S3_PORT": local_stack.s3_url.rpartition(":")[2],
    }
    subprocess.run(fetch, shell=True, cwd=tmp_path, env=environment, check=True)
    assert len((tmp_path / "answers" / "flowers here.csv" / "result.csv").read_text().splitlines()) == 3


def test_a_folder_goes_in_and_comes_out_with_its_structure(local_stack: Any, tmp_path: Path) -> None:
    for name in ("batch/a.csv", "batch/deep/b.csv", "batch/.hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{HEADER}5.1,3.5,1.4,0.2\n")
    dropped = run(local_stack, tmp_path / "batch", "-o", tmp_path / "out", "--to", "s3://thimble-inbox/iris")
    assert (dropped.returncode, dropped.stderr) == (0, "")
    results = sorted(
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")
    )
    files = [path for path in results if (tmp_path / "out" / path).is_file()]
    assert "skipped 1 file, hidden or with a name that says no format: batch/.hidden" in dropped.stdout
    assert files == [
        f"iris/batch/{name}/{file}"
        for name in ("a.csv", "deep/b.csv")
        for file in ("result.csv", "summary.json")
    ]


def test_a_refused_file_says_why_fails_the_command_and_stops_no_other(
    local_stack: Any, tmp_path: Path
) -> None:
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    (tmp_path / "right.csv").write_text(f"{HEADER}5.1,3.5,1.4,0.2\n")
    dropped = run(local_stack, tmp_path / "wrong.csv", tmp_path / "right.csv")
    assert (dropped.returncode, dropped.stderr) == (1, "")
    assert f"wrong.csv was refused, by iris ({IRIS_DIGEST}): " in dropped.stdout
    assert "right.csv/result.csv" in dropped.stdout


def test_a_name_of_any_kind_is_shown_as_it_is(local_stack: Any, tmp_path: Path) -> None:
    names = ["[red]x.csv", "a b+c%20d ü & é?.csv", "日本.csv", "#1.csv"]
    for name in names:
        (tmp_path / name).write_text(f"{HEADER}5.1,3.5,1.4,0.2\n")
    dropped = run(local_stack, *(tmp_path / name for name in names), "-o", tmp_path / "out")
    assert (dropped.returncode, dropped.stderr) == (0, "")
    for name in names:
        assert f"\n{name} " in dropped.stdout
        assert len((tmp_path / "out" / name / "result.csv").read_text().splitlines()) == 2


def test_an_output_folder_that_is_a_file_is_a_sentence(local_stack: Any, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"{HEADER}5.1,3.5,1.4,0.2\n")
    (tmp_path / "file").touch()
    dropped = run(local_stack, tmp_path / "x.csv", "-o", tmp_path / "file")
    assert (dropped.returncode, dropped.stdout) == (1, "")
    assert (
        dropped.stderr
        == f"thimble: {tmp_path}/file is a file, and a folder is needed there: name another place\n"
    )


@pytest.mark.parametrize("output", [".", "x.csv"])
def test_where_an_input_is_no_result_can_be_and_nothing_is_uploaded(output: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1\n")
    with pytest.raises(InvalidInput, match=r"would take the place of .*x\.csv, which is read"):
        drop(
            [str(tmp_path / "x.csv")],
            door("s3://thimble-inbox", None, None, None, "http://127.0.0.1:1"),
            output=tmp_path / output,
            timeout=1,
        )


def test_the_same_file_twice_is_answered_twice(local_stack: Any, tmp_path: Path) -> None:
    (tmp_path / "again.csv").write_text(f"{HEADER}5.1,3.5,1.4,0.2\n")
    first, second = (run(local_stack, tmp_path / "again.csv") for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0)


def test_a_file_in_many_parts_arrives_whole(local_stack: Any, tmp_path: Path) -> None:
    rows = PART // 16 + 1000
    (tmp_path / "large.csv").write_text(HEADER + "5.1,3.5,1.4,0.2\n" * rows)
    dropped = run(local_stack, tmp_path / "large.csv")
    assert dropped.returncode == 0, dropped.stderr
    assert f"{rows:,}" in dropped.stdout


def test_silence_is_explained_after_the_timeout(s3: "S3Client", s3_server: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1\n")
    with pytest.raises(
        Unavailable, match=r"^no summary after 0\.1 seconds of x\.csv: .* `thimble fetch x\.csv --to s3"
    ):
        drop_alone(tmp_path / "x.csv", s3_server)


def test_the_summary_of_other_bytes_is_not_taken_for_ours(
    s3: "S3Client", s3_server: str, tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_text("1\n")
    other = {"input": {"etag": '"other"', "version": None}}
    s3.put_object(Bucket="thimble-results", Key="x.csv/summary.json", Body=json.dumps(other).encode())
    with pytest.raises(Unavailable, match="no summary"):
        drop_alone(tmp_path / "x.csv", s3_server)


def test_an_upload_that_was_overwritten_is_not_waited_for(
    s3: "S3Client", s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overwrite(seconds: float) -> None:
        etag = s3.put_object(Bucket="thimble-inbox", Key="x.csv", Body=b"2\n")["ETag"]
        summary = json.dumps({"input": {"etag": etag, "version": None}}).encode()
        s3.put_object(Bucket="thimble-results", Key="x.csv/summary.json", Body=summary)

    monkeypatch.setattr("thimble_infra.drop.time.sleep", overwrite)
    (tmp_path / "x.csv").write_text("1\n")
    with pytest.raises(Unavailable, match=r"^overwritten in the inbox before it was classified: x\.csv; "):
        drop_alone(tmp_path / "x.csv", s3_server, timeout=60)


def test_who_leaves_is_told_what_goes_on(
    s3: "S3Client",
    s3_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("thimble_infra.drop.time.sleep", interrupt)
    (tmp_path / "x.csv").write_text("1\n")
    with pytest.raises(KeyboardInterrupt):
        drop_alone(tmp_path / "x.csv", s3_server)
    said = (
        "thimble: not waited for: 1 of 1 uploads lie in s3://thimble-inbox, and are classified all the same\n"
    )
    assert capsys.readouterr().err == said


def test_a_bucket_that_is_not_there_is_a_sentence(s3_server: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1\n")
    with pytest.raises(
        Unavailable, match=r"there is no bucket thimble-inbox or no bucket thimble-results at http"
    ):
        drop_alone(tmp_path / "x.csv", s3_server)


def drop_alone(path: Path, endpoint_url: str, timeout: float = 0.1) -> None:
    """Drop into an S3 that nobody listens to."""
    inbox = door("s3://thimble-inbox", None, None, None, endpoint_url)
    drop([str(path)], inbox, output=None, timeout=timeout)


def test_no_local_stack_is_a_sentence_and_nothing_goes_to_aws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.csv").write_text("1\n")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("S3_PORT", "1")
    with pytest.raises(Unavailable, match=r"no local stack answers on port 1: start one with `thimble run`"):
        drop(
            [str(tmp_path / "x.csv")],
            door("s3://thimble-inbox", None, None, None, None),
            output=None,
            timeout=1,
        )


@pytest.mark.parametrize(
    ("inbox", "results"),
    [
        ("s3://thimble-inbox/a/b", "thimble-results"),
        ("s3://stack-inbox-123456789012-eu-west-1", "stack-results-123456789012-eu-west-1"),
        ("s3://inbox-of-mine-inbox", "inbox-of-mine-results"),
    ],
)
def test_the_results_bucket_is_named_after_the_inbox(inbox: str, results: str) -> None:
    assert results_of(place(inbox)) == Place(results, "")


def test_an_inbox_of_another_name_asks_for_the_results_bucket() -> None:
    with pytest.raises(InvalidInput, match="name the results bucket with --results"):
        results_of(place("s3://mine"))


@pytest.mark.parametrize("uri", ["thimble-inbox", "https://x/y", "s3:///key"])
def test_what_is_not_a_bucket_is_a_sentence(uri: str) -> None:
    with pytest.raises(InvalidInput, match="is not of the form s3://BUCKET"):
        place(uri)


def test_two_files_for_one_key_are_refused_before_anything_is_uploaded(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.csv").touch()
    with pytest.raises(
        InvalidInput, match=r"a/x\.csv and .*b/x\.csv would both be s3://thimble-inbox/x\.csv"
    ):
        collect(below([tmp_path / "a" / "x.csv", tmp_path / "b" / "x.csv"]), INBOX)


@pytest.mark.parametrize(
    ("name", "prefix"), [("a\nb.csv", ""), ("a\udce4.csv", ""), ("x.csv", "a//b"), ("x.csv", "a/../b")]
)
def test_a_name_that_no_inbox_takes_is_a_sentence(tmp_path: Path, name: str, prefix: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(InvalidInput, match=r"is no plain path|has a character that is no text"):
        collect(below([tmp_path / name]), Place("thimble-inbox", prefix))


def test_an_empty_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.md").touch()
    with pytest.raises(InvalidInput, match=r"there is no file in .*skipped 1 file, .*/notes\.md"):
        below([tmp_path])
