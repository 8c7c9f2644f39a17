"""Door one, from API Gateway's event to its answer, in one process."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thimble.errors import Unavailable
from thimble.inference.classifier import load
from thimble.registry.lookup import OneModel
from thimble.settings import from_environment
from thimble.web import gateway, routes
from thimble.web.app import MAX_CARRIED_BYTES, carried_bytes

MODEL = (Path(__file__).parents[1] / "model" / "iris.json").read_bytes()
ROW = [5.1, 3.5, 1.4, 0.2]


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Door:
    """The API's handler over a store that can be taken away, with calls as API Gateway makes them."""

    environment: dict[str, str]
    model: bytes | None = MODEL

    def __post_init__(self) -> None:
        app = routes.app(OneModel("s3://models/iris.json", self.read), from_environment(self.environment))
        self.handle: Callable[[dict[str, Any], Any], dict[str, Any]] = gateway.handler(app)

    def read(self, uri: str) -> bytes:
        if self.model is None:
            raise Unavailable(f"{uri} cannot be read")
        return self.model

    def call(self, method: str, path: str, body: str | bytes | None = None, **event: Any) -> Answer:
        if isinstance(body, bytes):
            body, event = base64.b64encode(body).decode(), event | {"isBase64Encoded": True}
        request = {"http": {"method": method, "path": path}, "requestId": "id", "stage": "$default"}
        answer = self.handle(
            {"version": "2.0", "rawPath": path, "headers": {}, "body": body, "requestContext": request}
            | event,
            None,
        )
        found = answer["body"] if answer["isBase64Encoded"] else json.loads(answer["body"] or "null")
        return Answer(answer["statusCode"], answer["headers"], found)

    def sent(self, method: str, path: str, body: str, **headers: str) -> dict[str, Any]:
        """The answer as Lambda carries it, to a CSV."""
        request = {"http": {"method": method, "path": path}, "requestId": "id", "stage": "$default"}
        event = {"rawPath": path, "body": body, "requestContext": request}
        return self.handle(event | {"headers": {"content-type": "text/csv", **headers}}, None)

    def classify(self, value: Any) -> Answer:
        return self.call("POST", "/classify", json.dumps(value))


@pytest.fixture
def door() -> Door:
    return Door({})


def test_an_answer_has_the_model_the_label_and_every_probability(door: Door) -> None:
    answer = door.classify({"instances": [ROW]})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.body["model"] == {"name": "iris", "digest": load(MODEL).digest}
    (prediction,) = answer.body["predictions"]
    assert prediction["label"] == "setosa"
    assert list(prediction["probabilities"]) == ["setosa", "versicolor", "virginica"]
    assert prediction["probability"] == max(prediction["probabilities"].values())


def test_a_body_in_base64_is_the_same_body(door: Door) -> None:
    body = json.dumps({"instances": [ROW]})
    assert door.call("POST", "/classify", body.encode()).body == door.call("POST", "/classify", body).body


def test_labels_keep_their_type() -> None:
    document = json.loads(MODEL)
    for classes in ([1, 2, 3], ["1", "2", "3"], [0.5, 1.5, 2.5]):
        door = Door({}, json.dumps(document | {"classes": classes}).encode())
        (prediction,) = door.classify({"instances": [ROW]}).body["predictions"]
        assert prediction["label"] == classes[0]
        assert type(prediction["label"]) is type(classes[0])
        assert list(prediction["probabilities"]) == [str(label) for label in classes]


def test_a_multilabel_answer_has_every_label_that_applies() -> None:
    document = {
        "classes": ["red", "round"],
        "out_activation": "logistic",
        "coefs": [[[1.0, -1.0]]],
        "intercepts": [[0.0, 0.0]],
    }
    door = Door({}, json.dumps(document).encode())
    predictions = door.classify({"instances": [[2], [0], [-2]]}).body["predictions"]
    assert [p["labels"] for p in predictions] == [["red"], [], ["round"]]
    assert predictions[1]["probabilities"] == {"red": 0.5, "round": 0.5}


def test_health_says_which_model_is_loaded(door: Door) -> None:
    answer = door.call("GET", "/health")
    assert (answer.status, answer.body["model"]["digest"]) == (200, load(MODEL).digest)


def test_the_card_says_what_the_model_is(door: Door) -> None:
    card = door.call("GET", "/model").body
    assert card["classes"] == ["setosa", "versicolor", "virginica"]
    assert card["feature_names_in"] == list(load(MODEL).feature_names or ())
    assert card["layers"] == [4, 10, 3]
    assert card["training"]["n_iter"] > 1
    assert card["digest"] == load(MODEL).digest


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/nothing", 404, "there is no such path; GET /docs or /openapi.json says what there is"),
        ("POST", "/nothing/at/all", 404, "there is no such path"),
        ("GET", "/classify", 405, "this path takes POST"),
        ("DELETE", "/health", 405, "this path takes GET, HEAD"),
        ("OPTIONS", "/classify", 405, "this path takes POST"),
    ],
)
def test_an_unknown_path_or_method_gets_a_sentence(
    door: Door, method: str, path: str, status: int, error: str
) -> None:
    answer = door.call(method, path)
    assert answer.status == status
    assert answer.body["error"].startswith(error)
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ("", 400, "the body is empty"),
        (" \n", 400, "the body is empty"),
        ("{", 400, "the body is not JSON"),
        (b"\xff", 400, "the body is not JSON: byte 0 is not UTF-8"),
        ("[" * 10_000, 400, "the body is not JSON"),
        ("[]", 400, "the body is a list"),
        ("{}", 400, "the body has no instances"),
        ('{"instances": {}}', 400, "instances is an object, not a list of rows"),
        ('{"instances": [[1]], "instance": [1]}', 400, "the body has both instances and instance"),
        ('{"instances": [{"a": 1, "a": 2}]}', 400, "instances[0].a occurs twice in one object"),
        ('{"instances": [{"a": 1, "\\u0061": 2}]}', 400, "instances[0].a occurs twice in one object"),
        ('{"instances": [{"a:": 1, "a:": 2}]}', 400, "instances[0].a: occurs twice in one object"),
        ('{"instances": [[1]], "instances": [[2]]}', 400, "instances occurs twice in one object"),
        ('{"\\ud800": 1, "\\ud800": 2}', 400, "\\ud800 occurs twice in one object"),
        ('{"instances": [[5.1, 3.5, 1.4]]}', 422, "instances[0] has 3 values; the model takes 4"),
        ('{"instances": [[5.1, 3.5, 1.4, NaN]]}', 422, "instances[0][3] is NaN, not a finite number"),
        ('{"instances": [[5.1, 3.5, 1.4, 1e999]]}', 422, "instances[0][3] is too large, not a finite number"),
        ('{"instances": [{"sepal length (cm)": 1}]}', 422, "instances[0].sepal width (cm) is missing"),
        ('{"instances": []}', 422, "there are no rows; send at least one"),
        ('{"instance": [1]}', 422, "instance has 1 value; the model takes 4"),
        ('{"instances": [[1e308, 1e308, 1e308, 1e308]]}', 422, "instances[0]: the values are too large"),
    ],
)
def test_bad_input_is_answered_by_what_to_change(
    door: Door, body: str | bytes, status: int, error: str
) -> None:
    answer = door.call("POST", "/classify", body)
    assert (answer.status, list(answer.body)) == (status, ["error"])
    assert answer.body["error"].startswith(error)


@pytest.mark.parametrize("depth", [100, 450, 600, 900, 1010, 1020, 1100])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_deep_body_is_refused_and_never_crashes(door: Door, depth: int, opening: str, closing: str) -> None:
    body = '{"instances": [' + opening * depth + "1" + closing * depth + "]}"
    assert door.call("POST", "/classify", body).status in (400, 422)


def test_a_doubled_key_among_very_many_is_found_at_once(door: Door) -> None:
    keys = ", ".join(f'"{k}": 1' for k in range(100_000))
    answer = door.call("POST", "/classify", f'{{"instances": [{{{keys}}}, {{{keys}, "x": 1, "x": 2}}]}}')
    assert (answer.status, answer.body["error"]) == (400, "instances[1].x occurs twice in one object")


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize(
    ("zeros", "fault"), [(308, "[1] is NaN"), *((n, "[0] is too large") for n in (309, 5000))]
)
def test_an_integer_of_any_length_is_a_number(door: Door, sign: str, zeros: int, fault: str) -> None:
    answer = door.call("POST", "/classify", f'{{"instance": [{sign}1{"0" * zeros}, NaN, 1, 1]}}')
    assert (answer.status, answer.body["error"]) == (422, f"instance{fault}, not a finite number")


def test_a_long_name_is_not_sent_back_whole(door: Door) -> None:
    answer = door.classify({"instance": {"x" * 100_000: 1}})
    assert answer.status == 422
    assert len(answer.body["error"]) < 500


def test_base64_that_is_none_is_the_callers_to_change(door: Door) -> None:
    assert door.call("POST", "/classify", "not base64!", isBase64Encoded=True).status == 400


def test_without_a_model_the_answer_is_503_until_there_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    door = Door({}, None)
    for answer in (door.call("GET", "/health"), door.classify({"instances": [ROW]})):
        assert (answer.status, answer.body) == (503, {"error": "the model is not available"})
    assert '"ServerErrors":[1.0]' in capsys.readouterr().out.replace(" ", "")
    door.model = MODEL
    assert door.classify({"instances": [ROW]}).status == 200


def test_a_model_that_fails_its_examples_is_not_served(caplog: pytest.LogCaptureFixture) -> None:
    document = json.loads(MODEL)
    document["intercepts"][-1][0] += 1e-6
    answer = Door({}, json.dumps(document).encode()).classify({"instances": [ROW]})
    assert (answer.status, answer.body) == (503, {"error": "the model is not available"})
    assert "examples.probabilities" in caplog.text


def test_an_error_of_ours_says_nothing_of_our_insides(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Door):
        def read(self, uri: str) -> bytes:
            raise ZeroDivisionError("our insides")

    answer = Broken({}).classify({"instances": [ROW]})
    assert (answer.status, answer.body) == (500, {"error": "internal error"})
    assert "ZeroDivisionError: our insides" in caplog.text


def test_the_log_has_no_data(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    door.classify({"instances": [[5.125, 3.5, 1.4, "secret"]]})
    door.classify({"instances": [[5.125, 3.5, 1.4, 0.2]]})
    logged = capsys.readouterr().out
    records = [record for record in map(json.loads, logged.splitlines()) if "message" in record]
    assert [(record["path"], record["status"], record["rows"]) for record in records] == [
        ("/classify", 422, 0),
        ("/classify", 200, 1),
    ]
    assert "5.125" not in logged
    assert "secret" not in logged


def test_cors_is_closed_unless_it_is_opened() -> None:
    assert not [name for name in Door({}).call("GET", "/health").headers if name.startswith("access-control")]
    opened = Door({"CORS_ALLOW_ORIGIN": "https://example.com"})
    preflight = opened.call("OPTIONS", "/classify")
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-methods"] == "POST"
    for answer in (preflight, opened.call("GET", "/health"), opened.call("GET", "/nothing")):
        assert answer.headers["access-control-allow-origin"] == "https://example.com"
        assert answer.headers["vary"] == "origin"


@pytest.mark.parametrize(
    "path", ["/", "/health", "/docs", "/v1/models/iris:predict", "/health/", "/nothing", "/v2/nothing/at/all"]
)
def test_a_browser_may_ask_of_every_path_before_it_signs(path: str) -> None:
    preflight = Door({"CORS_ALLOW_ORIGIN": "https://example.com"}).call("OPTIONS", path)
    assert (preflight.status, preflight.body) == (204, None)
    assert preflight.headers["access-control-allow-origin"] == "https://example.com"


def test_a_browser_is_told_of_head_wherever_it_may_get() -> None:
    door = Door({"CORS_ALLOW_ORIGIN": "*"})
    for path in ("/health", "/model", "/v2", "/openapi.json"):
        assert door.call("OPTIONS", path).headers["access-control-allow-methods"] == "GET, HEAD"
        assert door.call("HEAD", path).status == door.call("GET", path).status == 200
        assert door.call("POST", path).headers["allow"] == "GET, HEAD"


def test_a_browser_may_send_a_signature_and_every_header_that_is_read() -> None:
    allowed = Door({"CORS_ALLOW_ORIGIN": "*"}).call("OPTIONS", "/classify").headers
    sent = set(allowed["access-control-allow-headers"].split(", "))
    assert sent >= {"authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"}
    sources = [path.read_text() for path in Path(routes.__file__).parent.rglob("*.py")]
    read = r'request\.headers(?:\.get\(|\[)"([a-z0-9-]+)"|HEADER_LENGTH = "(.*)"'
    names = {found[1] or found[2] for source in sources for found in re.finditer(read, source)}
    assert len(names) > 4
    assert sent >= names - {"accept-encoding"}  # which browsers send unasked


def test_a_browser_may_read_every_header_that_is_answered() -> None:
    door = Door({"CORS_ALLOW_ORIGIN": "*"})
    rows, tensor = {"instances": [ROW]}, {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": ROW}
    binary = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    calls = [
        ("POST", "/invocations", json.dumps(rows)),
        ("POST", "/invocations", "{}"),
        ("DELETE", "/health", ""),
        ("GET", "/model", ""),
        ("POST", "/v2/models/iris/infer", json.dumps(binary)),
    ]
    answers = [door.call(*call).headers for call in calls]
    told = set(answers[0]["access-control-expose-headers"].split(", "))
    unasked = ("content-type", "cache-control", "access-control-", "vary")  # not for scripts
    assert {n for answer in answers for n in answer if not n.startswith(unasked)} == told


def test_a_head_says_what_type_the_answer_would_have(door: Door) -> None:
    answer = door.call("HEAD", "/health")
    assert (answer.status, answer.body) == (200, None)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/classify", 405), ("/health", 503)])
def test_an_error_to_a_head_has_no_body(door: Door, path: str, status: int) -> None:
    """As RFC 9110 wants it: only the head of what GET would get."""
    answer = (door if status < 500 else Door({}, b"{}")).call("HEAD", path)
    assert (answer.status, answer.body) == (status, None)
    assert ("allow" in answer.headers) == (status == 405)


LABELS = [f'{k}"\\\n\x01\N{SNOWMAN}\u2028ż' * 20 for k in range(3)]


@pytest.mark.parametrize("accept", ["application/json", "text/csv", "application/jsonlines"])
@pytest.mark.parametrize("origin", ["", "https://example.com"])
def test_an_answer_goes_up_to_the_last_byte_that_lambda_carries(accept: str, origin: str) -> None:
    """Escapes, which a label may need all of, and envelope included."""
    door = many_rows_of_long_labels(CORS_ALLOW_ORIGIN=origin)

    def answer(rows: int) -> dict[str, Any]:
        return door.sent("POST", "/invocations", "5.1,3.5,1.4,0.2\n" * rows, accept=accept)

    few, more = (carried_bytes(answer(rows)) for rows in (100, 200))
    most = 100 + (MAX_CARRIED_BYTES - few) * 100 // (more - few)
    largest = answer(most)
    assert largest["statusCode"] == 200
    assert MAX_CARRIED_BYTES - (more - few) < carried_bytes(largest) <= MAX_CARRIED_BYTES
    refused = answer(most + 1)
    assert refused["statusCode"] == 413
    start = f"the answer to {most + 1} rows is too large for one response: send "
    fewer = re.fullmatch(re.escape(start) + r"(\d+) at a time", json.loads(refused["body"])["error"])
    assert fewer
    assert answer(int(fewer[1]))["statusCode"] == 200
    assert refused["headers"].get("access-control-allow-origin", "") == origin


def many_rows_of_long_labels(**environment: str) -> Door:
    document = json.loads(MODEL) | {"classes": LABELS}
    return Door({"MAX_ROWS": "1000000", **environment}, json.dumps(document).encode())


def test_an_answer_in_bytes_weighs_what_base64_makes_of_it() -> None:
    """One that is packed and not UTF-8 any more is carried where the same as text would not be."""
    door = many_rows_of_long_labels()
    body = "5.1,3.5,1.4,0.2\n" * 40_000
    assert door.sent("POST", "/invocations", body)["statusCode"] == 413
    packed = door.sent("POST", "/invocations", body, **{"accept-encoding": "gzip"})
    assert (packed["statusCode"], packed["isBase64Encoded"]) == (200, True)


def test_one_row_whose_answer_lambda_would_not_carry_is_told_so() -> None:
    labels = ["a", "b", '"' * 4_000_000]
    door = Door({}, json.dumps(json.loads(MODEL) | {"classes": labels}).encode())
    refused = door.classify({"instances": [ROW]})
    assert (refused.status, refused.body) == (
        413,
        {"error": "the answer to 1 rows is too large for one response"},
    )


def test_a_stage_is_no_part_of_the_path(door: Door) -> None:
    context = {"http": {"method": "GET", "path": "/prod/health"}, "stage": "prod"}
    assert door.call("GET", "/prod/health", requestContext=context).status == 200


@given(st.lists(st.sampled_from([*"ab/:{}", "/v1", "/v2", "models", "versions", "infer", ":predict"])))
def test_a_path_has_the_parameters_that_its_pattern_says(parts: list[str]) -> None:
    path = "/v1/models/" + "".join(parts)
    for pattern in {route.path for route in routes.ROUTES}:
        expression = re.escape(pattern).replace(r"\{", "(?P<").replace(r"\}", ">[^/]+)")
        found = re.fullmatch(expression, path)
        assert routes.path_parameters(pattern, path) == (found and found.groupdict())
