"""From a table to its predictions: what every protocol asks, and the one place that chooses the model."""

from __future__ import annotations

from dataclasses import dataclass

from thimble import rows
from thimble.classifier import Classifier, Predictions
from thimble.errors import TooLarge, UnprocessableRows
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
        n = len(table)
        if n == 0:
            raise UnprocessableRows("there are no rows; send at least one")
        if n > self.settings.max_rows:
            most = self.settings.max_rows
            raise TooLarge(f"there are {n} rows; the most in one request is {most}: drop a file instead")
        classifier = self.models.get(name, version)
        predictions = classifier.predict(table.columns(classifier))
        rows.refuse(predictions.rejected, table.place)
        return Answered(classifier, predictions, n)
