"""A model ready to answer: a document whose examples came out right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from thimble.errors import InvalidModel
from thimble.inference import cost, features, network, reference
from thimble.inference.arrays import FloatArray, all_finite
from thimble.inference.cost import Cost
from thimble.inference.document import Document, digest, parse
from thimble.inference.features import Feature
from thimble.inference.heads import Head, Label
from thimble.inference.network import Network
from thimble.inference.reference import Reference

if TYPE_CHECKING:
    from thimble.inference.preprocessing import Preprocessing

EXAMPLES_TOLERANCE = 1e-9  # bits may differ between CPU architectures, answers may not


class Predictions(NamedTuple):
    """Of n rows: which class, or of a multilabel model which classes."""

    probabilities: FloatArray  # (n_classes, n); of a model without probabilities its scores
    label_indices: NDArray[np.intp]  # (n,) into the classes; meaningless in a multilabel model
    label_mask: NDArray[np.bool_]  # (n_classes, n) of a multilabel model; (0, n) of any other
    rejected: Mapping[int, str] = MappingProxyType({})  # rows without an answer: these numbers mean nothing
    further: tuple[Predictions, ...] = ()  # of a model of several outputs, those after the first
    versions: tuple[str, ...] = ()  # where not one model answered every row: whose digest did, row by row


class Output(NamedTuple):
    """A network with the meaning of what comes out of it; a model has one, or several."""

    head: Head
    network: Network
    out_activation: Callable[[FloatArray], None]
    class_texts: tuple[str, ...]  # the classes as text: JSON keys, CSV cells and headers

    @property
    def name(self) -> str:
        return self.head.name

    @property
    def classes(self) -> tuple[Label, ...]:
        return self.head.classes

    @property
    def multilabel(self) -> bool:
        return self.head.multilabel

    @property
    def has_probabilities(self) -> bool:
        return self.head.decision != "scores"

    def predictions(self, X: FloatArray, n: int) -> Predictions:
        """The answers to the first n rows of X, (fan_in, rows in whole blocks)."""
        p = self.network.logits(X)
        scores = p if self.head.decision == "probabilities" else p.copy()
        self.out_activation(p)  # in place
        if self.head.normalize:
            _normalize(p, self.head.normalize)
        mask = scores > self._threshold if self.multilabel else np.empty((0, n), np.bool_)
        return Predictions(
            self._of_classes(p)[:, :n], self._decided(scores)[:n], mask[:, :n], _too_large(p, n)
        )

    def _of_classes(self, p: FloatArray) -> FloatArray:
        """(n_classes, rows): one output is of the second class, several are a class each."""
        if len(p) == len(self.classes):
            return p
        return np.concatenate(((1.0 if self.has_probabilities else 0.0) - p, p))

    def _decided(self, scores: FloatArray) -> NDArray[np.intp]:
        """The class indices that scikit-learn's predict has: a tie goes to the first class."""
        if len(scores) == 1:
            return np.array(scores[0] > self._threshold, np.intp)
        likeliest: NDArray[np.intp] = scores.argmax(0)
        return likeliest

    @property
    def _threshold(self) -> float:
        return 0.5 if self.head.decision == "probabilities" else 0.0


def _too_large(p: FloatArray, n: int) -> dict[int, str]:
    """Of the first n rows, those with a number that is not finite."""
    if all_finite(p):
        return {}
    rows = np.flatnonzero(~np.isfinite(p[:, :n]).all(axis=0)).tolist()
    return dict.fromkeys(rows, "the values are too large for the model")


def _normalize(p: FloatArray, zero: str) -> None:
    """Each row divided by its sum; where that is zero, all classes are as likely, or all stay zero."""
    sums = p.sum(axis=0)
    empty = sums == 0
    sums[empty] = 1.0
    p /= sums
    if zero == "uniform":
        p[:, empty] = 1.0 / len(p)


class Classifier(NamedTuple):
    document: Document
    digest: str
    preprocessing: Preprocessing | None
    outputs: tuple[Output, ...]
    reference: Reference | None  # what it was trained on, to measure drift against
    cost: Cost  # of a row
    chunk: int  # how many rows are evaluated at once

    @property
    def name(self) -> str:
        return self.document.name

    @property
    def features(self) -> tuple[Feature, ...]:
        return self.document.features

    @property
    def n_features(self) -> int:
        return len(self.document.features)

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        return self.document.feature_names_in

    @property
    def classes(self) -> tuple[Label, ...]:
        """Of the first output; most models have one."""
        return self.outputs[0].classes

    @property
    def class_texts(self) -> tuple[str, ...]:
        return self.outputs[0].class_texts

    @property
    def multilabel(self) -> bool:
        return self.outputs[0].multilabel

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
            return joined([self._part(columns, rows) for rows in spans])

    def _part(self, columns: Any, rows: slice) -> Predictions:
        """The answers to as many rows as are evaluated at once."""
        X, faults = self._inputs(columns, rows)
        n = rows.stop - rows.start
        first = self.outputs[0].predictions(X, n)
        if not faults and len(self.outputs) == 1:
            return first
        further = tuple(output.predictions(X, n) for output in self.outputs[1:])
        faults = dict(faults)  # where there are several, an earlier one is said
        for predictions in (first, *further):
            for row, fault in predictions.rejected.items():
                faults.setdefault(row, fault)
        return first._replace(rejected=faults, further=further)

    def _inputs(self, columns: Any, rows: slice) -> tuple[FloatArray, dict[int, str]]:
        """What goes into the networks, (fan_in, rows in whole blocks), and the rows that cannot."""
        if self.preprocessing is None:
            return network.padded(columns[:, rows]), {}
        return self.preprocessing.apply([column[rows] for column in columns], rows.stop - rows.start)


def joined(parts: Sequence[Predictions]) -> Predictions:
    """The predictions of consecutive rows as one."""
    rejected: dict[int, str] = {}
    rows = 0
    for part in parts:
        rejected.update((rows + row, fault) for row, fault in part.rejected.items())
        rows += len(part.label_indices)
    return Predictions(
        np.concatenate([part.probabilities for part in parts], axis=1),
        np.concatenate([part.label_indices for part in parts]),
        np.concatenate([part.label_mask for part in parts], axis=1),
        rejected,
        tuple(map(joined, zip(*(part.further for part in parts), strict=True))),
    )


def only(predictions: Predictions, rows: slice | NDArray[np.bool_]) -> Predictions:
    """The predictions of some rows, none of them rejected."""
    return Predictions(
        probabilities=np.ascontiguousarray(predictions.probabilities[:, rows]),
        label_indices=predictions.label_indices[rows],
        label_mask=predictions.label_mask[:, rows],
        further=tuple(only(more, rows) for more in predictions.further),
    )


def label_text(label: Label) -> str:
    """A string as it is, anything else as JSON has it: 1, 0.5, true."""
    return label if isinstance(label, str) else orjson.dumps(label).decode()


def load(data: bytes) -> Classifier:
    """A document's bytes, ready to answer; InvalidModel if malformed, or if it fails its own examples."""
    document = parse(data)
    preprocessing, outputs = _preprocessing(document), tuple(map(_output, document.heads))
    price = _cost(document, preprocessing, outputs)
    cost.check(price, "The model")
    classifier = Classifier(
        document=document,
        digest=digest(data),
        preprocessing=preprocessing,
        outputs=outputs,
        reference=reference.read(document),
        cost=price,
        chunk=network.rows_at_once(price.numbers),
    )
    _prove(classifier)
    return classifier


def _cost(document: Document, preprocessing: Preprocessing | None, outputs: Sequence[Output]) -> Cost:
    """Of a row: the preprocessing, then every output beside it, all of whose answers are kept."""
    networks = [output.network.cost for output in outputs]
    kept = sum(len(output.classes) for output in outputs)
    before = preprocessing.cost if preprocessing else Cost(0, document.n_features_in)
    own = Cost(cost.OUTPUT * len(outputs), before.numbers + kept)
    return cost.in_turn((before, own, cost.beside(cost.in_turn(networks), own.numbers)))


def _preprocessing(document: Document) -> Preprocessing | None:
    if document.preprocessing is None:
        return None
    from thimble.inference import (
        preprocessing,
    )  # all its steps, which a cold start of a model without them is spared

    return preprocessing.read(document.preprocessing, document.features)


def _output(head: Head) -> Output:
    return Output(
        head=head,
        network=network.network(head.coefs, head.intercepts, head.activation),
        out_activation=network.OUT_ACTIVATIONS[head.out_activation],
        class_texts=tuple(map(label_text, head.classes)),
    )


def _prove(classifier: Classifier) -> None:
    examples = classifier.document.examples
    if examples is None:
        return
    predictions = classifier.predict(features.columns(classifier.features, examples.rows))
    for i, fault in predictions.rejected.items():
        raise InvalidModel(f"examples.rows[{i}] gets no answer: {fault}")
    actual = np.vstack([predictions.probabilities, *(more.probabilities for more in predictions.further)]).T
    expected = examples.probabilities
    error = np.abs(actual - expected) / np.maximum(1.0, np.abs(expected))  # scores may be large
    if not (error <= EXAMPLES_TOLERANCE).all():
        worst = np.unravel_index(np.argmax(~(error <= EXAMPLES_TOLERANCE)), error.shape)
        raise InvalidModel(
            f"examples.probabilities[{worst[0]}][{worst[1]}] is {expected[worst]:.17g}, "
            f"but the model gives {actual[worst]:.17g}"
        )
