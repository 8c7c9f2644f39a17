"""Requests by the thousand, fitting and not: each gets a documented answer, never a 5xx.

Once over our own OpenAPI document, once over the protocol's official one as MLServer ships it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conftest import Served

HERE = Path(__file__).parent
FITTING = "positive_data_acceptance"  # which rows fit is the model's to say, not the document's
CHECKS = "not_a_server_error,response_schema_conformance"
KEPT = ("v2", "live", "ready", "{model_name}", "{model_version}", "infer")  # not: generate, infer_stream


def run(location: str, served: Served, *arguments: str) -> None:
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "schema_hooks", "PYTHONPATH": str(HERE)}
    command = [sys.executable, "-m", "schemathesis.cli", "run", location, "--url", served.url]
    options = ["--phases", "examples,coverage,fuzzing", "--generation-deterministic", "--warnings", "off"]
    done = subprocess.run(
        [*command, *options, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.mark.parametrize("served", ["iris"], indirect=True)
def test_our_own_description(served: Served) -> None:
    run(f"{served.url}/openapi.json", served, "--exclude-checks", FITTING, "--max-examples", "25")


@pytest.mark.parametrize("served", ["iris"], indirect=True)
def test_the_protocol_s_official_description(served: Served, tmp_path: Path) -> None:
    """Without what is about generated text."""
    package = find_spec("mlserver")
    assert package is not None
    assert package.origin is not None
    described = (Path(package.origin).parent / "rest" / "openapi" / "dataplane.json").read_text()
    api: dict[str, Any] = json.loads(described.replace('"bytes"', '"string"'))  # which is no type of JSON
    api["paths"] = {path: item for path, item in api["paths"].items() if path.split("/")[-1] in KEPT}
    (tmp_path / "dataplane.json").write_text(json.dumps(api))
    run(str(tmp_path / "dataplane.json"), served, "--checks", CHECKS, "--max-examples", "25")
