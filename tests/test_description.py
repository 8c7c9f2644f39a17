"""What /openapi.json says is so, of every path and method, answer and example."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from referencing import Registry, Resource

import thimble
from tests.door import get, iris, post
from thimble.web import routes
from thimble.web.app import STATUS, Request, Response

FOLDER = Path(routes.__file__).parent
ROOT = Path(__file__).parents[1]
API: dict[str, Any] = json.loads((FOLDER / "openapi.json").read_bytes())
DOCUMENT = "urn:openapi"
SCHEMAS: Registry[Any] = Registry().with_resource(
    DOCUMENT, Resource.from_contents({"$schema": "https://json-schema.org/draft/2020-12/schema"} | API)
)
OPERATIONS = [(path, method, about) for path, item in API["paths"].items() for method, about in item.items()]
EXAMPLES = [
    (path, method, media, example["value"])
    for path, method, about in OPERATIONS
    for media, content in about.get("requestBody", {"content": {}})["content"].items()
    for example in content.get("examples", {}).values()
]


DIGEST = json.loads(get("/health").body)["model"]["digest"]


def filled(path: str) -> str:
    """A path with its parameters: the default model, and its version; a file of the page."""
    filled = path.replace("{model}", "default").replace("{version}", DIGEST[:12])
    return filled.replace("{file}", "page.css")


def operation_id(value: Any) -> str:
    return value if isinstance(value, str) else ""


def check(path: str, method: str, answer: Response) -> None:
    """The answer is one that the document has."""
    about = API["paths"][path][method]["responses"][str(answer.status)]
    if "$ref" in about:
        about = API["components"]["responses"][about["$ref"].rpartition("/")[2]]
    content = about["content"][answer.content_type.partition(";")[0]]
    if answer.content_type == "application/json":
        pointer = json.dumps(content["schema"]).replace("#/", f"{DOCUMENT}#/")
        Draft202012Validator(json.loads(pointer), registry=SCHEMAS).validate(json.loads(answer.body))


def test_it_is_openapi() -> None:
    validate(API)


def test_it_names_every_path_and_method_and_no_other() -> None:
    served = [(route.path, route.method.lower()) for route in routes.ROUTES]
    assert sorted((path, method) for path, method, _ in OPERATIONS) == sorted(served)


def test_what_tells_a_version_tells_thimble_s() -> None:
    bodies = [get(path).body for path in ("/openapi.json", "/v2", "/version")]
    told = json.loads(bodies[0])["info"]["version"], json.loads(bodies[1])["version"], bodies[2].decode()
    assert told == (thimble.__version__,) * 3


@pytest.mark.parametrize(("path", "method", "about"), OPERATIONS, ids=operation_id)
def test_every_error_is_documented(path: str, method: str, about: dict[str, Any]) -> None:
    statuses = {int(status) for status in about["responses"]}
    assert {404, 500} <= statuses <= {200, 201, 304, *STATUS.values()}
    assert len({200, 201} & statuses) == 1
    if "requestBody" in about:
        assert statuses >= set(STATUS.values()) - {405}


@pytest.mark.parametrize(
    ("path", "method"), [(path, method) for path, method, about in OPERATIONS if method == "get"]
)
def test_every_get_is_answered_as_it_says(path: str, method: str) -> None:
    answer = get(filled(path))
    assert answer.status == 200
    check(path, method, answer)
    assert get(filled(path).rstrip("/") + "/").body == answer.body


@pytest.mark.parametrize(("path", "method", "media", "value"), EXAMPLES)
def test_every_example_is_answered(path: str, method: str, media: str, value: Any) -> None:
    answer = post(filled(path), value, content_type=media)
    assert answer.status == 200, answer.body
    check(path, method, answer)


@pytest.mark.parametrize(("path", "method", "about"), OPERATIONS, ids=operation_id)
def test_errors_have_the_shape_that_it_says(path: str, method: str, about: dict[str, Any]) -> None:
    answers = []
    if "requestBody" in about:
        answers = [
            post(filled(path), "{"),
            post(filled(path), "[]"),
            post(filled(path), "x", content_type="image/png"),
            post(filled(path), "{}", accept="image/png"),
            post(filled(path), "x", content_encoding="gzip"),
            post(filled(path), "x" * 6_000_001),
        ]
    if "{" in path:
        target = filled(path).replace("default", "nothing").replace("page.css", "nothing.css")
        answers.append(iris(Request(method.upper(), target, b'{"instances": [[1]]}')))
        assert answers[-1].status in (400, 404)
    for answer in answers:
        assert 400 <= answer.status < 500
        check(path, method, answer)
