"""Lambda's own runtime client under its emulator, without Docker: a process that answers as a function does.

Python runs without its site-packages: it sees the folders that it is given, and no others.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.request import Request, urlopen

import samcli

from thimble_infra.build import lambda_python

EMULATOR = Path(samcli.__file__).parent / "local/rapid/aws-lambda-rie-x86_64"
PATIENCE = 120  # seconds, of an answer


@contextmanager
def running(
    handler: str,
    path: Sequence[Path],
    environment: dict[str, str],
    output: IO[bytes] | int = subprocess.DEVNULL,
) -> Iterator[Callable[[dict[str, Any]], Any]]:
    """What calls it: an event in, an answer out. The first call starts the function's process."""
    port = free_port()
    addresses = [
        *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
        *("--runtime-api-address", f"127.0.0.1:{free_port()}"),
    ]
    process = subprocess.Popen(
        [EMULATOR, *addresses, lambda_python(), "-S", "-s", "-m", "awslambdaric", handler],
        cwd=path[0],
        env=environment | seen(path),
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    try:
        _wait_for(port)
        yield lambda event: _answer(f"http://127.0.0.1:{port}", event)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def seen(path: Sequence[Path]) -> dict[str, str]:
    """The environment of a Python that imports from these folders, and leaves nothing in them."""
    folders = os.pathsep.join(map(str, path))
    return {"PYTHONPATH": folders, "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}


def _answer(url: str, event: dict[str, Any]) -> Any:
    invocations = f"{url}/2015-03-31/functions/function/invocations"
    with urlopen(Request(invocations, json.dumps(event).encode()), timeout=PATIENCE) as response:
        return json.load(response)


def _wait_for(port: int) -> None:
    for _ in range(1000):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise TimeoutError(f"nothing listens on port {port}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
