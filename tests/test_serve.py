"""`thimble serve`: one document by HTTP, started, asked, changed and ended as a person would."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest

from thimble.inference import classifier
from thimble_infra import local, serve

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0  # seconds for a line


class Running:
    """A `thimble serve` without any variable of AWS, and what it writes, line by line."""

    def __init__(self, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "thimble_infra.command", "serve", "--port", "0", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: Queue[str] = Queue()
        self._reader = Thread(target=self._read)
        self._reader.start()
        self.url = self.line_with("ready ").split()[1]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)

    def line_with(self, text: str) -> str:
        """The next line that has the text."""
        while text not in (line := self.lines.get(timeout=PATIENCE)):
            pass
        return line

    def ask(self, path: str, body: Any = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(self.url + path, data) as answer:
            found: bytes = answer.read()
        return found

    def served(self) -> str:
        name: str = json.loads(self.ask("/health"))["model"]["name"]
        return name

    def rest(self) -> str:
        self._reader.join(timeout=PATIENCE)
        self.process.wait(timeout=PATIENCE)
        return "".join(self.lines.get_nowait() for _ in range(self.lines.qsize()))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "model" / "iris.json", tmp_path / "a model.json"))


@pytest.fixture
def running(model: Path) -> Iterator[Running]:
    found = Running(str(model), "--reload")
    with found.process:
        yield found
        found.process.kill()
        found.rest()


def test_it_answers_every_protocol_and_shows_a_page(running: Running) -> None:
    [answer] = json.loads(running.ask("/classify", {"instances": [[5.1, 3.5, 1.4, 0.2]]}))["predictions"]
    assert answer["label"] == "setosa"
    assert json.loads(running.ask("/v1/models/iris:predict", {"instances": [[5.1, 3.5, 1.4, 0.2]]}))
    assert b"<html" in running.ask("/docs")
    assert json.loads(running.ask("/v2/models/iris"))["name"] == "iris"
    assert "POST /classify 200" in running.line_with("/classify")


def test_the_address_of_the_page_is_printed_first(tmp_path: Path) -> None:
    model = classifier.load((ROOT / "model" / "iris.json").read_bytes())
    address = "http://127.0.0.1:8000"
    stack = local.banner(model, ["iris"], address, "http://127.0.0.1:9000", tmp_path, None)
    for banner in (serve.banner(model, address), stack):
        assert re.findall(r"https?://\S+", banner)[0] == f"{address}/"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_without_a_traceback(running: Running, number: int) -> None:
    running.process.send_signal(number)
    assert running.rest() == ""
    assert running.process.returncode == 0


def test_a_changed_file_is_served_and_a_bad_one_said(running: Running, model: Path) -> None:
    model.write_bytes(b"{")
    assert "refused" in (told := running.line_with("the model before keeps answering"))
    assert str(model) in told
    assert running.served() == "iris"
    model.unlink()
    assert "cannot be read" in running.line_with("the model before keeps answering")
    assert running.served() == "iris"
    shutil.copy(ROOT / "model" / "penguins.json", model)
    running.line_with("serves penguins")
    assert running.served() == "penguins"


def failed(*arguments: str, code: int = 1) -> str:
    command = [sys.executable, "-m", "thimble_infra.command", "serve", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("thimble: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_busy_port_is_a_sentence(model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        told = failed(str(model), "--port", port, code=3)
    assert f"cannot listen on port {port}" in told
    assert "--port chooses another" in told


def test_what_is_no_document_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.json").write_text("text")
    assert "text.json is refused: The document is not JSON" in failed(
        str(tmp_path / "text.json"), "--port", "0"
    )
    assert "there is no file" in failed(str(tmp_path / "none.json"), "--port", "0")
