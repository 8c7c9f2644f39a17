"""Networks during the export: the program's columns that they read, and how steps fold into them.

An affine step before a network is folded into its first layer, as long as the rounding that this adds to the
answers is bounded far below the promised parity. x * (w / s) - m * w / s loses the digits of m / s; a year or
a timestamp would lose many, so it remains a step of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thimble_model.forests import ForestHead, Meaning
from thimble_model.program import Program, Step
from thimble_model.unsupported import Unsupported

FloatArray = NDArray[np.float64]

SCALE_BUDGET = 1e-13  # the most rounding added to a logit, for all scaled columns together
MANY = 256  # one-hot columns that are better looked up
LINEAR_BUDGET = 1e-10  # for principal components and the like, whose promise is 1e-9


@dataclass(frozen=True)
class Head(Meaning):
    """A network over columns of the program. `keys` are the document's keys without the weights."""

    inputs: tuple[int, ...]
    coefs: tuple[FloatArray, ...]
    intercepts: tuple[FloatArray, ...]
    keys: dict[str, Any] = field(default_factory=dict)
    decisions: tuple[int, ...] = ()  # the decision_function's columns, if they are not the logits

    @property
    def n_outputs(self) -> int:
        return int(self.coefs[-1].shape[1])

    def over(self, inputs: Sequence[int]) -> Head:
        """Return the same network over these columns, which include its own."""
        first = np.zeros((len(inputs), self.coefs[0].shape[1]))
        places = {index: i for i, index in enumerate(inputs)}
        for row, index in zip(self.coefs[0], self.inputs, strict=True):
            first[places[index]] += row
        return replace(self, inputs=tuple(inputs), coefs=(first, *self.coefs[1:]))

    def document_keys(self) -> dict[str, Any]:
        if not all(np.isfinite(weights).all() for weights in (*self.coefs, *self.intercepts)):
            raise Unsupported("the estimator has weights that are not finite: its training diverged")
        return {
            **self.keys,
            "n_layers": len(self.coefs) + 1,
            "n_outputs": self.n_outputs,
            "coefs": [W.tolist() for W in self.coefs],
            "intercepts": [b.tolist() for b in self.intercepts],
        }


AnyHead = Head | ForestHead


def head(inputs: Sequence[int], coefs: Sequence[Any], intercepts: Sequence[Any], **keys: Any) -> Head:
    return Head(
        inputs=tuple(inputs),
        coefs=tuple(np.asarray(W, dtype=np.float64) for W in coefs),  # float32 is exact in float64
        intercepts=tuple(np.asarray(b, dtype=np.float64) for b in intercepts),
        keys={key: value for key, value in keys.items() if value is not None},
    )


def identity_head(inputs: Sequence[int], **keys: Any) -> Head:
    """Return a head whose outputs are the columns themselves."""
    n = len(inputs)
    return head(inputs, [np.eye(n)], [np.zeros(n)], out_activation="identity", **keys)


def lowered(program: Program, network: Head) -> list[int]:
    """Turn a network into steps, and return the columns of its outputs before their activation."""
    columns = list(network.inputs)
    last = len(network.coefs) - 1
    for i, (W, b) in enumerate(zip(network.coefs, network.intercepts, strict=True)):
        made = program.add("linear", columns, width=len(b), coefs=W, intercepts=b)
        if i < last and network.keys["activation"] != "identity":
            made = program.add("function", [column.index for column in made], name=network.keys["activation"])
        columns = [column.index for column in made]
    return columns


def side_by_side(heads: Sequence[AnyHead]) -> list[AnyHead]:
    """Return the heads such that all read the same columns in the same order."""
    inputs = tuple(dict.fromkeys(index for one in heads for index in one.inputs))
    return [one if one.inputs == inputs else one.over(inputs) for one in heads]


def folded(program: Program, heads: Sequence[AnyHead]) -> list[AnyHead]:
    """Fold affine steps into the heads' first layers, unless nonlinearity or rounding forbids it."""
    budget = {"scale": SCALE_BUDGET, "linear": LINEAR_BUDGET, "constant": np.inf}
    folded_heads = [one for one in heads if isinstance(one, Head)]
    if len(folded_heads) < len(heads):
        return list(heads)  # a forest folds nothing
    for step in reversed(program.steps):
        if step.foldable and set(step.writes) & set(folded_heads[0].inputs):
            folded_heads, spent = FOLDS[step.op](step, folded_heads, budget[step.op])
            budget[step.op] -= spent
    return list(folded_heads)


def _fold_constant(step: Step, heads: list[Head], budget: float) -> tuple[list[Head], float]:
    if set(heads[0].inputs) <= set(step.writes):
        return heads, 0.0  # a network needs an input
    values = dict(zip(step.writes, step.keys["values"], strict=True))
    kept = [j for j, index in enumerate(heads[0].inputs) if index not in values]
    offsets = np.array([values.get(index, 0.0) for index in heads[0].inputs])
    inputs = [heads[0].inputs[j] for j in kept]
    return [_refolded(one, inputs, one.coefs[0][kept], offsets) for one in heads], 0.0


def _fold_scale(step: Step, heads: list[Head], budget: float) -> tuple[list[Head], float]:
    """Fold column by column, those with the least rounding first, until the budget is spent."""
    n = len(step.writes)
    subtract, divide, multiply, add = (
        np.asarray(step.keys.get(key, [default] * n), dtype=np.float64)
        for key, default in (("subtract", 0.0), ("divide", 1.0), ("multiply", 1.0), ("add", 0.0))
    )
    factors = multiply / divide
    shifts = add - subtract * factors
    places = {index: i for i, index in enumerate(step.writes)}
    inputs = list(heads[0].inputs)
    reached = [j for j, index in enumerate(inputs) if index in places]
    costs = {j: np.spacing(1.0) * abs(shifts[places[inputs[j]]]) * _influence(heads)[j] for j in reached}
    scales, offsets = np.ones(len(inputs)), np.zeros(len(inputs))
    spent = 0.0
    for j in sorted(reached, key=costs.__getitem__):
        if spent + costs[j] > budget:
            break
        spent += float(costs[j])
        i = places[inputs[j]]
        inputs[j], scales[j], offsets[j] = step.reads[i], factors[i], shifts[i]
    return [_refolded(one, inputs, one.coefs[0] * scales[:, np.newaxis], offsets) for one in heads], spent


def _fold_linear(step: Step, heads: list[Head], budget: float) -> tuple[list[Head], float]:
    coefs = np.asarray(step.keys["coefs"], dtype=np.float64)
    intercepts = np.asarray(step.keys["intercepts"], dtype=np.float64)
    places = {index: i for i, index in enumerate(step.writes)}
    inputs = heads[0].inputs
    reached = [j for j, index in enumerate(inputs) if index in places]
    chosen = [places[inputs[j]] for j in reached]
    cost = float(np.spacing(1.0) * (np.abs(intercepts[chosen]) @ _influence(heads)[reached]))
    if cost > budget:
        return heads, 0.0
    kept = [j for j in range(len(inputs)) if j not in reached]
    offsets = np.zeros(len(inputs))
    offsets[reached] = intercepts[chosen]
    return [
        _refolded(
            one,
            [*(inputs[j] for j in kept), *step.reads],
            np.vstack([one.coefs[0][kept], coefs[:, chosen] @ one.coefs[0][reached]]),
            offsets,
        )
        for one in heads
    ], cost


def embedded(program: Program, heads: Sequence[AnyHead]) -> list[AnyHead]:
    """Replace products with many one-hot columns by look-ups, in the heads and in the steps.

    A row then adds up the weights of one category per encoded column.
    """
    steps, program.steps = program.steps, []
    many = {index: step for step in steps if step.op == "one_hot" for index in step.writes if _are_many(step)}
    for step in steps:
        if step.op == "linear":
            reads, coefs = _looked_up(program, many, step.reads, np.asarray(step.keys["coefs"]))
            step = replace(step, reads=tuple(reads), keys={**step.keys, "coefs": coefs.tolist()})
        program.steps.append(step)
    networks = [one for one in heads if isinstance(one, Head)]
    if len(networks) < len(heads):
        return list(heads)  # a forest reads single columns
    inputs, first = _looked_up(program, many, heads[0].inputs, np.hstack([one.coefs[0] for one in networks]))
    parts = np.split(first, np.cumsum([one.coefs[0].shape[1] for one in networks])[:-1], axis=1)
    return [
        replace(one, inputs=tuple(inputs), coefs=(part, *one.coefs[1:]))
        for one, part in zip(networks, parts, strict=True)
    ]


def _are_many(step: Step) -> bool:
    return len(step.writes) >= MANY


def _looked_up(
    program: Program, many: dict[int, Step], inputs: Sequence[int], coefs: FloatArray
) -> tuple[list[int], FloatArray]:
    """Return inputs and their weights (inputs, outputs), with a look-up step's sums for one-hot columns."""
    width = coefs.shape[1]
    for step in {id(step): step for step in map(many.get, inputs) if step is not None}.values():
        if len(step.writes) <= width:
            continue
        weights = {index: row for index, row in zip(inputs, coefs, strict=True) if many.get(index) is step}
        tables = np.array([weights.get(index, np.zeros(width)) for index in step.writes])
        sizes = step.keys["sizes"]
        sized = [(code, size) for code, size in zip(step.reads, sizes, strict=True) if size]
        ends = np.cumsum([size for _, size in sized])[:-1]
        sums = program.add(
            "embed",
            [code for code, _ in sized],
            width=width,
            tables=[table.tolist() for table in np.split(tables, ends)],
        )
        kept = [j for j, index in enumerate(inputs) if index not in weights]
        inputs = [*(inputs[j] for j in kept), *(one.index for one in sums)]
        coefs = np.vstack([coefs[kept], np.eye(width)])
    return list(inputs), coefs


FOLDS = {"constant": _fold_constant, "linear": _fold_linear, "scale": _fold_scale}


def _refolded(one: Head, inputs: Sequence[int], first: FloatArray, offsets: FloatArray) -> Head:
    shifted = one.intercepts[0] + offsets @ one.coefs[0]
    return replace(
        one, inputs=tuple(inputs), coefs=(first, *one.coefs[1:]), intercepts=(shifted, *one.intercepts[1:])
    )


def _influence(heads: Sequence[Head]) -> FloatArray:
    """Return the most that a unit of each input moves any output; no activation is steeper than 1."""
    return np.max([_influence_of(one) for one in heads], axis=0)  # type: ignore[no-any-return]


def _influence_of(one: Head) -> FloatArray:
    through = np.abs(one.coefs[-1])
    for W in reversed(one.coefs[:-1]):
        through = np.abs(W) @ through
    return through.max(axis=1)  # type: ignore[no-any-return]
