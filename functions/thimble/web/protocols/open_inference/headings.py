"""What the protocol's JSON says of a tensor beside its data: name, datatype, shape and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thimble.errors import InvalidInput, MalformedBody
from thimble.values import kind
from thimble.web.protocols.open_inference.wire import DTYPES


def heading(raw: Mapping[str, Any], path: str) -> tuple[str, str, list[int]]:
    """Name, datatype and shape."""
    name, datatype, shape = raw.get("name"), raw.get("datatype"), raw.get("shape")
    if not isinstance(name, str) or not name:
        raise MalformedBody(f"{path}.name is not there, or no string")
    if not isinstance(datatype, str) or datatype not in DTYPES:
        raise MalformedBody(f"{name}'s datatype is none of {', '.join(DTYPES)}")
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        raise MalformedBody(f"{name}'s shape is not a list of sizes, such as [1, 4]")
    if len(shape) not in (1, 2):
        raise InvalidInput(f"{name} has {len(shape)} dimensions; send [rows, features] or [rows, 1]")
    return name, datatype, shape


def described(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    """A tensor as metadata has it; -1 is any size."""
    return {"name": name, "datatype": datatype, "shape": shape}


def objects(raw: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = raw[key]
    if not isinstance(found, list) or not set(map(type, found)) <= {dict}:
        raise MalformedBody(f"{key} is not a list of objects")
    if not found:
        raise MalformedBody(f"{key} is empty")
    return found


def parameters(raw: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    found = raw.get("parameters") or {}
    if not isinstance(found, dict):
        raise MalformedBody(f"the parameters of {path} are {kind(found)}, not an object")
    return found
