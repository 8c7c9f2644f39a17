"""V1: instances and predictions, inputs and outputs, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.door import NAMES, ROW, get, post, refusal, told
from thimble.web.app import Response


def predict(body: Any, path: str = "/v1/models/iris:predict", **headers: str) -> Response:
    return post(path, body, **headers)


def test_instances_get_predictions() -> None:
    answer = told(predict({"signature_name": "serving_default", "instances": [ROW, ROW]}))
    assert [row["label"] for row in answer["predictions"]] == ["setosa", "setosa"]
    assert answer["model"]["name"] == "iris"


def test_inputs_get_outputs_in_columns() -> None:
    columns = {name: [value, value] for name, value in zip(NAMES, ROW, strict=True)}
    answers = [told(predict({"inputs": inputs}))["outputs"] for inputs in (columns, [ROW, ROW])]
    assert answers[0] == answers[1]
    assert list(answers[0]) == ["label", "probabilities", "classes"]
    assert answers[0]["label"] == ["setosa", "setosa"]


def test_a_version_is_part_of_the_path() -> None:
    digest = told(predict({"instances": [ROW]}))["model"]["digest"]
    assert predict({"instances": [ROW]}, f"/v1/models/iris/versions/{digest[:8]}:predict").status == 200
    assert predict({"instances": [ROW]}, "/v1/models/iris/versions/00000000:predict").status == 404
    status = told(get(f"/v1/models/iris/versions/{digest}"))
    assert status["model_version_status"][0]["version"] == digest
    assert status["ready"] is True


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({}, 400, "the body has no instances"),
        ([ROW], 400, "the body is a list"),
        ({"instances": [ROW], "inputs": [ROW]}, 400, "the body has both instances and inputs"),
        ({"instances": []}, 422, "there are no rows"),
        ({"instances": [ROW, ROW[:3]]}, 422, "instances[1] has 3 values"),
        ({"inputs": 1}, 400, "inputs is a number, not a list"),
        ({"inputs": {}}, 422, "the columns of inputs have different numbers of rows: []"),
        ({"inputs": {"a": 1}}, 400, "inputs.a is a number, not a list"),
        ({"inputs": {"a": [1], "b": [1, 2]}}, 422, "the columns of inputs have different numbers of rows"),
        ({"inputs": {"a": [1]}}, 422, "inputs[0].sepal length (cm) is missing"),
        ({"inputs": {name: ["x"] for name in NAMES}}, 422, "inputs[0].sepal length (cm) is a string"),
    ],
)
def test_what_does_not_fit_is_refused(body: Any, status: int, sentence: str) -> None:
    assert refusal(predict(body), status).startswith(sentence)


def test_another_type_is_refused() -> None:
    assert predict({}, **{"content-type": "text/csv"}).status == 415
    assert predict({"instances": [ROW]}, accept="text/csv").status == 406


def test_the_root_is_alive_and_models_are_listed() -> None:
    assert told(get("/"))["status"] == "alive"
    assert told(get("/v1/models")) == {"models": ["iris"]}
