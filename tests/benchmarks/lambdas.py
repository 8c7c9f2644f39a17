"""Functions as Lambda runs them: our own as `make build` leaves it, and rivals' with and without bytecode.

Processes of the functions' Python, which see their own folders, those of Lambda's runtime, and no others.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests import emulator
from tests.benchmarks.report import Figure, duration
from thimble_infra.build import BUILT, lambda_python

CACHE = BUILT.parent / "bench"
HERE = Path(__file__).parent
REQUESTS = 3000  # of a warm figure
BYTECODE = "unchecked-hash"
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
PROBABILITY = "0.99827"  # of setosa, as everybody has to answer


@dataclass(frozen=True)
class Function:
    """A handler whose modules lie in some folders, and in no others."""

    handler: str
    path: tuple[Path, ...]
    environment: dict[str, str]
    answers: str = PROBABILITY  # what its body has to hold

    def cold(self) -> Figure:
        """The first call: the emulator starts the function's process when it comes."""
        with emulator.running(self.handler, self.path, self._environment()) as invoke:
            start = time.perf_counter()
            answer = invoke(EVENT)
            seconds = time.perf_counter() - start
        assert self.answers in answer.get("body", ""), answer
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
            self.answers,
            str(REQUESTS),
        ]
        environment = self._environment() | emulator.seen(self.path)
        done = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=True)
        times: list[float] = json.loads(done.stderr.decode().splitlines()[-1])
        return in_microseconds(times)

    def _environment(self) -> dict[str, str]:
        return self.environment | {"OPENBLAS_NUM_THREADS": "1"}


def in_microseconds(times: list[float]) -> Figure:
    """The median of single requests, with the 99th percentile beside it."""
    median, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
    return duration(median * 1e-6, f"p99 {p99:.0f}")


def packages(names: tuple[str, ...], *, bytecode: bool) -> Path:
    """A folder with packages for the functions' Python, of the developers' versions; made once, and kept."""
    pinned = [f"{package}=={version(package)}" for package in sorted(names)]
    digest = hashlib.sha256(" ".join(pinned).encode()).hexdigest()[:8]
    plain, compiled = CACHE / digest, CACHE / f"{digest}-{BYTECODE}"
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
    """As `make build` does; what does not compile (templates, tests of other versions) is nobody's import."""
    compileall = ["-m", "compileall", "-q", "--invalidation-mode", BYTECODE]
    subprocess.run([lambda_python(), *compileall, folder], check=False, stdout=subprocess.DEVNULL)
