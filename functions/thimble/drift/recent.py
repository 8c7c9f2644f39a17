"""The last minute's rows of each model, counted and reported: a bounded number of rows, whatever the model.

A request only leaves its batch and predictions here. They are counted many at a time, and a model's minute is
reported by the first request after it. A verdict takes a number of rows: where traffic is thin, its window is
longer than a minute. What was counted is added up too, for whoever asks what this process has seen.

No weights are kept, which are the cache's to forget, no arrays of a request, and no text that somebody sent.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from itertools import repeat
from threading import Lock
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

MINUTE = 60.0
ROWS = 2_000  # of one request; of a larger one, as many evenly spread
AT_ONCE = 5_000  # rows of a model that are counted at a time, at most
FEWEST = 8  # rows that a buffer has room for from the start
MORE = 5  # times the room of a buffer that is full
HELD = 1 << 21  # numbers that the buffers of all models have room for
WATCHED = 1 << 15  # features and classes of all models, at most a kilobyte each
SMALLEST = 64  # of these a model counts for, however few it has
REPORTING = 0.02  # seconds of one request; other models that are due wait for the next

NOTHING: Counts = np.zeros(1, np.int64)
Column = TypeVar("Column", bound=np.generic)


class Watched(NamedTuple):
    """What a report takes of a model."""

    name: str
    digest: str
    reference: Reference
    features: tuple[Feature, ...]
    heads: tuple[Head, ...]


Emit = Callable[[Watched, Counts, Counts], bool]  # report a window and its last minute; True if judged


class Buffer:
    """Rows of one model that wait to be counted, copied into arrays that stay: a request's own arrays are on
    new pages of memory, and the first touch of a page costs more than this copy."""

    def __init__(self, model: Watched) -> None:
        self.model = model
        self.rows = 0
        self.room = FEWEST
        self.numbers = np.empty((model.reference.width, FEWEST))
        self.texts = {k: (text.places(), bytearray()) for k, text in model.reference.texts.items()}
        self.outputs = [_room(head) for head in model.heads]

    def add(self, batch: Batch, predictions: Predictions) -> None:
        """Keep rows that were answered; there has to be room."""
        rows = slice(self.rows, self.rows + predictions.n_rows)
        self.rows = rows.stop
        self.numbers[:, rows] = self.model.reference.measured(batch, predictions)
        for k, (known, places) in self.texts.items():
            places.extend(map(known.get, batch.texts[k].tolist(), repeat(1)))
        for output, scores in zip(self.outputs, predictions.outputs, strict=True):
            _fill(output, rows, scores)

    def grow(self, room: int) -> None:
        self.room = room
        self.numbers = _grown(self.numbers, room)
        self.outputs = [(_grown(p, room), _grown(labels, room)) for p, labels in self.outputs]

    def counted(self) -> Counts:
        """Return the counts of all rows, and forget the rows."""
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
    """Return room for probabilities, and for labels, or for the label mask of a multilabel output."""
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


class Seen:
    """What one model was asked since this process knows."""

    def __init__(self, classifier: Classifier) -> None:
        self.name = classifier.name
        self.digest = classifier.digest
        self.heads = classifier.heads
        self.width = SMALLEST + classifier.n_features + sum(len(head.classes) for head in self.heads)
        self.requests = 0
        self.last = 0  # the number of the last request among those of all models
        self.rows = 0
        self.classes: list[Counts] = [NOTHING for _ in self.heads]  # of a model without a reference
        self.model: Watched | None = None  # of one with a reference
        self.counts = NOTHING

    def add(self, predictions: Predictions) -> None:
        """Count the answers of a model without a reference."""
        self.rows += predictions.n_rows
        parts = zip(self.classes, self.heads, predictions.outputs, strict=True)
        self.classes = [times + scores.times(len(head.classes)) for times, head, scores in parts]


class ModelMinute:
    """The rows of one model: those that wait to be counted, and the counts."""

    def __init__(self, model: Watched, seen: Seen) -> None:
        self.model = model
        self.seen = seen
        self.width = model.reference.width + sum(len(head.classes) for head in model.heads)
        self.buffer = Buffer(model)
        self.counts = NOTHING  # of the minute
        self.window = NOTHING  # of all rows since the last verdict
        self.due = math.inf

    @property
    def held(self) -> int:
        return self.buffer.room * self.width

    def count(self) -> None:
        if self.buffer.rows:
            self.counts = self.counts + self.buffer.counted()

    def count_at_once(self, batch: Batch, predictions: Predictions) -> None:
        from thimble.drift import counting

        some = slice(None, None, -(-batch.rows // ROWS))
        found = counting.count(self.model.reference, batch.take(some), predictions.take(some))
        self.counts = self.counts + found

    def report(self, emit: Emit) -> bool:
        """Emit the minute's counts; False if there are none."""
        self.count()
        if not self.counts[0]:
            return False
        self.window = self.window + self.counts
        self.seen.counts = self.seen.counts + self.counts
        judged = emit(self.model, self.window, self.counts)
        self.counts = NOTHING
        if judged:
            self.window = NOTHING
        return True


class Recent:
    def __init__(
        self,
        emit: Emit,
        clock: Callable[[], float] = time.monotonic,
        *,
        held: int = HELD,
        watched: int = WATCHED,
    ) -> None:
        self._emit = emit
        self._clock = clock
        self._most_held = held
        self._most_watched = watched
        self._lock = Lock()
        self._minutes: dict[str, ModelMinute] = {}  # by digest; the first is due first
        self._seen: dict[str, Seen] = {}  # by digest
        self.requests = 0  # answered
        self.rows = 0
        self.since = 0.0  # the time of the first, in seconds since 1970
        self._due = math.inf
        self._widths = 0
        self._held = 0

    def add(self, classifier: Classifier, batch: Batch, predictions: Predictions) -> None:
        """Keep rows that were answered; none of a model without a reference."""
        with self._lock:
            self.requests += 1
            self.rows += predictions.n_rows
            if classifier.reference is not None:
                minute = self._of(classifier, classifier.reference)
                seen = minute.seen
                self._keep(minute, batch, predictions)
            else:
                seen = self._seen_of(classifier)
                seen.add(predictions)
            seen.requests += 1
            seen.last = self.requests
            if self._clock() >= self._due:
                self._report_due()

    def seen(self) -> list[tuple[Seen, Counts]]:
        """What each model was asked, the last one first, with the counts of those that have a reference."""
        with self._lock:
            for minute in self._minutes.values():
                minute.count()
            found = sorted(self._seen.values(), key=lambda seen: -seen.last)
            unreported = {digest: minute.counts for digest, minute in self._minutes.items()}
            return [(seen, seen.counts + unreported.get(seen.digest, NOTHING)) for seen in found]

    def report(self) -> None:
        """Report the rows of all models that were not reported yet."""
        with self._lock:
            for digest in list(self._minutes):
                self._report(digest)

    def _of(self, classifier: Classifier, reference: Reference) -> ModelMinute:
        minute = self._minutes.get(classifier.digest)
        if minute is None:
            seen = self._seen_of(classifier)
            seen.model = _watched(classifier, reference)
            minute = ModelMinute(seen.model, seen)
            while self._minutes and self._widths + minute.width > self._most_watched:
                self._taken(next(iter(self._minutes))).report(self._emit)
            self._put(minute)
        return minute

    def _seen_of(self, classifier: Classifier) -> Seen:
        found = self._seen.get(classifier.digest)
        if found is None:
            found = Seen(classifier)
            self._forget(self._most_watched - found.width)
            self.since = self.since or time.time()
            self._seen[classifier.digest] = found
        return found

    def _forget(self, most: int) -> None:
        """Forget what was asked longest ago, of models without a minute, until the others are no wider."""
        width = sum(seen.width for seen in self._seen.values())
        for seen in sorted(self._seen.values(), key=lambda seen: seen.last):
            if width > most and seen.digest not in self._minutes:
                width -= self._seen.pop(seen.digest).width

    def _keep(self, minute: ModelMinute, batch: Batch, predictions: Predictions) -> None:
        buffer, rows = minute.buffer, predictions.n_rows
        if rows <= ROWS and (buffer.rows + rows <= buffer.room or self._makes_room(minute, rows)):
            buffer.add(batch, predictions)
        else:
            minute.count_at_once(batch, predictions)

    def _makes_room(self, minute: ModelMinute, rows: int) -> bool:
        """Make room by larger arrays or by a count; False if neither is enough."""
        buffer = minute.buffer
        room = buffer.room
        while room < buffer.rows + rows:
            room *= MORE
        held = self._held - minute.held + room * minute.width
        if room > AT_ONCE or held > self._most_held:
            minute.count()
            return rows <= buffer.room
        buffer.grow(room)
        self._held = held
        return True

    def _report_due(self) -> None:
        started = self._clock()
        while self._due <= self._clock() < started + REPORTING:
            self._report(next(iter(self._minutes)))

    def _report(self, digest: str) -> None:
        """Report a model, or forget it if it had no request since the last report."""
        minute = self._taken(digest)
        if minute.report(self._emit):
            self._put(minute)

    def _put(self, minute: ModelMinute) -> None:
        minute.due = self._clock() + MINUTE
        self._minutes[minute.model.digest] = minute
        self._widths += minute.width
        self._held += minute.held
        self._due = min(self._due, minute.due)

    def _taken(self, digest: str) -> ModelMinute:
        minute = self._minutes.pop(digest)
        self._widths -= minute.width
        self._held -= minute.held
        self._due = next((other.due for other in self._minutes.values()), math.inf)
        return minute


def _watched(classifier: Classifier, reference: Reference) -> Watched:
    return Watched(classifier.name, classifier.digest, reference, classifier.features, classifier.heads)
