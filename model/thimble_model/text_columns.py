"""Find the term of a text behind a column, unchanged or scaled."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace

from thimble_model.program import Column, Program, Step


@dataclass(frozen=True)
class Term:
    """A column as factor * term + offset."""

    step: Step
    id: int
    factor: float = 1.0
    offset: float = 0.0


class Terms:
    """The terms behind columns, scaled or not."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._steps = [step for step in steps if step.op == "text" or is_affine(step)]
        self._starts = [step.writes[0] for step in self._steps]

    def of(self, index: int) -> Term | None:
        k = bisect_right(self._starts, index) - 1
        if k < 0:
            return None
        step = self._steps[k]
        i = bisect_left(step.writes, index)  # of a step that was trimmed, columns are missing between others
        if i == len(step.writes) or step.writes[i] != index:
            return None
        if step.op == "text":
            return Term(step, i)
        behind = self.of(step.reads[i])
        if behind is None:
            return None
        keys = step.keys
        subtract, divide, multiply, add = (
            keys[key][i] if key in keys else default
            for key, default in (("subtract", 0.0), ("divide", 1.0), ("multiply", 1.0), ("add", 0.0))
        )
        factor = multiply / divide
        return replace(
            behind, factor=behind.factor * factor, offset=(behind.offset - subtract) * factor + add
        )


def is_affine(step: Step) -> bool:
    return step.op == "scale" and not step.keys.keys() & {"minimum", "maximum"}


def are_terms(program: Program, columns: list[Column]) -> bool:
    if not any(step.op == "text" for step in program.steps):
        return False
    terms = Terms(program.steps)
    return any(terms.of(column.index) for column in columns)
