"""A process that loads one service and answers: `python answer.py MODULE.HANDLER EVENT ANSWER TIMES`.

Prints nothing of the service, and on standard error the microseconds of each answer after the first, as JSON.
"""

import contextlib
import importlib
import json
import os
import sys
import time


def main(name: str, event: str, answer: str, times: int) -> None:
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        module, _, function = name.rpartition(".")
        handler, asked = getattr(importlib.import_module(module), function), json.loads(event)
        first = handler(asked, None)
        assert answer in first["body"], first
        microseconds = []
        for _ in range(times):
            start = time.perf_counter_ns()
            handler(asked, None)
            microseconds.append((time.perf_counter_ns() - start) / 1000)
    sys.stderr.write(json.dumps(microseconds))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
