"""Functions as Lambda runs them: our own as `make build` leaves it, and rivals' with and without bytecode.

Processes of the functions' Python, which see their own folders, those of Lambda's runtime, and no others.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.request import Request, urlopen

from infra.build import BUILT, lambda_python
from tests.benchmarks.report import Figure, duration

EMULATOR = "local/rapid/aws-lambda-rie-x86_64"  # in samcli
CACHE = BUILT.parent / "bench"
HERE = Path(__file__).parent
REQUESTS = 3000  # of a warm figure
EVENT = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/classify",
    "rawQueryString": "",
    "headers": {"content-type": "application/json"},
    "requestContext": {
        "http": {"method": "POST", "path": "/classify"},
        "requestId": "id",
        "stage": "$default",
    },
    "body": json.dumps({"instances": [[5.1, 3.5, 1.4, 0.2]]}),
    "isBase64Encoded": False,
}


@dataclass(frozen=True)
class Function:
    """A handler whose modules lie in some folders, and in no others."""

    handler: str
    path: tuple[Path, ...]
    environment: dict[str, str]

    def cold(self) -> Figure:
        """The first call: the emulator starts the function's process when it comes."""
        port = _free_port()
        process = self._emulator(port)
        try:
            _wait_for(port)
            url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
            start = time.perf_counter()
            with urlopen(Request(url, json.dumps(EVENT).encode()), timeout=120) as response:
                answer = json.load(response)
            seconds = time.perf_counter() - start
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert answer.get("statusCode") == 200, answer
        return duration(seconds)

    def warm(self) -> Figure:
        """Event in to response out, in one process, no network: the median request."""
        command: list[str | Path] = [
            lambda_python(),
            "-S",
            "-s",
            str(HERE / "answer.py"),
            self.handler,
            json.dumps(EVENT),
            str(REQUESTS),
        ]
        done = subprocess.run(command, env=self._environment(), capture_output=True, timeout=120, check=True)
        times: list[float] = json.loads(done.stderr.decode().splitlines()[-1])
        return in_microseconds(times)

    def _emulator(self, port: int) -> subprocess.Popen[bytes]:
        import samcli

        emulator = Path(samcli.__file__).parent / EMULATOR
        addresses = [
            *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
            *("--runtime-api-address", f"127.0.0.1:{_free_port()}"),
        ]
        return subprocess.Popen(
            [emulator, *addresses, lambda_python(), "-S", "-s", "-m", "awslambdaric", self.handler],
            env=self._environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _environment(self) -> dict[str, str]:
        return self.environment | {
            "PYTHONPATH": os.pathsep.join(map(str, self.path)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PATH": os.environ["PATH"],
        }


def in_microseconds(times: list[float]) -> Figure:
    """The median of single requests, with the 99th percentile beside it."""
    median, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
    return duration(median * 1e-6, f"p99 {p99:.0f}")


def packages(name: str, names: tuple[str, ...], *, bytecode: bool) -> Path:
    """A folder with packages for the functions' Python, of the developers' versions; made once, and kept."""
    pinned = [f"{package}=={version(package)}" for package in names]
    digest = hashlib.sha256(" ".join(pinned).encode()).hexdigest()[:8]
    plain, compiled = CACHE / f"{name}-{digest}", CACHE / f"{name}-{digest}-bytecode"
    if not plain.exists():
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        fresh = plain.with_suffix(f".{os.getpid()}")
        subprocess.run([lambda_python(), *install, "--target", str(fresh), *pinned], check=True)
        fresh.replace(plain)
    if bytecode and not compiled.exists():
        fresh = compiled.with_suffix(f".{os.getpid()}")
        shutil.copytree(plain, fresh, copy_function=os.link)
        _compile(fresh)
        fresh.replace(compiled)
    return compiled if bytecode else plain


def handlers(folder: Path, *, bytecode: bool) -> Path:
    shutil.copytree(HERE / "rivals", folder, ignore=shutil.ignore_patterns("__pycache__"))
    if bytecode:
        _compile(folder)
    return folder


def _compile(folder: Path) -> None:
    """What does not compile (templates, tests for other versions) is nobody's import."""
    subprocess.run(
        [lambda_python(), "-m", "compileall", "-q", folder], check=False, stdout=subprocess.DEVNULL
    )


def _wait_for(port: int) -> None:
    for _ in range(1000):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise TimeoutError(f"nothing listens on port {port}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
