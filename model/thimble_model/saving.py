"""Write a table into a file, in the format that the file's name says."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import polars as pl

from thimble.errors import InvalidInput
from thimble.tables import formats

Writer = Callable[[pd.DataFrame], bytes]


def writer(path: Path) -> Writer:
    """Return the writer for a file's name. Raises InvalidInput if the name says no format."""
    name = formats.named(path.name)
    write, packed = WRITERS.get(name.format), name.compression
    if write is None or (packed and name.format == "parquet"):
        known = ", ".join(formats.EXTENSIONS)
        raise InvalidInput(f"the name {path.name} says no format to save a table in; these do: {known}")
    if packed is None:
        return write
    return lambda table: b"".join(packed.compress([write(table)]))


def _delimited(separator: str) -> Writer:
    return lambda table: table.to_csv(index=False, sep=separator).encode()


def _in_polars(table: pd.DataFrame) -> pl.DataFrame:
    """Return the table in polars, with null for missing values."""
    return pl.DataFrame(
        {
            str(name): [None if gone else value for gone, value in zip(pd.isna(column), column, strict=True)]
            for name, column in table.items()
        }
    )


def _parquet(table: pd.DataFrame) -> bytes:
    out = io.BytesIO()
    _in_polars(table).write_parquet(out)
    return out.getvalue()


WRITERS: dict[str, Writer] = {
    "csv": _delimited(","),
    "tsv": _delimited("\t"),
    "jsonl": lambda table: _in_polars(table).write_ndjson().encode(),
    "json": lambda table: _in_polars(table).write_json().encode(),
    "parquet": _parquet,
}
