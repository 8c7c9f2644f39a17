"""From a table to its predictions: every protocol asks it, and it alone chooses the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from thimble import telemetry
from thimble.drift.recent import Recent, Watched
from thimble.errors import TooLarge
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier
from thimble.inference.predictions import Alone, Predictions
from thimble.inference.reference import Counts
from thimble.registry import canary
from thimble.registry.lookup import Models
from thimble.registry.published import Serving
from thimble.settings import Settings
from thimble.tables.answers import abstained, abstains, answer, answers, column_names
from thimble.tables.rows import Table, read, refuse
from thimble.web.options import ASKED

if TYPE_CHECKING:
    from thimble.inference.asked import Asked


class Classified(NamedTuple):
    """A request's rows, classified by one model; in a canary by two: `predictions.versions` says which."""

    classifier: Classifier
    predictions: Predictions
    rows: int
    alone: Alone | None = None  # the same answer in plain numbers, to a single row

    @property
    def answers(self) -> list[dict[str, Any]]:
        """One a row, as people get them."""
        if self.alone is None:
            return answers(self.classifier, self.predictions)
        return [answer(self.classifier.document.outputs[0].head, *self.alone)]


def rules(options: Mapping[str, Any]) -> Asked | None:
    """Return how rows are to be answered, by options as text or in JSON's types; None if nothing is said."""
    if options.keys().isdisjoint(ASKED):
        return None
    from thimble import asking  # a plain request is spared it

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
        """Answer every row, or raise an error that names the first that cannot be answered, or, before any is
        read into columns, two `in_columns` of the answer that share a name."""
        serving = self.models.serving(name, version).asking(asked)
        if in_columns:
            column_names(serving.classifier)
        return self._alone(serving, table) or self._together(serving, table)

    def _alone(self, serving: Serving, table: Table) -> Classified | None:
        """Answer a single row of plain numbers, which takes no batch; None if there is anything unusual."""
        if serving.candidate is not None:
            return None
        classifier = serving.classifier
        values = table.alone(classifier.schema)
        found = None if values is None else classifier.predict_alone(values)
        if values is None or found is None:
            return None
        predictions = Predictions.alone(*found)
        self.recent.add(classifier, Batch.alone(values), predictions)
        return Classified(classifier, predictions, 1, found)

    def _together(self, serving: Serving, table: Table) -> Classified:
        batch = read(table, serving.classifier.schema, self.settings.max_rows)
        classifier, predictions = predicted(serving, batch)
        refuse(table, predictions)
        self.recent.add(classifier, batch, predictions)
        note_abstained(classifier, predictions)
        return Classified(classifier, predictions, batch.rows)


def predicted(serving: Serving, batch: Batch) -> tuple[Classifier, Predictions]:
    """Return the rows' answers and the model that gave them; the current one if a canary gave some."""
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
    """TooLarge for more rows than can be asked in a request for what costs more than an answer."""
    for one in classifier.further:
        if rows > one.most_rows:
            raise TooLarge(
                f"there are {rows} rows; the most that get {one.key} in one request are {one.most_rows} of "
                "this model: send fewer at a time, or drop a file"
            )


def note_abstained(classifier: Classifier, predictions: Predictions) -> None:
    """Count the rows that got no label, of a model that may give none."""
    if classifier.further and abstains(classifier):
        rows = abstained(predictions)
        telemetry.note(abstained_rows=rows)
        telemetry.count(RowsAbstained=rows)


def _compare(candidate: Classifier, batch: Batch, predictions: Predictions) -> None:
    """Compare with the version in the shadow. Whatever it does, the current version's answer is given."""
    try:
        differ = canary.disagreements(predictions, candidate.predict(batch))
    except Exception:
        telemetry.exception("the version in the shadow failed")
        telemetry.note(shadow_failed=1)
    else:
        telemetry.note(shadow_rows=batch.rows, shadow_disagreements=differ)


def log_minute(model: Watched, window: Counts, minute: Counts) -> bool:
    """Log what a model was asked in the last minute; True if there were rows enough to judge the window."""
    from thimble.drift import report  # once a minute

    observed = report.of_minute(model, window, minute)
    telemetry.drift(observed.lines, observed.drifted)
    return observed.drifted is not None
