"""Turn a text into sums over its terms: each term's weight, times its value in the text.

There is never a column per term. A row consists only of the terms that it has, in the order of their ids, and
each of the step's columns adds up their weights in that order, one after the other. So a text gets the same
bits whatever the other texts are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from thimble.errors import InvalidModel
from thimble.inference.arrays import FloatArray
from thimble.inference.cost import Cost
from thimble.inference.steps.columns import Step, StepFields, Table

MAX_CHARACTERS = 2**20  # of a text
MAX_PREPARED = 4 * MAX_CHARACTERS  # one character may become several when it is decomposed

TYPICAL = 600  # characters of a text, in a request of as many bytes and rows as are allowed
TERM = 300  # multiplications, to cut and look up a term
WEIGHT = 8  # ... to add one weight

AT_ONCE = 2**18  # characters of the texts that are computed together
FEW = 8  # columns; so many, or fewer, are summed one by one


class Text(Step):
    KEYS = (
        *("column", "analyzer", "lowercase", "strip_accents", "token_pattern", "ngram_range", "stop_words"),
        *("unicode_version", "terms", "hashing", "binary", "sublinear_tf", "idf", "norm", "above", "weights"),
    )

    def __init__(self, fields: StepFields) -> None:
        from thimble.inference.steps import text_keys, text_sums  # few pipelines read texts

        column = fields.index("column", len(fields.names))
        if column not in fields.free_texts:
            raise InvalidModel(f"{fields.at('column')} is column {column}, which holds no free text")
        fields.text("unicode_version", "")  # checked, but only people read it
        self._feature, self._name = column, fields.names[column]
        self.analyzer = text_keys.analyzer(fields)
        self.vocabulary = text_keys.vocabulary(fields)
        self._counted = text_sums.counted
        self._counting = text_keys.counting(fields, self.vocabulary)
        weights = text_keys.weights(fields, self.vocabulary.listed)
        width, self._n_weighted = weights.shape
        self._by_term = width > FEW
        self._weights = np.ascontiguousarray(weights.T) if self._by_term else weights
        sizes = self.analyzer.longest - self.analyzer.shortest + 1
        each = TERM + WEIGHT * width
        if self.vocabulary.closed:
            self.knows = column
        self._declare([np.array([column])], width, Cost(TYPICAL * sizes * each, width + 1))

    @property
    def words(self) -> list[str]:
        """Some terms of the vocabulary, to show to people; none if terms are hashed."""
        return self.vocabulary.some

    def fill(self, table: Table, out: FloatArray) -> None:
        texts: list[str | None] = table.texts[self._feature].tolist()
        out[:, table.rows :] = 0.0
        unknown: list[float] = []
        for start, stop in _parts(texts):
            found = [self._ids(table, row, texts[row]) for row in range(start, stop)]
            unknown += [n / (n + len(ids)) if n or ids else np.nan for ids, n in found]
            self._add_up([ids for ids, _ in found], out[:, start:stop])
        if self.knows is not None:
            table.unknown.setdefault(self.knows, np.array(unknown))

    def _ids(self, table: Table, row: int, text: str | None) -> tuple[list[int], int]:
        """Return the ids of a text's terms, one per occurrence, and how many terms are unknown."""
        if text is None:
            table.reject(row, f"{self._name} is missing")
            return [], 0
        prepared = self.analyzer.prepared(text) if len(text) <= MAX_CHARACTERS else None
        if prepared is None or len(prepared) > MAX_PREPARED:
            table.reject(row, f"{self._name} is too long a text; the most is {MAX_CHARACTERS:,} characters")
            return [], 0
        return self.vocabulary.ids(self.analyzer.terms(prepared))

    def adding(self, ids: list[int], weights: FloatArray) -> dict[int, float]:
        """Return what each term of a text adds to the sum of the step's columns, each times its number in
        `weights`, (width,); by the term's id."""
        counted = self._counted([ids], self.vocabulary)
        found = self._counting.of(counted, self.vocabulary, 1)
        places = found._replace(values=np.arange(len(found.ids), dtype=np.float64))
        weighted = self.vocabulary.weighted(places, self._n_weighted)
        kept = weighted.values.astype(np.intp)
        own = self._weights.T if self._by_term else self._weights  # (width, terms)
        sums = (own.take(weighted.ids, axis=1) * weights[:, np.newaxis]).sum(axis=0)
        return dict(zip(found.ids[kept].tolist(), (sums * found.values[kept]).tolist(), strict=True))

    def _add_up(self, ids: Sequence[list[int]], out: FloatArray) -> None:
        """Compute the sums of some rows into `out`, (width, rows)."""
        n = len(ids)
        found = self._counting.of(self._counted(ids, self.vocabulary), self.vocabulary, n)
        found = self.vocabulary.weighted(found, self._n_weighted)
        if not self._by_term:
            for weights, total in zip(self._weights, out, strict=True):
                total[:] = np.bincount(found.rows, weights.take(found.ids) * found.values, n)
            return
        width = len(out)
        terms = self._weights.take(found.ids, axis=0)
        terms *= found.values[:, np.newaxis]
        places = (found.rows * width)[:, np.newaxis] + np.arange(width)
        out[:] = np.bincount(places.ravel(), terms.ravel(), n * width).reshape(n, width).T


def _parts(texts: Sequence[str | None]) -> Iterator[tuple[int, int]]:
    """Yield the rows that are computed together, as (start, stop), until they have AT_ONCE characters."""
    start = characters = 0
    for row, text in enumerate(texts):
        characters += len(text or "") + 1
        if characters > AT_ONCE:
            yield start, row + 1
            start, characters = row + 1, 0
    if start < len(texts):
        yield start, len(texts)
