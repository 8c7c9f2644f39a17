"""The terms of texts, each once and by id, and the value of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray
from thimble.inference.steps.text_terms import Hashed

MOST_SHOWN = 20  # terms that people are shown

Indices = NDArray[np.int64]


class Terms(NamedTuple):
    """The terms of some texts, each once per text, ordered by row and then by id."""

    rows: Indices
    ids: Indices
    values: FloatArray


class Known:
    """A vocabulary. A term's id is its position; other terms are ignored."""

    closed = True  # texts may have unknown terms

    def __init__(self, terms: Sequence[str]) -> None:
        self.size = self.listed = len(terms)
        self.some = list(terms[:MOST_SHOWN])
        self._id = {term: i for i, term in enumerate(terms)}.get

    def ids(self, terms: Iterable[str]) -> tuple[list[int], int]:
        """Return the ids of the terms that are known, and how many are unknown."""
        found = list(map(self._id, terms))
        if None in found:
            known = [i for i in found if i is not None]
            return known, len(found) - len(known)
        return cast(list[int], found), 0

    def id(self, term: str) -> int | None:
        return self._id(term)

    def signs(self, ids: Indices) -> tuple[Indices, FloatArray | None]:
        return ids, None

    def weighted(self, found: Terms, n: int) -> Terms:
        """Return the terms that have weights: the first n of the vocabulary."""
        return found if n == self.size else _chosen(found, found.ids, found.ids < n)

    def listed_numbers(self, numbers: FloatArray, ids: Indices, other: float) -> FloatArray:
        return numbers.take(ids)


class Buckets:
    """Hashed terms. A term's id is its bucket; buckets that are not listed have no weights."""

    closed = False

    def __init__(self, n_buckets: int, alternate_sign: bool, listed: Indices) -> None:
        self.size = n_buckets
        self.listed = len(listed)
        self.some: list[str] = []
        self._buckets = listed
        self._id = Hashed(n_buckets, alternate_sign).__getitem__

    def ids(self, terms: Iterable[str]) -> tuple[list[int], int]:
        return list(map(self._id, terms)), 0

    def id(self, term: str) -> int | None:
        return self._id(term)

    def signs(self, ids: Indices) -> tuple[Indices, FloatArray | None]:
        negative = ids < 0
        return np.where(negative, -1 - ids, ids), np.where(negative, -1.0, 1.0)

    def weighted(self, found: Terms, n: int) -> Terms:
        places, known = self._places(found.ids)
        return _chosen(found, places, known)

    def listed_numbers(self, numbers: FloatArray, ids: Indices, other: float) -> FloatArray:
        places, known = self._places(ids)
        return np.where(known, numbers.take(places), other)

    def _places(self, ids: Indices) -> tuple[Indices, NDArray[np.bool_]]:
        places = np.minimum(np.searchsorted(self._buckets, ids), self.listed - 1)
        return places, self._buckets.take(places) == ids


Vocabulary = Known | Buckets


def _chosen(found: Terms, ids: Indices, chosen: NDArray[np.bool_]) -> Terms:
    return Terms(found.rows[chosen], ids[chosen], found.values[chosen])


def counted(ids: Sequence[list[int]], vocabulary: Vocabulary) -> Terms:
    """Return how often each term is in each text; for hashed terms, the sum of their signs."""
    rows = np.repeat(np.arange(len(ids)), list(map(len, ids)))
    flat = np.fromiter(chain.from_iterable(ids), np.int64, len(rows))
    unsigned, signs = vocabulary.signs(flat)
    keys = rows * vocabulary.size + unsigned
    if signs is None:
        keys.sort()
    else:
        order = keys.argsort(kind="stable")
        keys, signs = keys[order], signs[order]
    first = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    starts = np.flatnonzero(first)
    keys = keys[starts]
    if signs is None:
        counts = np.diff(starts, append=len(first)).astype(np.float64)
    else:
        counts = np.add.reduceat(signs, starts) if len(starts) else np.empty(0)
    rows = keys // vocabulary.size
    return Terms(rows, keys - rows * vocabulary.size, counts)


class Counting(NamedTuple):
    """How the number of a term's occurrences becomes its value: the rules that the document gives, in the
    order of these fields."""

    binary: bool
    sublinear: bool
    idf: FloatArray | None  # a factor for each listed term
    other: float  # the factor for all other buckets
    norm: Callable[[Indices, FloatArray, int], FloatArray] | None
    above: float | None

    def of(self, found: Terms, vocabulary: Vocabulary, n: int) -> Terms:
        values = np.ones_like(found.values) if self.binary else found.values
        if self.sublinear:
            values = np.log(values) + 1.0
        if self.idf is not None:
            values = values * vocabulary.listed_numbers(self.idf, found.ids, self.other)
        if self.norm is not None:
            norms = self.norm(found.rows, values, n)
            norms[norms == 0.0] = 1.0
            values = values / norms.take(found.rows)
        if self.above is not None:
            values = (values > self.above).astype(np.float64)
        return found._replace(values=values)


def _l1(rows: Indices, values: FloatArray, n: int) -> FloatArray:
    norms: FloatArray = np.bincount(rows, np.abs(values), n).astype(np.float64, copy=False)
    return norms


def _l2(rows: Indices, values: FloatArray, n: int) -> FloatArray:
    norms: FloatArray = np.sqrt(np.bincount(rows, values * values, n))
    return norms


def _max(rows: Indices, values: FloatArray, n: int) -> FloatArray:
    norms = np.zeros(n)
    np.maximum.at(norms, rows, np.abs(values))
    return norms


NORMS: Mapping[str, Callable[[Indices, FloatArray, int], FloatArray]] = {"l1": _l1, "l2": _l2, "max": _max}
