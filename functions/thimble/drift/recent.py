"""What an instance was asked in the last minute, as lines in the log: a bounded number, whatever the model.

A request only leaves its batch and predictions here. They are counted many at a time, and a model's minute
is reported by the first request after it. Drift is judged of at least as many rows as a verdict takes: where
traffic is thin, its window is longer than a minute.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

import numpy as np

from thimble import telemetry
from thimble.drift.waiting import Waiting, Watched, watched
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier
from thimble.inference.predictions import Predictions
from thimble.inference.reference import Counts, Reference

MINUTE = 60.0
ROWS = 2_000  # of one request; of more than that, as many evenly spread
AT_ONCE = 5_000  # rows of a model that are counted at a time, at most
MORE = 5  # times the room for rows that wait, where it is full
HELD = 1 << 21  # numbers for which there is such room, of all models
WATCHED = 1 << 15  # features and classes of all models, at most a kilobyte each
REPORTING = 0.02  # seconds of one request; what else is due waits for the next
LISTED = (
    10  # classes with a line of their own, the most frequent; the others share one. And features that drifted
)

NOTHING: Counts = np.zeros(1, np.int64)


class Seen:
    """Of one model: what waits to be counted, and what was counted."""

    def __init__(self, model: Watched) -> None:
        self.model = model
        self.width = len(model.features) + sum(len(head.classes) for head in model.heads)
        self.waiting = Waiting(model)
        self.minute = NOTHING
        self.window = NOTHING
        self.due = math.inf

    @property
    def held(self) -> int:
        return self.waiting.room * self.width

    def count(self) -> None:
        if self.waiting.rows:
            self.minute = self.minute + self.waiting.counted()

    def count_at_once(self, batch: Batch, predictions: Predictions) -> None:
        from thimble.drift import counting

        some = slice(None, None, -(-batch.rows // ROWS))
        found = counting.count(self.model.reference, batch.take(some), predictions.take(some))
        self.minute = self.minute + found

    def report(self) -> bool:
        """Log the minute's counts, and what is to be said of drift; False if there are none."""
        self.count()
        if not self.minute[0]:
            return False
        from thimble.drift import report

        self.window = self.window + self.minute
        found = report.report(self.model, self.window)
        assert found is not None
        labels, rows = report.predicted(self.model, self.minute), int(self.minute[0])
        log(found, labels, rows, self.model.name, self.model.digest)
        self.minute = NOTHING
        if found["verdict"] is not None:
            self.window = NOTHING
        return True


class Watch:
    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, held: int = HELD, watched: int = WATCHED
    ) -> None:
        self._clock = clock
        self._most_held = held
        self._most_watched = watched
        self._lock = Lock()
        self._seen: dict[str, Seen] = {}  # by digest; what is due first is first
        self._due = math.inf
        self._widths = 0
        self._held = 0

    def seen(self, classifier: Classifier, batch: Batch, predictions: Predictions) -> None:
        """Rows that were answered; of a model without a reference nothing is kept."""
        with self._lock:
            if classifier.reference is not None:
                self._keep(self._of(classifier, classifier.reference), batch, predictions)
            if self._clock() >= self._due:
                self._report_due()

    def report(self) -> None:
        """Of all models, what was not reported yet."""
        with self._lock:
            for digest in list(self._seen):
                self._report(digest)

    def _of(self, classifier: Classifier, reference: Reference) -> Seen:
        seen = self._seen.get(classifier.digest)
        if seen is None:
            seen = Seen(watched(classifier, reference))
            while self._seen and self._widths + seen.width > self._most_watched:
                self._taken(next(iter(self._seen))).report()
            self._put(seen)
        return seen

    def _keep(self, seen: Seen, batch: Batch, predictions: Predictions) -> None:
        waiting, rows = seen.waiting, predictions.n_rows
        if rows <= ROWS and (waiting.rows + rows <= waiting.room or self._makes_room(seen, rows)):
            waiting.add(batch, predictions)
        else:
            seen.count_at_once(batch, predictions)

    def _makes_room(self, seen: Seen, rows: int) -> bool:
        """By larger arrays or by a count; False where there is not enough by either."""
        waiting = seen.waiting
        room = waiting.room
        while room < waiting.rows + rows:
            room *= MORE
        held = self._held - seen.held + room * seen.width
        if room > AT_ONCE or held > self._most_held:
            seen.count()
            return rows <= waiting.room
        waiting.grow(room)
        self._held = held
        return True

    def _report_due(self) -> None:
        started = self._clock()
        while self._due <= self._clock() < started + REPORTING:
            self._report(next(iter(self._seen)))

    def _report(self, digest: str) -> None:
        """A model without a request since the last time is forgotten."""
        seen = self._taken(digest)
        if seen.report():
            self._put(seen)

    def _put(self, seen: Seen) -> None:
        seen.due = self._clock() + MINUTE
        self._seen[seen.model.digest] = seen
        self._widths += seen.width
        self._held += seen.held
        self._due = min(self._due, seen.due)

    def _taken(self, digest: str) -> Seen:
        seen = self._seen.pop(digest)
        self._widths -= seen.width
        self._held -= seen.held
        self._due = next((other.due for other in self._seen.values()), math.inf)
        return seen


def log(found: dict[str, Any], labels: Mapping[str, int], rows: int, name: str, digest: str) -> None:
    """Log the worst of a report's features and its predictions; of the rows that are new, how many there are
    and how often each label was predicted. The verdict is a metric too, 1 or 0, for the alarm."""
    model = {"model_name": name, "model_digest": digest}
    telemetry.line("watched", **model, rows=rows, **_shares(found), **_verdict(found))
    for label, times in _bounded(labels).items():
        telemetry.line("predicted", **model, **{"class": label, "predicted": times})
    if found["verdict"] is not None:
        telemetry.count(Drifted=bool(found["drifted"]))


def _shares(found: dict[str, Any]) -> dict[str, float]:
    features = found["features"].values()
    return {
        "missing_share": max((entry["missing"] for entry in features), default=0.0),
        "out_of_range_share": max((entry["out_of_range"] for entry in features), default=0.0),
    }


def _verdict(found: dict[str, Any]) -> dict[str, Any]:
    """Nothing, where the rows are too few for one."""
    if found["verdict"] is None:
        return {}
    features, predictions = found["features"].values(), found["predictions"]
    return {
        "drift_rows": found["rows"],
        "drifted": found["drifted"][:LISTED],
        "drifted_in_all": len(found["drifted"]),
        "feature_psi": max((entry["psi"] for entry in features), default=0.0),
        "feature_js": max((entry["js"] for entry in features), default=0.0),
        "prediction_psi": max(entry["psi"] for entry in predictions),
        "prediction_js": max(entry["js"] for entry in predictions),
        "confidence_js": max(entry["winning"]["js"] for entry in predictions),
    }


def _bounded(labels: Mapping[str, int]) -> dict[str, int]:
    """The labels that were predicted, the most frequent first, and the others together."""
    found = sorted(((label, n) for label, n in labels.items() if n), key=lambda item: -item[1])
    bounded = dict(found[:LISTED])
    if others := found[LISTED:]:
        bounded["others"] = bounded.get("others", 0) + sum(n for _, n in others)
    return bounded
