"""Read an array in numpy's .npy format, and write probabilities in it.

Arrays of objects, which need pickle, are refused without reading them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from thimble.errors import InvalidInput, MalformedBody
from thimble.tables.answers import Classified
from thimble.tables.rows import Table
from thimble.tables.tensors import NUMERIC, Matrix, Named, Values, check_booleans

VERSION_1, VERSION_2 = np.lib.format.magic(1, 0), np.lib.format.magic(2, 0)
HEADERS = {
    VERSION_1: np.lib.format.read_array_header_1_0,
    VERSION_2: np.lib.format.read_array_header_2_0,
}


class Header(NamedTuple):
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]


def body(data: bytes, parameters: Mapping[str, str]) -> Table:
    """Read rows, or one row; a record array has a column for each field."""
    array = _read(data)
    if array.dtype.names:
        return Named({name: _values(array[name].reshape(-1)) for name in array.dtype.names})
    if array.ndim not in (1, 2):
        raise InvalidInput(f"the array has {array.ndim} dimensions; send [rows, features], or one row")
    return Matrix(_values(array if array.ndim == 2 else array[np.newaxis]), "array")


def _read(body: bytes) -> Values:
    """Read an array; check its size before memory is allocated, which numpy's own reader does not."""
    start = 10 if body.startswith(VERSION_1) else 12
    end = start + int.from_bytes(body[8:start], "little")
    try:
        shape, fortran, dtype = _header(body[:8], body[8:end])
    except Exception:  # numpy's reader and Python's tokenizer raise many kinds
        raise MalformedBody("the body is not numpy's .npy format, as numpy.save writes it") from None
    if dtype.hasobject:
        raise InvalidInput(
            "the array is of Python objects, which only a pickle can hold; pickles are not read"
        )
    size = len(body) - end
    if not size:
        raise MalformedBody("the array is empty")
    if size != prod(shape) * dtype.itemsize:
        raise MalformedBody(f"the array's data has {size} bytes; its header promises {shape} of {dtype}")
    values: Values = np.frombuffer(body, dtype, offset=end).reshape(shape, order="F" if fortran else "C")
    return values


@lru_cache(maxsize=64)
def _header(magic: bytes, text: bytes) -> Header:
    """Parse a header, whose length numpy limits.

    Headers are cached, because a client sends the same one again and Python's tokenizer is slow.
    """
    return Header(*HEADERS[magic](io.BytesIO(text)))


def _values(array: Values) -> Values:
    if array.dtype.kind == "b":
        check_booleans(array, "the array")
    if array.dtype.kind in NUMERIC:
        return array if array.dtype.itemsize <= 8 else _shortened(array)
    if array.dtype.kind == "U":
        return array.astype(object)
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8", "surrogateescape").astype(object)
    raise InvalidInput(f"the array is of {array.dtype.name}; send numbers, booleans or strings")


def _shortened(array: Values) -> Values:
    """Convert to doubles; a number that is too large becomes infinite, and is refused later."""
    with np.errstate(over="ignore"):
        return array.astype(np.float64)


def written(answered: Classified, parameters: Mapping[str, str]) -> bytes:
    """Write the probabilities as float64 of shape (rows, classes), with several outputs side by side."""
    first, *further = (scores.probabilities for scores in answered.predictions.outputs)
    p: Values = np.vstack([first, *further]) if further else first
    return _head(p.T.shape) + p.T.tobytes()


@lru_cache(maxsize=64)
def _head(shape: tuple[int, ...]) -> bytes:
    """Return the header that numpy.save writes before the doubles."""
    stream = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue()
