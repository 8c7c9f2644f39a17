"""Sums of the answers and votes of an ensemble's members, in their order: they round as the trainer's do."""

from __future__ import annotations

import numpy as np

from thimble.errors import InvalidModel
from thimble.inference.arrays import FloatArray
from thimble.inference.cost import elementwise
from thimble.inference.steps.columns import Step, StepFields, Table, selection

MOST = 20_000  # columns that a step appends


class Sum(Step):
    """Add up groups of `size` columns, each times its weight, one after the other; then divide."""

    KEYS = ("columns", "size", "weights", "divide", "sum_type")

    def __init__(self, fields: StepFields) -> None:
        columns, width = fields.columns(), _size(fields, "size")
        if len(columns) % width:
            raise InvalidModel(f"{fields.at('columns')} has {len(columns)} entries, not groups of {width}")
        groups = len(columns) // width
        weights = fields.vector("weights", groups).tolist() if "weights" in fields else [1.0] * groups
        self.dtype = fields.dtype("sum_type")
        self.divide = fields.positive("divide")
        self.parts = list(zip(map(selection, np.split(columns, groups)), weights, strict=True))
        self._declare([columns], width, elementwise(2 * len(columns), width))

    def fill(self, table: Table, out: FloatArray) -> None:
        total = np.zeros(out.shape, self.dtype)
        for columns, weight in self.parts:
            x = table.numbers[columns]
            total += x.astype(self.dtype) if weight == 1.0 else x * weight
        out[:] = total / self.dtype(self.divide)


class Votes(Step):
    """Count the votes of members, one column per choice. The codes in `columns` say what each member chooses:
    it adds its weight to that choice, and its number in `against` to all others."""

    KEYS = ("columns", "choices", "weights", "against")

    def __init__(self, fields: StepFields) -> None:
        columns, width = fields.columns(), _size(fields, "choices")
        n = len(columns)
        weights = fields.vector("weights", n).tolist()
        against = fields.vector("against", n).tolist() if "against" in fields else [0.0] * n
        self.choices = np.arange(width, dtype=np.float64)[:, np.newaxis]
        self.members = list(zip(columns.tolist(), weights, against, strict=True))
        self._declare([columns], width, elementwise(n, 4 * n * width))

    def fill(self, table: Table, out: FloatArray) -> None:
        out[:] = 0.0
        for column, weight, against in self.members:
            out += np.where(table.numbers[column] == self.choices, weight, against)


def _size(fields: StepFields, key: str) -> int:
    found = fields.count(key)
    if not 0 < found <= MOST:
        raise InvalidModel(f"{fields.at(key)} is {found}; it is from 1 to {MOST}")
    return found
