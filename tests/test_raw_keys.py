"""Any key that S3 takes: its file is classified under its own name, or has a summary that says why not."""

import json
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from thimble.files.pipeline import Pipeline
from thimble.inference.classifier import load

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

MODEL = load((Path(__file__).parents[1] / "model/iris.json").read_bytes())
ROWS = b"5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5\n"
PLAIN = [
    unicodedata.normalize("NFD", "zugehörig/größe.csv"),
    "50%+a b/c%2Fd.csv",
    "a+b c&d=e?f#g.csv",
    "trailing blank /x.csv",
    "ä/ß 😀.csv",
    "~!@$^*()_-'\",:;<>[]{}|\\`.csv",
    "é" * 490 + ".csv",
]
OTHERS = [
    "a//b.csv",
    "/a.csv",
    "//a.csv",
    "./a.csv",
    "a/./b.csv",
    "a/../b.csv",
    "../a.csv",
    "a\x01b.csv",
    "a\x7fb.csv",
]


@pytest.mark.parametrize("key", PLAIN + OTHERS)
@pytest.mark.parametrize("prefix", ["", "/results"])
def test_each_key_has_a_summary_under_its_own_name(key: str, prefix: str, s3: "S3Client") -> None:
    etag = s3.put_object(Bucket="thimble-inbox", Key=key, Body=ROWS)["ETag"]
    summary = Pipeline(lambda key: MODEL, f"s3://thimble-results{prefix}").classify("thimble-inbox", key)
    assert summary is not None
    folder = f"{prefix}/{key}".lstrip("/") if prefix else key
    listed = {item["Key"] for item in s3.list_objects_v2(Bucket="thimble-results")["Contents"]}
    assert f"{folder}/summary.json" in listed
    assert all(found.startswith(f"{folder}/") for found in listed)
    written = s3.get_object(Bucket="thimble-results", Key=f"{folder}/summary.json")["Body"].read()
    assert summary == json.loads(written)
    assert (summary["input"]["key"], summary["input"]["etag"], summary["input"]["bytes"]) == (
        key,
        etag,
        len(ROWS),
    )
    if key in PLAIN:
        assert summary["predictions"] == 2
    else:
        assert summary["error"].startswith("the key is not a plain path")


def test_a_file_of_such_a_key_that_is_gone_is_nothing_to_do(s3: "S3Client") -> None:
    assert Pipeline(lambda key: MODEL, "s3://thimble-results").classify("thimble-inbox", "a//b.csv") is None
