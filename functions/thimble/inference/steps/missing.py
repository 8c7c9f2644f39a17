"""Steps that say what becomes of missing numbers."""

from __future__ import annotations

import numpy as np

from thimble.inference.arrays import FloatArray
from thimble.inference.cost import elementwise
from thimble.inference.steps.columns import Step, Table, selection
from thimble.inference.steps.keys import Keys


def impute(keys: Keys) -> Step:
    """x, or its column's value where x is missing, or where it equals `missing`."""
    columns = keys.columns()
    reads, values, missing = selection(columns), keys.vector("values", len(columns)), keys.finite("missing")

    def fill(table: Table, out: FloatArray) -> None:
        out[:] = table.numbers[reads]
        absent = np.isnan(out) if missing is None else out == missing
        np.copyto(out, values, where=absent)

    return Step(len(values), fill, elementwise(len(values), len(values)))


def require(keys: Keys) -> Step:
    """A missing number here rejects the row."""
    columns = keys.columns()
    reads, names = selection(columns), [keys.names[column] for column in columns]

    def fill(table: Table, out: FloatArray) -> None:
        table.reject_where(np.isnan(table.numbers[reads]), lambda i: no_number(names[i]))

    return Step(0, fill, elementwise(len(columns), 0))


def no_number(name: str) -> str:
    return f"{name}: the preprocessing makes no number of it"
