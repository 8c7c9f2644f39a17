"""Run a document's `preprocessing`: it turns the features of rows into the columns that a scorer takes.

There is one list of columns that only grows: first the features, then what each step appends. `outputs` says
which of them the scorer takes. Nothing is nested, so a pipeline of any shape is a short program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from math import inf, isfinite, nan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble.errors import InvalidModel, shortened
from thimble.inference import cost
from thimble.inference.arrays import FloatArray, all_finite, any_infinite
from thimble.inference.batch import Batch, Value
from thimble.inference.cost import Cost
from thimble.inference.features import Feature
from thimble.inference.fields import Fields
from thimble.inference.network import BLOCK
from thimble.inference.steps.columns import Row, Selection, Step, StepFields, Table, no_number, selection

KEYS = ("types", "missing", "steps", "outputs")
MAX_STEPS = 2_000
MAX_COLUMNS = 20_000
MOST_ALONE = 400  # columns that steps append; with more, numpy is faster
LONGEST_NAME = 80  # of a computed column


class Alone(NamedTuple):
    """A program for one row, with the bits of `Preprocessing.apply`, without numpy."""

    steps: tuple[Callable[[Row], list[float]], ...]
    outputs: tuple[int, ...]
    missing: tuple[float | None, ...]  # what a missing value of each feature is in a row
    takes_missing: bool

    def apply(self, values: Sequence[Value]) -> list[float] | None:
        """Return the outputs of a row; None if `Preprocessing.apply` may reject it, which has the reason."""
        row: Row = [missing if x is None else x for x, missing in zip(values, self.missing, strict=True)]
        try:
            for step in self.steps:
                row += step(row)
        except ArithmeticError:
            return None
        if inf in row or -inf in row:
            return None
        found = [row[column] for column in self.outputs]
        return found if self.takes_missing or isfinite(sum(found)) else None


class Preprocessing(NamedTuple):
    steps: tuple[tuple[Step, slice], ...]  # each with the columns that it fills
    outputs: Selection
    width: int
    names: tuple[str, ...]  # for each column, the features that it comes from
    takes_missing: bool  # whether output numbers may be missing
    cost: Cost  # of a row
    alone: Alone | None  # for one row; None where a step has no way for one, or numpy is quicker

    def apply(self, batch: Batch) -> tuple[FloatArray, dict[int, str], dict[int, FloatArray]]:
        """Return the outputs, (outputs, rows in whole blocks), the rejected rows with reasons, and the shares
        of unknown terms by free text. Rows with numbers that are not finite are rejected at the end, so the
        caller must silence numpy's warnings."""
        table = self.table(batch)
        outputs = table.numbers[self.outputs]
        if any_infinite(table.numbers) or not (self.takes_missing or all_finite(outputs)):
            self._reject(table)
        return outputs, table.rejected, table.unknown

    def table(self, batch: Batch) -> Table:
        """Return all columns, and the rows that a step rejects."""
        n_features, rows = batch.numbers.shape
        numbers = np.empty((self.width, rows + -rows % BLOCK))
        numbers[:n_features, :rows] = batch.numbers
        numbers[:n_features, rows:] = 0.0
        table = Table(numbers, batch.texts, rows, {}, {})
        for step, filled in self.steps:
            step.fill(table, numbers[filled])
        return table

    @property
    def vocabularies(self) -> frozenset[int]:
        """The free texts whose unknown terms are counted."""
        return frozenset(step.knows for step, _ in self.steps if step.knows is not None)

    def with_categories(self, features: Sequence[Feature]) -> tuple[Feature, ...]:
        """Return the features with the texts that the model knows for each."""
        known: dict[int, frozenset[str]] = {}
        for step, _ in self.steps:
            if step.categories:
                [column] = step.columns
                known[column] = known.get(column, frozenset()) | step.categories
        return tuple(
            feature._replace(categories=known.get(i, frozenset())) for i, feature in enumerate(features)
        )

    def _reject(self, table: Table) -> None:
        """Reject rows with infinity in any column, or with a missing number where the scorer needs one."""
        needed = np.zeros((self.width, 1), np.bool_)
        needed[self.outputs] = not self.takes_missing
        table.reject_where(np.isinf(table.numbers), self._too_large)
        table.reject_where(np.isnan(table.numbers) & needed, lambda column: no_number(self.names[column]))

    def _too_large(self, column: int) -> str:
        return f"{self.names[column]}: the value is too large for the model"


def parse(fields: Fields, features: Sequence[Feature], n_inputs: int, takes_missing: bool) -> Preprocessing:
    """Read the program of a document whose scorers take `n_inputs` columns. Raises InvalidModel, which says
    what is wrong with it."""
    fields.require_known(KEYS, "preprocessing")
    texts = frozenset(i for i, feature in enumerate(features) if not feature.numeric)
    free_texts = frozenset(i for i, feature in enumerate(features) if feature.type == "free_text")
    names = [feature.name or f"feature {i}" for i, feature in enumerate(features)]
    program: list[tuple[Step, slice]] = []
    spent = Cost()
    for i, raw in enumerate(_steps(fields)):
        path = f"{fields.at('steps')}[{i}]"
        step = _step(StepFields(raw, path, names, texts, free_texts))
        if len(names) + step.width > MAX_COLUMNS:
            raise InvalidModel(f"{path} makes more than {MAX_COLUMNS} columns")
        program.append((step, slice(len(names), len(names) + step.width)))
        spent = cost.in_turn((spent, step.cost))
        cost.check(cost.beside(spent, len(names)), path)
        names += _names(step, names)
    outputs = _outputs(fields, len(names), texts, n_inputs)
    plain = (
        len(names) - len(features) <= MOST_ALONE and not free_texts and all(step.plain for step, _ in program)
    )
    alone = Alone(
        steps=tuple(step.alone for step, _ in program),
        outputs=tuple(outputs.tolist()),
        missing=tuple(nan if feature.numeric else None for feature in features),
        takes_missing=takes_missing,
    )
    return Preprocessing(
        steps=tuple(program),
        outputs=selection(outputs),
        width=len(names),
        names=tuple(names),
        takes_missing=takes_missing,
        cost=cost.beside(spent, len(names)),
        alone=alone if plain else None,
    )


def _step(fields: StepFields) -> Step:
    from thimble.inference.steps import ops  # only here: a forest that takes missing values has no steps

    return ops.parse(fields)


def _steps(fields: Fields) -> list[Any]:
    found = fields.raw.get("steps", [])
    if not isinstance(found, list) or len(found) > MAX_STEPS:
        raise InvalidModel(f"{fields.at('steps')} is not a list of at most {MAX_STEPS} steps")
    return found


def _outputs(fields: Fields, width: int, texts: frozenset[int], n_inputs: int) -> NDArray[np.intp]:
    found, path = fields.indices("outputs", width), fields.at("outputs")
    if len(found) != n_inputs:
        raise InvalidModel(f"{path} has {len(found)} columns; {n_inputs} are taken")
    if not texts.isdisjoint(found.tolist()):
        raise InvalidModel(f"{path} has a column that is not of numbers")
    return found


def _names(step: Step, names: Sequence[str]) -> list[str]:
    """Return readable names for the columns that a step appends: the features that they come from."""
    if len(step.columns) == step.width:
        return [names[column] for column in step.columns]
    distinct = islice(dict.fromkeys(names[column] for column in step.columns), LONGEST_NAME)
    name = ", ".join(name[: LONGEST_NAME + 1] for name in distinct)
    return [shortened(name, LONGEST_NAME)] * step.width
