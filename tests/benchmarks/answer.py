"""A process that loads one service and answers: `python answer.py MODULE EVENT.json TIMES`.

Prints nothing of the service, and on standard error the microseconds of each answer after the first, as JSON.
"""

import contextlib
import importlib
import json
import os
import sys
import time
from pathlib import Path


def main(module: str, event_file: str, times: int) -> None:
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        handler = importlib.import_module(module).handler
        event = json.loads(Path(event_file).read_bytes())
        first = handler(event, None)
        assert first["statusCode"] == 200, first
        microseconds = []
        for _ in range(times):
            start = time.perf_counter_ns()
            handler(event, None)
            microseconds.append((time.perf_counter_ns() - start) / 1000)
    sys.stderr.write(json.dumps(microseconds))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
