"""MLflow's scoring server: what /invocations takes beside SageMaker's forms, and /version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from thimble.errors import MalformedBody
from thimble.tables.values import kind
from thimble.web import options
from thimble.web.http import Methods, Operation, Request, Response
from thimble.web.serving import Service
from thimble.web.tables import Rows, Table, columnar

VERSION = "3.17.2"  # of MLflow, whose protocol this is
SPLIT = ("columns", "index", "data")


def split(value: Any) -> Table:
    """pandas' orient="split": names once, and rows."""
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise MalformedBody(
            'dataframe_split is no object with columns and data, such as {"columns": [...], "data": [...]}'
        )
    options.check_keys(value, SPLIT, "dataframe_split")
    path, rows, names = "dataframe_split.data[{}]", value["data"], value.get("columns")
    if names is None:
        return Rows(rows, path)
    if not isinstance(names, list) or not (_all(str, names) or _all(int, names)):
        raise MalformedBody("dataframe_split.columns is not a list of names")
    if len(set(names)) < len(names):
        raise MalformedBody("dataframe_split.columns has a name twice")
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise MalformedBody(f"{path.format(i)} is not a list of {len(names)} values, as columns is")
    if _all(int, names):  # pandas counts columns that have no names
        return Rows(rows, path)
    return Rows([dict(zip(names, row, strict=True)) for row in rows], path)


def _all(kind: type, values: list[Any]) -> bool:
    return set(map(type, values)) <= {kind}


def records(value: Any) -> Table:
    if not isinstance(value, list):
        raise MalformedBody(f"dataframe_records is {kind(value)}, not a list of objects")
    return Rows(value, "dataframe_records[{}]")


def inputs(value: Any) -> Table:
    """A column a feature, or one tensor of rows."""
    if isinstance(value, dict):
        return columnar(value, "inputs")
    if not isinstance(value, list):
        raise MalformedBody(f"inputs is {kind(value)}, neither rows nor columns")
    return Rows(value, "inputs[{}]")


ENVELOPES: Mapping[str, Callable[[Any], Table]] = {
    "dataframe_split": split,
    "dataframe_records": records,
    "inputs": inputs,
}


def version(service: Service, request: Request) -> Response:
    return Response(200, VERSION.encode(), "text/plain; charset=utf-8")


ROUTES: Mapping[str, Methods] = {"/version": {"GET": Operation(version)}}
