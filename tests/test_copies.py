"""A result of Parquet begins with its input, which S3 or the file system copies: no function sends it."""

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import obstore
import polars as pl
import pytest
from moto.s3 import models
from obstore.store import LocalStore

from tests.test_parquet import classified
from tests.test_workflow_s3 import copies as copied
from thimble import store
from thimble.errors import Overwritten
from thimble.files import copies, multipart, uploads
from thimble.files.options import FileOptions
from thimble.files.pipeline import Pipeline
from thimble.inference.classifier import load
from thimble.split.tasks import Workflow, handler
from thimble.tables.parquet.footer import read_footer

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

DOCUMENT = (Path(__file__).parents[1] / "model" / "iris.json").read_bytes()
IRIS = load(DOCUMENT)
NAMES = IRIS.feature_names or ()
KIB = 1 << 10
KEY = "large files/50% + caf\u00e9.parquet"


def rows(n: int, bad: int = 1) -> bytes:
    """A table of which the model reads a hundredth; one row cannot be answered."""
    rng = np.random.default_rng(n)
    columns = {name: [None] * bad + rng.integers(1, 8, n - bad).tolist() for name in NAMES}
    frame = pl.DataFrame(columns | {f"column {k}": rng.uniform(size=n) for k in range(40)})
    out = io.BytesIO()
    frame.cast(dict.fromkeys(NAMES, pl.UInt8)).write_parquet(out, row_group_size=100)
    return out.getvalue()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 takes parts of 5 KiB, where it takes 5 MiB."""
    for module in (copies, multipart):
        monkeypatch.setattr(module, "LEAST", 5 * KIB)
    monkeypatch.setattr(uploads, "PART_BYTES", 6 * KIB)
    monkeypatch.setattr(models, "S3_UPLOAD_PART_MIN_SIZE", 5 * KIB)


def get(s3: "S3Client", key: str) -> bytes:
    return s3.get_object(Bucket="thimble-results", Key=key)["Body"].read()


def unfinished(s3: "S3Client") -> list[Any]:
    return list(s3.list_multipart_uploads(Bucket="thimble-results").get("Uploads", []))


@pytest.mark.parametrize("most", [7 * KIB, copies.MOST])
def test_s3_copies_the_input_of_one_function(
    most: int, s3: "S3Client", small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts, where it is more than one takes; what is left over goes with the answers."""
    monkeypatch.setattr(copies, "MOST", most)
    data = rows(1200)
    etag = s3.put_object(Bucket="thimble-inbox", Key=KEY, Body=data)["ETag"]
    asked = copied(monkeypatch)
    summary = Pipeline(lambda key: IRIS, "s3://thimble-results").classify("thimble-inbox", KEY)
    assert summary is not None
    result, rejected = classified(data)
    assert get(s3, f"{KEY}/result.parquet") == result
    assert (summary["predictions"], summary["rejections"], len(rejected)) == (1199, 1, 1)
    parts, rest = divmod(read_footer(len(data), lambda start, stop: data[start:stop]).start, most)
    assert len(asked) == parts + (rest >= copies.LEAST)
    assert {copy["CopySourceIfMatch"] for copy in asked} == {etag}
    assert (
        summary["result_etag"]
        == s3.head_object(Bucket="thimble-results", Key=f"{KEY}/result.parquet")["ETag"]
    )
    assert unfinished(s3) == []


def test_a_small_input_is_simply_written(s3: "S3Client", monkeypatch: pytest.MonkeyPatch) -> None:
    data = rows(300)
    s3.put_object(Bucket="thimble-inbox", Key=KEY, Body=data)
    asked = copied(monkeypatch)
    Pipeline(lambda key: IRIS, "s3://thimble-results").classify("thimble-inbox", KEY)
    assert get(s3, f"{KEY}/result.parquet") == classified(data)[0]
    assert asked == []


def test_ranges_yield_answers_alone_and_the_assembly_has_the_input_copied(
    s3: "S3Client", small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = rows(1200, bad=250)
    s3.put_object(Bucket="thimble-inbox", Key=KEY, Body=data)
    pipeline = Pipeline(lambda key: IRIS, "s3://thimble-results")
    workflow = handler(Workflow(pipeline, lambda key, digest: DOCUMENT, "s3://thimble-parts", 8 * KIB))
    planned = workflow({"task": "plan", "bucket": "thimble-inbox", "key": KEY}, None)
    found = planned["manifest"]
    for item in json.loads(s3.get_object(Bucket=found["Bucket"], Key=found["Key"])["Body"].read()):
        assert workflow(item, None) == {}
    sizes = [item["Size"] for item in s3.list_objects_v2(Bucket="thimble-parts")["Contents"]]
    assert planned["ranges"] > 3
    assert sum(sizes) < len(data) / 2
    asked = copied(monkeypatch)
    assert workflow({"task": "assemble", "folder": planned["folder"]}, None) == {"outcome": "done"}
    assert get(s3, f"{KEY}/result.parquet") == classified(data)[0]
    sources = [copy["CopySource"] for copy in asked]
    assert sources[0] == {"Bucket": "thimble-inbox", "Key": KEY}
    rejections = [json.loads(line) for line in get(s3, f"{KEY}/rejections.jsonl").splitlines()]
    assert rejections == classified(data)[1]


def test_a_refused_file_leaves_no_upload(s3: "S3Client", small_parts: None) -> None:
    s3.put_object(Bucket="thimble-inbox", Key=KEY, Body=rows(1200))
    strict = Pipeline(lambda key: IRIS, "s3://thimble-results", FileOptions.of(max_rejected_share=0.0))
    summary = strict.classify("thimble-inbox", KEY)
    assert summary is not None
    assert "were rejected" in summary["error"]
    assert unfinished(s3) == []
    listed = s3.list_objects_v2(Bucket="thimble-results")["Contents"]
    assert not [item["Key"] for item in listed if item["Key"].endswith("result.parquet")]


def test_a_source_that_is_gone_is_not_copied(s3: "S3Client", small_parts: None) -> None:
    s3.put_object(Bucket="thimble-inbox", Key=KEY, Body=rows(1200))
    source = store.current(store.bucket("thimble-inbox"), KEY)
    s3.delete_object(Bucket="thimble-inbox", Key=KEY)
    with (
        pytest.raises(Overwritten, match="no longer what it was"),
        copies.begun(source, store.bucket("thimble-results"), "result.parquet") as result,
    ):
        result.finish()
    assert unfinished(s3) == []


def test_the_file_system_copies_the_input(tmp_path: Path) -> None:
    data = rows(300)
    (tmp_path / "in").mkdir()
    for key in ("a b.parquet", "50%25.parquet"):
        inbox = LocalStore(tmp_path / "in")
        obstore.put(inbox, key, data)
        pipeline = Pipeline(lambda _: IRIS, (tmp_path / "out").as_uri(), buckets=lambda _, inbox=inbox: inbox)  # type: ignore[misc]
        summary = pipeline.classify("inbox", key)
        assert summary is not None
        results = LocalStore(tmp_path / "out")
        assert obstore.get(results, f"{key}/result.parquet").bytes().to_bytes() == classified(data)[0]
        assert summary["result_etag"] == obstore.head(results, f"{key}/result.parquet")["e_tag"]


@pytest.mark.parametrize("copied", [b"", b"input"])
def test_a_copy_that_is_given_up_leaves_nothing(tmp_path: Path, copied: bytes) -> None:
    (tmp_path / "a").write_bytes(b"input, footer")
    here = LocalStore(tmp_path)
    source = store.current(here, "a").beginning(len(copied))
    with copies.begun(source, here, "folder/b") as result:
        result.write(b" and answers")
    assert os.listdir(tmp_path / "folder") == []
    with copies.begun(source, here, "folder/b") as result:
        result.write(b" and answers")
        result.finish()
    assert (tmp_path / "folder" / "b").read_bytes() == copied + b" and answers"
    assert os.listdir(tmp_path / "folder") == ["b"]
