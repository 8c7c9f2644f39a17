"""Door one in one process: the API over one document, and what comes back."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from thimble.inference.document import digest
from thimble.registry.lookup import OneModel
from thimble.settings import from_environment
from thimble.web import routes
from thimble.web.app import App, Request, Response

MODELS = Path(__file__).parents[1] / "model"
IRIS, PENGUINS = ((MODELS / f"{name}.json").read_bytes() for name in ("iris", "penguins"))
IRIS_DIGEST = digest(IRIS)[:12]
NAMES: list[str] = json.loads(IRIS)["feature_names_in"]
ROW = [5.1, 3.5, 1.4, 0.2]
NAMED = dict(zip(NAMES, ROW, strict=True))
CSV = "5.1,3.5,1.4,0.2\n"
LENGTH = "inference-header-content-length"


def served(document: bytes = IRIS, **environment: str) -> App:
    return routes.app(OneModel("any", lambda uri: document), from_environment(environment))


iris = served()


def get(path: str, app: App = iris, /) -> Response:
    return _call("GET", path, b"", app, {})


def post(path: str, body: Any, app: App = iris, /, **headers: str) -> Response:
    """A body is bytes, a text, or anything else as JSON; headers are named with underscores."""
    data = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    return _call("POST", path, data, app, {name.replace("_", "-"): value for name, value in headers.items()})


def _call(method: str, path: str, body: bytes, app: App, headers: dict[str, str]) -> Response:
    path, _, query = path.partition("?")
    return app(Request(method, path, body, headers, dict(parse_qsl(query, keep_blank_values=True))))


def told(answer: Response) -> Any:
    """The JSON of an answer; binary data may follow it."""
    return json.loads(answer.body[: int(answer.headers.get(LENGTH, len(answer.body)))])


def refusal(answer: Response, status: int = 400) -> str:
    assert answer.status == status, answer.body
    sentence: str = told(answer)["error"]
    return sentence
