"""Lambda's execution environments: processes that each hold one function and answer one call at a time.

They start when they are first needed, so a stack that never splits a file pays nothing for them. If one dies
or runs out of time, its call fails as in Lambda, and the next call starts another.
"""

import json
import os
import subprocess
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from queue import LifoQueue, SimpleQueue
from threading import Thread, Timer
from typing import Any

from thimble_infra.invocation import Context, Handler, invoke, load


@dataclass(frozen=True)
class Answer:
    """The result of Lambda's Invoke: the function's answer, or its error as an object."""

    value: Any
    failed: bool = False


def failure(kind: str, message: str) -> Answer:
    return Answer({"errorType": kind, "errorMessage": message}, failed=True)


def answer(handler: Handler, event: Any, context: Context) -> Answer:
    """Call a handler in this process. An exception is logged, and becomes a failed answer."""
    try:
        return Answer(invoke(handler, event, context))
    except Exception as error:
        traceback.print_exc()
        return failure(type(error).__name__, str(error))


class Environments:
    """A pool of processes of one function; `size` of them may work at a time."""

    def __init__(self, module: str, size: int, timeout: float) -> None:
        self._module, self._timeout = module, timeout
        self._idle: LifoQueue[_Environment | None] = LifoQueue()
        for _ in range(size):
            self._idle.put(None)  # a process that has not started yet

    def call(self, event: Any) -> Answer:
        """Wait for an idle environment and return its answer."""
        environment = self._idle.get()
        try:
            environment = environment or _Environment(self._module, self._timeout)
            found = environment.call(event)
            if found is None:
                environment = None
                message = f"the function ended without an answer, or took more than {self._timeout:g} s"
                return failure("Runtime.ExitError", message)
            return found
        finally:
            self._idle.put(environment)

    def close(self) -> None:
        """End the idle processes."""
        while not self._idle.empty():
            if environment := self._idle.get():
                environment.end()


class _Environment:
    """A process that runs this module's `main`."""

    def __init__(self, module: str, timeout: float) -> None:
        self._timeout = timeout
        self._process = subprocess.Popen(
            [sys.executable, "-m", "thimble_infra.environments", module, str(timeout)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def call(self, event: Any) -> Answer | None:
        """Return the answer; None if the process has died."""
        line = self._asked(json.dumps(event).encode() + b"\n")
        if not line:
            self.end()
            return None
        return Answer(**json.loads(line))

    def end(self) -> None:
        self._process.kill()
        with suppress(OSError), self._process:  # waits, and closes the pipes
            pass

    def _asked(self, line: bytes) -> bytes:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        watchdog = Timer(self._timeout, self._process.kill)
        watchdog.start()
        try:
            stdin.write(line)
            stdin.flush()
            return stdout.readline()
        except OSError:
            return b""
        finally:
            watchdog.cancel()


def main() -> None:
    """Answer a line of JSON for each event: `python -m thimble_infra.environments MODULE TIMEOUT`."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the function prints goes to the log
    events: SimpleQueue[str] = SimpleQueue()
    Thread(target=_receive, args=[events], daemon=True).start()
    module, timeout = sys.argv[1:]
    handler = load(module)
    while True:
        found = answer(handler, json.loads(events.get()), Context(f"thimble-{module}", float(timeout)))
        print(json.dumps({"value": found.value, "failed": found.failed}), file=answers, flush=True)


def _receive(events: "SimpleQueue[str]") -> None:
    for line in sys.stdin:
        events.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
