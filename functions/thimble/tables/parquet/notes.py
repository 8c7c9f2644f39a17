"""What writers and other tools note in a Parquet file about its columns, with the answers' columns added.

A reader that finds its own note trusts it: a column that is not in it is not there, or loses its type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson
import polars as pl

from thimble.tables.parquet import arrow_schema
from thimble.tables.parquet.arrow_schema import ARROW_SCHEMA
from thimble.tables.parquet.thrift import Struct

KEY, VALUE = 1, 2  # of a note
PANDAS = b"pandas"
SPARK = b"org.apache.spark.sql.parquet.row.metadata"
AVRO = (b"parquet.avro.schema", b"avro.schema")
AVRO_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")


class Names(NamedTuple):
    """What a type is called."""

    pandas: str
    numpy: str
    spark: str
    avro: str


TYPES = {
    pl.String: Names("unicode", "str", "string", "string"),
    pl.Float64: Names("float64", "float64", "double", "double"),
    pl.Int64: Names("int64", "int64", "long", "long"),
    pl.UInt64: Names("uint64", "uint64", "decimal(20,0)", "long"),
    pl.Boolean: Names("bool", "bool", "boolean", "boolean"),
    pl.Decimal: Names("decimal", "object", "decimal(38,0)", "bytes"),
}


def extended(
    theirs: Mapping[bytes, Struct], ours: Mapping[bytes, Struct], schema: pl.Schema
) -> Iterator[Struct]:
    """Yield the notes of a file, with the columns of a schema, of which `ours` are polars' notes."""
    for key, note in theirs.items():
        if key == ARROW_SCHEMA:
            yield arrow_schema.joined(note, ours[key])
        elif key in EDITORS and VALUE in note:
            yield note | {VALUE: _edited(EDITORS[key], note[VALUE], schema)}
        else:
            yield note


def _edited(edit: Callable[[Any, pl.Schema], None], data: bytes, schema: pl.Schema) -> bytes:
    """A note of JSON; one that is not as its tool writes it stays as it is."""
    try:
        found = orjson.loads(data)
        edit(found, schema)
    except (ValueError, KeyError, TypeError, AttributeError):
        return data
    return orjson.dumps(found)


def _pandas(note: Any, schema: pl.Schema) -> None:
    for name, dtype in schema.items():
        found, numpy, metadata = _names(dtype).pandas, _names(dtype).numpy, None
        if isinstance(dtype, pl.List):
            found, numpy = f"list[{found}]", "object"
        elif isinstance(dtype, pl.Decimal):
            metadata = {"precision": dtype.precision, "scale": dtype.scale}
        column = {"name": name, "field_name": name, "pandas_type": found, "numpy_type": numpy}
        note["columns"].append(column | {"metadata": metadata})


def _spark(note: Any, schema: pl.Schema) -> None:
    for name, dtype in schema.items():
        found: Any = _names(dtype).spark
        if isinstance(dtype, pl.List):
            found = {"type": "array", "elementType": found, "containsNull": True}
        note["fields"].append({"name": name, "type": found, "nullable": True, "metadata": {}})


def _avro(note: Any, schema: pl.Schema) -> None:
    """Avro has no name for some columns: then its readers read the others."""
    if not all(map(AVRO_NAME.fullmatch, schema)):
        raise ValueError
    for name, dtype in schema.items():
        found: Any = _names(dtype).avro
        if isinstance(dtype, pl.Decimal):
            digits = {"precision": dtype.precision, "scale": dtype.scale}
            found = {
                "type": "fixed",
                "name": f"{name}_decimal",
                "size": 16,
                "logicalType": "decimal",
            } | digits
        if isinstance(dtype, pl.List):
            found = {"type": "array", "items": ["null", found]}
        note["fields"].append({"name": name, "type": ["null", found], "default": None})


def _names(dtype: pl.DataType) -> Names:
    inner = dtype.inner if isinstance(dtype, pl.List) else dtype
    return next(names for type_, names in TYPES.items() if inner == type_)


EDITORS = {PANDAS: _pandas, SPARK: _spark, **dict.fromkeys(AVRO, _avro)}
