"""`make run`: what its banner promises, and that nothing of it stays behind."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

DOCUMENT = Path(__file__).parents[1] / "model" / "iris.json"

Starter = Callable[..., AbstractContextManager[Any]]


def post(url: str, body: bytes, content_type: str = "application/json") -> Any:
    with urlopen(Request(url, body, {"content-type": content_type}), timeout=30) as answer:
        return json.load(answer)


def thimble(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-c", "from thimble_infra.cli import app; app()", *arguments],
        env=own | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def children(process: "subprocess.Popen[str]") -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_the_last_line_of_the_banner_says_where_everything_is(local_stack: Any) -> None:
    assert local_stack.banner[-1] == f"ready {local_stack.url} s3 {local_stack.s3_url}"
    with urlopen(f"{local_stack.url}/health", timeout=10) as answer:
        assert json.load(answer)["model"]["name"] == "iris"


def test_the_curl_of_the_banner_works_with_rows_that_the_model_knows(local_stack: Any) -> None:
    [line] = [line for line in local_stack.banner if "curl" in line]
    _, _, url, _, header, _, body = shlex.split(line)
    assert url == f"{local_stack.url}/classify"
    predictions = post(url, body.encode(), header.partition(": ")[2])["predictions"]
    examples = json.loads(DOCUMENT.read_bytes())["examples"]
    assert json.loads(body)["instances"] == examples["rows"][: len(predictions)]


def test_the_drop_of_the_banner_works(local_stack: Any) -> None:
    [line] = [line for line in local_stack.banner if "drop /" in line]
    *_, command, path = shlex.split(line)
    dropped = thimble(command, path, S3_PORT=local_stack.s3_url.rpartition(":")[2])
    assert (dropped.returncode, dropped.stderr) == (0, "")
    assert "examples.csv" in dropped.stdout


def test_a_binary_body_reaches_the_handler_in_base64_and_is_understood(local_stack: Any) -> None:
    body = json.dumps({"instances": [[5.1, 3.5, 1.4, 0.2]]}).encode()
    answers = [
        post(f"{local_stack.url}/classify", body, kind)
        for kind in ("application/json", "application/octet-stream")
    ]
    assert answers[0] == answers[1]


def test_errors_are_the_handler_s_own(local_stack: Any) -> None:
    with pytest.raises(HTTPError) as caught:
        urlopen(f"{local_stack.url}/nothing", timeout=10)
    with caught.value as answer:
        assert answer.code == 404
        assert "error" in json.load(answer)


def test_another_document_is_served_and_its_examples_shown(
    start_local_stack: Starter, tmp_path: Path
) -> None:
    document = json.loads(DOCUMENT.read_bytes()) | {"name": "other"}
    (tmp_path / "other.json").write_text(json.dumps(document))
    with start_local_stack("--model", str(tmp_path / "other.json")) as stack:
        assert "Thimble serves other" in "\n".join(stack.banner)
        with urlopen(f"{stack.url}/health", timeout=10) as answer:
            assert json.load(answer)["model"]["name"] == "other"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_everything_at_once_and_without_a_word(
    start_local_stack: Starter, number: signal.Signals
) -> None:
    with start_local_stack() as stack:
        pids = children(stack.process)
        [log] = [line.rpartition(" ")[2] for line in stack.banner if line.endswith(".log")]
        assert len(pids) == 2
        assert Path(log).exists()
        stack.process.send_signal(number)
        rest, errors = stack.process.communicate(timeout=60)
        assert (stack.process.returncode, rest, errors) == (0, "", "")
        assert not any(map(alive, pids))
        assert not Path(log).parent.exists()


def test_even_a_killed_stack_leaves_no_process_behind(start_local_stack: Starter) -> None:
    with start_local_stack() as stack:
        pids = children(stack.process)
        stack.process.kill()
        stack.process.wait()
        assert eventually(lambda: not any(map(alive, pids)))


def test_a_child_that_dies_takes_the_stack_along_and_is_named(start_local_stack: Starter) -> None:
    with start_local_stack() as stack:
        os.kill(children(stack.process)[0], signal.SIGKILL)
        _, errors = stack.process.communicate(timeout=60)
        assert stack.process.returncode == 3
        assert "ended unexpectedly" in errors
        assert "Traceback" not in errors


@pytest.mark.parametrize(("variable", "other"), [("PORT", "S3_PORT"), ("S3_PORT", "PORT")])
def test_a_taken_port_is_a_sentence_that_names_the_variable(variable: str, other: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        run = thimble("run", **{variable: port, other: "0"})
    assert (run.returncode, run.stdout) == (3, "")
    assert (
        run.stderr
        == f"thimble: cannot listen on port {port} (Address already in use); {variable} chooses another\n"
    )


def test_a_document_that_is_refused_is_a_sentence_before_anything_is_served(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"coefs": []}')
    for path in ("bad.json", "missing.json"):
        run = thimble("run", MODEL=str(tmp_path / path), PORT="0", S3_PORT="0", TMPDIR=str(tmp_path))
        assert (run.returncode, run.stdout) == (1, "")
        assert path in run.stderr
        assert len(run.stderr.splitlines()) == 1
    assert run.stderr == f"thimble: there is no file {tmp_path / 'missing.json'}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["bad.json"]
