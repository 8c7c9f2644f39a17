"""What a run ran on: the command, the machine and how busy it was, the versions."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from thimble.errors import ThimbleError
from thimble_infra.build import lambda_python

VERSIONS = (
    *("numpy", "scikit-learn", "onnxruntime", "boto3", "aws-lambda-powertools", "obstore", "orjson"),
    *("polars", "pandas", "pyarrow"),
)


class Conditions:
    """From here on; `lines` are of the moment when they are asked for."""

    def __init__(self) -> None:
        self._start, self._load = time.time(), _load()

    def lines(self) -> list[str]:
        begun = time.strftime("%Y-%m-%d %H:%M", time.gmtime(self._start))
        minutes = (time.time() - self._start) / 60
        return [
            f"- `{_command()}`, {begun} UTC, {minutes:.0f} min",
            f"- {platform.system()} {platform.machine()}, {os.cpu_count()} processors ({_processor()}); "
            f"load of the last minute {self._load} before and {_load()} after",
            f"- Python {platform.python_version()}; where functions run as in Lambda {_functions_python()}",
            f"- {', '.join(f'{package} {version(package)}' for package in VERSIONS)}",
        ]


def _command() -> str:
    arguments = " ".join(sys.argv[1:])
    return f'make bench ARGS="{arguments}"' if arguments else "make bench"


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _functions_python() -> str:
    try:
        python = str(lambda_python())
    except ThimbleError as missing:
        return f"({missing})"
    asked = [python, "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
