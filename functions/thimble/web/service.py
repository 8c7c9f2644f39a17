"""From a table to its predictions: what every protocol asks, and the one place that chooses the model."""

from __future__ import annotations

from typing import Any, NamedTuple

from thimble import telemetry
from thimble.drift.recent import Watch
from thimble.inference.classifier import Classifier
from thimble.inference.predictions import Predictions
from thimble.registry import canary
from thimble.registry.lookup import Models
from thimble.registry.published import Serving
from thimble.settings import Settings
from thimble.tables import rows
from thimble.web.tables import Table


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
        columns = table.columns(serving.classifier, self.settings.max_rows)
        classifier, predictions = _predicted(serving, columns)
        rows.refuse(predictions.rejected, table.place)
        self.watch.seen(classifier, columns, predictions)
        return Classified(classifier, predictions, len(columns[0]))


def _predicted(serving: Serving, columns: Any) -> tuple[Classifier, Predictions]:
    """The rows' answers, and the model that gave them; of a canary's mixture, the current one."""
    classifier, candidate, trial = serving.classifier, serving.candidate, serving.trial
    if candidate is None or trial is None:
        return classifier, classifier.predict(columns)
    if trial.shadow:
        predictions = classifier.predict(columns)
        _compare(candidate, columns, predictions)
        return classifier, predictions
    predictions = canary.predict(classifier, candidate, columns, trial.percent)
    tried = predictions.versions.count(candidate.digest)
    telemetry.note(canary_rows=tried)
    return candidate if tried == len(predictions.versions) else classifier, predictions


def _compare(candidate: Classifier, columns: Any, predictions: Predictions) -> None:
    """In the shadow: whatever comes of it, the answer is the current version's."""
    try:
        differ = canary.disagreements(predictions, candidate.predict(columns))
    except Exception:
        telemetry.exception("the version in the shadow failed")
        telemetry.note(shadow_failed=1)
    else:
        telemetry.note(shadow_rows=len(columns[0]), shadow_disagreements=differ)
