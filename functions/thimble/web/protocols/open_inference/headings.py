"""What the protocol's JSON says of a tensor beside its data: name, datatype, shape and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thimble import spelling
from thimble.errors import InvalidInput, MalformedBody
from thimble.tables.values import kind
from thimble.web import options
from thimble.web.protocols.open_inference.wire import DTYPES

SHARED_MEMORY = ("shared_memory_region", "shared_memory_byte_size", "shared_memory_offset")
PLAIN = ("np", "pd", "str")  # content types of numbers, columns and texts: what they are without it
BASE64 = "base64"


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


def parameters(raw: Mapping[str, Any], known: tuple[str, ...], path: str) -> Mapping[str, Any]:
    """The options of a request, an input or an output; those that nobody knows are others' own."""
    found = raw.get("parameters")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise MalformedBody(f"the parameters of {path} are {kind(found)}, not an object")
    if any(name in found for name in SHARED_MEMORY):
        raise InvalidInput(f"{path} names shared memory, which nobody shares with this server; send the data")
    options.check_close(found, known, f"parameters of {path}")
    return found


def content_type(asked: Mapping[str, Any], known: tuple[str, ...], path: str) -> str:
    """What MLServer's clients say of data beside their datatype, and of answers; "" if nothing is said."""
    found = asked.get("content_type")
    if found is None:
        return ""
    if not isinstance(found, str) or found not in known:
        told = spelling.hint(found, known) if isinstance(found, str) else ""
        raise InvalidInput(f"the content_type of {path} is none of {', '.join(known)}{told}")
    return found
