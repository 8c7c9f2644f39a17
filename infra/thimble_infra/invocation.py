"""Lambda's part of an invocation in this process: the function's module, its context, its payload limit."""

import importlib
import json
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thimble.errors import Unavailable

FUNCTIONS = Path(__file__).parents[2] / "functions"
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024  # each way

Handler = Callable[[dict[str, Any], "Context"], Any]


class EventTooLarge(ValueError):
    """An event over Lambda's limit for a synchronous call; the function is not called."""


@dataclass(frozen=True)
class Context:
    """The context that Lambda gives a handler besides the event."""

    function_name: str
    timeout: float  # seconds
    memory_limit_in_mb: int = 1024
    function_version: str = "$LATEST"
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: float = field(default_factory=time.monotonic)

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:us-east-1:123456789012:function:{self.function_name}"

    @property
    def log_stream_name(self) -> str:
        return "local"

    @property
    def log_group_name(self) -> str:
        return f"/aws/lambda/{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int(1000 * (self.started + self.timeout - time.monotonic())))


def load(module: str) -> Handler:
    """Return the handler of a module in functions/, imported as in Lambda, with that folder as the root.

    The module reads its settings from the environment at import. Raises Unavailable outside a clone.
    """
    if not (FUNCTIONS / f"{module}.py").exists():
        raise Unavailable(
            f"{FUNCTIONS / module}.py is missing; the local stack runs from a clone, not from a wheel"
        )
    sys.path.insert(0, str(FUNCTIONS))
    handler: Handler = importlib.import_module(module).handler
    return handler


def invoke(handler: Handler, event: dict[str, Any], context: Context) -> Any:
    """Return the handler's answer. Event and answer travel as JSON, as in Lambda.

    Raises what the handler raises, EventTooLarge for an event over the limit, and ValueError for an answer
    over it.
    """
    sent = _json(event)
    if len(sent) > MAX_PAYLOAD_BYTES:
        raise EventTooLarge(f"the event of {len(sent)} bytes is over Lambda's limit of {MAX_PAYLOAD_BYTES}")
    received = _json(handler(json.loads(sent), context))
    if len(received) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"the answer of {len(received)} bytes is over Lambda's limit of {MAX_PAYLOAD_BYTES}")
    return json.loads(received)


def _json(value: Any) -> bytes:
    """Return the text that Lambda carries and whose bytes it counts."""
    return json.dumps(value, ensure_ascii=False).encode()
