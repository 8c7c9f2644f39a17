"""`thimble classify`: the function's pipeline on one's own machine, and the same bytes."""

import gzip
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from tests.door import IRIS_DIGEST
from thimble.files import pipeline
from thimble.files.pipeline import Pipeline
from thimble.inference.classifier import load
from thimble_infra import classifying, drop_report, processes
from thimble_infra.cli import app

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

MODEL = Path(__file__).parents[1] / "model" / "iris.json"
NAMES = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
GOOD = b"5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5\n"
BAD = b"5.1,3.5,1.4,0.2\n6.3,3.3,x,2.5\n"


def classify(*arguments: str | int | Path) -> Result:
    return CliRunner().invoke(app, ["classify", "--model", str(MODEL), *map(str, arguments)])


def test_a_file_becomes_the_file_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "50% é.csv").write_bytes(BAD)
    run = classify(tmp_path / "50% é.csv", "-o", tmp_path / "out" / "answers.csv")
    assert run.exit_code == 0
    assert (tmp_path / "out" / "answers.csv").read_bytes().startswith(b"5.1,3.5,1.4,0.2,setosa,")
    assert b'"line":2' in (tmp_path / "out" / "answers.csv.rejections.jsonl").read_bytes()
    assert 'line 2: petal length (cm) is "x", not a number' in run.stdout


def test_the_bytes_are_the_functions(tmp_path: Path, s3: "S3Client") -> None:
    s3.put_object(Bucket="thimble-inbox", Key="monday/a.csv", Body=BAD)
    model = load(MODEL.read_bytes())
    Pipeline(lambda key: model, "s3://thimble-results").classify("thimble-inbox", "monday/a.csv")
    function = s3.get_object(Bucket="thimble-results", Key="monday/a.csv/result.csv")["Body"].read()
    assert classify("s3://thimble-inbox/monday/", "-o", tmp_path).exit_code == 0
    assert (tmp_path / "monday" / "a.csv" / "result.csv").read_bytes() == function
    assert classify("s3://thimble-inbox/monday/a.csv", "-o", tmp_path / "a.csv").exit_code == 0
    assert (tmp_path / "a.csv").read_bytes() == function


def test_a_folder_is_classified_file_by_file(tmp_path: Path, s3: "S3Client") -> None:
    monday = tmp_path / "monday"
    for name in ("a.csv", "deep/b.csv", "deep/.c.csv", "notes.md"):
        (monday / name).parent.mkdir(parents=True, exist_ok=True)
        (monday / name).write_bytes(GOOD)
    run = classify(monday, "-o", "s3://thimble-results/local")
    assert run.exit_code == 0
    assert run.stdout.endswith(
        "skipped 2 files, hidden or with a name that says no format: monday/deep/.c.csv, monday/notes.md\n"
    )
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket="thimble-results")["Contents"]]
    assert [key for key in keys if "result" in key.rsplit("/", 1)[1]] == [
        "local/monday/a.csv/result.csv",
        "local/monday/deep/b.csv/result.csv",
    ]


def test_several_processes_give_the_bytes_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifying, "MANY_BYTES", 0)
    monkeypatch.setattr(processes, "RANGE_BYTES", 3_000)
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    header = b"note," + b",".join(name.encode() for name in NAMES) + b"\n"
    rows = b"".join(b'"a\n%d",5.1,3.5,%s,0.2\n' % (k, b"x" if k % 9 == 0 else b"1.4") for k in range(500))
    (inputs / "a.csv").write_bytes(header + rows)
    (inputs / "b.csv.gz").write_bytes(gzip.compress(header + rows))
    (inputs / "c.csv").write_bytes(b"x,y\n" + b"1,2\n" * 9_000)
    frame = pl.DataFrame({name: [1.0 + k % 7 for k in range(2_000)] for name in NAMES})
    frame.write_ndjson(inputs / "d.jsonl")
    frame.write_parquet(inputs / "e.parquet", row_group_size=300)
    for number in (1, 2):
        run = classify(inputs, "-o", tmp_path / str(number), "--processes", number)
        assert run.exit_code == 1
        assert f"c.csv was refused, by iris ({IRIS_DIGEST}): the header lacks" in run.stdout
    alone, shared = files_below(tmp_path / "1"), files_below(tmp_path / "2")
    assert len(alone) == 13
    assert alone == shared


@pytest.mark.parametrize("number", [1, 2])
def test_the_bar_is_full_once_all_files_are_done(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifying, "MANY_BYTES", 0)
    monkeypatch.setattr(processes, "RANGE_BYTES", 40_000)
    read: list[int] = []

    @contextmanager
    def reading(size: int) -> Iterator[Callable[[int], None]]:
        read.clear()
        yield read.append
        assert 0.999 * size < sum(read) <= size

    monkeypatch.setattr(drop_report, "reading", reading)
    frame = pl.DataFrame({name: [1.0 + k % 7 for k in range(20_000)] for name in NAMES})
    wide = frame.with_columns(**{f"unread {k}": pl.int_range(20_000) for k in range(20)})
    wide.write_parquet(tmp_path / "a.parquet", row_group_size=3_000)
    frame.write_csv(tmp_path / "b.csv")
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress((tmp_path / "b.csv").read_bytes()))
    for _ in ("classified", "done before"):
        names = ("a.parquet", "b.csv", "c.csv.gz")
        files = [tmp_path / name for name in names]
        assert classify(*files, "-o", tmp_path / "out", "--processes", number).exit_code == 0
        assert read


def files_below(folder: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: _timeless(path.read_bytes()) for name, path in found.items()}


def _timeless(data: bytes) -> bytes:
    """Without what differs between two runs: how long they took, and the ETag, which is of a time."""
    return re.sub(rb'"(seconds|result_etag)": .*', b"", data)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\x80\x04 a pickle", "is no model document; `thimble export` makes one of an estimator"),
        (b'{"coefs": []}', "is refused: coefs is empty"),
    ],
)
def test_a_model_that_is_none_is_named(content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(GOOD)
    (tmp_path / "m.joblib").write_bytes(content)
    run = classify(tmp_path / "a.csv", "-o", tmp_path / "out.csv", "--model", tmp_path / "m.joblib")
    assert (run.exit_code, run.stdout) == (1, "")
    assert run.stderr == f"thimble: {tmp_path / 'm.joblib'} {sentence}\n"
    assert not (tmp_path / "out.csv").exists()


def test_a_refused_file_ends_with_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"x,y\n")
    run = classify(tmp_path / "a.csv", "-o", tmp_path / "out.csv")
    assert run.exit_code == 1
    assert f"a.csv was refused, by iris ({IRIS_DIGEST}): the header lacks" in run.stdout
    assert not (tmp_path / "out.csv").exists()


def test_what_separates_cells_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(GOOD.replace(b",", b"~"))
    assert classify(tmp_path / "a.csv", "-o", tmp_path / "out.csv", "--delimiter", "~").exit_code == 0
    assert (tmp_path / "out.csv").read_bytes().startswith(b"5.1~3.5~1.4~0.2~setosa~")
    run = classify(tmp_path / "a.csv", "-o", tmp_path / "out.csv", "--delimiter", "~", "--header", "present")
    assert f"a.csv was refused, by iris ({IRIS_DIGEST}): the header lacks" in run.stdout
    run = classify(tmp_path / "a.csv", "-o", tmp_path / "out.csv", "--header", "no")
    assert run.exit_code == 2
    assert "the header 'no' is neither present nor absent" in run.stderr
    run = classify(tmp_path / "a.csv", "-o", tmp_path / "out.csv", "--quote", ",")
    assert (run.exit_code, "the quote ',' is what separates cells" in run.stderr) == (2, True)
    run = classify(tmp_path / "a.csv", "-o", tmp_path / "out.csv", "--quote", "''")
    assert run.exit_code == 2
    assert "the quote \"''\" is not one character" in run.stderr


@pytest.mark.parametrize("output", ["a.csv", "down/../a.csv", "link.csv", "linked/a.csv", "a.csv/"])
def test_an_input_is_not_written_over(tmp_path: Path, output: str) -> None:
    (tmp_path / "a.csv").write_bytes(BAD)
    (tmp_path / "down").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "a.csv")
    (tmp_path / "linked").symlink_to(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    run = classify(tmp_path / "a.csv", "-o", f"{tmp_path}/{output}")
    assert run.exit_code == 1
    assert f"would take the place of {tmp_path}/a.csv, which is read" in run.stderr
    assert (tmp_path / "a.csv").read_bytes() == BAD
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", ["rejections.jsonl", "summary.json"])
def test_nor_by_what_lies_beside_a_result(tmp_path: Path, kind: str) -> None:
    (tmp_path / f"a.csv.{kind}").write_text("{}\n")
    run = classify(tmp_path / f"a.csv.{kind}", "-o", tmp_path / "a.csv")
    assert "would take the place of" in run.stderr
    assert (tmp_path / f"a.csv.{kind}").read_text() == "{}\n"


def test_two_files_of_one_name_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    for folder in ("A", "B"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.csv").write_bytes(GOOD)
    run = classify(tmp_path / "A" / "x.csv", tmp_path / "B" / "x.csv", "-o", tmp_path / "out")
    assert run.exit_code == 1
    assert f"A/x.csv and {tmp_path}/B/x.csv would both be {tmp_path}/out/x.csv/result.csv" in run.stderr
    assert not (tmp_path / "out").exists()
    assert classify(tmp_path / "A", tmp_path / "B", "-o", tmp_path / "out").exit_code == 0
    assert len(list((tmp_path / "out").glob("*/x.csv/result.csv"))) == 2


def test_results_are_no_inputs_of_the_next_time(tmp_path: Path, s3: "S3Client") -> None:
    (tmp_path / "a.csv").write_bytes(GOOD)
    s3.put_object(Bucket="thimble-inbox", Key="2024/a.csv", Body=GOOD)
    for given, output in ((tmp_path, tmp_path / "out"), ("s3://thimble-inbox/2024/", "s3://thimble-inbox")):
        run = classify(given, "-o", output)
        assert run.exit_code == 1
        assert f"would lie in {given}, which is read, and be an input itself the next time" in run.stderr
    assert sorted(tmp_path.iterdir()) == [tmp_path / "a.csv"]


def test_a_refused_file_leaves_the_result_of_another_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "right.csv").write_bytes(GOOD)
    (tmp_path / "wrong.csv").write_bytes(b"x,y\n")
    assert classify(tmp_path / "right.csv", "-o", tmp_path / "out.csv").exit_code == 0
    assert classify(tmp_path / "wrong.csv", "-o", tmp_path / "out.csv").exit_code == 1
    assert len((tmp_path / "out.csv").read_bytes().splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "output", "extension"),
    [("rows.json", "out.csv", ".json"), ("a.csv.gz", "out.csv", ".csv.gz"), ("a.csv", "out.csv.zst", ".csv")],
)
def test_a_name_that_says_another_format_is_refused(
    tmp_path: Path, name: str, output: str, extension: str
) -> None:
    (tmp_path / name).write_bytes(GOOD)
    run = classify(tmp_path / name, "-o", tmp_path / output)
    assert run.exit_code == 1
    assert f"the name {output} says another: let it end in {extension}\n" in run.stderr
    assert not (tmp_path / output).exists()


def test_a_bucket_that_is_not_there_or_not_ours_is_a_sentence(
    tmp_path: Path, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = classify("s3://none/2024/", "-o", tmp_path / "out")
    assert (
        run.stderr
        == f"thimble: there is no bucket none at {s3_server}: `aws s3 ls` lists those that are there\n"
    )
    (tmp_path / "a.csv").write_bytes(GOOD)
    run = classify(tmp_path / "a.csv", "-o", tmp_path / "out", "--model", "s3://none/m.json")
    assert run.stderr.startswith("thimble: there is no bucket none")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    run = classify("s3://none/2024/", "-o", tmp_path / "out")
    assert run.stderr.startswith("thimble: there are no AWS credentials")
    monkeypatch.setenv("S3_PORT", "1")
    run = classify("s3://thimble-results/2024/", "-o", tmp_path / "out")
    assert run.stderr.startswith("thimble: no local stack answers on port 1")


def test_the_local_stack_s_buckets_are_found_without_aws_s_variables(
    tmp_path: Path, s3: "S3Client", s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put_object(Bucket="thimble-inbox", Key="2024/a.csv", Body=GOOD)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "")  # put back afterwards, whatever is set here
        monkeypatch.delenv(name)
    monkeypatch.setenv("S3_PORT", s3_server.rpartition(":")[2])
    monkeypatch.setattr(classifying, "MANY_BYTES", 0)
    run = classify("s3://thimble-inbox/2024/", "-o", "s3://thimble-results/here", "--processes", 2)
    assert run.exit_code == 0, run.output
    assert "2 rows against 150" in CliRunner().invoke(app, ["drift", "s3://thimble-results/here"]).output


def test_of_parquet_a_rejection_names_the_row(tmp_path: Path) -> None:
    frame = pl.DataFrame({name: [5.1, None, 1.4] for name in NAMES})
    frame.write_parquet(tmp_path / "a.parquet")
    run = classify(tmp_path / "a.parquet", "-o", tmp_path / "out.parquet")
    assert run.exit_code == 0
    assert "\n  row 2: sepal length (cm) is" in run.stdout


def test_who_stops_is_told_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "run", interrupt)
    (tmp_path / "a.csv").write_bytes(GOOD)
    run = classify(tmp_path / "a.csv", "-o", tmp_path / "out.csv")
    assert run.exit_code == 130
    assert run.stderr.startswith("thimble: stopped; files that have a summary are done")


def test_what_is_no_folder_is_a_sentence(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "out"):
        (tmp_path / name).write_bytes(GOOD)
    run = classify(tmp_path / "a.csv", tmp_path / "b.csv", "-o", tmp_path / "out")
    assert run.exit_code == 1
    assert (
        run.stderr == f"thimble: {tmp_path}/out is a file, and a folder is needed there: name another place\n"
    )


@pytest.mark.parametrize("file", ["none.csv", "."])
def test_nothing_to_classify_is_a_sentence(file: str, tmp_path: Path) -> None:
    run = classify(tmp_path / file, "-o", tmp_path / "out")
    assert run.exit_code == 1
    assert run.stderr.startswith("thimble: there is no file")
