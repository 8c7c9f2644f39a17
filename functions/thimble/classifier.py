"""A model ready to answer: a document whose examples came out right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from thimble import network
from thimble.document import Document, Label, digest, parse
from thimble.errors import InvalidModel
from thimble.network import FloatArray, Network

EXAMPLES_TOLERANCE = 1e-9  # bits may differ between CPU architectures, answers may not


@dataclass(frozen=True)
class Predictions:
    """Of n rows: which class, or of a multilabel model which classes."""

    probabilities: FloatArray  # (n_classes, n)
    label_indices: NDArray[np.intp]  # (n,) into the classes; meaningless in a multilabel model
    label_mask: NDArray[np.bool_]  # (n_classes, n); (0, n) in any other


@dataclass(frozen=True)
class Classifier:
    document: Document
    digest: str
    network: Network
    out_activation: Callable[[FloatArray], None]
    class_texts: tuple[str, ...]  # the classes as text: JSON keys, CSV cells and headers

    @property
    def name(self) -> str:
        return self.document.name

    @property
    def classes(self) -> tuple[Label, ...]:
        return self.document.classes

    @property
    def multilabel(self) -> bool:
        return self.document.multilabel

    @property
    def n_features(self) -> int:
        return self.document.n_features_in

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        return self.document.feature_names_in

    def predict(self, columns: FloatArray | Sequence[FloatArray]) -> Predictions:
        """`columns`: (n_features, n), any n; every value finite."""
        X = np.asarray(columns, dtype=np.float64, order="C")  # another layout rounds otherwise
        n = X.shape[1]
        probabilities = np.empty((len(self.classes), n))
        label_indices = np.empty(n, dtype=np.intp)
        label_mask = np.empty((len(self.classes) if self.multilabel else 0, n), dtype=np.bool_)
        for start in range(0, n, network.CHUNK):
            rows = slice(start, min(start + network.CHUNK, n))
            scores, p = self._scores(X[:, rows])
            width = rows.stop - start
            _spread(p[:, :width], probabilities[:, rows])
            if self.multilabel:
                np.greater(scores[:, :width], self._threshold, out=label_mask[:, rows])
            else:
                self._decide(scores[:, :width], label_indices[rows])
        return Predictions(probabilities, label_indices, label_mask)

    def _scores(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What the labels are decided on, and the probabilities: (n_outputs, rows) both, rows padded."""
        p = self.network.logits(network.padded(X))
        scores = p.copy() if self.document.decision == "logits" else p
        self.out_activation(p)  # in place
        return scores, p

    def _decide(self, scores: FloatArray, label_indices: NDArray[np.intp]) -> None:
        """The class indices that scikit-learn's predict has: a tie goes to the first class."""
        if len(scores) == 1:
            label_indices[:] = scores[0] > self._threshold
        else:
            scores.argmax(axis=0, out=label_indices)

    @property
    def _threshold(self) -> float:
        return 0.0 if self.document.decision == "logits" else 0.5


def _spread(p: FloatArray, probabilities: FloatArray) -> None:
    """One output is the second class's probability; several are a class each."""
    if len(p) == 1:
        np.subtract(1.0, p[0], out=probabilities[0])
        probabilities[1] = p[0]
    else:
        probabilities[:] = p


def label_text(label: Label) -> str:
    """A string as it is, anything else as JSON has it: 1, 0.5, true."""
    return label if isinstance(label, str) else orjson.dumps(label).decode()


def load(data: bytes) -> Classifier:
    """A document's bytes, ready to answer; InvalidModel if malformed, or if it fails its own examples."""
    document = parse(data)
    classifier = Classifier(
        document=document,
        digest=digest(data),
        network=network.network(document.coefs, document.intercepts, document.activation),
        out_activation=network.OUT_ACTIVATIONS[document.out_activation],
        class_texts=tuple(map(label_text, document.classes)),
    )
    _prove(classifier)
    return classifier


def _prove(classifier: Classifier) -> None:
    examples = classifier.document.examples
    if examples is None:
        return
    actual = classifier.predict(np.array(examples.rows).T).probabilities.T
    error = np.abs(actual - examples.probabilities)
    if not (error <= EXAMPLES_TOLERANCE).all():
        i, k = np.unravel_index(np.argmax(~(error <= EXAMPLES_TOLERANCE)), error.shape)
        raise InvalidModel(
            f"examples.probabilities[{i}][{k}] is {examples.probabilities[i, k]:.17g}, "
            f"but the model gives {actual[i, k]:.17g}"
        )
