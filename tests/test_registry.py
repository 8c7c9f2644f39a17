"""Models by name and version: from one document, and from the registry."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from thimble.errors import InvalidModel, NotFound, Unavailable
from thimble.inference.classifier import load
from thimble.registry.lookup import OneModel

IRIS = (Path(__file__).parents[1] / "model" / "iris.json").read_bytes()
VERSION = load(IRIS).digest


def test_a_failure_is_tried_again_and_a_success_is_kept() -> None:
    outcomes: Iterator[Exception | bytes] = iter(
        [Unavailable("away"), InvalidModel("coefs is missing"), IRIS]
    )

    def flaky(uri: str) -> bytes:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    models = OneModel("s3://models/iris.json", flaky)
    for error in (Unavailable, InvalidModel):
        with pytest.raises(error):
            models.get()
    assert models.get() is models.get()


def one(data: bytes = IRIS) -> OneModel:
    return OneModel("s3://models/iris.json", lambda uri: data)


@pytest.mark.parametrize("name", ["", "iris", "default"])
@pytest.mark.parametrize("version", ["", VERSION, VERSION[:6], VERSION[:40]])
def test_one_document_answers_to_its_name_and_its_digest(name: str, version: str) -> None:
    models = one()
    assert models.get(name, version) is models.get()
    assert models.document(name, version) == IRIS
    assert (models.names(), models.versions(name)) == (["iris"], [VERSION])


@pytest.mark.parametrize("name", ["penguins", "..", "iris/../iris"])
def test_one_document_answers_to_no_other_name(name: str) -> None:
    with pytest.raises(NotFound, match="there is no model"):
        one().get(name)


@pytest.mark.parametrize("version", [VERSION[:5], "0" * 64, VERSION + "0", "latest", "../x"])
def test_one_document_has_no_other_version(version: str) -> None:
    for ask in (one().get, one().document):
        with pytest.raises(NotFound, match="iris has no version"):
            ask("iris", version)


@pytest.mark.parametrize("version", [VERSION[:5], VERSION.upper(), "latest"])
def test_what_is_no_version_at_all_is_told_what_one_is(version: str) -> None:
    with pytest.raises(NotFound, match="at least the first 6 digits of it, in lower case"):
        one().get("iris", version)
    with pytest.raises(NotFound, match=r"iris has no version '012345'$"):
        one().get("iris", "012345")


def test_a_document_without_a_name_is_the_default() -> None:
    models = one(IRIS.replace(b'"name": "iris"', b'"name": ""'))
    assert models.names() == ["default"]
    assert models.get("default") is models.get()
