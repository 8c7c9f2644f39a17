"""Where rows end: of each tree the leaf that a row is led to.

Many rows are first asked all questions of the levels at the top, whatever way they go: to answer one costs so
little that it is less than to look up where each pair of a tree and a row has come to. Further down each pair
goes its own way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from thimble.inference.network import BLOCK
from thimble.inference.questions import Floats, Indices, Questions

ROWS = 1008  # at once; rows of a power of two collide in the cache
ANSWERS = 4_000_000  # at once
MANY = 80  # rows; fewer begin at the roots
ROUND = 3  # levels, after which pairs that have reached a leaf are dropped; twice as many of few rows

LEVELS = 6  # at the top, at most
USED = 0.25  # of the places that such a level has in full trees
ASKED = 8 * ANSWERS // ROWS  # questions at the top, at most: their answers are bits

Finder = Callable[[slice], Indices]  # some trees to (trees, rows)


class Leaves(Protocol):
    """Of all trees; they are counted through."""

    @property
    def depth(self) -> int: ...

    @property
    def rows_at_once(self) -> int: ...

    def finder(self, Z: Floats) -> Finder:
        """Of rows, (inputs, rows)."""


class Nodes(NamedTuple):
    """What each node looks at, its threshold, its left child. A leaf is its own child, with inf for its
    threshold.

    The nodes are numbered level by level over all trees: the roots come first, and the children of the k-th
    inner node are the nodes trees + 2k and trees + 2k + 1. So no child is written down, and no node can lead
    back to itself. A row goes left where `x <= threshold`, or where its category is in the node's set.
    """

    roots: Indices  # (trees,)
    inputs: Indices  # (nodes,)
    thresholds: Floats  # (nodes,)
    children: Indices  # (nodes,)
    levels: tuple[int, ...]  # how many inner nodes each has, of all trees
    top: Top | None

    @classmethod
    def of(
        cls, roots: Indices, inputs: Indices, thresholds: Floats, children: Indices, levels: tuple[int, ...]
    ) -> Nodes:
        found = cls(roots, inputs, thresholds, children, levels, None)
        return found._replace(top=_top(found))

    @property
    def depth(self) -> int:
        return len(self.levels)

    @property
    def rows_at_once(self) -> int:
        return ROWS

    def finder(self, Z: Floats) -> Finder:
        (width, rows), flat = Z.shape, Z.T.ravel()
        starts = np.arange(0, rows * width, width)
        top, levels = (self.top, ROUND) if rows >= MANY else (None, 2 * ROUND)
        begin = top.finder(Z) if top else lambda trees: self.roots[trees].repeat(rows).reshape(-1, rows)
        if top and top.depth == self.depth:
            return begin
        at_first = 0 if top else min(levels, self.depth)

        def leaves(trees: slice) -> Indices:
            found = begin(trees)
            node, start = found.ravel(), np.tile(starts, len(found))
            self._descend(node, start, flat, at_first)
            if at_first < self.depth:
                self._descend_and_drop(node, start, flat, levels)
            return found

        return leaves

    def _descend(self, node: Indices, start: Indices, flat: Floats, levels: int) -> None:
        """Take each pair to its node so many levels below, in place."""
        for _ in range(levels):
            at = self.inputs.take(node)
            at += start
            right = flat.take(at) > self.thresholds.take(node)
            self.children.take(node, out=node, mode="clip")
            node += right

    def _descend_and_drop(self, node: Indices, start: Indices, flat: Floats, levels: int) -> None:
        """Take each pair to its leaf, in place, so many levels a round."""
        pairs, going = np.arange(len(node)), node
        while len(inner := np.flatnonzero(self.thresholds.take(going) < np.inf)):
            pairs, going, start = pairs.take(inner), going.take(inner), start.take(inner)
            self._descend(going, start, flat, levels)
            node[pairs] = going


class Top(NamedTuple):
    """The first levels, as if all trees were full: below a leaf it does not matter what is asked."""

    questions: Questions
    asked: tuple[NDArray[np.int32], ...]  # of each level, which questions: (places, trees)
    nodes: Indices  # (trees * places,), where the answers of all levels lead

    @property
    def depth(self) -> int:
        return len(self.asked)

    def finder(self, Z: Floats) -> Finder:
        """Of nodes. An answer is a bit of a place, the first the lowest."""
        bits, rows = self.questions.bits(Z), Z.shape[1]
        full = 1 << self.depth

        def nodes(trees: slice) -> Indices:
            first = np.arange(trees.start * full, trees.stop * full, full)
            turns = np.unpackbits(np.stack(self._turns(bits, trees)), axis=-1, count=rows)
            return self.nodes.take(_places(turns[::-1], first, rows, self.depth))

        return nodes

    def _turns(self, bits: NDArray[np.uint8], trees: slice) -> list[NDArray[np.uint8]]:
        """Of each level the answers where rows are, (trees, bytes)."""
        turns: list[NDArray[np.uint8]] = []
        for asked in self.asked:
            answers = bits.take(asked[:, trees], axis=0)
            for turn in reversed(turns):
                half = len(answers) // 2
                answers, right = answers[:half], answers[half:]
                right ^= answers
                right &= turn
                answers ^= right
            turns.append(answers[0])
        return turns


def _top(nodes: Nodes) -> Top | None:
    """The levels at which most trees still ask, if there are any."""
    n_trees, n_levels = len(nodes.roots), 0
    for level, asking in enumerate(nodes.levels[:LEVELS]):
        if asking < USED * (n_trees << level) or sum(nodes.levels[: level + 1]) > ASKED:
            break
        n_levels = level + 1
    if not n_levels:
        return None
    inner = np.flatnonzero(nodes.children != np.arange(len(nodes.children)))[: sum(nodes.levels[:n_levels])]
    questions, which = Questions.distinct(nodes.inputs[inner], nodes.thresholds[inner])
    at, asked = nodes.roots[np.newaxis], []
    for _ in range(n_levels):
        left = nodes.children.take(at)
        is_inner = left != at
        asked.append(which.take(np.where(is_inner, left - n_trees >> 1, 0)).astype(np.int32))
        at = np.concatenate([left, left + is_inner])
    return Top(questions, tuple(asked), np.ascontiguousarray(at.T).ravel())


class Oblivious(NamedTuple):
    """Trees that ask the same question at all nodes of a level: a leaf's place is the answers' bits."""

    first: Indices  # (trees,): the first leaf of each
    questions: Questions
    asked: Indices  # (levels, trees): which questions; of inf below the last level of a tree

    @classmethod
    def of(cls, first: Indices, inputs: Indices, thresholds: Floats) -> Oblivious:
        """From what each level, (levels, trees), looks at and is compared with."""
        questions, which = Questions.distinct(inputs.ravel(), thresholds.ravel())
        return cls(first, questions, which.reshape(inputs.shape))

    @property
    def depth(self) -> int:
        return len(self.asked)

    @property
    def inputs(self) -> Indices:
        """(levels, trees)"""
        return self.questions.inputs[self.asked]

    @property
    def thresholds(self) -> Floats:
        """(levels, trees)"""
        found: Floats = self.questions.thresholds[self.asked, 0]
        return found

    @property
    def rows_at_once(self) -> int:
        blocks: int = ANSWERS // max(1, len(self.questions.inputs)) // BLOCK
        return min(ROWS, max(1, blocks) * BLOCK)

    def finder(self, Z: Floats) -> Finder:
        answers, rows = self.questions.answers(Z).view(np.uint8), Z.shape[1]

        def leaves(trees: slice) -> Indices:
            levels = self.asked[::-1, trees]
            return _places(
                (answers.take(asked, axis=0) for asked in levels), self.first[trees], rows, self.depth
            )

        return leaves


def _places(answers: Iterable[NDArray[np.uint8]], first: Indices, rows: int, depth: int) -> Indices:
    """(trees, rows): of each tree the first place, and the number whose bits are the answers, from the
    highest on."""
    number = np.zeros((len(first), rows), np.min_scalar_type((1 << depth) - 1))
    for answer in answers:
        number += number
        number += answer
    places: Indices = number.astype(np.intp)
    places += first[:, np.newaxis]
    return places
