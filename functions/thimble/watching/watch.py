"""What an instance was asked in the last minute, as metrics: a bounded number of them, however many features.

A request only leaves its columns and predictions here. They are counted many at a time, and reported by the
first request after a minute. Drift is judged of at least as many rows as a verdict takes: where traffic is
thin, its window is longer than a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from thimble import telemetry
from thimble.answers import identity
from thimble.classifier import Classifier, Predictions
from thimble.reference import Counts

MINUTE = 60.0
HELD = 1 << 15  # numbers that wait to be counted: they stay in the cache
ROWS = 2_000  # of one request; of more than that, as many evenly spread
MODELS = 100  # at a time: what they hold is beside the cache of models
CLASSES = 10  # with a metric each, the first; the others share one


class Seen:
    """Of one model: what waits to be counted, and what was counted."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.waiting: list[tuple[Any, Predictions]] = []
        self.minute: Counts = np.zeros(1, np.int64)
        self.window: Counts = np.zeros(1, np.int64)

    def count(self) -> None:
        from thimble.watching import observed

        if self.waiting:
            columns, predictions = observed.together(self.waiting)
            self.minute = self.minute + observed.count(self.classifier.reference, columns, predictions)
            self.waiting.clear()


class Watch:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, Seen] = {}
        self._held = 0
        self._due = clock() + MINUTE

    def seen(self, classifier: Classifier, columns: Any, predictions: Predictions) -> None:
        """Rows that were answered; of a model without a reference nothing is kept."""
        if classifier.reference is not None:
            if len(columns[0]) > ROWS:
                from thimble.watching import observed

                columns, predictions = observed.every(-(-len(columns[0]) // ROWS), columns, predictions)
            self._of(classifier).waiting.append((columns, predictions))
            self._held += len(columns) * len(columns[0]) + predictions.probabilities.size
            if self._held > HELD:
                self._count()
        if self._clock() >= self._due:
            self.report()

    def _of(self, classifier: Classifier) -> Seen:
        seen = self._seen.get(classifier.digest)
        if seen is None:
            if len(self._seen) == MODELS:
                self.report()
                self._seen.clear()
            seen = self._seen[classifier.digest] = Seen(classifier)
        return seen

    def report(self) -> None:
        """Emit the minute's counts, and what is to be said of drift."""
        self._count()
        for digest, seen in list(self._seen.items()):
            if not seen.minute[0]:
                del self._seen[digest]  # a minute without a request
            else:
                _report(seen)
        self._due = self._clock() + MINUTE

    def _count(self) -> None:
        for seen in self._seen.values():
            seen.count()
        self._held = 0


def _report(seen: Seen) -> None:
    from thimble.watching import drift

    seen.window = seen.window + seen.minute
    found = drift.report(seen.classifier, seen.window)
    assert found is not None
    emit(
        found, drift.predicted(seen.classifier, seen.minute), int(seen.minute[0]), **identity(seen.classifier)
    )
    seen.minute = np.zeros(1, np.int64)
    if found["verdict"] is not None:
        seen.window = np.zeros(1, np.int64)


def emit(found: dict[str, Any], labels: Mapping[str, int], rows: int, name: str, digest: str) -> None:
    """The worst of a report's features and its predictions; of the rows that are new, how many there are and
    how often each label was predicted."""
    features, predictions = found["features"].values(), found["predictions"]
    shares = {
        "MissingShare": max((entry["missing"] for entry in features), default=0.0),
        "OutOfRangeShare": max((entry["out_of_range"] for entry in features), default=0.0),
    }
    distances = {
        "FeaturePsi": max((entry["psi"] for entry in features), default=0.0),
        "FeatureJs": max((entry["js"] for entry in features), default=0.0),
        "PredictionPsi": max(entry["psi"] for entry in predictions),
        "PredictionJs": max(entry["js"] for entry in predictions),
        "ConfidenceJs": max(entry["winning"]["js"] for entry in predictions),
    }
    counts = {"WatchedRows": rows}
    if found["verdict"] is not None:
        counts |= {"DriftRows": found["rows"], "Drifted": len(found["drifted"])}
    about = {"model_name": name, "model_digest": digest, "rows": rows, "drifted": found["drifted"]}
    telemetry.emit(counts, shares | distances if found["verdict"] is not None else shares, about=about)
    for label, times in _bounded(labels).items():
        telemetry.emit({"Predicted": times}, dimensions={"class": label})


def _bounded(labels: Mapping[str, int]) -> dict[str, int]:
    """The first labels, and the others together."""
    bounded = dict(list(labels.items())[:CLASSES])
    if others := list(labels.values())[CLASSES:]:
        bounded["others"] = bounded.get("others", 0) + sum(others)
    return bounded
