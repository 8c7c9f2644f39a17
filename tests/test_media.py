"""Media types: what a Content-Type and an Accept mean; and /classify in each of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thimble.errors import NotAcceptable, UnsupportedMediaType
from thimble.inference.classifier import load
from thimble.registry import lookup
from thimble.settings import from_environment
from thimble.tables import csv
from thimble.web import media, routes
from thimble.web.app import Request, Response

IRIS = (Path(__file__).parents[1] / "model" / "iris.json").read_bytes()
SUPPORTED = (media.JSON, media.CSV, media.LINES)
BODY = b'{"instances": [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]]}'
CSV = b"5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5\n"
app = routes.app(lookup.OneModel("any", lambda uri: IRIS), from_environment({"MODEL_URI": "s3://any/thing"}))


def classify(body: bytes, query: dict[str, str] | None = None, **headers: str) -> Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return app(Request("POST", "/classify", body, sent, query or {}))


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("", media.JSON),
        ("application/json", media.JSON),
        ("Application/JSON ; Charset=UTF-8", media.JSON),
        ("application/vnd.kserve+json", media.JSON),
        ("application/x-www-form-urlencoded", media.JSON),
        ("application/octet-stream", media.JSON),
        ("text/plain;charset=UTF-8", media.JSON),
        ("text/csv; header=absent", media.CSV),
        ("application/x-ndjson", media.LINES),
    ],
)
def test_a_content_type_is_understood_however_it_is_written(header: str, name: str) -> None:
    assert media.sent(header, SUPPORTED).name == name


@pytest.mark.parametrize(
    "header", ["image/png", "application/x-npy", "multipart/form-data; boundary=x", ";;", "*/*"]
)
def test_another_is_refused_by_those_that_are_read(header: str) -> None:
    if header == ";;":
        assert media.sent(header, SUPPORTED).name == media.JSON
        return
    with pytest.raises(
        UnsupportedMediaType, match="send application/json, text/csv or application/jsonlines"
    ):
        media.sent(header, SUPPORTED)


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        ("", media.CSV),
        ("*/*", media.CSV),
        ("application/json", media.JSON),
        ("application/json;q=0.1, text/csv", media.CSV),
        ("text/html, application/json;q=0.9, */*;q=0.1", media.JSON),
        ("text/*", media.CSV),
        ("application/*", media.JSON),
        ("*/*, text/csv;q=0", media.JSON),
        ("text/html, */*;q=0.1", media.CSV),
    ],
)
def test_the_answer_is_of_the_type_that_is_liked_best(accept: str, name: str) -> None:
    assert media.wanted(accept, SUPPORTED, media.PLAIN[media.CSV]).name == name


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "text/csv;q=x", "nonsense"])
def test_an_answer_of_no_such_type_is_a_406(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="accept application/json, text/csv or application/jsonlines"):
        media.wanted(accept, SUPPORTED, media.PLAIN[media.CSV])


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252", "utf-16", '"UTF-8"'])
def test_a_text_is_read_in_its_charset(charset: str) -> None:
    body = BODY.decode().encode(charset.strip('"'))
    assert classify(body, content_type=f"application/json; charset={charset}").status == 200


def test_another_charset_is_refused_by_those_that_are_read() -> None:
    answer = classify(BODY, content_type="application/json; charset=idna")
    assert answer.status == 415
    assert b"send utf-8, us-ascii" in answer.body
    assert classify(b"\xff", content_type="text/csv; charset=us-ascii").status in (400, 415)
    assert classify(b"\xff", content_type="text/csv; charset=utf-16").status == 415


def test_top_leaves_the_likeliest_classes() -> None:
    for k in (1, 2, 3, 99):
        (_, prediction) = json.loads(classify(BODY, {"top": str(k)}).body)["predictions"]
        assert list(prediction["probabilities"]) == ["virginica", "versicolor", "setosa"][:k]
    lines = classify(BODY, {"top": "1"}, accept="application/jsonlines").body.splitlines()
    assert [list(json.loads(line)["probabilities"]) for line in lines] == [["setosa"], ["virginica"]]


@pytest.mark.parametrize("top", ["0", "-1", "1.5", "x", " 1", "\u0663"])
def test_top_is_a_number_from_one(top: str) -> None:
    assert classify(BODY, {"top": top}).status == 400


def test_top_is_not_for_csv() -> None:
    assert classify(CSV, {"top": "1"}, content_type="text/csv").status == 400


def test_a_model_and_a_version_can_be_named() -> None:
    digest = json.loads(app(Request("GET", "/health")).body)["model"]["digest"]
    assert classify(BODY, {"model": "iris", "version": digest[:10]}).status == 200
    assert classify(BODY, {"model": "other"}).status == 404
    assert classify(BODY, {"version": "0" * 10}).status == 404
    assert app(Request("GET", "/model", query={"model": "iris"})).status == 200


@pytest.mark.parametrize(
    "body",
    [
        CSV,
        b"\xef\xbb\xbf" + CSV,
        CSV.replace(b"\n", b"\r\n"),
        CSV.replace(b",", b";"),
        CSV.replace(b",", b"\t").strip(),
        b"\n" + CSV.replace(b"\n", b"\n\n"),
        b" \n" + CSV.replace(b"\n", b"\n \t\r\n"),
        b"'note','petal width (cm)','petal length (cm)','sepal width (cm)','sepal length (cm)'\n"
        + b"'it''s, so',0.2,'1.4',3.5,5.1\nb,2.5,6.0,3.3,'6.3'\n",
        b'"5.1",3.5, 1.4 ,+.2\n6.3,3.3,6.,25e-1',
        b"label,petal width (cm),petal length (cm),sepal width (cm),sepal length (cm)\n"
        b'a,0.2,1.4,3.5,5.1\n"b\nc",2.5,6.0,3.3,6.3\n',
    ],
)
def test_csv_of_every_make_is_read_as_files_are(body: bytes) -> None:
    expected = json.loads(classify(BODY).body)
    assert json.loads(classify(body, content_type="text/csv", accept="application/json").body) == expected


def test_a_record_is_told_by_the_line_that_it_begins_on() -> None:
    body = b'note,5.1,3.5,1.4,0.2\n\n"two\nlines",5.1,3.5,1.4,0.2\n"two\nlines",5.1,x,1.4,0.2\n'
    answer = classify(body, content_type="text/csv")
    assert answer.status == 422
    assert b"line 5: sepal width (cm) is not a number" in answer.body


def test_what_is_said_of_a_header_is_one_of_two_words() -> None:
    assert classify(CSV, content_type="text/csv; header=absent").status == 200
    answer = classify(CSV, content_type="text/csv; header=maybe")
    assert answer.status == 400
    assert b"the header of text/csv is neither present nor absent" in answer.body


MODEL = load(IRIS)
NUMBERS = (
    st.floats(-1e9, 1e9).map(repr) | st.integers().map(str) | st.sampled_from(["+1", ".5", "1e999", "NA", ""])
)
RECORDS = st.lists(NUMBERS, min_size=4, max_size=4).map(",".join)


@given(text=st.text('01.,-e \n\r[]"x', max_size=30) | st.lists(RECORDS, max_size=3).map("\n".join))
def test_a_csv_of_numbers_alone_is_read_as_any_other(text: str) -> None:
    at_once, by_cells = csv.Body(text.encode()), csv.Body(text.encode())
    if at_once._bare_numbers(MODEL.schema) is not None:
        X = at_once.batch(MODEL.schema, 10).numbers
        np.testing.assert_array_equal(X, by_cells.records(MODEL.schema, 10).numbers)
        places = range(X.shape[1])
        assert list(map(at_once.place, places)) == list(map(by_cells.place, places))


def test_a_csv_answer_has_a_header_unless_it_is_unwanted() -> None:
    headed: Any = classify(BODY, accept="text/csv").body.decode().splitlines()
    assert headed[0] == "label,probability,p_setosa,p_versicolor,p_virginica"
    assert classify(BODY, accept="text/csv; header=absent").body.decode().splitlines() == headed[1:]
