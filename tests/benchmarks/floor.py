"""Thimble's own reader and writer without a model: the floor under the time of a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thimble.inference.arrays import FloatArray
from thimble.inference.classifier import Classifier
from thimble.inference.predictions import Predictions

KNOWN: dict[str, list[Predictions]] = {}  # of a model, by its digest


class Answered(Classifier):
    """Computes the answers to the largest block once, and gives them again for every other."""

    def predict(self, columns: FloatArray | Sequence[Any]) -> Predictions:
        n, known = len(columns[0]), KNOWN.setdefault(self.digest, [])
        fitting = [found for found in known if found.n_rows >= n]
        if not fitting:
            fitting = [super().predict(columns)]
            known.append(fitting[0])
        return fitting[0].take(slice(n))
