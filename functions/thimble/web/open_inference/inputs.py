"""Turn a request's tensors, with data in the JSON or in the bytes after it, into one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thimble.errors import InvalidInput, MalformedBody
from thimble.tables.rows import Table
from thimble.tables.tensors import Matrix, Named
from thimble.web import options
from thimble.web.open_inference import wire
from thimble.web.open_inference.wire import DTYPES, PLAIN, Tensor, content_type, objects, parameters

EXAMPLE = '{"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP64", "data": [...]}]}'

KEYS = ("name", "shape", "datatype", "data", "parameters")
BASE64 = "base64"  # a content type that texts may have
CONTENT_TYPES = (*PLAIN, BASE64)
PARAMETERS = ("binary_data_size", "content_type", "headers")


def table(asked: Mapping[str, Any], data: memoryview) -> Table:
    """Read one tensor of all features, or several of one column each."""
    if "inputs" not in asked:
        raise MalformedBody(f"the body has no inputs; send {EXAMPLE}")
    tensors = _tensors(objects(asked, "inputs"), data)
    if len(tensors) > 1:
        return _columns(tensors)
    (tensor,) = tensors
    if isinstance(tensor.data, list):
        return Matrix([tensor.data], tensor.name)
    return Matrix(tensor.data if tensor.data.ndim == 2 else tensor.data[:, np.newaxis], tensor.name)


def _tensors(inputs: Sequence[Mapping[str, Any]], data: memoryview) -> list[Tensor]:
    tensors = []
    for i, raw in enumerate(inputs):
        tensor, data = _tensor(raw, f"inputs[{i}]", data)
        tensors.append(tensor)
    if len(data):
        raise MalformedBody(f"{len(data)} bytes of binary data belong to no input")
    return tensors


def _tensor(raw: Mapping[str, Any], path: str, data: memoryview) -> tuple[Tensor, memoryview]:
    """Read one input; return its tensor, and the binary data that is left for the inputs after it."""
    options.check_close(raw, KEYS, path)
    name, datatype, shape = _header(raw, path)
    asked = parameters(raw, PARAMETERS, path)
    packed = content_type(asked, CONTENT_TYPES, path) == BASE64
    size = asked.get("binary_data_size")
    if size is None:
        if "data" not in raw:
            raise MalformedBody(f"{name} has no data, and no binary_data_size")
        found = wire.from_json(name, datatype, shape, raw["data"])
    elif raw.get("data") is not None:
        raise MalformedBody(f"{name} has both data and binary_data_size; send one")
    elif type(size) is not int or not 0 <= size <= len(data):
        raise MalformedBody(f"{name}'s binary_data_size is no size within the {len(data)} bytes left")
    else:
        found, data = wire.from_bytes(name, datatype, shape, data[:size]), data[size:]
    return (wire.from_base64(found) if packed else found), data


def _header(raw: Mapping[str, Any], path: str) -> tuple[str, str, list[int]]:
    """Check and return an input's name, datatype and shape."""
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


def _columns(tensors: Sequence[Tensor]) -> Named:
    arrays = {}
    for tensor in tensors:
        name, values = tensor.name, tensor.values
        if name in arrays:
            raise MalformedBody(f"the input {name} is there twice")
        if values.ndim == 2 and values.shape[1] != 1:
            raise InvalidInput(
                f"{name} has the shape {list(values.shape)}; several inputs are a column each: [rows, 1]"
            )
        arrays[name] = values.reshape(-1)
    return Named(arrays)
