"""A model that is ready to answer: a document that gives the right answers to its own examples."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble.errors import InvalidModel
from thimble.inference import network, straight
from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Batch, Value
from thimble.inference.document import Document, digest, parse
from thimble.inference.features import Feature, Schema
from thimble.inference.head import Head
from thimble.inference.predictions import Alone, Predictions, concatenate
from thimble.inference.reference import Reference
from thimble.inference.straight import Straight

if TYPE_CHECKING:
    from thimble.inference.asked import Asked, Further, Values

EXAMPLES_TOLERANCE = 1e-9  # bits may differ between CPU architectures, answers may not
with np.errstate(all="ignore"):
    QUIET = copy_context()  # entering a copy of it takes a tenth of the time that `errstate` takes


class Classifier(NamedTuple):
    document: Document
    digest: str
    chunk: int  # how many rows are evaluated at once
    straight: Straight | None  # the fast path for a single row, if the model has one
    further: tuple[Further, ...] = ()  # what rows get beside their labels

    @property
    def name(self) -> str:
        return self.document.name

    @property
    def schema(self) -> Schema:
        return self.document.schema

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
    def reference(self) -> Reference | None:
        return self.document.reference

    @property
    def heads(self) -> tuple[Head, ...]:
        """One head per output; most models have one."""
        return self.document.heads

    def asking(self, asked: Asked) -> Classifier:
        """Return the same classifier, set to give what is asked for beside labels. Raises InvalidInput if the
        model cannot do that."""
        from thimble.inference import further  # only here: plain requests do not need it

        document, found = further.asking(self.document, asked)
        direct = None if found else straight.of(document)
        return self._replace(document=document, straight=direct, further=found)

    def predict(self, batch: Batch) -> Predictions:
        """Return the answers to all rows; those to unreadable rows are meaningless."""
        return QUIET.copy().run(self._predict, batch)

    @property
    def answers_alone(self) -> bool:
        """Whether `predict_alone` may answer."""
        return self.straight is not None and self.straight.takes_values

    def predict_alone(self, values: Sequence[Value]) -> Alone | None:
        """Return the answer to one row, whose values fit the features, by the fast path; None if the row or
        the model needs `predict`."""
        if self.straight is None or not self.straight.takes_values:
            return None
        return QUIET.copy().run(self.straight.of_values, values)

    def _predict(self, batch: Batch) -> Predictions:
        if batch.rows <= self.chunk:
            return self._part(batch)
        starts = range(0, batch.rows, self.chunk)
        return concatenate([self._part(batch.take(slice(at, at + self.chunk))) for at in starts])

    def _part(self, batch: Batch) -> Predictions:
        """Return the answers to at most `chunk` rows."""
        X, faults, unknown = self._inputs(batch)
        n = batch.rows
        if n == 1 and self.straight and not faults and (alone := self.straight.of_block(X)):
            return Predictions.alone(*alone, unknown)
        outputs = []
        for head, scorer in self.document.outputs:
            scores, too_large = head.decide(scorer.scores(X), n)
            outputs.append(scores)
            for row, fault in too_large.items():
                faults.setdefault(row, fault)  # the first of several is reported
        found = Predictions(tuple(outputs), faults, unknown=unknown)
        return found._replace(further=self._further(batch, found)) if self.further else found

    def _further(self, batch: Batch, found: Predictions) -> tuple[NDArray[np.object_], ...]:
        """Return one value per row for each of the classifier's `further`."""
        sources = {one.values: one.most_rows for one in self.further}
        told = {values: self._values(values, most, batch, found) for values, most in sources.items()}
        return tuple(
            np.fromiter(told[one.values][one.output], np.object_, batch.rows) for one in self.further
        )

    def _values(self, values: Values, most: int, batch: Batch, found: Predictions) -> list[list[Any]]:
        """Return the rows' values for each output. `values` is called with at most `most` rows at a time."""
        told: list[list[Any]] = [[] for _ in self.heads]
        for start in range(0, batch.rows, most):
            rows = slice(start, start + most)
            rejected = {row - start: why for row, why in found.rejected.items() if row >= start}
            part = found.take(rows)._replace(rejected=rejected)
            whole = batch.rows <= most
            each = values(self, batch, found) if whole else values(self, batch.take(rows), part)
            for own, more in zip(told, each, strict=True):
                own += more
        return told

    def _inputs(self, batch: Batch) -> tuple[FloatArray, dict[int, str], dict[int, FloatArray]]:
        """Return the inputs of the scorers, (fan_in, rows in whole blocks), the rejected rows with reasons,
        and the shares of unknown terms."""
        preprocessing = self.document.preprocessing
        if preprocessing is None:
            return network.padded(batch.numbers), {}, {}
        return preprocessing.apply(batch)


def load(data: bytes) -> Classifier:
    """Load a document. Raises InvalidModel if it is malformed or gives wrong answers to its own examples."""
    document = parse(data)
    chunk = network.rows_at_once(document.cost.numbers)
    classifier = Classifier(document, digest(data), chunk, straight.of(document))
    _prove(classifier)
    if any(head.abstain_below is not None for head in classifier.heads):
        from thimble.inference.asked import Asked  # only here: few models need it

        return classifier.asking(Asked())
    return classifier


def _prove(classifier: Classifier) -> None:
    examples = classifier.document.examples
    if examples is None:
        return
    predictions = classifier.predict(Batch.of(classifier.features, [*zip(*examples.rows, strict=True)]))
    for i, fault in predictions.rejected.items():
        raise InvalidModel(f"examples.rows[{i}] gets no answer: {fault}")
    actual = predictions.numbers
    expected = examples.probabilities
    error = np.abs(actual - expected) / np.maximum(1.0, np.abs(expected))  # relative, as scores may be large
    if not (error <= EXAMPLES_TOLERANCE).all():
        worst = np.unravel_index(np.argmax(~(error <= EXAMPLES_TOLERANCE)), error.shape)
        raise InvalidModel(
            f"examples.probabilities[{worst[0]}][{worst[1]}] is {expected[worst]:.17g}, "
            f"but the model gives {actual[worst]:.17g}"
        )
