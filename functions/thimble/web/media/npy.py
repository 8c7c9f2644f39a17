"""numpy's .npy: an array in, the probabilities out. Never a pickle: arrays of objects are refused unread."""

from __future__ import annotations

import io
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from thimble.classifier import Classifier, Predictions
from thimble.errors import InvalidInput, MalformedBody
from thimble.web.media import Media
from thimble.web.tables import Table
from thimble.web.tensors import NUMERIC, Matrix, Named, Values

HEADERS = {
    np.lib.format.magic(1, 0): np.lib.format.read_array_header_1_0,
    np.lib.format.magic(2, 0): np.lib.format.read_array_header_2_0,
}


def table(body: bytes, media: Media) -> Table:
    """Rows, or one row; a record array has a column a field."""
    array = _read(body)
    if array.dtype.names:
        return Named({name: _values(array[name].reshape(-1)) for name in array.dtype.names})
    if array.ndim not in (1, 2):
        raise InvalidInput(f"the array has {array.ndim} dimensions; send [rows, features], or one row")
    return Matrix(_values(np.atleast_2d(array)), "array")


def _read(body: bytes) -> Values:
    """numpy's own reader makes room for what the header promises; this one looks at what is there first."""
    start = 10 if body.startswith(np.lib.format.magic(1, 0)) else 12
    end = start + int.from_bytes(body[8:start], "little")
    try:
        shape, fortran, dtype = _header(body[:8], body[8:end])
    except Exception:  # whatever numpy's reader and Python's tokenizer make of such bytes
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
def _header(magic: bytes, text: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Kept: a client sends the same again, and Python's tokenizer takes its time. numpy bounds the length."""
    found: tuple[tuple[int, ...], bool, np.dtype[Any]] = HEADERS[magic](io.BytesIO(text))
    return found


def _values(array: Values) -> Values:
    if array.dtype.kind in NUMERIC:
        return array
    if array.dtype.kind == "U":
        return array.astype(object)
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8", "replace").astype(object)
    raise InvalidInput(f"the array is of {array.dtype.name}; send numbers, booleans or strings")


def written(classifier: Classifier, predictions: Predictions, media: Media) -> bytes:
    """(rows, classes) in FP64; of several outputs, side by side."""
    parts = [part.probabilities for part in (predictions, *predictions.further)]
    stream = io.BytesIO()
    found: Any = np.ascontiguousarray(np.vstack(parts).T)
    np.lib.format.write_array(stream, found, allow_pickle=False)
    return stream.getvalue()
