"""Read and write the Open Inference Protocol's tensors: datatypes, parameters, and data as JSON or bytes."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Mapping, Sequence
from itertools import chain
from math import prod
from typing import Any, NamedTuple

import numpy as np

from thimble import spelling
from thimble.errors import InvalidInput, MalformedBody, UnprocessableRows
from thimble.inference.arrays import all_finite
from thimble.tables.cells import json_kind
from thimble.tables.rows import finite_numbers
from thimble.tables.tensors import Values, check_booleans
from thimble.web import options

DTYPES = {
    "BOOL": np.dtype("?"),
    **{f"{'U' * (code == 'u')}INT{8 * n}": np.dtype(f"<{code}{n}") for code in "iu" for n in (1, 2, 4, 8)},
    "FP16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),  # the upper half of an FP32; sent only as bytes
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "BYTES": np.dtype("O"),
}
LENGTH = struct.Struct("<I")  # before each string of BYTES
SHARED_MEMORY = ("shared_memory_region", "shared_memory_byte_size", "shared_memory_offset")
PLAIN = ("np", "pd", "str")  # content types that change nothing


class Tensor(NamedTuple):
    name: str
    datatype: str
    shape: Sequence[int]
    data: Values | list[Any]  # an array of that shape, or a flat list, which is faster for a single row

    @classmethod
    def of(cls, name: str, datatype: str, values: Values) -> Tensor:
        return cls(name, datatype, values.shape, values)

    @property
    def values(self) -> Values:
        """The array; BYTES are objects, str or None."""
        if isinstance(self.data, list):
            return np.array(self.data, DTYPES[self.datatype]).reshape(self.shape)
        return self.data

    @property
    def flat(self) -> list[Any]:
        return self.data if isinstance(self.data, list) else self.data.ravel().tolist()


def from_json(name: str, datatype: str, shape: list[int], data: Any) -> Tensor:
    """Read data that is flat, or nested as the shape is."""
    if not isinstance(data, list):
        raise MalformedBody(f"{name}.data is {json_kind(data)}, not a list")
    flat = _flattened(name, shape, data)
    if len(flat) != prod(shape):
        raise MalformedBody(f"{name}.data has {len(flat)} values; its shape {shape} has {prod(shape)}")
    if _is_row(datatype, shape) and (numbers := finite_numbers(flat, len(flat))):
        return Tensor(name, datatype, shape, numbers)
    return Tensor(name, datatype, shape, _values(name, datatype, flat).reshape(shape))


def _is_row(datatype: str, shape: list[int]) -> bool:
    """Return whether a tensor is a single row of FP64, for which a list is faster than an array."""
    return datatype == "FP64" and shape[:-1] == [1]


def _flattened(name: str, shape: list[int], data: list[Any]) -> list[Any]:
    depth = 0
    while data and isinstance(data[0], list):
        depth += 1
        width = shape[depth] if depth < len(shape) else -1
        if any(not isinstance(part, list) or len(part) != width for part in data):
            raise MalformedBody(f"{name}.data is not nested as its shape {shape} is; it may be flat, too")
        data = list(chain.from_iterable(data))
    return data


def _values(name: str, datatype: str, data: list[Any]) -> Values:
    types = set(map(type, data))
    if datatype == "BYTES":
        _check(name, data, types <= {str, type(None)}, lambda v: v is None or isinstance(v, str), "a string")
        return np.array(data, dtype=object)
    if datatype == "BOOL":
        _check(name, data, types <= {bool}, lambda v: v in (True, False), "true or false")
        return np.array(data, dtype=np.bool_)
    if "INT" in datatype:
        return _integers(name, datatype, data, types)
    if datatype == "BF16":
        raise MalformedBody(f"{name}: BF16 has no form in JSON; send it as binary data, or FP32")
    return _floats(name, datatype, data, types)


def _integers(name: str, datatype: str, data: list[Any], types: set[type]) -> Values:
    _check(name, data, types <= {int}, _is_integer, f"an integer of {datatype}")
    limits = np.iinfo(DTYPES[datatype])
    _check(name, data, not data or (limits.min <= min(data) and max(data) <= limits.max),
           lambda v: limits.min <= v <= limits.max, f"in the range of {datatype}")  # fmt: skip
    return np.array([*map(int, data)] if float in types else data, dtype=DTYPES[datatype])


def _floats(name: str, datatype: str, data: list[Any], types: set[type]) -> Values:
    _check(name, data, types <= {int, float, type(None)}, _is_number, "a number")
    try:
        values: Values = np.array(data, dtype=np.float64)  # None is NaN
    except OverflowError:
        _check(name, data, False, _fits, f"in the range of {datatype}")
        raise
    if datatype != "FP64":
        with np.errstate(over="ignore"):
            values = values.astype(DTYPES[datatype])
    if not all_finite(values) and (beyond := np.isinf(values)).any():
        raise UnprocessableRows(f"{name}.data[{np.argmax(beyond)}] is not in the range of {datatype}")
    return values


def _is_integer(value: Any) -> bool:
    return type(value) is int or (type(value) is float and value.is_integer())


def _is_number(value: Any) -> bool:
    return value is None or type(value) in (int, float)


def _fits(value: Any) -> bool:
    return value is None or abs(value) < 2**1024


def _check(name: str, data: list[Any], passed: bool, fits: Any, wanted: str) -> None:
    """Raise UnprocessableRows for the first value that does not fit, unless all passed together."""
    if passed:
        return
    for i, value in enumerate(data):
        if not fits(value):
            found = "" if type(value) in (int, float) else f"{json_kind(value)}, "
            raise UnprocessableRows(f"{name}.data[{i}] is {found}not {wanted}")


def from_bytes(name: str, datatype: str, shape: list[int], data: memoryview) -> Tensor:
    """Read little-endian numbers in C order, or strings (BYTES), each after its length."""
    if datatype == "BYTES":
        values = _texts(name, prod(shape), bytes(data))
    else:
        dtype = DTYPES[datatype]
        size = prod(shape) * dtype.itemsize
        if len(data) != size:
            raise MalformedBody(f"{name} has {len(data)} bytes; {datatype} of shape {shape} has {size}")
        if _is_row(datatype, shape):
            return Tensor(name, datatype, shape, data.cast("d").tolist())
        values = np.frombuffer(data, dtype)
    if datatype == "BOOL":
        check_booleans(values, name)
    if datatype == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return Tensor(name, datatype, shape, values.reshape(shape))


def _texts(name: str, count: int, data: bytes) -> Values:
    texts: list[str] = []
    at = 0
    while at < len(data):
        end = at + LENGTH.size
        if end <= len(data):
            at, end = end, end + LENGTH.unpack_from(data, at)[0]
        if end > len(data):
            raise MalformedBody(f"{name} ends in the middle of its string {len(texts)}")
        try:
            texts.append(data[at:end].decode())
        except UnicodeDecodeError:
            raise UnprocessableRows(f"{name}: string {len(texts)} is not UTF-8") from None
        at = end
    if len(texts) != count:
        raise MalformedBody(f"{name} has {len(texts)} strings; its shape has {count}")
    return np.array(texts, dtype=object)


def from_base64(tensor: Tensor) -> Tensor:
    """Decode texts in base64, the form in which MLServer's clients send bytes."""
    if tensor.datatype != "BYTES":
        raise MalformedBody(f"{tensor.name} is of {tensor.datatype}; base64 is for BYTES")
    texts = [_unpacked(tensor.name, i, text) for i, text in enumerate(tensor.flat)]
    return tensor._replace(data=np.array(texts, dtype=object).reshape(tensor.shape))


def _unpacked(name: str, i: int, text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return binascii.a2b_base64(text, strict_mode=True).decode()
    except UnicodeDecodeError:
        raise UnprocessableRows(f"{name}: string {i} is not UTF-8 within its base64") from None
    except ValueError:  # not ASCII, or not base64
        raise UnprocessableRows(f"{name}: string {i} is not base64, as its content_type says") from None


def to_json(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": tensor.shape,
        "data": tensor.flat,
    }


def to_bytes(tensor: Tensor) -> tuple[dict[str, Any], bytes]:
    """Return the JSON that describes a tensor, and the tensor's data as bytes."""
    if tensor.datatype == "BYTES":
        texts: Sequence[bytes] = [text.encode() for text in tensor.flat]
        data = b"".join(chain.from_iterable((LENGTH.pack(len(text)), text) for text in texts))
    else:
        data = tensor.values.astype(DTYPES[tensor.datatype], copy=False).tobytes()
    return {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": tensor.shape,
        "parameters": {"binary_data_size": len(data)},
    }, data


def objects(raw: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = raw[key]
    if not isinstance(found, list) or not {dict}.issuperset(map(type, found)):
        raise MalformedBody(f"{key} is not a list of objects")
    if not found:
        raise MalformedBody(f"{key} is empty")
    return found


def parameters(raw: Mapping[str, Any], known: tuple[str, ...], path: str) -> Mapping[str, Any]:
    """Return the parameters of a request, an input or an output.

    Raises InvalidInput for shared memory and MalformedBody for a name close to a known one; other unknown
    names are ignored.
    """
    found = raw.get("parameters")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise MalformedBody(f"the parameters of {path} are {json_kind(found)}, not an object")
    if not found.keys().isdisjoint(SHARED_MEMORY):
        raise InvalidInput(f"{path} names shared memory, which nobody shares with this server; send the data")
    options.check_close(found, known, f"parameters of {path}")
    return found


def content_type(asked: Mapping[str, Any], known: tuple[str, ...], path: str) -> str:
    """Return the content type that MLServer's clients state for data and answers; "" if there is none."""
    found = asked.get("content_type")
    if found is None:
        return ""
    if not isinstance(found, str) or found not in known:
        told = spelling.hint(found, known) if isinstance(found, str) else ""
        raise InvalidInput(f"the content_type of {path} is none of {', '.join(known)}{told}")
    return found
