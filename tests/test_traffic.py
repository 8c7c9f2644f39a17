"""What the local stack was asked, and what it keeps."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from typer.testing import CliRunner

from thimble import telemetry
from thimble.drift.report import observed
from thimble.inference.classifier import load
from thimble_infra import traffic
from thimble_infra.cli import app

ROOT = Path(__file__).parents[1]
Starter = Callable[..., AbstractContextManager[Any]]


def thimble(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.stdout


def post(url: str, body: bytes, **headers: str) -> Any:
    with urlopen(Request(url, body, headers), timeout=30) as answer:
        return json.load(answer)


def test_the_log_of_the_functions_tells_requests_canaries_shadows_and_drift(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The lines are the functions' own."""
    model = load((ROOT / "model" / "iris.json").read_bytes())
    telemetry.note(canary_rows=2)
    telemetry.request(method="POST", path="/classify", status=200, rows=20)
    telemetry.note(shadow_rows=5, shadow_disagreements=1)
    telemetry.request(method="POST", path="/classify", status=422, rows=5)
    found = {"rows": 300, "verdict": "stable", "drifted": ["a"], "features": {}, "predictions": []}
    entry = {"psi": 0.5, "js": 0.1, "missing": 0.0, "out_of_range": 0.0}
    answer = {"psi": 0.1, "js": 0.1, "winning": {"js": 0.1}}
    report = found | {"features": {"a": entry}, "predictions": [answer]}
    labels = {"setosa": 299, "virginica": 1}
    telemetry.drift(*observed(report, labels, 300, model.name, model.digest))
    text = capsys.readouterr().out
    assert dict(traffic.lines(traffic.read(["no JSON\n", "{broken\n", *text.splitlines()]))) == {
        "requests": "2, 1 of them refused; 25 rows",
        "canary": "answered 2 rows",
        "shadow": "compared on 5 rows: 1 answers differ, 0 failed",
        "drift": f"iris ({model.digest[:12]}): moved: a (of 300 rows, largest PSI 0.500)",
        "predicted": f"iris ({model.digest[:12]}): setosa 299, virginica 1",
    }


@pytest.fixture
def stack(
    start_local_stack: Starter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], AbstractContextManager[Any]]:
    """Stacks that are the only one there is, found without a port, and keep what they have."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("S3_PORT", raising=False)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SQS"):
        monkeypatch.delenv(name, raising=False)
    cors = "http://localhost:3000"
    return lambda: start_local_stack("--keep", str(tmp_path / "kept"), "--cors-allow-origin", cors)


def test_models_and_results_survive_the_stack_that_any_command_finds(
    stack: Callable[[], AbstractContextManager[Any]], tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(
        "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n5.1,3.5,1.4,0.2\n"
    )
    with stack() as running:
        thimble("publish", str(ROOT / "model" / "iris.json"), "--as", "mine")
        thimble("drop", str(rows), "--model", "mine")
        body = json.dumps({"instances": [[5.1, 3.5, 1.4, 0.2]]}).encode()
        post(f"{running.url}/classify", body)
        shown = thimble("status")
        assert "requests   1, 0 of them refused; 1 row" in shown
        assert "mine/rows.csv  done" in shown
        asked = Request(
            f"{running.url}/classify",
            method="OPTIONS",
            headers={"origin": "http://localhost:3000", "access-control-request-method": "POST"},
        )
        with urlopen(asked, timeout=30) as answer:
            assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
        log = Path(json.loads(thimble("status", "--json"))["log"]).read_text()
        assert log.count("/classify") == 2  # the request and the browser's question, once each
    assert (tmp_path / "kept" / "results" / "mine" / "rows.csv" / "result.csv").is_file()
    with stack():
        assert "mine" in [model["name"] for model in json.loads(thimble("models", "--json"))]
        fetched = thimble("fetch", "mine/rows.csv", "-o", "-")
        assert fetched.splitlines()[1].startswith("5.1,3.5,1.4,0.2,setosa,")
