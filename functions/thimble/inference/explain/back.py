"""Trace the numbers that a scorer takes back to the features that people send.

A score that is linear in some columns is also linear in the columns before them, as long as the steps between
are sums. So weights are taken back through the steps until each belongs to a column that comes from one
feature, or from a product of several. What such a column adds beyond its mean is what its features
contribute; a column of several features is shared among them in equal parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray
from thimble.inference.document import Document
from thimble.inference.forest import Forest
from thimble.inference.network import Network
from thimble.inference.outputs import Output, Scorer
from thimble.inference.preprocessing import Preprocessing
from thimble.inference.steps import (
    arithmetic,
    categories,
    classify,
    splines,
    sums,
    text,
    trees,
)
from thimble.inference.steps.columns import Step, listed
from thimble.inference.steps.ops import OPS

Owners = frozenset[int]  # features
OP = {kind: op for op, kind in OPS.items()}
NETWORK = "the model is a network with hidden layers"


class Columns(NamedTuple):
    """Columns of the program with a weight for each number of the scorer."""

    at: NDArray[np.intp]
    weights: FloatArray  # (columns, outputs)


class Embedded(NamedTuple):
    """A step `embed` of several features."""

    step: categories.Embed
    weights: FloatArray  # (width, outputs)

    @property
    def means(self) -> FloatArray:
        """The means of the columns that the step reads, (columns, width). A document without them is refused
        before they are used."""
        return np.zeros((0, 0)) if self.step.means is None else self.step.means


class Grown(NamedTuple):
    """A forest over columns of the program."""

    scorer: Scorer
    reads: list[int]
    weights: FloatArray  # (outputs of the forest, outputs)

    @property
    def forest(self) -> Forest:
        assert isinstance(self.scorer, Forest)  # weights go back through a network
        return self.scorer


class Plan(NamedTuple):
    """The parts whose sum is a scorer's numbers."""

    constant: FloatArray  # (outputs,)
    columns: Columns
    embedded: tuple[Embedded, ...]
    grown: tuple[Grown, ...]
    owners: tuple[Owners, ...]  # for each column of the program
    refusal: str  # why the parts do not add up, in the first words of a sentence; "" if they do


class _Walk:
    """Weights on their way back through the steps."""

    def __init__(self, width: int, n_outputs: int) -> None:
        self.weights = np.zeros((width, n_outputs))
        self.constant = np.zeros(n_outputs)
        self.embedded: list[Embedded] = []
        self.grown: list[Grown] = []

    def add(self, columns: Sequence[int], weights: FloatArray) -> None:
        np.add.at(self.weights, list(columns), weights)

    def network(self, scorer: Network, columns: Sequence[int], weights: FloatArray) -> None:
        self.add(columns, scorer.weights[0].T @ weights)
        self.constant += scorer.biases[0][:, 0] @ weights

    def scorer(self, scorer: Scorer, columns: list[int], weights: FloatArray) -> None:
        if isinstance(scorer, Network):
            self.network(scorer, columns, weights)
        else:
            self.grown.append(Grown(scorer, columns, weights))


def plan(document: Document, output: Output) -> Plan:
    """Return how the numbers of an output come from the columns of the program. Do not change the result: it
    is shared."""
    program, n_features = document.preprocessing, len(document.schema.features)
    return document.once("plan", output.scorer, lambda: _plan(program, output.scorer, n_features))


def _plan(program: Preprocessing | None, scorer: Scorer, n_features: int) -> Plan:
    width = n_features if program is None else program.width
    walk = _Walk(width, scorer.n_outputs)
    owners, mixed = _owners(program, n_features)
    told = _of_scorer(scorer)
    if not told:
        inputs = list(range(n_features)) if program is None else listed(program.outputs)
        walk.scorer(scorer, inputs, np.eye(scorer.n_outputs))
        for step, filled in reversed(program.steps if program else ()):
            told = told or _back(walk, step, filled, owners, mixed)
    at = np.flatnonzero(walk.weights.any(axis=1))
    columns = Columns(at, walk.weights[at])
    return Plan(walk.constant, columns, tuple(walk.embedded), tuple(walk.grown), tuple(owners), told)


class OfText(NamedTuple):
    """A step that reads a text, with a weight for each of its sums."""

    step: text.Text
    weights: FloatArray  # (width, outputs)


def of_texts(document: Document, plan: Plan) -> list[OfText]:
    """Return the steps by which free texts contribute as sums of terms. Columns that are made from texts in
    other ways are left out."""
    program = document.preprocessing
    free = {i for i, feature in enumerate(document.schema.features) if feature.type == "free_text"}
    if program is None or not free:
        return []
    walk, found = _Walk(program.width, plan.columns.weights.shape[1]), []
    for column, weights in zip(plan.columns.at.tolist(), plan.columns.weights, strict=True):
        if len(plan.owners[column]) == 1 and plan.owners[column] <= free:
            walk.weights[column] = weights
    for step, filled in reversed(program.steps):
        weights = walk.weights[filled]
        way = through(step)
        if isinstance(step, text.Text) and weights.any():
            found.append(OfText(step, weights))
        elif way is not None and weights.any():
            way(walk, step, weights)
    return found


def _of_scorer(scorer: Scorer) -> str:
    """Return why a scorer's numbers are not a sum; "" if they are."""
    if isinstance(scorer, Network) and len(scorer.weights) > 1:
        return NETWORK
    return ""


def _back(walk: _Walk, step: Step, filled: slice, owners: list[Owners], mixed: NDArray[np.bool_]) -> str:
    """Take the weights of a step's columns back to the columns that it reads. Return why that is
    impossible; "" if it was possible."""
    weights = walk.weights[filled]
    several = [i for i in range(step.width) if weights[i].any() and len(owners[filled.start + i]) != 1]
    if not several:
        return ""
    way = through(step)
    if way is None:
        told = [i for i in several if mixed[filled.start + i]]
        return _not_additive(step) if told else ""
    chosen = np.zeros_like(weights)
    chosen[several] = weights[several]
    way(walk, step, chosen)
    weights[several] = 0.0
    return ""


def _not_additive(step: Step) -> str:
    return f"the model computes with a mixture of several features (step {OP[type(step)]!r})"


Way = Callable[["_Walk", Step, FloatArray], None]


def through(step: Step) -> Way | None:
    """Return the way back through a step that only adds up; None for any other step."""
    if isinstance(step, arithmetic.Scale) and step.plain:
        return _scale
    if isinstance(step, classify.Classify):
        return _classify if adds_up(step) else None
    if isinstance(step, trees.Forest):
        return _forest if step.adds_up else None
    if isinstance(step, sums.Sum):
        return _sum if step.dtype is np.float64 else None
    return WAYS.get(type(step))


def adds_up(step: classify.Classify) -> bool:
    """Return whether a step's classifier gives the plain sums of a linear model or of trees."""
    head, scorer = step.output
    plain = step.gives == ("logits",)
    shown = step.gives == ("probabilities",) and head.out_activation == "identity"
    alone = not (head.binary or head.apart or head.normalize or head.temperature != 1.0)
    return not _of_scorer(scorer) and (plain or (shown and alone))


def _linear(walk: _Walk, step: Step, weights: FloatArray) -> None:
    assert isinstance(step, arithmetic.Linear)
    walk.add(step.columns, step.weights.T @ weights)
    walk.constant += step.biases[:, 0] @ weights


def _scale(walk: _Walk, step: Step, weights: FloatArray) -> None:
    assert isinstance(step, arithmetic.Scale)
    zero, one = np.zeros((step.width, 1)), np.ones((step.width, 1))
    for key, values in step.operations:
        zero, one = (arithmetic.SCALING[key](x, values) for x in (zero, one))
    walk.add(step.columns, (one - zero) * weights)
    walk.constant += (zero * weights).sum(axis=0)


def _sum(walk: _Walk, step: Step, weights: FloatArray) -> None:
    assert isinstance(step, sums.Sum)
    for columns, weight in step.parts:
        walk.add(listed(columns), weights * (weight / step.divide))


def _constant(walk: _Walk, step: Step, weights: FloatArray) -> None:
    assert isinstance(step, arithmetic.Constant)
    walk.constant += (step.values * weights).sum(axis=0)


def _embed(walk: _Walk, step: Step, weights: FloatArray) -> None:
    assert isinstance(step, categories.Embed)
    walk.embedded.append(Embedded(step, weights))


def _classify(walk: _Walk, step: Step, weights: FloatArray) -> None:
    assert isinstance(step, classify.Classify)
    walk.scorer(step.output.scorer, step.columns, weights)


def _forest(walk: _Walk, step: Step, weights: FloatArray) -> None:
    assert isinstance(step, trees.Forest)
    walk.scorer(step.scorer, step.columns, weights)


WAYS: dict[type[Step], Way] = {
    arithmetic.Linear: _linear,
    arithmetic.Constant: _constant,
    categories.Embed: _embed,
}


def _owners(program: Preprocessing | None, n_features: int) -> tuple[list[Owners], NDArray[np.bool_]]:
    """Return the features that each column comes from, and whether it computes with a mixture of several.

    A column that is made from a sum of several features is such a mixture, unless it is a sum too: weights go
    back through sums.
    """
    owners: list[Owners] = [frozenset([i]) for i in range(n_features)]
    summed, mixed = [False] * n_features, [False] * n_features
    for step, filled in program.steps if program else ():
        adding = through(step) is not None
        for reads in sources(step):
            own: Owners = frozenset().union(*(owners[column] for column in reads))
            opaque = not adding and isinstance(step, SUMS)
            before = any(mixed[column] or (summed[column] and not adding) for column in reads)
            summed.append(len(own) > 1 and adding)
            if isinstance(step, arithmetic.Linear):  # a constant, but missing where one of these is
                own = own or frozenset().union(*(owners[column] for column in step.columns))
            owners.append(own)
            mixed.append(len(own) > 1 and (before or opaque))
        assert len(owners) == filled.stop
    return owners, np.array(mixed)


def sources(step: Step) -> Iterable[Sequence[int]]:
    """Return for each column that a step appends the columns that it comes from."""
    columns = step.columns
    if isinstance(step, arithmetic.Pairs | arithmetic.Coalesce):
        return list(zip(columns[: step.width], columns[step.width :], strict=True))
    if isinstance(step, categories.OneHot):
        return [[column] for column in step.each]
    if isinstance(step, splines.Spline):
        return [[column] for column, n in zip(columns, step.widths, strict=True) for _ in range(n)]
    if isinstance(step, arithmetic.Linear):
        read = np.array(columns)
        return [read[weights != 0.0].tolist() for weights in step.weights]
    if isinstance(step, sums.Sum):
        n = step.width
        return [columns[i::n] for i in range(n)]
    whole = isinstance(step, WHOLE)
    return [columns] * step.width if whole else [[column] for column in columns[: step.width]]


# In these steps each column comes from all that are read; in others, from the column in the same place.
WHOLE = (arithmetic.Constant, categories.Embed, classify.Classify, trees.Forest, sums.Votes, text.Text)

# A column that these steps make of several features is a sum or is not explained: unlike a product, it is not
# shared among them in equal parts.
SUMS = (arithmetic.Linear, categories.Embed, classify.Classify, trees.Forest, sums.Sum, sums.Votes)
