"""The answers of a model: the scores and labels of each output, row by row, and the rejected rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray

Rows = slice | NDArray[np.bool_] | NDArray[np.intp]
Alone = tuple[int, list[float]]  # the answer to one row: the class's index, and a number for each class


class Scores(NamedTuple):
    """The answers of one output to n rows."""

    probabilities: FloatArray  # (n_classes, n); scores if the model has no probabilities
    labels: NDArray[np.intp]  # (n,) class indices; meaningless in a multilabel output
    mask: NDArray[np.bool_]  # (n_classes, n), the labels of a multilabel output; (0, n) for any other
    abstained: NDArray[np.bool_] | None = None  # (n,) rows whose label is withheld; None: no row

    @property
    def answered(self) -> NDArray[np.intp]:
        """The labels as they are answered, (n,): -1 where the model abstains."""
        return self.labels if self.abstained is None else np.where(self.abstained, -1, self.labels)

    @property
    def winning(self) -> FloatArray:
        """The probability, or score, of each row's label, (n,)."""
        return self.probabilities[self.labels, np.arange(len(self.labels))]

    def times(self, n_classes: int) -> NDArray[np.int64]:
        """Return how often each class was the label, or among the labels, (n_classes,)."""
        found: NDArray[np.int64] = (
            self.mask.sum(axis=1) if len(self.mask) else np.bincount(self.labels, minlength=n_classes)
        )
        return found

    def take(self, rows: Rows) -> Scores:
        """Return the scores of some rows, in C order."""
        return Scores(
            np.ascontiguousarray(self.probabilities[:, rows]),
            self.labels[rows],
            self.mask[:, rows],
            None if self.abstained is None else self.abstained[rows],
        )


class Predictions(NamedTuple):
    """The answers of all outputs to n rows. The numbers of rejected rows are meaningless."""

    outputs: tuple[Scores, ...]  # one, or several in a multi-output model
    rejected: Mapping[int, str] = MappingProxyType({})  # rows without an answer, each with the reason
    versions: tuple[str, ...] = ()  # in a canary, the digest of the model that answered each row
    unknown: Mapping[int, FloatArray] = MappingProxyType({})  # (n,) for a free text: share of unknown terms
    further: tuple[NDArray[np.object_], ...] = ()  # (n,) values for each of the classifier's `further`

    @staticmethod
    def alone(
        label: int, numbers: list[float], unknown: Mapping[int, FloatArray] = MappingProxyType({})
    ) -> Predictions:
        """Return the predictions for one row."""
        labels, mask = np.array([label], np.intp), np.empty((0, 1), np.bool_)
        return Predictions((Scores(np.array(numbers)[:, np.newaxis], labels, mask),), unknown=unknown)

    @property
    def n_rows(self) -> int:
        return len(self.outputs[0].labels)

    @property
    def numbers(self) -> FloatArray:
        """The probabilities, or scores, of all outputs side by side, (n_rows, classes of all outputs)."""
        return np.vstack([scores.probabilities for scores in self.outputs]).T

    def take(self, rows: Rows) -> Predictions:
        """Return the predictions for some rows, as if none were rejected."""
        unknown = {k: shares[rows] for k, shares in self.unknown.items()}
        outputs = tuple(scores.take(rows) for scores in self.outputs)
        versions = tuple(np.array(self.versions, np.object_)[rows]) if self.versions else ()
        further = tuple(values[rows] for values in self.further)
        return Predictions(outputs, versions=versions, unknown=unknown, further=further)


def concatenate(parts: Sequence[Predictions]) -> Predictions:
    """Join the predictions for consecutive rows."""
    rejected: dict[int, str] = {}
    start = 0
    for part in parts:
        rejected.update((start + row, reason) for row, reason in part.rejected.items())
        start += part.n_rows
    outputs = zip(*(part.outputs for part in parts), strict=True)
    further = tuple(map(np.concatenate, zip(*(part.further for part in parts), strict=True)))
    return Predictions(tuple(map(_concatenate, outputs)), rejected, unknown=_unknown(parts), further=further)


def _unknown(parts: Sequence[Predictions]) -> dict[int, FloatArray]:
    """Join the shares of unknown terms; NaN for rows whose version of the model has no vocabulary."""
    known = {k for part in parts for k in part.unknown}
    return {
        k: np.concatenate([part.unknown.get(k, np.full(part.n_rows, np.nan)) for part in parts])
        for k in sorted(known)
    }


def _concatenate(parts: Sequence[Scores]) -> Scores:
    abstained = [part.abstained for part in parts if part.abstained is not None]
    return Scores(
        np.concatenate([part.probabilities for part in parts], axis=1),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.mask for part in parts], axis=1),
        np.concatenate(abstained) if abstained else None,
    )
