"""What a model is asked: tensors, their data in the JSON or in the bytes after it, as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thimble.errors import InvalidInput, MalformedBody
from thimble.web.protocols.open_inference import wire
from thimble.web.protocols.open_inference.headings import heading, objects, parameters
from thimble.web.protocols.open_inference.wire import Tensor
from thimble.web.tables import Table
from thimble.web.tensors import Matrix, Named

EXAMPLE = '{"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP64", "data": [...]}]}'


def table(asked: Mapping[str, Any], data: memoryview) -> Table:
    """One tensor of all features, or several of a column each."""
    if "inputs" not in asked:
        raise MalformedBody(f"the body has no inputs; send {EXAMPLE}")
    tensors = _tensors(objects(asked, "inputs"), data)
    if len(tensors) > 1:
        return _columns(tensors)
    (tensor,) = tensors
    values = tensor.values if tensor.values.ndim == 2 else tensor.values[:, np.newaxis]
    return Matrix(values, tensor.name)


def _tensors(inputs: Sequence[Mapping[str, Any]], data: memoryview) -> list[Tensor]:
    tensors = []
    for i, raw in enumerate(inputs):
        path = f"inputs[{i}]"
        size = parameters(raw, path).get("binary_data_size")
        name, datatype, shape = heading(raw, path)
        if size is None:
            if "data" not in raw:
                raise MalformedBody(f"{name} has no data, and no binary_data_size")
            tensors.append(wire.from_json(name, datatype, shape, raw["data"]))
            continue
        if type(size) is not int or not 0 <= size <= len(data):
            raise MalformedBody(f"{name}'s binary_data_size is no size within the {len(data)} bytes left")
        tensors.append(wire.from_bytes(name, datatype, shape, data[:size]))
        data = data[size:]
    if len(data):
        raise MalformedBody(f"{len(data)} bytes of binary data belong to no input")
    return tensors


def _columns(tensors: Sequence[Tensor]) -> Named:
    arrays = {}
    for name, _, values in tensors:
        if name in arrays:
            raise MalformedBody(f"the input {name} is there twice")
        if values.ndim == 2 and values.shape[1] != 1:
            raise InvalidInput(
                f"{name} has the shape {list(values.shape)}; several inputs are a column each: [rows, 1]"
            )
        arrays[name] = values.reshape(-1)
    return Named(arrays)
