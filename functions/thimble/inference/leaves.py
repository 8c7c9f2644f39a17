"""Find the leaf that a row reaches in each tree.

With many rows, all questions of the top levels are answered first, whichever way the rows go: an answer costs
less than looking up which node each pair of a tree and a row has reached. Below those levels, each pair goes
its own way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from thimble.inference.network import BLOCK
from thimble.inference.questions import Floats, Indices, Questions

ROWS = 1008  # rows at once; no power of two, as rows would collide in the cache
ANSWERS = 4_000_000  # answers at once
MANY = 80  # rows; fewer begin at the roots
ROUND = 3  # levels, after which pairs that have reached a leaf are dropped; twice as many for few rows

LEVELS = 6  # levels at the top, at most
USED = 0.25  # least share of inner nodes in a top level, out of those that full trees would have
ASKED = 8 * ANSWERS // ROWS  # questions at the top, at most; each answer takes a bit

Finder = Callable[[slice], Indices]  # from some trees to their leaves, (trees, rows)


class Leaves(Protocol):
    """The leaves of all trees, numbered through."""

    @property
    def depth(self) -> int: ...

    @property
    def rows_at_once(self) -> int: ...

    def finder(self, Z: Floats) -> Finder:
        """Return what finds the leaves for Z, (inputs, rows)."""


class Nodes(NamedTuple):
    """The input, the threshold and the left child of each node. A leaf is its own child, and its threshold is
    inf.

    The nodes are numbered level by level over all trees: the roots come first, and the children of the k-th
    inner node are the nodes trees + 2k and trees + 2k + 1. So the document lists no children, and no node can
    lead back to itself. A row goes left if `x <= threshold`, or if its category is in the node's set.
    """

    roots: Indices  # (trees,)
    inputs: Indices  # (nodes,)
    thresholds: Floats  # (nodes,)
    children: Indices  # (nodes,)
    levels: tuple[int, ...]  # the number of inner nodes in each level, over all trees
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
        """Move each pair to its node so many levels below, in place."""
        for _ in range(levels):
            at = self.inputs.take(node)
            at += start
            right = flat.take(at) > self.thresholds.take(node)
            self.children.take(node, out=node, mode="clip")
            node += right

    def _descend_and_drop(self, node: Indices, start: Indices, flat: Floats, levels: int) -> None:
        """Move each pair to its leaf, in place. After every `levels` levels, pairs at a leaf are dropped."""
        pairs, going = np.arange(len(node)), node
        while len(inner := np.flatnonzero(self.thresholds.take(going) < np.inf)):
            pairs, going, start = pairs.take(inner), going.take(inner), start.take(inner)
            self._descend(going, start, flat, levels)
            node[pairs] = going


class Top(NamedTuple):
    """The first levels, as if all trees were full: it does not matter what is asked below a leaf."""

    questions: Questions
    asked: tuple[NDArray[np.int32], ...]  # for each level, which question each place asks, (places, trees)
    nodes: Indices  # (trees * places,), where the answers of all levels lead

    @property
    def depth(self) -> int:
        return len(self.asked)

    def finder(self, Z: Floats) -> Finder:
        """Return what finds nodes for Z, (inputs, rows). Each answer is a bit of a place, the first the
        lowest."""
        bits, rows = self.questions.bits(Z), Z.shape[1]
        full = 1 << self.depth

        def nodes(trees: slice) -> Indices:
            first = np.arange(trees.start * full, trees.stop * full, full)
            turns = np.unpackbits(np.stack(self._turns(bits, trees)), axis=-1, count=rows)
            return self.nodes.take(_places(turns[::-1], first, rows, self.depth))

        return nodes

    def _turns(self, bits: NDArray[np.uint8], trees: slice) -> list[NDArray[np.uint8]]:
        """Return for each level the answers at the places where rows are, (trees, bytes)."""
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
    """Return the top levels, in which enough nodes still ask; None if there are none."""
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
    """Trees that ask one question per level, at all its nodes: the answers are the bits of a leaf's place."""

    first: Indices  # (trees,): the first leaf of each
    questions: Questions
    asked: Indices  # (levels, trees): which questions; below a tree's last level, the threshold is inf

    @classmethod
    def of(cls, first: Indices, inputs: Indices, thresholds: Floats) -> Oblivious:
        """Return the trees whose levels compare these inputs with these thresholds, (levels, trees) each."""
        questions, which = Questions.distinct(inputs.ravel(), thresholds.ravel())
        return cls(first, questions, which.reshape(inputs.shape))

    @property
    def depth(self) -> int:
        return len(self.asked)

    @property
    def inputs(self) -> Indices:
        """The input of each level, (levels, trees)."""
        return self.questions.inputs[self.asked]

    @property
    def thresholds(self) -> Floats:
        """The threshold of each level, (levels, trees)."""
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
    """Return the place of each row in each tree, (trees, rows): the tree's first place, plus the number whose
    bits are the answers, highest bit first."""
    number = np.zeros((len(first), rows), np.min_scalar_type((1 << depth) - 1))
    for answer in answers:
        number += number
        number += answer
    places: Indices = number.astype(np.intp)
    places += first[:, np.newaxis]
    return places
