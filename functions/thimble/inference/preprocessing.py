"""From the features of rows to the columns that a network takes: the document's `preprocessing`, run.

There is one list of columns that only grows: first the features, then what each step appends. Which of them
go into the network is said last. Nothing is nested, so a pipeline of any shape is a short program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from thimble.errors import InvalidModel, shortened
from thimble.inference import cost, fields, steps
from thimble.inference.arrays import FloatArray, all_finite
from thimble.inference.cost import Cost
from thimble.inference.features import Feature
from thimble.inference.network import BLOCK
from thimble.inference.steps.columns import Selection, Step, Table, selection
from thimble.inference.steps.missing import no_number

MAX_COLUMNS = 20_000
LONGEST_NAME = 80  # of a computed column


class Preprocessing(NamedTuple):
    numbers: tuple[int, ...]  # the features that are
    steps: tuple[tuple[Step, slice], ...]  # each with the columns that it fills
    outputs: Selection
    width: int
    names: tuple[str, ...]  # of every column, the features that it comes from
    cost: Cost  # of a row

    def apply(self, features: Sequence[Any], rows: int) -> tuple[FloatArray, dict[int, str]]:
        """(outputs, rows in whole blocks), and the rows that get no answer, each with the reason."""
        numbers = np.empty((self.width, rows + -rows % BLOCK))
        numbers[: len(features)] = 0.0
        for feature in self.numbers:
            numbers[feature, :rows] = features[feature]
        table = Table(numbers, features, rows, {})
        with np.errstate(all="ignore"):  # what is not finite in the end is rejected
            for step, filled in self.steps:
                step.fill(table, numbers[filled])
            if not all_finite(numbers):
                self._reject(table)
        return numbers[self.outputs], table.rejected

    def _reject(self, table: Table) -> None:
        """Infinity in any column, and a number still missing where the network needs one."""
        needed = np.zeros((self.width, 1), np.bool_)
        needed[self.outputs] = True
        table.reject_where(np.isinf(table.numbers), self._too_large)
        table.reject_where(np.isnan(table.numbers) & needed, lambda column: no_number(self.names[column]))

    def _too_large(self, column: int) -> str:
        return f"{self.names[column]}: the value is too large for the model"


def read(raw: Mapping[str, Any], known: Sequence[Feature]) -> Preprocessing:
    """The program of a document that was read; InvalidModel says what is wrong with it."""
    texts = frozenset(i for i, feature in enumerate(known) if not feature.numeric)
    program: list[tuple[Step, slice]] = []
    spent = Cost()
    names = [feature.name or f"feature {i}" for i, feature in enumerate(known)]
    for i, step in enumerate(raw.get("steps", ())):
        path = f"preprocessing.steps[{i}]"
        read_step = steps.read(step, path, len(names), texts, names)
        if len(names) + read_step.width > MAX_COLUMNS:
            raise InvalidModel(f"{path} makes more than {MAX_COLUMNS} columns")
        program.append((read_step, slice(len(names), len(names) + read_step.width)))
        spent = cost.in_turn((spent, read_step.cost))
        cost.check(cost.beside(spent, len(names)), path)
        names += _names(step, names, read_step.width)
    outputs = fields.indices(raw.get("outputs"), "preprocessing.outputs", len(names))
    if texts & set(outputs.tolist()):
        raise InvalidModel("preprocessing.outputs has a column that is not of numbers")
    return Preprocessing(
        numbers=tuple(i for i, feature in enumerate(known) if feature.numeric),
        steps=tuple(program),
        outputs=selection(outputs),
        width=len(names),
        names=tuple(names),
        cost=cost.beside(spent, len(names)),
    )


def _names(step: dict[str, Any], names: list[str], width: int) -> list[str]:
    """What people call the columns that a step appends: by the features that they come from."""
    read_columns = [*step.get("columns", ()), *step.get("left", ()), *step.get("right", ())]
    if "column" in step:
        read_columns.append(step["column"])
    if len(read_columns) == width:
        return [names[column] for column in read_columns]
    distinct = islice(dict.fromkeys(names[column] for column in read_columns), LONGEST_NAME)
    return [shortened(", ".join(name[: LONGEST_NAME + 1] for name in distinct), LONGEST_NAME)] * width
