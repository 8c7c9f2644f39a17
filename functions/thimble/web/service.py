"""From a table of rows to its predictions. Every protocol calls it, and only it chooses the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from thimble import telemetry
from thimble.drift.recent import Recent, Watched
from thimble.errors import TooLarge
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier
from thimble.inference.predictions import Predictions
from thimble.inference.reference import Counts
from thimble.registry import canary
from thimble.registry.lookup import Models
from thimble.registry.published import Serving
from thimble.settings import Settings
from thimble.tables.answers import Classified, abstained, abstains, column_names
from thimble.tables.rows import Table, read, refuse
from thimble.web.options import ASKED

if TYPE_CHECKING:
    from thimble.inference.asked import Asked


def rules(options: Mapping[str, Any]) -> Asked | None:
    """Return how to answer rows, from options as text or in JSON's types; None if there are none."""
    if options.keys().isdisjoint(ASKED):
        return None
    from thimble import asking  # imported only for a request with options

    return asking.asked(options)


class Service:
    def __init__(self, models: Models, settings: Settings) -> None:
        self.models = models
        self.settings = settings
        self.recent = Recent(log_minute)

    def classify(
        self,
        table: Table,
        name: str = "",
        version: str = "",
        asked: Asked | None = None,
        in_columns: bool = False,
    ) -> Classified:
        """Answer every row, or raise an error that names the first row that cannot be answered.

        With `in_columns` the answer is a table, with a column for each class. Raises InvalidInput, before any
        row is read, if two of its columns would share a name.
        """
        serving = self.models.serving(name, version).asking(asked)
        if in_columns:
            column_names(serving.classifier)
        return self._alone(serving, table) or self._together(serving, table)

    def _alone(self, serving: Serving, table: Table) -> Classified | None:
        """Answer a single row without making a batch; return None if that takes the other way."""
        if serving.candidate is not None:
            return None
        classifier = serving.classifier
        values = table.alone(classifier.schema) if classifier.answers_alone else None
        found = None if values is None else classifier.predict_alone(values)
        if values is None or found is None:
            return None
        self.recent.add_alone(classifier, values, found)
        return Classified(classifier, 1, found)

    def _together(self, serving: Serving, table: Table) -> Classified:
        batch = read(table, serving.classifier.schema, self.settings.max_rows)
        classifier, predictions = predicted(serving, batch)
        refuse(table, predictions)
        self.recent.add(classifier, batch, predictions)
        note_abstained(classifier, predictions)
        return Classified(classifier, batch.rows, predictions)


def predicted(serving: Serving, batch: Batch) -> tuple[Classifier, Predictions]:
    """Return the model and its answers; the current version if a canary answered some of the rows.

    Raises TooLarge if there are too many rows for an option that costs more than a label.
    """
    classifier, candidate, trial = serving.classifier, serving.candidate, serving.trial
    _check_work(classifier, batch.rows)
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


def _check_work(classifier: Classifier, rows: int) -> None:
    """Raise TooLarge if an option that costs more than a label is requested for too many rows."""
    for one in classifier.further:
        if rows > one.most_rows:
            raise TooLarge(
                f"there are {rows} rows; the most that get {one.key} in one request are {one.most_rows} of "
                "this model: send fewer at a time, or drop a file"
            )


def note_abstained(classifier: Classifier, predictions: Predictions) -> None:
    """Count the rows without a label, for a model that may withhold it."""
    if classifier.further and abstains(classifier):
        rows = abstained(predictions)
        telemetry.note(abstained_rows=rows)
        telemetry.count(RowsAbstained=rows)


def _compare(candidate: Classifier, batch: Batch, predictions: Predictions) -> None:
    """Count the rows on which the shadow version disagrees. Its failure is only logged and counted."""
    try:
        differ = canary.disagreements(predictions, candidate.predict(batch))
    except Exception:
        telemetry.exception("the version in the shadow failed")
        telemetry.note(shadow_failed=1)
    else:
        telemetry.note(shadow_rows=batch.rows, shadow_disagreements=differ)


def log_minute(model: Watched, window: Counts, minute: Counts) -> bool:
    """Log a model's last minute and its drift; return whether the window had enough rows for a verdict."""
    from thimble.drift import report  # used once a minute

    observed = report.of_minute(model, window, minute)
    telemetry.drift(observed.lines, observed.drifted)
    return observed.drifted is not None
