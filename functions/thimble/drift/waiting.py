"""What is kept of models and requests until they are counted and reported: no weights, which are the cache's
to forget, no arrays of a request's own, and no text that somebody sent."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray
from thimble.inference.classifier import Classifier
from thimble.inference.features import Feature
from thimble.inference.head import Head
from thimble.inference.predictions import Predictions, Scores
from thimble.inference.reference import Counts, Reference

FEWEST = 8  # rows there is room for from the start

Column = TypeVar("Column", bound=np.generic)


class Watched(NamedTuple):
    """What a report takes of a model."""

    name: str
    digest: str
    reference: Reference
    features: tuple[Feature, ...]
    heads: tuple[Head, ...]


def watched(classifier: Classifier, reference: Reference) -> Watched:
    return Watched(classifier.name, classifier.digest, reference, classifier.features, classifier.heads)


class Waiting:
    """Rows of one model, copied side by side into arrays that stay: a request's own arrays would lie on ever
    new pages of memory, and the first touch of a page costs more than this copy."""

    def __init__(self, model: Watched, matrix: bool) -> None:
        """`matrix`: columns come as one array."""
        reference = model.reference
        self.model = model
        self.rows = 0
        self.room = FEWEST
        self.matrix = np.empty((len(model.features), FEWEST)) if matrix else None
        self.columns = {} if matrix else {k: np.empty(FEWEST) for k in reference.numbers}
        self.texts = {k: (text.places(), bytearray()) for k, text in reference.texts.items()}
        self.outputs = [_room(head) for head in model.heads]

    def add(self, columns: Any, predictions: Predictions) -> None:
        """As `Classifier.predict` takes and gives them; there has to be room."""
        rows = slice(self.rows, self.rows + predictions.n_rows)
        self.rows = rows.stop
        if self.matrix is not None:
            self.matrix[:, rows] = columns
        else:
            self._add_columns(columns, rows)
        for output, scores in zip(self.outputs, predictions.outputs, strict=True):
            _fill(output, rows, scores)

    def _add_columns(self, columns: Any, rows: slice) -> None:
        for k, numbers in self.columns.items():
            numbers[rows] = columns[k]
        for k, (known, places) in self.texts.items():
            places.extend(map(known.get, columns[k], repeat(1)))

    def grow(self, room: int) -> None:
        self.room = room
        if self.matrix is not None:
            self.matrix = _grown(self.matrix, room)
        self.columns = {k: _grown(numbers, room) for k, numbers in self.columns.items()}
        self.outputs = [(_grown(p, room), _grown(labels, room)) for p, labels in self.outputs]

    def counted(self) -> Counts:
        """The counts of all rows, which wait no longer."""
        from thimble.drift import counting

        columns: Any = {k: numbers[: self.rows] for k, numbers in self.columns.items()}
        columns |= {k: places for k, (_, places) in self.texts.items()}
        if self.matrix is not None:
            columns = self.matrix[:, : self.rows]
        counts = counting.count(self.model.reference, columns, Predictions(tuple(self._scores())))
        self.rows = 0
        for _, places in self.texts.values():
            places.clear()
        return counts

    def _scores(self) -> Iterator[Scores]:
        for p, labels in self.outputs:
            found = labels[..., : self.rows]
            mask, indices = (found, found[0]) if found.ndim == 2 else (found[np.newaxis][:0], found)
            yield Scores(p[:, : self.rows], indices, mask)


def _room(head: Head) -> tuple[FloatArray, NDArray[Any]]:
    """For probabilities, and for labels, or of a multilabel output for which of them apply."""
    classes = len(head.classes)
    labels = np.empty((classes, FEWEST), np.bool_) if head.multilabel else np.empty(FEWEST, np.intp)
    return np.empty((classes, FEWEST)), labels


def _fill(room: tuple[FloatArray, NDArray[Any]], rows: slice, scores: Scores) -> None:
    probabilities, labels = room
    probabilities[:, rows] = scores.probabilities
    labels[..., rows] = scores.mask if labels.ndim == 2 else scores.labels


def _grown(array: NDArray[Column], room: int) -> NDArray[Column]:
    larger = np.empty((*array.shape[:-1], room), array.dtype)
    larger[..., : array.shape[-1]] = array
    return larger
