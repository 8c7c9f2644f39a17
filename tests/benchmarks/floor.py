"""Thimble's own reader and writer without a model: the floor under the time of a file."""

from __future__ import annotations

from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier
from thimble.inference.predictions import Predictions

KNOWN: dict[str, list[Predictions]] = {}  # of a model, by its digest


class Answered(Classifier):
    """Computes the answers to the largest block once, and gives them again for every other."""

    def predict(self, batch: Batch) -> Predictions:
        n, known = batch.rows, KNOWN.setdefault(self.digest, [])
        fitting = [found for found in known if found.n_rows >= n]
        if not fitting:
            fitting = [super().predict(batch)]
            known.append(fitting[0])
        return fitting[0].take(slice(n))
