"""From a table to its predictions: what every protocol asks, and the one place that chooses the model."""

from __future__ import annotations

from dataclasses import dataclass

from thimble import rows
from thimble.classifier import Classifier, Predictions
from thimble.registry import Models
from thimble.settings import Settings
from thimble.tables import Table


@dataclass(frozen=True)
class Answered:
    """A request's rows, classified by one model."""

    classifier: Classifier
    predictions: Predictions
    rows: int


@dataclass(frozen=True)
class Service:
    models: Models
    settings: Settings

    def classify(self, table: Table, name: str = "", version: str = "") -> Answered:
        """Every row answered, or an error that names the first that cannot be."""
        classifier = self.models.get(name, version)
        columns = table.columns(classifier, self.settings.max_rows)
        predictions = classifier.predict(columns)
        rows.refuse(predictions.rejected, table.place)
        return Answered(classifier, predictions, len(columns[0]))
