"""The JSON body of a request to its instances."""

from __future__ import annotations

from typing import Any

from thimble import strictjson
from thimble.errors import MalformedBody, TooLarge, UnprocessableRows
from thimble.rows import kind


def instances(body: bytes, max_rows: int) -> tuple[list[Any], str]:
    """The rows of {"instances": [...]} or {"instance": ...}, and what the caller calls row {}."""
    if not body.strip():
        raise MalformedBody('the body is empty; send {"instances": [...]}')
    try:
        envelope = strictjson.loads(body)
    except strictjson.NotJson as error:
        raise MalformedBody(f"the body is not JSON: {error}") from None
    except strictjson.DoubledKey as error:
        raise MalformedBody(f"{error} occurs twice in one object") from None
    if not isinstance(envelope, dict):
        raise MalformedBody(f'the body is {kind(envelope)}; send {{"instances": [...]}}')
    if "instances" in envelope and "instance" in envelope:
        raise MalformedBody("the body has both instances and instance; send one")
    if "instance" in envelope:
        return [envelope["instance"]], "instance"
    if "instances" not in envelope:
        raise MalformedBody('the body has no instances; send {"instances": [...]}')
    rows = envelope["instances"]
    if not isinstance(rows, list):
        raise MalformedBody(f"instances is {kind(rows)}, not a list of rows")
    if not rows:
        raise UnprocessableRows("instances is empty; send at least one row")
    if len(rows) > max_rows:
        raise TooLarge(
            f"instances has {len(rows)} rows; the most in one request is {max_rows}: drop a file instead"
        )
    return rows, "instances[{}]"
