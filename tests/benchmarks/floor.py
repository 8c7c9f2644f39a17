"""Thimble's own reader and writer without a model: the floor under the time of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from thimble.classifier import Classifier, Predictions
from thimble.network import FloatArray


@dataclass(frozen=True)
class Answered(Classifier):
    """Computes the answers to the largest block once, and gives them again for every other."""

    known: list[Predictions] = field(default_factory=list)

    def predict(self, columns: FloatArray | Sequence[Any]) -> Predictions:
        n = len(columns[0])
        fitting = [found for found in self.known if found.probabilities.shape[1] >= n]
        if not fitting:
            fitting = [super().predict(columns)]
            self.known.append(fitting[0])
        found = fitting[0]
        return Predictions(found.probabilities[:, :n], found.label_indices[:n], found.label_mask[:, :n])
