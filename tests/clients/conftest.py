"""The stack of `make run`, in the project's own environment, for clients in another: `make test-clients`."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".venv" / "bin"


@dataclass(frozen=True)
class Served:
    """A model behind the local stack, rows for it, and what /classify says of them."""

    url: str
    name: str
    features: list[dict[str, Any]]
    rows: list[list[Any]]
    labels: list[str]
    probabilities: np.ndarray[Any, Any]

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    @property
    def names(self) -> list[str]:
        return [feature["name"] for feature in self.features]


@pytest.fixture(scope="session", params=["iris", "penguins"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    document = ROOT / "model" / f"{request.param}.json"
    command = [str(BIN / "thimble"), "run", "--port", "0", "--s3-port", "0", "--model", str(document)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        ready = next((line for line in process.stdout if line.startswith("ready ")), "")
        try:
            yield answered(ready.split()[1], request.param, document)
        finally:
            process.send_signal(signal.SIGINT)


def answered(url: str, name: str, document: Path) -> Served:
    with urlopen(f"{url}/model", timeout=10) as answer:
        features = json.load(answer)["features"]
    rows = json.loads(document.read_bytes())["examples"]["rows"]
    body = json.dumps({"instances": rows}).encode()
    asked = Request(f"{url}/classify", body, {"content-type": "application/json"})
    with urlopen(asked, timeout=10) as answer:
        predictions = json.load(answer)["predictions"]
    return Served(
        url=url,
        name=name,
        features=features,
        rows=rows,
        labels=[prediction["label"] for prediction in predictions],
        probabilities=np.array([list(prediction["probabilities"].values()) for prediction in predictions]),
    )
