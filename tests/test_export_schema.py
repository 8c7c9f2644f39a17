"""The schema and the reader say the same of what one value alone can show."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from thimble.classifier import load
from thimble.document import KEYS
from thimble.errors import InvalidModel

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((ROOT / "model/schema.json").read_bytes())
VALIDATOR = Draft202012Validator(SCHEMA)
DOCUMENTS = sorted([*(ROOT / "model").glob("*.json"), *(ROOT / "tests/documents").glob("*.json")])
IRIS: dict[str, Any] = json.loads((ROOT / "model/iris.json").read_bytes())


def reader_accepts(document: Any) -> bool:
    try:
        load(json.dumps(document).encode())
    except InvalidModel:
        return False
    return True


def changed(**keys: Any) -> dict[str, Any]:
    return {**deepcopy(IRIS), **keys}


def without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in IRIS.items() if key not in keys}


def weight(value: Any) -> dict[str, Any]:
    document: dict[str, Any] = deepcopy(IRIS)
    document["coefs"][1][2][0] = value
    return document


def bias(value: Any) -> dict[str, Any]:
    document: dict[str, Any] = deepcopy(IRIS)
    document["intercepts"][0][3] = value
    return document


GOOD: dict[str, Any] = {
    "whole": IRIS,
    "smallest": {key: IRIS[key] for key in ("classes", "coefs", "intercepts", "out_activation")},
    "before the format": without("format", "format_version"),
    "before the format, with keys of others": {**without("format", "format_version"), "solver": "adam"},
    "no activation": without("activation"),
    "no names": without("feature_names_in"),
    "null names": changed(feature_names_in=None),
    "null examples": changed(examples=None),
    "integer weights": {k: v for k, v in weight(3).items() if k != "examples"},
    "integer labels": changed(classes=[3, 1, 2]),
    "float labels": changed(classes=[0.5, 1.5, 2.5]),
    "logits": changed(decision="logits"),
    "multilabel": {**without("examples"), "out_activation": "logistic"},
    "history of any kind": changed(loss_curve=None, t="?", label_binarizer={"classes": []}),
    "unicode": changed(name="\u5c71\u7f8a \N{GOAT}"),
}
BAD: dict[str, Any] = {
    "a list": [IRIS],
    "null": None,
    "no classes": without("classes"),
    "no coefs": without("coefs"),
    "no intercepts": without("intercepts"),
    "no out_activation": without("out_activation"),
    "another format": changed(format="pickle"),
    "a version to come": changed(format_version=2),
    "a version as text": changed(format_version="1"),
    "version true": changed(format_version=True),
    "format without version": without("format_version"),
    "version without format": without("format"),
    "an unknown key": changed(activaton="tanh"),
    "name null": changed(name=None),
    "name a number": changed(name=3),
    "one class": changed(classes=["setosa"]),
    "doubled labels": changed(classes=["a", "b", "a"]),
    "mixed labels": changed(classes=["a", 1, 2]),
    "booleans among numbers": changed(classes=[True, 0, 5]),
    "null label": changed(classes=["a", "b", None]),
    "list label": changed(classes=["a", "b", ["c"]]),
    "classes an object": changed(classes={"a": 0, "b": 1, "c": 2}),
    "string weight": weight("0.1"),
    "null weight": weight(None),
    "boolean weight": weight(True),
    "list weight": weight([0.1]),
    "object weight": weight({"re": 1}),
    "string bias": bias("0.1"),
    "boolean bias": bias(False),
    "null bias": bias(None),
    "no layers": changed(coefs=[], intercepts=[]),
    "coefs an object": changed(coefs={"0": IRIS["coefs"][0]}),
    "empty matrix": changed(coefs=[[], IRIS["coefs"][1]]),
    "empty row": changed(coefs=[[[], [], [], []], IRIS["coefs"][1]]),
    "too many layers": changed(coefs=[[[1.0]]] * 65, intercepts=[[1.0]] * 65),
    "unknown activation": changed(activation="gelu"),
    "activation null": changed(activation=None),
    "unknown out_activation": changed(out_activation="exp"),
    "unknown decision": changed(decision="maximum"),
    "doubled names": changed(feature_names_in=["a", "b", "c", "a"]),
    "empty name": changed(feature_names_in=["a", "b", "c", ""]),
    "numbers for names": changed(feature_names_in=[0, 1, 2, 3]),
    "names an object": changed(feature_names_in={"a": 0}),
    "no names at all": changed(feature_names_in=[]),
    "examples a list": changed(examples=[]),
    "examples without rows": changed(examples={"probabilities": [[0, 0, 1]]}),
    "examples without probabilities": changed(examples={"rows": [[1, 2, 3, 4]]}),
    "no example": changed(examples={"rows": [], "probabilities": []}),
    "example probability as text": changed(examples={"rows": [[1, 2, 3, 4]], "probabilities": [["0", 0, 1]]}),
    "training null": changed(training=None),
    "count as text": changed(n_features_in="4"),
    "count zero": changed(n_layers=0),
    "count true": changed(n_outputs=True),
}
INCONSISTENT: dict[str, Any] = {  # only the reader can tell
    "ragged matrix": changed(coefs=[[[1.0] * 10, [1.0] * 9, [1.0] * 10, [1.0] * 10], IRIS["coefs"][1]]),
    "layers that do not fit": changed(coefs=IRIS["coefs"][::-1]),
    "a bias too few": changed(intercepts=[IRIS["intercepts"][0], IRIS["intercepts"][1][:2]]),
    "a layer of biases too few": changed(intercepts=IRIS["intercepts"][:1]),
    "a label too few": changed(classes=["a", "b"]),
    "a name too few": changed(feature_names_in=["a", "b", "c"]),
    "another count": changed(n_features_in=5),
    "a short example": changed(examples={"rows": [[1, 2, 3]], "probabilities": [[0, 0, 1]]}),
}


@pytest.mark.parametrize("document", GOOD.values(), ids=GOOD.keys())
def test_both_accept_a_good_document(document: Any) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    assert reader_accepts(document)


@pytest.mark.parametrize("document", BAD.values(), ids=BAD.keys())
def test_both_refuse_a_bad_document(document: Any) -> None:
    assert not VALIDATOR.is_valid(document)
    assert not reader_accepts(document)


@pytest.mark.parametrize("document", INCONSISTENT.values(), ids=INCONSISTENT.keys())
def test_only_the_reader_sees_what_does_not_fit_together(document: Any) -> None:
    assert VALIDATOR.is_valid(document)
    assert not reader_accepts(document)


@pytest.mark.parametrize(
    "path", [path for path in DOCUMENTS if path.name != "schema.json"], ids=lambda path: path.name
)
def test_every_document_that_we_keep_validates(path: Path) -> None:
    document = json.loads(path.read_bytes())
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    assert reader_accepts(document)


def test_the_schema_is_one_and_knows_every_key() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    properties = {*SCHEMA["properties"], *SCHEMA["$defs"]["head"]["properties"]}
    assert properties == KEYS == set(SCHEMA["$defs"]["key"]["enum"])


def test_the_readme_explains_every_key() -> None:
    readme = (ROOT / "model/README.md").read_text()
    assert [key for key in sorted(KEYS) if f"`{key}`" not in readme] == []
