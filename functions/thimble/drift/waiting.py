"""What is kept of models and requests until they are counted and reported: no weights, which are the cache's
to forget, no arrays of a request's own, and no text that somebody sent."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Batch
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

    def __init__(self, model: Watched) -> None:
        self.model = model
        self.rows = 0
        self.room = FEWEST
        self.numbers = np.empty((len(model.features), FEWEST))
        self.texts = {k: (text.places(), bytearray()) for k, text in model.reference.texts.items()}
        self.outputs = [_room(head) for head in model.heads]

    def add(self, batch: Batch, predictions: Predictions) -> None:
        """Rows that were answered; there has to be room."""
        rows = slice(self.rows, self.rows + predictions.n_rows)
        self.rows = rows.stop
        self.numbers[:, rows] = batch.numbers
        for k, (known, places) in self.texts.items():
            places.extend(map(known.get, batch.texts[k].tolist(), repeat(1)))
        for output, scores in zip(self.outputs, predictions.outputs, strict=True):
            _fill(output, rows, scores)

    def grow(self, room: int) -> None:
        self.room = room
        self.numbers = _grown(self.numbers, room)
        self.outputs = [(_grown(p, room), _grown(labels, room)) for p, labels in self.outputs]

    def counted(self) -> Counts:
        """The counts of all rows, which wait no longer."""
        from thimble.drift import counting

        places = {k: places for k, (_, places) in self.texts.items()}
        predictions = Predictions(tuple(self._scores()))
        counts = counting.counted(self.model.reference, self.numbers[:, : self.rows], places, predictions)
        self.rows = 0
        for waiting in places.values():
            waiting.clear()
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
