"""What schemathesis has to be told: how to send bodies that are neither JSON nor a form."""

from __future__ import annotations

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/jsonlines", "text/csv", "application/x-npy", "application/octet-stream")
def as_it_is(context: schemathesis.SerializationContext, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "surrogatepass")
