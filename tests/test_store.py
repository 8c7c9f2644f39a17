"""An object is read from where its URI says, and its key as it is; or a sentence says why not."""

from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from thimble.errors import InvalidFile, Overwritten, Unavailable
from thimble.store import bucket, current, read

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

IRIS = Path(__file__).parents[1] / "model" / "iris.json"


def test_an_object_comes_from_s3(s3: "S3Client") -> None:
    s3.put_object(Bucket="thimble-models", Key="a folder/model.json", Body=IRIS.read_bytes())
    assert read("s3://thimble-models/a folder/model.json") == IRIS.read_bytes()


def test_s3s_own_endpoint_comes_before_that_of_all_services(
    s3: "S3Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put_object(Bucket="thimble-models", Key="model.json", Body=IRIS.read_bytes())
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert read("s3://thimble-models/model.json") == IRIS.read_bytes()


def test_an_object_comes_from_a_file() -> None:
    assert read(IRIS.as_uri()) == IRIS.read_bytes()


def test_a_question_mark_belongs_to_the_key(s3: "S3Client", tmp_path: Path) -> None:
    """No part of S3's or a file's URI is a query."""
    s3.put_object(Bucket="thimble-models", Key="a?b#c.json", Body=b"{}")
    (tmp_path / "a?b#c.json").write_bytes(b"{}")
    assert read("s3://thimble-models/a?b#c.json") == b"{}"
    assert read(f"file://{tmp_path}/a?b#c.json") == b"{}"


@pytest.mark.parametrize("uri", ["s3://thimble-models/none.json", "s3://no-such-bucket/model.json"])
def test_an_object_that_is_not_there_is_unavailable(s3: "S3Client", uri: str) -> None:
    with pytest.raises(Unavailable, match=f"^{uri} cannot be read$"):
        read(uri)


@pytest.mark.parametrize(
    "uri", ["", "model.json", "https://example.com/model.json", "s3://", "file://host/x"]
)
def test_a_uri_of_another_kind_is_refused(uri: str) -> None:
    with pytest.raises(Unavailable, match="neither s3://bucket/key nor file:///path"):
        read(uri)


def test_a_key_that_is_no_plain_path_is_unavailable_and_no_crash() -> None:
    with pytest.raises(Unavailable, match=r"^s3://models/a//b\.json cannot be read$"):
        read("s3://models/a//b.json")


def test_a_missing_file_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        read((tmp_path / "none.json").as_uri())
    with pytest.raises(Unavailable):
        read((tmp_path / "no folder" / "none.json").as_uri())


KEYS = st.text(
    st.sampled_from("ab./% +~é\t\n\x7f\\:*?") | st.characters(codec="utf-8"), min_size=1, max_size=8
)


@settings(max_examples=60)
@given(key=KEYS)
@example("/lead.csv")
@example("a//b.csv")
@example("a/../b.csv")
@example("./b.csv")
@example("tab\t.csv")
def test_a_key_is_read_as_it_is_or_refused(key: str) -> None:
    store = MemoryStore()
    try:
        obstore.put(store, key, b"1")
        kept = [meta["path"] for meta in obstore.list(store).collect()] == [key]
    except ValueError:
        kept = False
    if kept:
        assert current(store, key).size == 1
    else:
        with pytest.raises(InvalidFile, match="cannot be read"):
            current(store, key)


def test_what_is_read_is_of_the_version_that_was_looked_at(s3: "S3Client") -> None:
    s3.put_object(Bucket="thimble-inbox", Key="rows.csv", Body=b"first")
    first = current(bucket("thimble-inbox"), "rows.csv")
    assert first.read(0, 3) == b"fir"
    for change in (
        lambda: s3.put_object(Bucket="thimble-inbox", Key="rows.csv", Body=b"later"),
        lambda: s3.delete_object(Bucket="thimble-inbox", Key="rows.csv"),
    ):
        change()
        with pytest.raises(Overwritten, match="changed while it was read"):
            first.read(3, 5)
