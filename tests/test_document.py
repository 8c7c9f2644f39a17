"""A document either becomes arrays, or is refused with the path of the field that is wrong."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from thimble.errors import InvalidModel
from thimble.inference.classifier import load
from thimble.inference.document import MAX_BYTES, digest, parse
from thimble.inference.network import MAX_LAYERS, Network
from thimble.tables.card import card


def document(**changes: Any) -> dict[str, Any]:
    """A network of 2 features, 3 hidden units and 3 classes; a change to ... takes the key away."""
    base: dict[str, Any] = {
        "format": "thimble",
        "format_version": 1,
        "name": "small",
        "classes": ["a", "b", "c"],
        "feature_names_in": ["x", "y"],
        "n_features_in": 2,
        "n_layers": 3,
        "n_outputs": 3,
        "activation": "tanh",
        "out_activation": "softmax",
        "coefs": [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]],
        "intercepts": [[0.0, 0.5, 1.0], [0, 0, 0]],
    }
    return {key: value for key, value in (base | changes).items() if value is not ...}


REFUSED = [
    (
        {"preprocessing": {"types": ["number"] * 2, "steps": None, "outputs": [0, 0]}},
        "preprocessing.steps is not a list of at most 2000 steps",
    ),
    ({"format": "pickle"}, "format is \"pickle\"; only 'thimble' can be read"),
    ({"format": ...}, "format is null; only 'thimble' can be read"),
    ({"format_version": 2}, "format_version is 2; only version 1 can be read"),
    ({"format_version": True}, "format_version is true; only version 1 can be read"),
    ({"preprocesing": []}, '"preprocesing" is not a key of format version 1'),
    ({"coefs": ...}, "coefs is missing"),
    ({"coefs": {}}, "coefs is not a list"),
    ({"coefs": []}, "coefs is empty"),
    ({"coefs": [[[1.0]]] * (MAX_LAYERS + 1)}, "coefs has 65 layers; the most is 64"),
    ({"coefs": [[[1, 2, 3], [4, 5]], [[1], [2], [3]]]}, "coefs[0][1] has 2 numbers, but coefs[0][0] has 3"),
    (
        {"coefs": [[[1, 2], [4, 5]], [[1], [2], [3]]]},
        "coefs[1] has 3 rows; the layer before it has 2 outputs",
    ),
    ({"coefs": [[[1, 2, "3"], [4, 5, 6]], [[1]]]}, "coefs[0][0][2] is not a number"),
    ({"coefs": [[[1, 2, None], [4, 5, 6]], [[1]]]}, "coefs[0][0][2] is not a number"),
    ({"coefs": [[[1, 2, True], [4, 5, 6]], [[1]]]}, "coefs[0][0][2] is not a number"),
    ({"coefs": [[[1, 2, []], [4, 5, 6]], [[1]]]}, "coefs[0][0][2] is not a number"),
    ({"intercepts": [[0.0, 0.5, 1.0]]}, "intercepts has 1 layers, coefs has 2"),
    ({"intercepts": [[0.0, 0.5], [0, 0, 0]]}, "intercepts[0] has 2 numbers; coefs[0] has 3 columns"),
    ({"intercepts": [[0.0, 0.5, [1.0]], [0, 0, 0]]}, "intercepts[0][2] is not a number"),
    ({"n_features_in": 3}, "n_features_in is 3; the weights say 2"),
    ({"n_layers": 2}, "n_layers is 2; the weights say 3"),
    ({"n_outputs": 1}, "n_outputs is 1; the weights say 3"),
    ({"activation": "swish"}, 'activation is "swish"; use one of identity, logistic, relu, tanh'),
    ({"activation": ["relu"]}, 'activation is ["relu"]; use one of'),
    ({"out_activation": ...}, "out_activation is missing"),
    ({"decision": "maybe"}, 'decision is "maybe"; use one of probabilities, logits'),
    ({"classes": ...}, "classes is missing"),
    ({"classes": ["a", "b"]}, "classes has 2 labels; the last layer has 3 outputs"),
    ({"classes": ["a", "b", "a"]}, 'classes[2] repeats "a"'),
    ({"classes": ["a", "b", 3]}, "classes has labels of several types"),
    ({"classes": ["a", "b", None]}, "classes[2] is neither a string nor a number nor a boolean"),
    ({"classes": ["a"]}, "classes has one label only"),
    ({"feature_names_in": ["x"]}, "feature_names_in has 1 names; the model takes 2 features"),
    ({"feature_names_in": ["x", "x"]}, 'feature_names_in[1] repeats "x"'),
    ({"feature_names_in": ["x", 1]}, "feature_names_in[1] is 1, not a name"),
    ({"name": 3}, "name is 3, not a string"),
    ({"training": []}, "training is [], not an object"),
    ({"examples": []}, "examples is not an object"),
    ({"examples": {"rows": [[1, 2]]}}, "examples.probabilities is missing"),
    (
        {"examples": {"rows": [[1]], "probabilities": [[1, 0, 0]]}},
        "examples.rows[0] has 1 values; 2 are needed",
    ),
    (
        {"examples": {"rows": [[1, 2]], "probabilities": [[1, 0, 0]] * 2}},
        "examples.probabilities has 2 rows; examples.rows has 1",
    ),
    (
        {"examples": {"rows": [[1, 2]], "probabilities": [[1, 0, 0]]}},
        "examples.probabilities[0][0] is 1, but the model gives",
    ),
    ({"examples": {"rows": [["1", 2]], "probabilities": [[1, 0, 0]]}}, "examples.rows[0][0] is not a number"),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_a_wrong_field_is_refused_by_its_path(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidModel) as refusal:
        load(orjson.dumps(document(**changes)))
    assert str(refusal.value).startswith(sentence)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 400, "NaN", "Infinity"])
def test_a_weight_that_is_not_finite_is_refused(number: str) -> None:
    text = json.dumps(document()).replace("6.0", number)
    with pytest.raises(InvalidModel):
        load(text.encode())


def test_a_key_twice_is_refused() -> None:
    doubled = orjson.dumps(document())[:-1] + b', "classes": ["c", "b", "a"]}'
    with pytest.raises(InvalidModel, match=r"^classes occurs twice$"):
        load(doubled)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"1", b"\x80\x04\x95", b"[" * 100_000])
def test_what_is_not_a_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidModel, match=r"^The document is not"):
        load(data)


def test_an_absurd_size_is_refused_before_it_is_read() -> None:
    with pytest.raises(InvalidModel, match="the most that is read"):
        load(b" " * (MAX_BYTES + 1))


def test_a_document_without_a_format_may_have_keys_of_its_own() -> None:
    parsed = parse(orjson.dumps(document(format=..., format_version=..., activation=..., theirs=1)))
    assert parsed.outputs[0].scorer.card["activation"] == "relu"


def test_the_arrays_are_the_documents_numbers() -> None:
    parsed = parse(orjson.dumps(document()))
    network = parsed.outputs[0].scorer
    assert isinstance(network, Network)
    assert [W.shape for W in network.weights] == [(3, 2), (3, 3)]
    assert network.weights[0].dtype == np.float64
    assert network.weights[0].T.tolist() == document()["coefs"][0]
    assert parsed.heads[0].classes == ("a", "b", "c")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(key=st.sampled_from([*sorted(document()), "examples", "training", "decision"]), value=json_values)
def test_any_value_in_any_field_is_read_or_refused(key: str, value: Any) -> None:
    with contextlib.suppress(InvalidModel):
        load(json.dumps(document(**{key: value})).encode())


PREPROCESSING: dict[str, Any] = {
    "types": ["number", "text"],
    "missing": [0],
    "steps": [{"op": "encode", "column": 1, "categories": ["a"], "codes": [0.0]}],
    "outputs": [0, 2],
}


@given(key=st.sampled_from(sorted(PREPROCESSING)), value=json_values | json_values.map(lambda v: [v]))
@example(key="steps", value=None)
@example(key="steps", value=True)
@example(key="steps", value=[{}] * 2001)
@example(key="steps", value=[{"op": "encode", "column": 9, "categories": [[], {}]}])
def test_any_value_in_any_field_of_preprocessing_is_read_or_refused(key: str, value: Any) -> None:
    assert load(json.dumps(document(preprocessing=PREPROCESSING)).encode()).document.preprocessing
    with contextlib.suppress(InvalidModel):
        load(json.dumps(document(preprocessing=PREPROCESSING | {key: value})).encode())


@given(data=st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidModel):
        load(data)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"deep": value}
    return value


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"training": nested(300)}, "Recursion limit reached"),
        ({"name": "\ud800"}, "surrogates not allowed"),
        ({"name": '"', "n_iter": 10**30}, "Integer exceeds 64-bit range"),
    ],
    ids=["nested", "surrogate", "integer"],
)
def test_what_no_answer_could_repeat_is_refused(keys: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidModel, match=f"has a value that no answer can contain: .*{reason}"):
        parse(json.dumps(document(**keys)).encode())


def test_what_is_nested_less_deeply_is_shown_in_the_card() -> None:
    model = load(json.dumps(document(training=nested(200))).encode())
    assert orjson.dumps({"model": card(model)}).count(b'"deep"') == 200


def test_nothing_behind_a_document_is_a_raw_object() -> None:
    """But its history and training, which are only shown."""
    data = (Path(__file__).parent.parent / "model/penguins.json").read_bytes()
    parsed = load(data).document
    assert parsed.preprocessing is not None
    assert parsed.reference is not None
    assert parsed.examples is not None
    raw = list(objects(json.loads(data)))
    found = list(dicts(parsed._replace(history={}, training={})))
    assert found  # the codes of the categories, by category
    assert [one for one in found if one in raw] == []


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(part)


def dicts(value: Any) -> Iterator[dict[Any, Any]]:
    if isinstance(value, dict):
        yield value
    else:
        for part in value if isinstance(value, tuple | list) else getattr(value, "__dict__", {}).values():
            yield from dicts(part)


@pytest.mark.parametrize("size", [0, 100, 1_400_000, 1_400_001])
def test_a_digest_is_the_sha256_of_the_bytes_at_any_size(size: int) -> None:
    data = bytes(range(250)) * (size // 250) + b"x" * (size % 250)
    assert digest(data) == hashlib.sha256(data).hexdigest()
