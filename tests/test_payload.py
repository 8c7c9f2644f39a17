"""What the API function is handed locally is what API Gateway would hand it."""

import base64
from typing import Any

import pytest

from thimble_infra.payload import HttpRequest, event, response


def request(
    target: str = "/classify", body: bytes = b"", *headers: tuple[str, str], method: str = "POST"
) -> Any:
    return event(HttpRequest(method, target, "HTTP/1.1", headers, body, "127.0.0.1", 8000))


def test_the_request_is_told_as_payload_format_2_tells_it() -> None:
    told = request("/a%20b?x=1&x=2&y=%C3%A9", b"", ("Host", "h:8000"), ("User-Agent", "u"), method="GET")
    assert (told["version"], told["routeKey"], told["rawPath"]) == ("2.0", "$default", "/a b")
    assert told["rawQueryString"] == "x=1&x=2&y=%C3%A9"
    assert told["queryStringParameters"] == {"x": "1,2", "y": "é"}
    http = told["requestContext"]["http"]
    assert http == {
        "method": "GET",
        "path": "/a b",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "u",
    }
    assert told["requestContext"]["requestId"]
    assert told["requestContext"]["time"].endswith(" +0000")


def test_headers_are_lower_case_joined_by_commas_and_without_the_connection_s_own() -> None:
    told = request(
        "/",
        b"",
        ("X-Tag", "a"),
        ("x-tag", "b"),
        ("Connection", "keep-alive"),
        ("Transfer-Encoding", "chunked"),
        ("X-Forwarded-For", "10.0.0.1"),
    )
    headers = told["headers"]
    assert headers["x-tag"] == "a,b"
    assert headers["x-forwarded-for"] == "10.0.0.1, 127.0.0.1"
    assert not {"connection", "transfer-encoding"} & headers.keys()


def test_cookies_stand_apart_from_the_headers() -> None:
    told = request("/", b"", ("Cookie", "a=1; b=2"), ("cookie", "c=3"))
    assert told["cookies"] == ["a=1", "b=2", "c=3"]
    assert "cookie" not in told["headers"]


def test_what_a_request_does_not_have_is_absent() -> None:
    told = request("/", b"")
    assert not {"cookies", "queryStringParameters", "body"} & told.keys()
    assert told["isBase64Encoded"] is False


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        "text/csv",
        "application/xml",
        "application/javascript",
    ],
)
def test_a_text_body_arrives_as_text(content_type: str) -> None:
    told = request("/", '{"é": 1}'.encode(), ("Content-Type", content_type))
    assert (told["body"], told["isBase64Encoded"]) == ('{"é": 1}', False)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("content-type", "application/octet-stream")],
        [("content-type", "application/x-www-form-urlencoded")],
        [("content-type", "application/vnd.apache.parquet")],
    ],
)
def test_any_other_body_arrives_as_base64(headers: list[tuple[str, str]]) -> None:
    told = request("/", b"\x00\xff{}", *headers)
    assert told["isBase64Encoded"] is True
    assert base64.b64decode(told["body"]) == b"\x00\xff{}"


def test_bytes_that_only_claim_to_be_text_are_not_lost() -> None:
    told = request("/", b"\xff", ("content-type", "application/json"))
    assert base64.b64decode(told["body"]) == b"\xff"


def test_a_packed_body_is_no_text_whatever_its_type() -> None:
    told = request("/", b"x", ("content-type", "application/json"), ("content-encoding", "gzip"))
    assert told["isBase64Encoded"] is True


def test_a_whole_url_on_the_request_line_is_its_path() -> None:
    told = request("http://proxy:1/x?y=1")
    assert (told["rawPath"], told["rawQueryString"]) == ("/x", "y=1")


def test_an_answer_is_decoded_by_its_own_word() -> None:
    binary = {"statusCode": 201, "headers": {"X-A": "1"}, "body": "AP8=", "isBase64Encoded": True}
    answer = response(binary | {"cookies": ["a=1", "b=2"]})
    assert (answer.status, answer.body) == (201, b"\x00\xff")
    assert [value for name, value in answer.headers if name == "set-cookie"] == ["a=1", "b=2"]
    assert response({"statusCode": 200, "body": "é"}).body == "é".encode()


def test_an_answer_without_a_status_is_the_body_of_a_200() -> None:
    answer = response({"label": "setosa"})
    assert (answer.status, answer.body) == (200, b'{"label": "setosa"}')


@pytest.mark.parametrize("answer", [{"statusCode": 200, "body": {}}, {"statusCode": "ok"}])
def test_an_answer_that_api_gateway_would_not_understand_is_an_error(answer: object) -> None:
    with pytest.raises(ValueError, match=r"not a string|invalid literal"):
        response(answer)


def test_a_body_that_is_not_base64_is_an_error() -> None:
    with pytest.raises(ValueError, match="not base64"):
        response({"statusCode": 200, "body": "!", "isBase64Encoded": True})
