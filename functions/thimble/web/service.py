"""From a table to its predictions: what every protocol asks, and the one place that chooses the model."""

from __future__ import annotations

from typing import NamedTuple

from thimble import telemetry
from thimble.drift.recent import Watch
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier
from thimble.inference.predictions import Predictions
from thimble.registry import canary
from thimble.registry.lookup import Models
from thimble.registry.published import Serving
from thimble.settings import Settings
from thimble.tables.rows import Table, read, refuse


class Classified(NamedTuple):
    """A request's rows, classified by one model; in a canary by two: `predictions.versions` says which."""

    classifier: Classifier
    predictions: Predictions
    rows: int


class Service:
    def __init__(self, models: Models, settings: Settings, watch: Watch | None = None) -> None:
        self.models = models
        self.settings = settings
        self.watch = watch or Watch()

    def classify(self, table: Table, name: str = "", version: str = "") -> Classified:
        """Every row answered, or an error that names the first that cannot be."""
        serving = self.models.serving(name, version)
        batch = read(table, serving.classifier.schema, self.settings.max_rows)
        classifier, predictions = _predicted(serving, batch)
        refuse(table, predictions)
        self.watch.seen(classifier, batch, predictions)
        return Classified(classifier, predictions, batch.rows)


def _predicted(serving: Serving, batch: Batch) -> tuple[Classifier, Predictions]:
    """The rows' answers, and the model that gave them; of a canary's mixture, the current one."""
    classifier, candidate, trial = serving.classifier, serving.candidate, serving.trial
    if candidate is None or trial is None:
        return classifier, classifier.predict(batch)
    if trial.shadow:
        predictions = classifier.predict(batch)
        _compare(candidate, batch, predictions)
        return classifier, predictions
    predictions = canary.predict(classifier, candidate, batch, trial.percent)
    tried = predictions.versions.count(candidate.digest)
    telemetry.note(canary_rows=tried)
    return candidate if tried == len(predictions.versions) else classifier, predictions


def _compare(candidate: Classifier, batch: Batch, predictions: Predictions) -> None:
    """In the shadow: whatever comes of it, the answer is the current version's."""
    try:
        differ = canary.disagreements(predictions, candidate.predict(batch))
    except Exception:
        telemetry.exception("the version in the shadow failed")
        telemetry.note(shadow_failed=1)
    else:
        telemetry.note(shadow_rows=batch.rows, shadow_disagreements=differ)
