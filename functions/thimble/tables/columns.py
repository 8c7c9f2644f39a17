"""Feature columns, filled in bulk, with the rows that have to be looked at, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thimble.drift import counting
from thimble.inference.arrays import FloatArray
from thimble.inference.classifier import Classifier
from thimble.inference.predictions import Predictions
from thimble.inference.reference import Counts
from thimble.tables.blocks import Flags

Texts = NDArray[np.object_]

CHUNK = 1 << 14  # numbers that are read at once: all that is worked out of them stays in the cache
FEW = 64  # one row of so many is looked at alone; of more, another way to read the column is quicker


@dataclass(frozen=True)
class Columns:
    """Of n rows: numbers (n_features, n), NaN where one is missing; str or None for the features of text."""

    classifier: Classifier
    numbers: FloatArray
    texts: dict[int, Texts]
    doubtful: Flags

    @staticmethod
    def empty(classifier: Classifier, n: int) -> Columns:
        """All of them doubtful, and missing what the model does not use."""
        texts = {
            k: np.full(n, None, np.object_)
            for k, feature in enumerate(classifier.features)
            if feature.type == "text"
        }
        numbers = np.empty((classifier.n_features, n))
        numbers[[feature.type == "unused" for feature in classifier.features]] = np.nan
        return Columns(classifier, numbers, texts, np.ones(n, np.bool_))

    def fill(
        self, places: dict[int, int], read: Callable[[list[int], slice], tuple[FloatArray, Flags]]
    ) -> list[int]:
        """Puts features' values as they are read: of some of the places, for some rows, (rows, places), with
        flags for those that are none. A feature of which more than a few are none is given up. Returns the
        others, whose rows are doubtful where there is none."""
        n = len(self.doubtful)
        features, where, none = np.array([*places]), np.array([*places.values()]), np.zeros(len(places), int)
        doubtful = np.zeros((len(places), n), np.bool_)
        left, step = np.arange(len(places)), max(1, CHUNK // max(1, len(places)))
        for rows in (slice(at, min(at + step, n)) for at in range(0, n, step)):
            if len(left) == 0:
                break
            values, flags = read(where[left].tolist(), rows)
            self.numbers[features[left], rows] = values.T
            if flags.any():
                doubtful[left, rows] = flags.T
                none[left] += flags.sum(axis=0)
                left = left[none[left] * FEW <= n]
        self.doubtful[:] |= doubtful[left].any(axis=0)
        return features[left].tolist() if len(left) else []

    def settle(
        self, carefully: Callable[[int], Sequence[Any] | None], reject: Callable[[int, str], None]
    ) -> tuple[Flags, Predictions, Counts]:
        """Which rows are answered, the answers, and both in counts.

        `carefully` gives a doubtful row's values, or none of a blank line; its ValueError says what is wrong.
        """
        for row in np.flatnonzero(self.doubtful).tolist():
            try:
                values = carefully(row)
            except ValueError as error:
                reject(row, str(error))
            else:
                if values is not None:
                    self._put(row, values)
        good = ~self.doubtful
        columns = self._of(good)
        predictions = self.classifier.predict(columns)
        if predictions.rejected:
            rows = np.flatnonzero(good)
            for k, reason in predictions.rejected.items():
                reject(int(rows[k]), reason)
            answered = np.ones(len(rows), np.bool_)
            answered[list(predictions.rejected)] = False
            good[rows] = answered
            columns, predictions = self._of(good), predictions.take(answered)
        return good, predictions, counting.count(self.classifier.reference, columns, predictions)

    def spread(self, into: Flags) -> Columns:
        """The same columns with doubtful rows put between."""
        if into.all():
            return self
        columns = Columns.empty(self.classifier, len(into))
        columns.numbers[:, into] = self.numbers
        for k, texts in self.texts.items():
            columns.texts[k][into] = texts
        columns.doubtful[into] = self.doubtful
        return columns

    def _put(self, row: int, values: Sequence[Any]) -> None:
        for k, value in enumerate(values):
            if k in self.texts:
                self.texts[k][row] = value
            else:
                self.numbers[k, row] = np.nan if value is None else value
        self.doubtful[row] = False

    def _of(self, rows: Flags) -> Any:
        numbers = self.numbers if rows.all() else np.ascontiguousarray(self.numbers[:, rows])
        if not self.texts:
            return numbers
        return [self.texts[k][rows] if k in self.texts else column for k, column in enumerate(numbers)]
