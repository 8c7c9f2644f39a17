"""A model ready to answer: a document whose examples came out right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from thimble.errors import InvalidModel
from thimble.inference import features, network
from thimble.inference.arrays import FloatArray
from thimble.inference.document import Document, digest, parse
from thimble.inference.features import Feature
from thimble.inference.head import Head
from thimble.inference.predictions import Predictions, concatenate
from thimble.inference.reference import Reference

if TYPE_CHECKING:
    from thimble.inference.preprocessing import Preprocessing

EXAMPLES_TOLERANCE = 1e-9  # bits may differ between CPU architectures, answers may not


class Classifier(NamedTuple):
    document: Document
    digest: str
    chunk: int  # how many rows are evaluated at once

    @property
    def name(self) -> str:
        return self.document.name

    @property
    def features(self) -> tuple[Feature, ...]:
        return self.document.schema.features

    @property
    def n_features(self) -> int:
        return len(self.document.schema.features)

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        return self.document.schema.names

    @property
    def preprocessing(self) -> Preprocessing | None:
        return self.document.preprocessing

    @property
    def reference(self) -> Reference | None:
        return self.document.reference

    @property
    def heads(self) -> tuple[Head, ...]:
        """Of the outputs; most models have one."""
        return self.document.heads

    def predict(self, columns: FloatArray | Sequence[Any]) -> Predictions:
        """`columns`: a feature each, of any n. Numbers and booleans are float64, finite, or NaN where they
        may be missing; texts are sequences of str or None. Without preprocessing (n_features, n) will do."""
        if self.preprocessing is None:
            columns = np.asarray(columns, dtype=np.float64, order="C")  # another layout rounds otherwise
        n = len(columns[0])
        with np.errstate(over="ignore", invalid="ignore"):
            if n <= self.chunk:
                return self._part(columns, slice(0, n))
            spans = (slice(start, min(start + self.chunk, n)) for start in range(0, n, self.chunk))
            return concatenate([self._part(columns, rows) for rows in spans])

    def _part(self, columns: Any, rows: slice) -> Predictions:
        """The answers to as many rows as are evaluated at once."""
        X, faults = self._inputs(columns, rows)
        n = rows.stop - rows.start
        outputs = []
        for head, scorer in self.document.outputs:
            scores, too_large = head.decide(scorer.scores(X), n)
            outputs.append(scores)
            for row, fault in too_large.items():
                faults.setdefault(row, fault)  # of several the first is told
        return Predictions(tuple(outputs), faults)

    def _inputs(self, columns: Any, rows: slice) -> tuple[FloatArray, dict[int, str]]:
        """What goes into the networks, (fan_in, rows in whole blocks), and the rows that cannot."""
        if self.preprocessing is None:
            return network.padded(columns[:, rows]), {}
        return self.preprocessing.apply([column[rows] for column in columns], rows.stop - rows.start)


def load(data: bytes) -> Classifier:
    """A document's bytes, ready to answer; InvalidModel if malformed, or if it fails its own examples."""
    document = parse(data)
    classifier = Classifier(document, digest(data), network.rows_at_once(document.cost.numbers))
    _prove(classifier)
    return classifier


def _prove(classifier: Classifier) -> None:
    examples = classifier.document.examples
    if examples is None:
        return
    predictions = classifier.predict(features.columns(classifier.features, examples.rows))
    for i, fault in predictions.rejected.items():
        raise InvalidModel(f"examples.rows[{i}] gets no answer: {fault}")
    actual = np.vstack([scores.probabilities for scores in predictions.outputs]).T
    expected = examples.probabilities
    error = np.abs(actual - expected) / np.maximum(1.0, np.abs(expected))  # scores may be large
    if not (error <= EXAMPLES_TOLERANCE).all():
        worst = np.unravel_index(np.argmax(~(error <= EXAMPLES_TOLERANCE)), error.shape)
        raise InvalidModel(
            f"examples.probabilities[{worst[0]}][{worst[1]}] is {expected[worst]:.17g}, "
            f"but the model gives {actual[worst]:.17g}"
        )
