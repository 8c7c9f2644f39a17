"""SnapStart: an environment restored from a snapshot, perhaps a hundred times, is as good as a new one."""

import ast
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests import lambda_keys, snapstart

MODEL = Path(__file__).parents[1] / "model"
FUNCTIONS = Path(__file__).parents[1] / "functions"


def test_nothing_of_ours_draws_a_number_that_copies_would_share() -> None:
    sources = [*FUNCTIONS.rglob("*.py")]
    assert len(sources) > 50
    for path in sources:
        names = {node.id for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Name)}
        assert not names & {"random", "secrets", "uuid", "uuid4", "default_rng"}, path


def test_what_is_restored_uses_no_connection_and_no_key_from_before_the_snapshot(
    built: Path, runtime_client: Path, load_event: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """The built function under Lambda's own runtime client, which calls the hooks."""
    models = lambda_keys.published(*((MODEL / f"{name}.json").read_bytes() for name in ("iris", "penguins")))
    log = tmp_path / "log"
    with lambda_keys.serving(models, timedelta(hours=1)) as keys, log.open("wb") as output:
        environment = keys.environment() | {"MODELS_URI": "s3://models/models", "MODEL_NAME": "iris"}
        path = [built / "ApiFunction", runtime_client]
        with snapstart.laid_aside("api.handler", path, environment, output) as function:
            function.wait_for_snapshot()
            before, known = list(keys.asked), set(keys.given)
            assert {name for name, _, _ in before} == {f"/{name}" for name in models if "iris" in name}
            _wait_until(lambda: not keys.open)  # nothing is connected while the snapshot is taken
            function.restore()
            assert function(load_event("health"))["statusCode"] == 200
            asked = load_event("health", rawPath="/model", queryStringParameters={"model": "penguins"})
            assert function(asked)["statusCode"] == 200, log.read_text()
    after = keys.asked[len(before) :]
    assert {name for name, _, _ in after} == {f"/{name}" for name in models if "penguins" in name}
    assert {port for *_, port in before}.isdisjoint(port for *_, port in after)
    assert known.isdisjoint(key for _, key, _ in after)


def _wait_until(true: Callable[[], bool]) -> None:
    for _ in range(500):
        if true():
            return
        time.sleep(0.01)
    raise TimeoutError
