"""Replace columns of single terms by weighted sums of terms, as the document's step `text` gives them.

Linear operations on terms become the terms' weights: scaling, selection, the first layer of a network,
principal components, the members of an ensemble. If something else reads a few single terms, each of them is
a sum of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thimble_model.networks import AnyHead, Head
from thimble_model.program import Program, Step, pruned
from thimble_model.text_columns import Terms, is_affine
from thimble_model.unsupported import Unsupported

FloatArray = NDArray[np.float64]

MOST_APART = 1_000  # single terms that something reads


@dataclass
class _Sums:
    """The sums of one text, a column each: blocks of term ids with their weights (ids, columns)."""

    step: Step
    blocks: list[tuple[list[int], FloatArray]] = field(default_factory=list)
    width: int = 0

    def add(self, ids: list[int], weights: FloatArray) -> range:
        """Add columns, and return their indices among the step's."""
        start = self.width
        self.blocks.append((ids, weights))
        self.width += weights.shape[1]
        return range(start, self.width)

    def weights(self) -> tuple[NDArray[np.intp], FloatArray]:
        """Return the ids with any weight, ascending, and the weights (ids, columns)."""
        used = {i for ids, block in self.blocks for i in np.array(ids)[block.any(axis=1)].tolist()}
        listed = np.array(sorted(used or {0}), np.intp)
        places = {i: k for k, i in enumerate(listed.tolist())}
        found = np.zeros((len(listed), self.width))
        start = 0
        for ids, block in self.blocks:
            stop = start + block.shape[1]
            chosen = [j for j, i in enumerate(ids) if i in places]
            np.add.at(found[:, start:stop], [places[ids[j]] for j in chosen], block[chosen])
            start = stop
        return listed, found


class _Lowering:
    """The replacement of terms by sums. New columns are numbered after the program's."""

    def __init__(self, program: Program, steps: Sequence[Step]) -> None:
        self.program = program
        self.terms = Terms(steps)
        self.sums = {id(step): _Sums(step) for step in steps if step.op == "text"}
        self.places: list[tuple[int, int]] = []  # each new column's text, and the index of its sum
        self.apart: dict[int, int] = {}  # columns of single terms: the columns that they become
        self.moved: dict[int, int] = {}  # other columns that are replaced: the columns that they become

    def column(self, step: Step, place: int) -> int:
        self.places.append((id(step), place))
        return self.program.width + len(self.places) - 1

    def summed(self, reads: Sequence[int], coefs: FloatArray) -> tuple[list[int], FloatArray, FloatArray]:
        """Replace the terms among inputs with weights (reads, outputs) by their sums.

        Returns the new inputs, their weights, and the numbers to add to the intercepts.
        """
        found = [self.terms.of(index) for index in reads]
        kept = [j for j, term in enumerate(found) if term is None]
        offsets = np.array([0.0 if term is None else term.offset for term in found])
        inputs, blocks = [reads[j] for j in kept], [coefs[kept]]
        for sums in self.sums.values():
            mine = [(j, term) for j, term in enumerate(found) if term is not None and term.step is sums.step]
            if mine:
                factors = np.array([term.factor for _, term in mine])[:, np.newaxis]
                places = sums.add([term.id for _, term in mine], factors * coefs[[j for j, _ in mine]])
                inputs += [self.column(sums.step, place) for place in places]
                blocks.append(np.eye(coefs.shape[1]))
        return inputs, np.vstack(blocks), offsets @ coefs

    def set_apart(self, columns: Sequence[int], reader: str) -> None:
        for index in columns:
            term = self.terms.of(index)
            if term is None or index in self.apart or term.step.writes[term.id] != index:
                continue
            if len(self.apart) == MOST_APART:
                raise Unsupported(
                    f"{reader} reads more than {MOST_APART:,} terms of a text one by one; put TruncatedSVD, "
                    f"or SelectKBest(k={MOST_APART}), before it, and fit again"
                )
            (place,) = self.sums[id(term.step)].add([term.id], np.ones((1, 1)))
            self.apart[index] = self.column(term.step, place)

    def step(self, step: Step) -> Step | None:
        if step.op == "linear":
            return self._linear(step)
        return replace(step, reads=tuple(self.now(index) for index in step.reads))

    def now(self, index: int) -> int:
        return self.apart.get(index, self.moved.get(index, index))

    def _linear(self, step: Step) -> Step | None:
        coefs = np.asarray(step.keys["coefs"], np.float64)
        inputs, coefs, added = self.summed(step.reads, coefs)
        intercepts = np.asarray(step.keys["intercepts"], np.float64) + added
        reads = tuple(map(self.now, inputs))
        if not intercepts.any() and np.array_equal(coefs, np.eye(len(inputs))):
            self.moved |= dict(zip(step.writes, reads, strict=True))
            return None
        keys = {**step.keys, "coefs": coefs.tolist(), "intercepts": intercepts.tolist()}
        return replace(step, reads=reads, keys=keys)

    def text(self, sums: _Sums) -> Step:
        """Return the document's step for a text."""
        columns = [
            self.program.width + k for k, (owner, _) in enumerate(self.places) if owner == id(sums.step)
        ]
        keys = {**sums.step.keys, **_vocabulary(sums)}
        return replace(sums.step, writes=tuple(columns), keys=keys)


def lowered(program: Program, heads: Sequence[AnyHead]) -> list[AnyHead]:
    """Replace the columns of single terms by sums, in the program's steps and in the heads."""
    inputs = [index for one in heads for index in one.inputs]
    steps = pruned(program.steps, inputs)
    if not any(step.op == "text" for step in steps):
        return list(heads)
    lowering = _Lowering(program, steps)
    for one in heads:
        if not isinstance(one, Head):
            lowering.set_apart(_scaled_too(steps, one.inputs), "a forest")
    for step in reversed(steps):
        if step.op not in ("text", "linear") and not is_affine(step):
            lowering.set_apart(_scaled_too(steps, step.reads), f"the step {step.op!r}")
    made = [(step, step if step.op == "text" else lowering.step(step)) for step in steps]
    found = _summed_heads(lowering, heads)
    program.steps = [
        lowering.text(lowering.sums[id(before)]) if before.op == "text" else after
        for before, after in made
        if after is not None and (before.op != "text" or lowering.sums[id(before)].blocks)
    ]
    program.width += len(lowering.places)
    return found


def _scaled_too(steps: Sequence[Step], columns: Sequence[int]) -> list[int]:
    """Return the columns, and the columns of which they are only scaled forms."""
    scales = {w: r for step in steps if is_affine(step) for r, w in zip(step.reads, step.writes, strict=True)}
    found = []
    for index in columns:
        found.append(index)
        while index in scales:
            index = scales[index]
            found.append(index)
    return found


def _summed_heads(lowering: _Lowering, heads: Sequence[AnyHead]) -> list[AnyHead]:
    """Replace the terms that the heads read by sums. All heads read the same columns in the same order."""
    networks = [one for one in heads if isinstance(one, Head)]
    if len(networks) < len(heads):
        return [replace(one, inputs=tuple(map(lowering.now, one.inputs))) for one in heads]
    widths = [one.coefs[0].shape[1] for one in networks]
    together = np.hstack([one.coefs[0] for one in networks])
    inputs, coefs, added = lowering.summed(networks[0].inputs, together)
    inputs = [lowering.now(index) for index in inputs]
    ends = np.cumsum(widths)
    return [
        replace(
            one,
            inputs=tuple(inputs),
            coefs=(coefs[:, end - width : end], *one.coefs[1:]),
            intercepts=(one.intercepts[0] + added[end - width : end], *one.intercepts[1:]),
        )
        for one, width, end in zip(networks, widths, ends.tolist(), strict=True)
    ]


def _vocabulary(sums: _Sums) -> dict[str, Any]:
    """Return a text's keys that name terms: those with weights first, then those only in the norm."""
    keys = sums.step.keys
    used, weights = sums.weights()
    idf = None if keys.get("idf") is None else np.asarray(keys["idf"], np.float64)
    if "hashing" in keys:
        return _buckets(keys, used, weights, idf)
    order = used.tolist()
    if "norm" in keys:
        order += np.setdiff1d(np.arange(len(keys["terms"])), used).tolist()
    return {
        "terms": [keys["terms"][i] for i in order],
        **({} if idf is None else {"idf": idf[order].tolist()}),
        "weights": weights.T.tolist(),
    }


def _buckets(
    keys: dict[str, Any], used: NDArray[np.intp], weights: FloatArray, idf: FloatArray | None
) -> dict[str, Any]:
    listed, common = used, 1.0
    if idf is not None:
        values, times = np.unique(idf, return_counts=True)
        common = float(values[times.argmax()])
        listed = np.union1d(used, np.flatnonzero(idf != common))
    found = np.zeros((len(listed), weights.shape[1]))
    found[np.searchsorted(listed, used)] = weights
    return {
        "hashing": {**keys["hashing"], "buckets": listed.tolist()},
        **({} if idf is None else {"idf": [*idf[listed].tolist(), common]}),
        "weights": found.T.tolist(),
    }
