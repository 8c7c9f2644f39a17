"""The Open Inference Protocol: tensors of every datatype, flat, nested or as bytes; outputs; refusals."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.door import LENGTH, PENGUINS, ROW, get, iris, post, refusal, served, told
from thimble.web.app import App, Response
from thimble.web.open_inference import wire

NUMBERS = [name for name in wire.DTYPES if name not in ("BYTES", "BF16")]
penguins = served(PENGUINS)


def infer(body: Any, data: bytes = b"", app: App = iris, /, **headers: str) -> Response:
    asked = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {LENGTH: str(len(asked))} if data else {}
    return post("/v2/models/default/infer", asked + data, app, **(sent | headers))


def tensor(data: Any = None, datatype: str = "FP64", **more: Any) -> dict[str, Any]:
    found = {"name": "x", "shape": [1, 4], "datatype": datatype, "data": ROW if data is None else data} | more
    return {"inputs": [{key: value for key, value in found.items() if value is not None}]}


def test_an_answer_has_labels_probabilities_the_model_and_the_id() -> None:
    answer = told(infer(tensor() | {"id": "42", "parameters": {"any": 1}, "unknown": [1]}))
    assert (answer["model_name"], answer["id"], len(answer["model_version"])) == ("default", "42", 64)
    label, probabilities = answer["outputs"]
    assert label == {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["setosa"]}
    assert (probabilities["datatype"], probabilities["shape"]) == ("FP64", [1, 3])


def test_only_the_outputs_that_are_named_come_in_their_order() -> None:
    for names in (["probabilities"], ["probabilities", "label"]):
        wanted = [{"name": name} for name in names]
        assert [output["name"] for output in told(infer(tensor() | {"outputs": wanted}))["outputs"]] == names


@pytest.mark.parametrize("datatype", NUMBERS)
def test_every_datatype_is_the_same_as_json_and_as_bytes(datatype: str) -> None:
    values = np.array([1, 0, 1, 1], wire.DTYPES[datatype])
    flat = infer(tensor(values.tolist(), datatype))
    nested = infer(tensor([values.tolist()], datatype))
    binary = infer(_binary(datatype, values.nbytes), values.tobytes())
    assert flat.status == 200, flat.body
    assert flat.body == nested.body == binary.body


def _binary(datatype: str, size: int, shape: tuple[int, ...] = (1, 4)) -> dict[str, Any]:
    parameters = {"binary_data_size": size}
    return {"inputs": [{"name": "x", "shape": shape, "datatype": datatype, "parameters": parameters}]}


def test_bf16_is_the_upper_half_of_an_fp32() -> None:
    data = b"".join(struct.pack("<f", value)[2:] for value in (1.0, 2.0, 0.5, -3.0))
    exact = infer(tensor([1.0, 2.0, 0.5, -3.0]))
    assert infer(_binary("BF16", 8), data).body == exact.body


def test_fp32_data_is_rounded_as_it_says() -> None:
    rounded = [float(np.float32(value)) for value in ROW]
    assert infer(tensor(datatype="FP32")).body == infer(tensor(rounded)).body != infer(tensor()).body


@pytest.mark.parametrize("accept", ["parameters", "outputs"])
def test_outputs_come_as_bytes_on_request(accept: str) -> None:
    wanted = [{"name": name, "parameters": {"binary_data": True}} for name in ("label", "probabilities")]
    asked = {"outputs": wanted} if accept == "outputs" else {"parameters": {"binary_data_output": True}}
    answer = infer(tensor() | asked)
    assert answer.content_type == "application/octet-stream"
    data = answer.body[int(answer.headers[LENGTH]) :]
    assert [output["parameters"]["binary_data_size"] for output in told(answer)["outputs"]] == [10, 24]
    assert data[:10] == b"\x06\0\0\0setosa"
    expected = told(infer(tensor()))["outputs"][1]["data"]
    assert np.frombuffer(data[10:]).tolist() == expected


def test_one_output_may_be_bytes_and_the_other_not() -> None:
    wanted = [{"name": "label"}, {"name": "probabilities", "parameters": {"binary_data": True}}]
    answer = infer(tensor() | {"outputs": wanted})
    label, probabilities = told(answer)["outputs"]
    assert label["data"] == ["setosa"]
    assert "data" not in probabilities
    assert len(answer.body) == int(answer.headers[LENGTH]) + 24


@pytest.mark.parametrize("k", [1, 2, 2.0, 99, 10**20, 10**300])
def test_classification_ranks_the_classes(k: float) -> None:
    wanted = [{"name": "probabilities", "parameters": {"classification": k}}]
    (ranked,) = told(infer(tensor() | {"outputs": wanted}))["outputs"]
    assert (ranked["datatype"], ranked["shape"]) == ("BYTES", [1, min(k, 3)])
    p = told(infer(tensor()))["outputs"][1]["data"]
    assert ranked["data"][0] == f"{p[0]!r}:0:setosa"


def test_the_metadata_says_what_infer_takes_and_gives() -> None:
    described = told(get("/v2/models/penguins", penguins))
    inputs = {tensor["name"]: tensor["datatype"] for tensor in described["inputs"]}
    assert inputs["island"] == "BYTES"
    assert inputs["body_mass_g"] == "FP64"
    assert described["outputs"][1]["parameters"]["labels"] == ["Adelie", "Chinstrap", "Gentoo"]


def penguin(**changes: Any) -> dict[str, Any]:
    values = {"island": "Biscoe", "bill_length_mm": 39.1, "bill_depth_mm": 18.7, "flipper_length_mm": 181.0}
    values |= {"body_mass_g": 3750.0, "sex": "male"} | changes
    types = {"island": "BYTES", "sex": "BYTES"}
    inputs = [
        {"name": k, "shape": [1], "datatype": types.get(k, "FP64"), "data": [v]} for k, v in values.items()
    ]
    return {"inputs": inputs}


def test_texts_are_columns_and_what_is_missing_is_null_nan_or_empty() -> None:
    whole = infer(penguin(), b"", penguins)
    assert whole.status == 200
    missing = [infer(penguin(sex=sex, body_mass_g=None), b"", penguins).body for sex in ("", None)]
    assert missing[0] == missing[1] == infer(penguin(sex=None, body_mass_g=float("nan")), b"", penguins).body
    assert missing[0] != whole.body


REFUSED: list[tuple[Any, int, str]] = [
    ({}, 400, "the body has no inputs"),
    ({"inputs": []}, 400, "inputs is empty"),
    ({"inputs": {}}, 400, "inputs is not a list of objects"),
    ({"inputs": [1]}, 400, "inputs is not a list of objects"),
    (tensor() | {"id": 7}, 400, "id is a number, not a string"),
    (tensor() | {"id": "\ud800"}, 400, "id has half of a surrogate pair"),
    (tensor(name="\ud800", datatype="?"), 400, "\\ud800's datatype is none of BOOL"),
    (tensor() | {"parameters": []} | {"parameters": [1]}, 400, "the parameters of the body are a list"),
    (tensor() | {"outputs": [{"name": "x"}]}, 400, "outputs[0] is none of the model's: label, probabilities"),
    (tensor(name=None), 400, "inputs[0].name is not there"),
    (tensor(datatype="FLOAT"), 400, "x's datatype is none of BOOL"),
    (tensor(shape=[1, -4]), 400, "x's shape is not a list of sizes"),
    (tensor(shape=[1, True]), 400, "x's shape is not a list of sizes"),
    (tensor(shape=[10**30, 4]), 400, "x's shape is not a list of sizes"),
    (tensor(shape=[1, 4, 1]), 400, "x has 3 dimensions"),
    (tensor(shape=[2, 4]), 400, "x.data has 4 values; its shape [2, 4] has 8"),
    (tensor([[5.1, 3.5], [1.4, 0.2]]), 400, "x.data is not nested as its shape"),
    (tensor({}), 400, "x.data is an object, not a list"),
    (tensor(ROW[:3], shape=[1, 3]), 422, "x has 3 columns; the model takes 4"),
    (tensor([], shape=[0, 4]), 422, "there are no rows"),
    (tensor([1, 2, 3, None]), 422, "x[0][3] is NaN, not a finite number"),
    (tensor([1, 2, 3, float("inf")]), 422, "x.data[3] is not in the range of FP64"),
    (tensor([1, 2, 3, "4"]), 422, "x.data[3] is a string, not a number"),
    (tensor([1, 2, 3, True]), 422, "x.data[3] is a boolean, not a number"),
    (tensor(["a"] * 4, "BYTES"), 422, "x[0][0] is a string, not a number"),
    (tensor([1, 2, 3, 256], "UINT8"), 422, "x.data[3] is not in the range of UINT8"),
    (tensor([1, 2, 3, -1], "UINT64"), 422, "x.data[3] is not in the range of UINT64"),
    (tensor([1, 2, 3, 10**30], "INT64"), 422, "x.data[3] is not in the range of INT64"),
    (tensor([1, 2, 3, 4.5], "INT16"), 422, "x.data[3] is not an integer of INT16"),
    (tensor([1, 2, 3, 70000], "FP16"), 422, "x.data[3] is not in the range of FP16"),
    (tensor([1, 2, 3, 10**400], "FP32"), 422, "x.data[3] is not in the range of FP32"),
    (tensor([1, 0, 1, 2], "BOOL"), 422, "x.data[3] is not true or false"),
    (tensor(datatype="BF16"), 400, "x: BF16 has no form in JSON"),
    ({"inputs": tensor()["inputs"] * 2}, 400, "x has the shape [1, 4]; several inputs are a column each"),
    ({"inputs": tensor([1], shape=[1])["inputs"] * 2}, 400, "the input x is there twice"),
    (penguin(), 422, "sepal length (cm) is missing"),
    (_binary("FP64", 32), 400, "x's binary_data_size is no size within the 0 bytes left"),
    (b"{", 400, "the body is not JSON"),
    (b"", 400, "the body is empty"),
]


@pytest.mark.parametrize(("body", "status", "sentence"), REFUSED, ids=[sentence for *_, sentence in REFUSED])
def test_what_does_not_fit_is_refused_with_its_place(body: Any, status: int, sentence: str) -> None:
    answer = infer(body)
    assert answer.status == status, answer.body
    assert list(told(answer)) == ["error"]
    assert told(answer)["error"].startswith(sentence)


@pytest.mark.parametrize(
    ("body", "data", "sentence"),
    [
        (_binary("FP64", 32), bytes(33), "1 bytes of binary data belong to no input"),
        (_binary("FP64", 24), bytes(24), "x has 24 bytes; FP64 of shape [1, 4] has 32"),
        (_binary("BYTES", 3), bytes(3), "x ends in the middle of its string 0"),
        (_binary("BYTES", 6), b"\x09\0\0\0ab", "x ends in the middle of its string 0"),
        (_binary("BYTES", 5), b"\x01\0\0\0\xff", "x: string 0 is not UTF-8"),
        (_binary("BYTES", 4), bytes(4), "x has 1 strings; its shape has 4"),
        (_binary("FP64", 10**20), bytes(8), "x's binary_data_size is no size"),
    ],
)
def test_bytes_that_do_not_add_up_are_refused(body: Any, data: bytes, sentence: str) -> None:
    answer = infer(body, data)
    assert answer.status in (400, 422)
    assert told(answer)["error"].startswith(sentence)


@pytest.mark.parametrize("length", ["-1", "x", "0", "99999", "9" * 5000, "0" * 12 + "9" * 5000, "\u0663"])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    assert "is no length within the body's" in refusal(infer(tensor(), **{LENGTH: length}))


def test_a_type_that_is_not_spoken_is_refused_by_those_that_are() -> None:
    for header, status in (("content-type", 415), ("accept", 406)):
        answer = infer(tensor(), **{header: "text/csv"})
        assert "application/json or application/octet-stream" in refusal(answer, status)


SHAPES = st.one_of(st.tuples(st.integers(0, 5)), st.tuples(st.integers(0, 5), st.integers(0, 5)))
TEXTS = npst.arrays(object, SHAPES, elements=st.text(max_size=20))
ARRAYS = st.sampled_from(NUMBERS).flatmap(
    lambda name: st.tuples(st.just(name), npst.arrays(wire.DTYPES[name], SHAPES))
)


@given(st.one_of(ARRAYS, st.tuples(st.just("BYTES"), TEXTS)))
def test_a_tensor_survives_its_bytes(case: tuple[str, Any]) -> None:
    datatype, values = case
    if datatype == "BYTES":
        values = np.array(
            [str(v).encode("utf-8", "replace").decode() for v in values.ravel()], object
        ).reshape(values.shape)
    heading, data = wire.to_bytes(wire.Tensor.of("x", datatype, values))
    read = wire.from_bytes("x", datatype, heading["shape"], memoryview(data))
    assert heading["parameters"]["binary_data_size"] == len(data)
    assert read.values.shape == values.shape
    assert wire.to_bytes(read) == (heading, data)


@given(ARRAYS)
def test_finite_numbers_survive_json(case: tuple[str, Any]) -> None:
    datatype, values = case
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, posinf=1, neginf=-1)
    sent = json.loads(json.dumps(wire.to_json(wire.Tensor.of("x", datatype, values))))
    read = wire.from_json("x", datatype, sent["shape"], sent["data"])
    np.testing.assert_array_equal(read.values, values)


@given(body=st.binary(max_size=200), length=st.integers(0, 200))
def test_no_bytes_are_an_error_of_ours(body: bytes, length: int) -> None:
    assert 400 <= infer(body, **{LENGTH: str(length)}).status < 500
