"""Processes that stand for Lambda's execution environments."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from thimble_infra.environments import Answer, Environments

FUNCTION = """
import os, signal, time

def handler(event, context):
    print("this is log")
    match event.get("do"):
        case "raise": raise ValueError("a reason")
        case "die": os.kill(os.getpid(), signal.SIGKILL)
        case "sleep": time.sleep(event["seconds"])
    return {"event": event, "pid": os.getpid(), "left": context.get_remaining_time_in_millis()}
"""

Start = Callable[..., Environments]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Environments of a function of the test's own, on the import path of their processes."""
    module = f"function_{os.getpid()}"
    sitecustomize = (
        "import pathlib\nfrom thimble_infra import invocation\n"
        f"invocation.FUNCTIONS = pathlib.Path({str(tmp_path)!r})"
    )
    (tmp_path / "sitecustomize.py").write_text(sitecustomize)
    (tmp_path / f"{module}.py").write_text(FUNCTION)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    started = []

    def starts(size: int = 1, timeout: float = 60) -> Environments:
        started.append(Environments(module, size, timeout))
        return started[-1]

    yield starts
    for environments in started:
        environments.close()


def test_an_answer_is_the_function_s_and_what_it_prints_is_not(start: Start) -> None:
    answer = start().call({"text": "a line\nand another", "nothing": None})
    assert not answer.failed
    assert answer.value["event"] == {"text": "a line\nand another", "nothing": None}
    assert 0 < answer.value["left"] <= 60_000


def test_an_exception_is_an_answer_and_the_process_goes_on(start: Start) -> None:
    environments = start()
    first = environments.call({})
    raised = environments.call({"do": "raise"})
    assert raised == Answer({"errorType": "ValueError", "errorMessage": "a reason"}, failed=True)
    assert environments.call({}).value["pid"] == first.value["pid"]


@pytest.mark.parametrize("event", [{"do": "die"}, {"do": "sleep", "seconds": 60}])
def test_a_process_that_dies_or_takes_too_long_is_replaced(start: Start, event: dict[str, object]) -> None:
    environments = start(timeout=3.0)
    before = environments.call({}).value["pid"]
    failed = environments.call(event)
    assert (failed.failed, failed.value["errorType"]) == (True, "Runtime.ExitError")
    assert environments.call({}).value["pid"] != before


def test_as_many_work_side_by_side_as_were_asked_for(start: Start) -> None:
    environments = start(size=2)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: environments.call({"do": "sleep", "seconds": 0.3}), range(4)))
    assert len({answer.value["pid"] for answer in answers}) == 2


def test_they_end_with_the_process_that_started_them(start: Start) -> None:
    program = (
        "import sys; from thimble_infra.environments import Environments;"
        "print(Environments(sys.argv[1], 1, 60).call({}).value['pid'], flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, f"function_{os.getpid()}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not running(child)


def running(pid: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")
