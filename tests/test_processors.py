"""As many processors as a function's memory pays for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FUNCTIONS = Path(__file__).parents[1] / "functions"
SEEN = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


@pytest.mark.skipif(not SEEN, reason="this system does not keep a process to some processors")
@pytest.mark.parametrize("entry", ["files", "workflow"])
@pytest.mark.parametrize(
    ("memory", "share"), [("512", 1), ("1769", 1), ("2600", 1), ("2700", 2), ("10240", 6), (None, SEEN)]
)
def test_a_function_uses_the_processors_that_its_memory_pays_for(
    entry: str, memory: str | None, share: int
) -> None:
    environment = {name: value for name, value in os.environ.items() if "LAMBDA" not in name}
    if memory is not None:
        environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] = memory
    code = f"import {entry}\nfrom thimble import processors\nprint(processors.usable())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=FUNCTIONS,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) == min(share, SEEN)
