"""JSON bodies to rows: what the envelopes of several protocols have in common."""

from __future__ import annotations

from typing import Any

from thimble.errors import MalformedBody
from thimble.inference import strict_json
from thimble.tables.cells import json_kind
from thimble.tables.rows import Rows


def value(body: bytes, example: str = '{"instances": [...]}') -> Any:
    """Any JSON; MalformedBody says where it is none."""
    if not body.strip():
        raise MalformedBody(f"the body is empty; send {example}")
    try:
        return strict_json.loads(body)
    except strict_json.NotJson as error:
        raise MalformedBody(f"the body is not JSON: {error}") from None
    except strict_json.DoubledKey as error:
        raise MalformedBody(f"{error} occurs twice in one object") from None


def envelope(body: bytes, example: str = '{"instances": [...]}') -> dict[str, Any]:
    found = value(body, example)
    if not isinstance(found, dict):
        raise MalformedBody(f"the body is {json_kind(found)}; send {example}")
    return found


def instances(envelope: dict[str, Any]) -> Rows:
    """{"instances": [...]}, or {"instance": ...} for one."""
    if "instance" in envelope:
        if "instances" in envelope:
            raise MalformedBody("the body has both instances and instance; send one")
        return Rows([envelope["instance"]], "instance")
    return listed(envelope, "instances")


def listed(envelope: dict[str, Any], key: str) -> Rows:
    """A list of rows under a key."""
    if key not in envelope:
        raise MalformedBody(f'the body has no {key}; send {{"{key}": [...]}}')
    rows = envelope[key]
    if not isinstance(rows, list):
        raise MalformedBody(f"{key} is {json_kind(rows)}, not a list of rows")
    return Rows(rows, f"{key}[{{}}]")
