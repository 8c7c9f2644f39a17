"""SageMaker's and MLflow's /invocations: every envelope and type, Accept, errors in their clients' words."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from tests.door import CSV, NAMED, NAMES, ROW, get, post, told
from thimble.web.app import Response


def invoke(body: Any, path: str = "/invocations", **headers: str) -> Response:
    return post(path, body, **headers)


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(array))
    return stream.getvalue()


EXPECTED = told(invoke({"instances": [ROW]}))


@pytest.mark.parametrize(
    "body",
    [
        ROW,
        [ROW],
        [NAMED],
        {"features": ROW},
        {"features": [ROW]},
        {"instance": ROW},
        {"instances": [NAMED]},
        {"instances": [{"features": ROW}]},
        {"dataframe_split": {"columns": NAMES, "index": [7], "data": [ROW]}},
        {"dataframe_split": {"columns": NAMES[::-1], "data": [ROW[::-1]]}},
        {"dataframe_split": {"columns": [0, 1, 2, 3], "data": [ROW]}},
        {"dataframe_split": {"data": [ROW]}},
        {"dataframe_records": [NAMED], "params": {"any": 1}},
        {"inputs": [ROW]},
        {"inputs": {name: [value] for name, value in NAMED.items()}},
    ],
)
def test_every_envelope_gets_the_same_answer(body: Any) -> None:
    assert told(invoke(body)) == EXPECTED


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (CSV, "text/csv"),
        (CSV.encode(), "text/csv; charset=utf-8"),
        (",".join(NAMES) + "\n" + CSV, "text/csv; header=present"),
        ("[5.1, 3.5, 1.4, 0.2]\n", "application/jsonlines"),
        ('{"features": [5.1, 3.5, 1.4, 0.2]}', "application/x-ndjson"),
        (npy([ROW]), "application/x-npy"),
        (npy(ROW), "application/x-npy"),
        (npy(np.array([ROW], ">f8")), "application/x-npy"),
        (npy(np.asfortranarray([ROW])), "application/x-npy"),
        (npy(np.array([tuple(ROW[::-1])], [(name, "f8") for name in NAMES[::-1]])), "application/x-npy"),
    ],
)
def test_every_type_gets_the_same_answer(body: Any, kind: str) -> None:
    assert told(invoke(body, content_type=kind, accept="application/json")) == EXPECTED


def test_the_answer_is_of_the_body_s_type_or_of_the_one_that_is_accepted() -> None:
    kinds = {"text/csv": CSV, "application/jsonlines": json.dumps(ROW), "application/x-npy": npy([ROW])}
    for sent, body in kinds.items():
        assert invoke(body, content_type=sent).content_type == sent
        assert invoke(body, content_type=sent, accept="*/*").content_type == sent
        for wanted in (*kinds, "application/json"):
            assert invoke(body, content_type=sent, accept=wanted).content_type == wanted


def test_a_csv_answer_has_a_header_only_on_request() -> None:
    rows = invoke(CSV, content_type="text/csv").body.decode().splitlines()
    assert rows[0].startswith("setosa,")
    assert len(rows) == 1
    headed = invoke(CSV, content_type="text/csv", accept="text/csv; header=present").body.decode()
    assert headed.splitlines()[0] == "label,probability,p_setosa,p_versicolor,p_virginica"


def test_the_headers_of_multi_model_endpoints_name_model_and_version() -> None:
    digest = EXPECTED["model"]["digest"]
    target = {"x_amzn_sagemaker_target_model": "iris", "x_amzn_sagemaker_target_variant": digest[:12]}
    answer = invoke([ROW], "/endpoints/many/invocations", **target)
    assert answer.headers["x-amzn-invoked-production-variant"] == digest
    assert invoke([ROW], "/endpoints/many/invocations").status == 404


SPLIT = "dataframe_split"
REFUSED: dict[str, list[tuple[Any, int, str]]] = {
    "": [
        ({}, 400, "the body has none of instances, features, dataframe_split"),
        ("1", 400, "the body is a number"),
        ([], 422, "there are no rows"),
        ({SPLIT: [ROW]}, 400, "dataframe_split is no object with columns and data"),
        ({SPLIT: {"columns": 5, "data": [ROW]}}, 400, "dataframe_split.columns is not a list"),
        ({SPLIT: {"columns": [False], "data": [ROW]}}, 400, "dataframe_split.columns is not"),
        ({SPLIT: {"columns": ["a", "a"], "data": [ROW]}}, 400, "dataframe_split.columns has a"),
        ({SPLIT: {"columns": NAMES, "data": [[1]]}}, 400, "dataframe_split.data[0] is not a list"),
        ({"dataframe_records": NAMED}, 400, "dataframe_records is an object"),
        ({"dataframe_records": [{"a": 1}]}, 422, "dataframe_records[0].sepal length (cm) is missing"),
        ({"inputs": 1}, 400, "inputs is a number"),
    ],
    "text/csv": [
        ("3,2,1\n", 422, "there is no header, and the 4 features cannot be told"),
        ("5,2,3,4\n1,2\n", 422, "line 2: the record has 2 cells, where 4 cells belong"),
        ("1,2,3,secret\n", 422, "line 1: petal width (cm) is not a number"),
        ("1,2,3,\n", 422, "line 1: petal width (cm) is empty"),
        ("1,2,3,1e999\n", 422, "line 1: petal width (cm) is too large, not a finite number"),
        ('1,2,3,"4\n', 400, 'line 1: the record opens a " that is never closed'),
        ("", 422, "there are no rows"),
        (",".join(NAMES), 422, "there are no rows"),
        (b"\xff,1,2,3", 400, "line 1: sepal length (cm) is not UTF-8"),
    ],
    "text/csv; charset=ebcdic": [(b"1", 415, "the charset ebcdic is not read here")],
    "application/jsonlines": [
        ("[1,2,3,4]\n\n{", 400, "line 3 is not JSON"),
        ('[1,2,3,4]\n{"a": 1, "a": 2}', 400, "line 2: a occurs twice"),
        ("[1,2,3,4]\n[1]", 422, "line 2: row has 1 value; the model takes 4"),
    ],
    "application/x-npy": [
        (npy(np.array([ROW], object)), 400, "the array is of Python objects"),
        (npy(np.array([ROW]) + 1j), 400, "the array is of complex128"),
        (npy(np.array([[1, 2, 3, np.finfo(np.longdouble).max]])), 422, "array[0][3] is too large"),
        (npy([["a"] * 4]), 422, "array[0][0] is a string, not a number"),
        (npy([[ROW]]), 400, "the array has 3 dimensions"),
        (npy([[1.0, 2.0, 3.0, np.nan]]), 422, "array[0][3] is NaN, not a finite number"),
        (npy([ROW])[:-1], 400, "the array's data has 31 bytes"),
        (npy([ROW])[:40], 400, "the body is not numpy's .npy format"),
        (b"PK\x03\x04", 400, "the body is not numpy's .npy format"),
        (npy(np.empty((0, 4))), 400, "the array is empty"),
    ],
    "image/png": [(b"1", 415, "the body is said to be image/png; send application/json, text/csv")],
}
CASES = [(kind, *case) for kind, cases in REFUSED.items() for case in cases]


@pytest.mark.parametrize(("kind", "body", "status", "sentence"), CASES)
def test_what_does_not_fit_is_refused_in_its_clients_words(
    kind: str, body: Any, status: int, sentence: str
) -> None:
    answer = invoke(body, content_type=kind)
    found = told(answer)
    assert answer.status == status, found
    assert found["error"] == found["message"]
    assert found["error"].startswith(sentence)
    assert found["error_code"] == "BAD_REQUEST"
    assert answer.headers["x-amzn-errortype"] == "ValidationError"


def test_a_header_that_promises_memory_is_not_believed() -> None:
    honest = npy(np.zeros((10, 4)))
    endings = (b"(9999999999, 4), }", b"(10**9, 4), }", b"(-1, 4), }", b"(0, 4), }", b"(1, ", b"(True, 4), }")
    for shape in endings:
        body = honest.replace(b"(10, 4), }".ljust(len(shape)), shape)
        assert body != honest
        assert 400 <= invoke(body, content_type="application/x-npy").status < 500


@pytest.mark.parametrize("path", ["/ping", "/version"])
def test_ping_and_version_answer(path: str) -> None:
    assert get(path).status == 200
