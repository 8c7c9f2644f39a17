"""The model is read from where its URI says, kept, and asked for again after a failure."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from thimble.errors import InvalidModel, Unavailable
from thimble.store import ModelStore, read

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

IRIS = Path(__file__).parents[1] / "model" / "iris.json"


def test_a_model_comes_from_s3(s3: "S3Client") -> None:
    s3.put_object(Bucket="thimble-models", Key="a folder/model.json", Body=IRIS.read_bytes())
    assert ModelStore("s3://thimble-models/a folder/model.json").get().name == "iris"


def test_a_model_comes_from_a_file() -> None:
    assert ModelStore(IRIS.as_uri()).get().name == "iris"


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


def test_a_failure_is_tried_again_and_a_success_is_kept() -> None:
    outcomes: Iterator[Exception | bytes] = iter(
        [Unavailable("away"), InvalidModel("coefs is missing"), IRIS.read_bytes()]
    )

    def flaky(uri: str) -> bytes:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    models = ModelStore("s3://models/iris.json", flaky)
    assert isinstance(models.warm(), Unavailable)
    assert isinstance(models.warm(), InvalidModel)
    assert models.warm() is None
    assert models.get() is models.get()
