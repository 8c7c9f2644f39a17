"""Count and report the last minute's rows of each model. The memory for rows is bounded, whatever the models.

A request only leaves its batch and predictions here. They are counted many at a time, and the first request
after a model's minute reports it. A verdict needs a minimum number of rows: under light traffic, its window
is longer than a minute. The counts are also added up, to show what this process has seen.

This module keeps no weights (the cache must be able to free them), no arrays of a request, and no text that
was sent.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Batch, Value
from thimble.inference.classifier import Classifier
from thimble.inference.features import Feature
from thimble.inference.head import Head
from thimble.inference.predictions import Alone, Predictions, Scores
from thimble.inference.reference import Counts, Reference

MINUTE = 60.0
ROWS = 2_000  # counted per request, at most; a larger request is sampled evenly
AT_ONCE = 5_000  # rows, the most that one model's buffer has room for
FEWEST = 8  # rows that a new buffer has room for
MORE = 5  # factor by which a full buffer grows
HELD = 1 << 21  # numbers, the most that the buffers of all models have room for together
WATCHED = 1 << 15  # features and classes of all models together; each takes at most a kilobyte
SMALLEST = 64  # added to the features and classes of every model, for what it takes by itself
REPORTING = 0.02  # seconds that one request may spend on reports; models still due wait for the next request

NOTHING: Counts = np.zeros(1, np.int64)
Column = TypeVar("Column", bound=np.generic)


class Watched(NamedTuple):
    """The parts of a model that a report needs."""

    name: str
    digest: str
    reference: Reference
    features: tuple[Feature, ...]
    heads: tuple[Head, ...]


Emit = Callable[[Watched, Counts, Counts], bool]  # reports a window and its last minute; True if judged


class Buffer:
    """Rows of one model that wait to be counted, copied into arrays that are reused, row by row. If a
    request's own arrays were kept, the next request would get new pages of memory, and the first access to a
    page costs more than this copy."""

    def __init__(self, model: Watched) -> None:
        self.model = model
        self.rows = 0
        self.room = FEWEST
        self.numbers = np.empty((FEWEST, model.reference.width))
        self.textual = [k for k, feature in enumerate(model.features) if feature.textual]
        self.texts = {k: (text.places(), bytearray()) for k, text in model.reference.texts.items()}
        self.outputs = [_room(head) for head in model.heads]

    def add(self, batch: Batch, predictions: Predictions) -> None:
        """Add rows that were all answered; the buffer must have room for them."""
        rows = slice(self.rows, self.rows + predictions.n_rows)
        self.rows = rows.stop
        self.numbers[rows] = self.model.reference.measured(batch, predictions).T
        for k, (known, places) in self.texts.items():
            places.extend(map(known.get, batch.texts[k].tolist(), repeat(1)))
        for output, scores in zip(self.outputs, predictions.outputs, strict=True):
            _fill(output, rows, scores)

    def put(self, values: Sequence[Value], alone: Alone) -> None:
        """Keep a row without free text; there has to be room."""
        label, numbers = alone
        row = [*values]
        for k in self.textual:
            row[k] = None
        self.numbers[self.rows] = row
        for k, (known, places) in self.texts.items():
            places.append(known.get(values[k], 1))
        [(probabilities, labels)] = self.outputs
        probabilities[self.rows], labels[self.rows] = numbers, label
        self.rows += 1

    def grow(self, room: int) -> None:
        self.room = room
        self.numbers = _grown(self.numbers, room)
        self.outputs = [(_grown(p, room), _grown(labels, room)) for p, labels in self.outputs]

    def counted(self) -> Counts:
        """Return the counts of all rows, and forget the rows."""
        from thimble.drift import counting

        places = {k: places for k, (_, places) in self.texts.items()}
        predictions = Predictions(tuple(self._scores()))
        numbers = np.ascontiguousarray(self.numbers[: self.rows].T)
        counts = counting.counted(self.model.reference, numbers, places, predictions)
        self.rows = 0
        for waiting in places.values():
            waiting.clear()
        return counts

    def _scores(self) -> Iterator[Scores]:
        for p, labels in self.outputs:
            found = labels[: self.rows].T
            mask, indices = (found, found[0]) if found.ndim == 2 else (found[np.newaxis][:0], found)
            yield Scores(p[: self.rows].T, indices, mask)


def _room(head: Head) -> tuple[FloatArray, NDArray[Any]]:
    """Return empty arrays for the probabilities of FEWEST rows, and for their labels or, in a multilabel
    output, their label mask."""
    classes = len(head.classes)
    labels = np.empty((FEWEST, classes), np.bool_) if head.multilabel else np.empty(FEWEST, np.intp)
    return np.empty((FEWEST, classes)), labels


def _fill(room: tuple[FloatArray, NDArray[Any]], rows: slice, scores: Scores) -> None:
    probabilities, labels = room
    probabilities[rows] = scores.probabilities.T
    labels[rows] = scores.mask.T if labels.ndim == 2 else scores.labels


def _grown(array: NDArray[Column], room: int) -> NDArray[Column]:
    larger = np.empty((room, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


class Seen:
    """What one model was asked since this process started, or since it last forgot the model."""

    def __init__(self, classifier: Classifier) -> None:
        self.name = classifier.name
        self.digest = classifier.digest
        self.heads = classifier.heads
        self.width = SMALLEST + classifier.n_features + sum(len(head.classes) for head in self.heads)
        self.requests = 0
        self.last = 0  # the last request's number, counted over all models
        self.rows = 0
        # used if the model has no reference
        self.classes: list[Counts] = [np.zeros(len(head.classes), np.int64) for head in self.heads]
        self.model: Watched | None = None  # None if the model has no reference
        self.counts = NOTHING

    def add(self, predictions: Predictions) -> None:
        """Count the answers of a model without a reference."""
        self.rows += predictions.n_rows
        for times, scores in zip(self.classes, predictions.outputs, strict=True):
            times += scores.times(len(times))

    def put(self, label: int) -> None:
        """Count one answer."""
        self.rows += 1
        self.classes[0][label] += 1


class ModelMinute:
    """One model's rows of the last minute: those that wait to be counted, and the counts of the others."""

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
        """Emit the minute's counts; return False if there are none."""
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
        self.since = 0.0  # time of the first request, in seconds since 1970
        self._due = math.inf
        self._widths = 0
        self._held = 0

    def add(self, classifier: Classifier, batch: Batch, predictions: Predictions) -> None:
        """Add a request's rows, all of them answered. For a model without a reference, only labels are
        counted."""
        with self._lock:
            if classifier.reference is not None:
                minute = self._of(classifier, classifier.reference)
                seen = minute.seen
                self._keep(minute, batch, predictions)
            else:
                seen = self._seen_of(classifier)
                seen.add(predictions)
            self._note(seen, predictions.n_rows)

    def add_alone(self, classifier: Classifier, values: Sequence[Value], alone: Alone) -> None:
        """Add a row that `predict_alone` answered; if there is room, without making arrays."""
        with self._lock:
            seen = self._keep_alone(classifier, values, alone)
            if seen is not None:
                self._note(seen, 1)
        if seen is None:
            self.add(classifier, Batch.alone(classifier.features, values), Predictions.alone(*alone))

    def seen(self) -> list[tuple[Seen, Counts]]:
        """Return what each model was asked, the most recent first, with its counts if it has a reference."""
        with self._lock:
            for minute in self._minutes.values():
                minute.count()
            found = sorted(self._seen.values(), key=lambda seen: -seen.last)
            unreported = {digest: minute.counts for digest, minute in self._minutes.items()}
            return [(seen, seen.counts + unreported.get(seen.digest, NOTHING)) for seen in found]

    def report(self) -> None:
        """Report, for all models, the rows that were not reported yet."""
        with self._lock:
            for digest in list(self._minutes):
                self._report(digest)

    def _keep_alone(self, classifier: Classifier, values: Sequence[Value], alone: Alone) -> Seen | None:
        """Keep a row where there is room for it; return None where there is not."""
        if classifier.reference is None:
            seen = self._seen.get(classifier.digest)
            if seen is not None:
                seen.put(alone[0])
            return seen
        minute = self._minutes.get(classifier.digest)
        if minute is None or minute.buffer.rows == minute.buffer.room:
            return None
        minute.buffer.put(values, alone)
        return minute.seen

    def _note(self, seen: Seen, rows: int) -> None:
        self.requests += 1
        self.rows += rows
        seen.requests += 1
        seen.last = self.requests
        if self._clock() >= self._due:
            self._report_due()

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
        """Forget models without a minute, the longest unused first, until the rest is at most `most` wide."""
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
        """Make room by growing the buffer or by counting its rows; return False if neither is enough."""
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
        """Report a model's minute, or drop the minute if it has no rows."""
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
