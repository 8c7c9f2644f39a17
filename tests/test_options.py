"""What a request says beside its rows: whatever nobody knows is refused with a sentence, never left out."""

from __future__ import annotations

import base64
import io
import json
import struct
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.door import CSV, LENGTH, NAMED, NAMES, PENGUINS, ROW, get, iris, post, refusal, served, told
from thimble import spelling
from thimble.web import gateway, media, options, routes
from thimble.web.app import Request, Response
from thimble_infra.payload import HttpRequest, event

API = json.loads((Path(routes.__file__).parent / "openapi.json").read_bytes())
TENSOR = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": ROW}
INFER = "/v2/models/iris/infer"
BODIES: dict[str, Any] = {
    "/classify": {"instances": [ROW]},
    "/v1/models/iris:predict": {"instances": [ROW]},
    INFER: {"inputs": [TENSOR]},
    "/invocations": {"instances": [ROW]},
    "/endpoints/iris/invocations": {"instances": [ROW]},
}


def tensor(more: Any = None, **asked: Any) -> Any:
    return {"inputs": [TENSOR | (more or {})], **asked}


def output(**asked: Any) -> Any:
    return tensor(outputs=[asked])


OPERATIONS = [(path, method.upper()) for path, item in API["paths"].items() for method in item]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_no_route_leaves_an_unknown_parameter_out(path: str, method: str) -> None:
    target = path.replace("{model}", "iris").replace("{version}", "0233475")
    answer = iris(Request(method, target, b'{"instances": [[1, 2, 3, 4]]}', query={"modle": "churn"}))
    assert refusal(answer).startswith('there is no parameter "modle" here')


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("modle=churn", 'there is no parameter "modle" here; did you mean "model"?'),
        ("Model=churn", 'there is no parameter "Model" here; did you mean "model"?'),
        ("verison=1", 'there is no parameter "verison" here; did you mean "version"?'),
        ("tpo=2", 'there is no parameter "tpo" here; did you mean "top"?'),
        (
            "debug=1",
            f'there is no parameter "debug" here; this path takes {", ".join(routes.CLASSIFY)}',
        ),
        ("model=", "the parameter model is empty: give it a value, or leave it out"),
        ("model", "the parameter model is empty: give it a value, or leave it out"),
        ("model=%20", "the parameter model is empty: give it a value, or leave it out"),
        ("model=iris&model=iris", "the parameter model is there more than once: send it once"),
        ("model=iris&mod%65l=churn", "the parameter model is there more than once: send it once"),
        ("top=1&top=2&model=iris", "the parameter top is there more than once: send it once"),
    ],
)
def test_a_parameter_is_known_there_once_and_not_empty(query: str, sentence: str) -> None:
    """From the request line, as API Gateway makes an event of it."""
    request = HttpRequest(
        "POST", f"/classify?{query}", "HTTP/1.1", [], b'{"instances": [[1, 2, 3, 4]]}', "", 1
    )
    answer = gateway.handler(iris)(event(request), None)
    assert (answer["statusCode"], json.loads(answer["body"])) == (400, {"error": sentence})


@pytest.mark.parametrize(
    "top", ["2", "02", "0" * 20 + "2", "99999999999999999999", "9" * 5000, "0" * 30 + "9" * 30]
)
def test_more_classes_than_there_are_is_all(top: str) -> None:
    found = told(post(f"/classify?top={top}", {"instances": [ROW]}))
    assert len(found["predictions"][0]["probabilities"]) == (2 if len(top.strip("0")) == 1 else 3)


@pytest.mark.parametrize("top", ["0", "-1", "+1", "1.0", "1e1", "\u0663", "x", "0" * 5000])
def test_no_number_of_classes_is_refused(top: str) -> None:
    sentence = "top is how many classes to answer with: a whole number from 1"
    assert (
        refusal(iris(Request("POST", "/classify", query={"top": top}, body=b'{"instances": [[1, 2, 3, 4]]}')))
        == sentence
    )


def test_a_parameter_of_a_url_that_is_signed_in_advance_is_the_gateway_s() -> None:
    signed = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00&model=iris"
    assert post(f"/classify?{signed}", BODIES["/classify"]).status == 200


@pytest.mark.parametrize("route", routes.ROUTES)
def test_the_description_has_the_parameters_that_a_route_knows(route: routes.Route) -> None:
    told = [
        API["components"]["parameters"][p["$ref"].split("/")[-1]] if "$ref" in p else p
        for p in API["paths"][route.path][route.method.lower()].get("parameters", [])
    ]
    assert {p["name"] for p in told if p["in"] == "query"} == set(route.parameters)
    assert {p["name"].lower() for p in told if p["in"] == "header"} <= set(route.headers)


@pytest.mark.parametrize("path", ["/v1/models/iris:predict", "/v2/models/iris/infer", "/invocations"])
@pytest.mark.parametrize(("one", "other"), [*combinations(options.ROWS, 2)])
def test_rows_come_from_one_source(path: str, one: str, other: str) -> None:
    rows = [TENSOR] if "v2" in path else [ROW]
    assert refusal(post(path, {other: rows, one: rows})) == f"the body has both {one} and {other}; send one"


def test_rows_come_from_one_source_at_our_own_door_too() -> None:
    assert "both instances and instance" in refusal(post("/classify", {"instances": [ROW], "instance": ROW}))
    for other in ("inputs", "features"):
        told = refusal(post("/classify", {"instances": [ROW], other: [ROW]}))
        assert told == f'the body has an unknown key "{other}"; it takes instances, instance'


def test_a_tensor_has_its_data_once() -> None:
    asked = json.dumps(tensor({"parameters": {"binary_data_size": 32}})).encode()
    length = {LENGTH: str(len(asked))}
    answer = post(INFER, asked + np.array(ROW[::-1]).tobytes(), **length)
    assert refusal(answer) == "x has both data and binary_data_size; send one"


UNKNOWN_KEYS: dict[str, list[tuple[Any, str]]] = {
    "/classify": [
        ({"instnaces": [ROW]}, 'the body has an unknown key "instnaces"; did you mean "instances"?'),
        ({"instances": [ROW], "options": {}}, 'the body has an unknown key "options"; it takes'),
        ({"instances": [ROW], "top": 2}, "the body has top, which is a parameter: send it in the URL"),
        ({"instances": [ROW], "model": "x"}, "the body has model, which is a parameter"),
    ],
    "/v1/models/iris:predict": [
        ({"instance": ROW, "option": 1}, 'the body has an unknown key "option"'),
        ({"input": [ROW]}, 'the body has an unknown key "input"; did you mean "inputs"?'),
        ({"instances": [ROW], "parameters": {"top": 2}}, 'there is no "top" among parameters here: leave'),
        ({"instances": [ROW], "parameters": [1]}, "parameters is a list, not an object"),
    ],
    "/invocations": [
        ({"instances": [ROW], "options": {"a": 1}}, 'the body has an unknown key "options"'),
        ({"instances": [ROW], "parameters": {"a": 1}}, 'there is no "a" among parameters here'),
        ({"instances": [ROW], "parms": {}}, 'the body has an unknown key "parms"; did you mean "par'),
        (
            {"dataframe_spilt": {"data": [ROW]}},
            "the body has none of instances, features, dataframe_split, dataframe_records, inputs; did you m",
        ),
        (
            {"dataframe_split": {"colums": NAMES[::-1], "data": [ROW]}},
            'dataframe_split has an unknown key "colums"; did you mean "columns"?',
        ),
        ({"features": 1}, "features is a number, not a list of rows"),
    ],
    "/v2/models/iris/infer": [
        (tensor(output=[{"name": "label"}]), 'the body has an unknown key "output"; did you mean "outputs"?'),
        (tensor({"parameter": 1}), 'inputs[0] has an unknown key "parameter"; did you mean "parameters"?'),
        (
            tensor(parameters={"binary_data_ouput": True}),
            'parameters of the body has an unknown key "binary_data_ouput"; did you mean "binary_data_outp',
        ),
        (
            tensor(parameters={"binary_data_output": "true"}),
            "binary_data_output of the body is a string, not true or false",
        ),
        (
            output(name="label", parameters={"binary-data": True}),
            'parameters of outputs[0] has an unknown key "binary-data"; did you mean "binary_data"?',
        ),
        (
            output(name="lable"),
            'outputs[0] is none of the model\'s: label, probabilities; did you mean "label"?',
        ),
        (
            output(name="label", parameters={"shared_memory_region": "r"}),
            "outputs[0] names shared memory, which nobody shares with this server; send the data",
        ),
        (tensor({"parameters": {"shared_memory_region": "r"}}), "inputs[0] names shared memory"),
        (tensor(parameters={"content_type": "base64"}), "the content_type of the body is none of np, pd"),
        (
            tensor({"parameters": {"content_type": "datetime"}}),
            "the content_type of inputs[0] is none of np, pd, str, base64",
        ),
        (tensor({"parameters": {"content_type": "base64"}}), "x is of FP64; base64 is for BYTES"),
    ],
    "/v2/repository/index": [
        ({"raedy": True}, 'the body has an unknown key "raedy"; did you mean "ready"?'),
    ],
}
REFUSED_KEYS = [(path, *case) for path, cases in UNKNOWN_KEYS.items() for case in cases]


@pytest.mark.parametrize(("path", "body", "sentence"), REFUSED_KEYS)
def test_a_key_that_nobody_knows_is_named(path: str, body: Any, sentence: str) -> None:
    assert refusal(post(path, body)).startswith(sentence)


@pytest.mark.parametrize(
    ("path", "more"),
    [
        (INFER, {"model_name": "iris", "model_version": "1", "id": "7"}),  # KServe
        (INFER, {"unknown": [1], "parameters": {"any": 1, "headers": None}}),
        (INFER, {"parameters": {"content_type": "pd", "headers": {}}}),  # MLServer
        (INFER, {"parameters": {"sequence_id": 3, "priority": 1, "timeout": 5}}),  # tritonclient
        ("/v1/models/iris:predict", {"signature_name": "serving_default", "parameters": {}}),
        ("/v1/models/iris:predict", {"parameters": None}),  # Vertex AI
        ("/invocations", {"params": {"any": 1}}),  # MLflow
    ],
)
def test_what_a_protocol_s_own_clients_add_is_let_be(path: str, more: Any) -> None:
    expected = told(post(path, BODIES[path]))
    assert told(post(path, BODIES[path] | more)) == expected | {k: more[k] for k in ("id",) if k in more}


SAGEMAKER = "x-amzn-sagemaker-"


@pytest.mark.parametrize(
    ("path", "header", "value", "sentence"),
    [
        ("/invocations", f"{SAGEMAKER}target-modle", "iris", f'here; did you mean "{SAGEMAKER}target'),
        ("/invocations", f"{SAGEMAKER}target-model", "", f"the header {SAGEMAKER}target-model is empty"),
        ("/invocations", f"{SAGEMAKER}target-container-hostname", "b", "there is no header"),
        ("/endpoints/iris/invocations", f"{SAGEMAKER}inference-component", "churn", "there is no header"),
        ("/endpoints/iris/invocations", f"{SAGEMAKER}enable-explanations", "`true`", "there is no header"),
        ("/classify", f"{SAGEMAKER}target-model", "churn", "there is no header"),
        ("/v1/models/iris:predict", LENGTH, "9", "there is no header"),
        (INFER, "inference-header-content-lenght", "9", "there is no header"),
    ],
)
def test_a_header_that_asks_for_something_is_known(path: str, header: str, value: str, sentence: str) -> None:
    assert sentence in refusal(post(path, BODIES[path], **{header: value}))


def test_headers_that_ask_for_nothing_are_let_be() -> None:
    sent = {f"{SAGEMAKER}custom-attributes": "trace=1", f"{SAGEMAKER}inference-id": "7", "x-any": ""}
    assert post("/invocations", BODIES["/invocations"], **sent).status == 200


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("text/csv; haeder=present", 'there is no parameter "haeder" here; did you mean "header"?'),
        ("text/csv; foo=bar", 'there is no parameter "foo" here; the type text/csv takes charset, header'),
        ("text/csv; header=", "the parameter header is empty"),
        ("text/csv; header=present; header=absent", "the type text/csv has a parameter more than once"),
        ("text/csv; header=maybe", "the header of text/csv is neither present nor absent"),
        ("application/json; charst=utf-16", 'there is no parameter "charst" here; did you mean "charset"?'),
        ("application/jsonlines; header=present", 'there is no parameter "header" here'),
    ],
)
def test_a_parameter_of_a_media_type_is_known(kind: str, sentence: str) -> None:
    assert refusal(post("/classify", CSV, content_type=kind)).startswith(sentence)


@pytest.mark.parametrize("kind", ["text/csv;", "TEXT/CSV; Charset=UTF-8 ;", 'text/csv; header="absent"'])
def test_a_media_type_may_be_spelled_in_many_ways(kind: str) -> None:
    assert post("/classify", CSV, content_type=kind).status == 200


def test_what_an_answer_is_to_look_like_is_known_too() -> None:
    def accepting(accept: str) -> Response:
        return post("/classify", CSV, content_type="text/csv", accept=accept)

    assert "did you mean" in refusal(accepting("text/csv; haeder=absent"))
    assert "neither present nor absent" in refusal(accepting("text/csv; header=maybe"), 406)
    assert accepting("text/html, text/csv;version=1;q=0.9").status == 200


def boolean(data: bytes) -> Response:
    sent = {"name": "x", "shape": [1, 4], "datatype": "BOOL", "parameters": {"binary_data_size": 4}}
    asked = json.dumps({"inputs": [sent]}).encode()
    return post(INFER, asked + data, **{LENGTH: str(len(asked))})


@given(st.binary(min_size=4, max_size=4))
def test_a_binary_boolean_is_0_or_1(data: bytes) -> None:
    answer = boolean(data)
    if set(data) <= {0, 1}:
        assert answer.status == 200
    else:
        at = next(i for i, byte in enumerate(data) if byte > 1)
        assert refusal(answer, 422) == f"x has a byte that is neither 0 nor 1 at {at}"


def test_a_boolean_of_npy_is_0_or_1_too() -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([[0, 1, 1, 0]], np.bool_))
    sound = stream.getvalue()
    assert post("/invocations", sound, content_type=media.NPY).status == 200
    for byte in (b"\x02", b"\xff"):
        answer = post("/invocations", sound[:-1] + byte, content_type=media.NPY)
        assert refusal(answer, 422) == "the array has a byte that is neither 0 nor 1 at 3"


penguins = served(PENGUINS)
PENGUIN = {"island": "Biscoe", "bill_length_mm": 39.1, "bill_depth_mm": 18.7, "flipper_length_mm": 181.0}
PENGUIN |= {"body_mass_g": 3750.0, "sex": "male"}


def in_base64(binary: bool, packed: bool, **changes: Any) -> Response:
    """A penguin whose texts come as MLServer's clients send bytes, in JSON or after it."""
    inputs, after = [], b""
    for name, value in (PENGUIN | changes).items():
        if not isinstance(value, str):
            inputs.append({"name": name, "shape": [1, 1], "datatype": "FP64", "data": [value]})
            continue
        text = base64.b64encode(value.encode()).decode() if packed else value
        about: dict[str, Any] = {"content_type": "base64" if packed else "str"}
        sent: dict[str, Any] = {"name": name, "shape": [1, 1], "datatype": "BYTES", "parameters": about}
        if binary:
            part = struct.pack("<I", len(text)) + text.encode()
            about["binary_data_size"] = len(part)
            after += part
        else:
            sent["data"] = [text]
        inputs.append(sent)
    asked = json.dumps({"inputs": inputs}).encode()
    length = {LENGTH: str(len(asked))} if binary else {}
    return post("/v2/models/penguins/infer", asked + after, penguins, **length)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("island", ["Biscoe", "Dream"])
def test_texts_in_base64_are_the_texts(binary: bool, island: str) -> None:
    plain = in_base64(binary, packed=False, island=island)
    assert plain.status == 200
    assert in_base64(binary, packed=True, island=island).body == plain.body


@pytest.mark.parametrize("text", ["Biscoe!", "Bisco", "Größe", "//79"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    tensor = {"name": "island", "shape": [1], "datatype": "BYTES", "data": [text]}
    sent = {**tensor, "parameters": {"content_type": "base64"}}
    why = "UTF-8 within its base64" if text == "//79" else "base64, as its content_type says"
    answer = post("/v2/models/penguins/infer", {"inputs": [sent]}, penguins)
    assert refusal(answer, 422) == f"island: string 0 is not {why}"


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("modle", ("model", "top"), "model"),
        ("Sepal_Length", ("sepal width", "sepal length"), "sepal length"),
        ("bill_lenght_mm", tuple(PENGUIN), "bill_length_mm"),
        ("GROSSE", ("größe", "große"), "große"),
        ("otp", ("top",), "top"),
        ("", ("model",), None),
        ("---", ("model",), None),
        ("x", ("y", "z"), None),
        ("x" * 1000, ("x" * 999,), None),
        ("model", ("model",), None),
    ],
)
def test_the_name_that_is_meant_is_close(name: str, known: tuple[str, ...], meant: str | None) -> None:
    assert spelling.closest(name, known) == meant


@given(st.text(max_size=120), st.lists(st.text(max_size=120), max_size=20))
def test_only_a_known_name_is_ever_meant(name: str, known: list[str]) -> None:
    assert spelling.closest(name, tuple(known)) in {None, *known} - {name}


def test_triton_s_index_is_asked_with_a_body_or_without() -> None:
    for body in (b"", b"{}", b'{"ready": true}'):
        assert told(post("/v2/repository/index", body))[0]["name"] == "iris"


def test_a_model_s_name_that_is_close_to_a_known_one_is_asked_about() -> None:
    where = "GET /v2/models lists those that are published"
    assert refusal(get("/model?model=irsi"), 404) == (
        f"there is no model 'irsi'; did you mean \"iris\"? {where}"
    )
    assert refusal(get("/v2/models/penguins"), 404) == f"there is no model 'penguins'; {where}"


MISSPELLED = [
    ("sepal_length", "sepal length (cm)"),
    ("Sepal Length (cm)", "sepal length (cm)"),
    ("sepal lenght (cm)", "sepal length (cm)"),
]


@pytest.mark.parametrize(("name", "meant"), MISSPELLED)
def test_a_feature_that_is_misspelled_is_asked_about_at_every_door(name: str, meant: str) -> None:
    row = dict(zip([name, *NAMES[1:]], ROW, strict=True))
    asked = f'{name} is no feature of the model; did you mean "{meant}"?'
    tensors = [{"name": k, "shape": [1], "datatype": "FP64", "data": [v]} for k, v in row.items()]
    answers = {
        "instances[0].": post("/classify", {"instances": [row]}),
        "line 1: row.": post("/classify", row, content_type=media.LINES),
        "inputs[0].": post("/v1/models/iris:predict", {"inputs": {k: [v] for k, v in row.items()}}),
        "dataframe_split.data[0].": post(
            "/invocations", {"dataframe_split": {"columns": list(row), "data": [ROW]}}
        ),
        "": post(INFER, {"inputs": tensors}),
    }
    for place, answer in answers.items():
        assert refusal(answer, 422) == place + asked


def test_of_a_header_the_column_is_told_by_its_number_as_it_may_be_data() -> None:
    header = ["petal_width", *NAMES[:3]]
    answer = post("/classify", f"{','.join(header)}\n0.2,5.1,3.5,1.4\n", content_type="text/csv")
    asked = '(did you mean "petal width (cm)" by column 1?)'
    assert refusal(answer, 422) == f'the header lacks "petal width (cm)" {asked}'


def test_a_name_that_is_there_is_not_asked_about() -> None:
    for row, fault in (
        (NAMED | {"sepal_length": 5.1}, "sepal_length is no feature of the model"),
        ({"other": 1.0}, "sepal length (cm) is missing"),
    ):
        assert refusal(post("/classify", {"instances": [row]}), 422) == f"instances[0].{fault}"


def test_a_long_name_leaves_the_sentence_around_it_whole() -> None:
    answer = post("/classify", {"x" * 100_000: 1})
    assert refusal(answer) == f'the body has an unknown key "{"x" * 60}..."; it takes instances, instance'
    answer = post(f"/classify?{'y' * 9000}=1", BODIES["/classify"])
    takes = f"this path takes {', '.join(routes.CLASSIFY)}"
    assert refusal(answer) == f'there is no parameter "{"y" * 60}..." here; {takes}'
