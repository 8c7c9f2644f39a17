"""What the numbers of an output mean: its classes, how numbers become probabilities, and which label wins."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from thimble.errors import InvalidModel
from thimble.inference.arrays import FloatArray, all_finite
from thimble.inference.fields import Fields, check_distinct, is_finite, shown
from thimble.inference.network import OUT_ACTIVATIONS
from thimble.inference.predictions import Scores

Label = str | int | float | bool

KEYS = ("classes", "out_activation", "normalize", "decision", "multilabel", "n_outputs")
DECISIONS = ("probabilities", "logits", "scores")
NORMALIZATIONS = ("uniform", "zero")


class Head(NamedTuple):
    """The meaning of one output."""

    name: str  # "" of the one output of most models
    prefix: str  # of its columns in a file; "" unless there are several outputs
    classes: tuple[Label, ...]
    texts: tuple[str, ...]  # the classes as text: JSON keys, CSV cells and headers
    multilabel: bool
    out_activation: str  # of OUT_ACTIVATIONS
    normalize: str | None  # divide the numbers by their sum, which may be zero: of NORMALIZATIONS
    decision: str  # what predict compares: of DECISIONS; a model of scores has no probabilities
    threshold: float  # a label applies above it

    @property
    def has_probabilities(self) -> bool:
        return self.decision != "scores"

    @property
    def columns(self) -> tuple[str, ...]:
        """label, probability, p_<class>...; or labels, p_<class>...; or label, score, score_<class>..."""
        one, each = ("probability", "p") if self.has_probabilities else ("score", "score")
        first = ("labels",) if self.multilabel else ("label", one)
        return tuple(self.prefix + name for name in (*first, *(f"{each}_{text}" for text in self.texts)))

    def decide(self, raw: FloatArray, n: int) -> tuple[Scores, dict[int, str]]:
        """The answers to the first n rows of a scorer's numbers, and the rows that get none. `raw`,
        (n_outputs, rows), is overwritten."""
        compared = raw if self.decision == "probabilities" else raw.copy()
        OUT_ACTIVATIONS[self.out_activation](raw)  # in place
        if self.normalize:
            _normalize(raw, self.normalize)
        mask = compared > self.threshold if self.multilabel else np.empty((0, n), np.bool_)
        scores = Scores(self._of_classes(raw)[:, :n], self._labels(compared)[:n], mask[:, :n])
        return scores, _too_large(raw, n)

    def _of_classes(self, p: FloatArray) -> FloatArray:
        """(n_classes, rows): one number is of the second class, several are a class each."""
        if len(p) == len(self.classes):
            return p
        return np.concatenate(((1.0 if self.has_probabilities else 0.0) - p, p))

    def _labels(self, compared: FloatArray) -> NDArray[np.intp]:
        """The class indices that scikit-learn's predict has: a tie goes to the first class."""
        if len(compared) == 1:
            return np.array(compared[0] > self.threshold, np.intp)
        likeliest: NDArray[np.intp] = compared.argmax(0)
        return likeliest


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


def label_text(label: Label) -> str:
    """A string as it is, anything else as JSON has it: 1, 0.5, true."""
    return label if isinstance(label, str) else orjson.dumps(label).decode()


def parse(fields: Fields, name: str, prefix: str, n_outputs: int) -> Head:
    """The head of an output whose scorer gives `n_outputs` numbers; InvalidModel says what is wrong."""
    classes = _classes(fields)
    out_activation = fields.choice("out_activation", OUT_ACTIVATIONS)
    decision = fields.choice("decision", DECISIONS, "probabilities")
    normalize = fields.choice("normalize", NORMALIZATIONS) if "normalize" in fields else None
    fields.check_count("n_outputs", n_outputs)
    if decision == "scores" and (out_activation, normalize) != ("identity", None):
        raise InvalidModel(
            f"{fields.at('decision')} is scores; then out_activation is identity and normalize absent"
        )
    several_logistic = out_activation == "logistic" and n_outputs > 1 and normalize is None
    multilabel = fields.flag("multilabel", several_logistic)
    if n_outputs == 1 and out_activation != "softmax" and not multilabel and normalize is None:
        if len(classes) != 2:
            raise InvalidModel(
                f"{fields.at('classes')} has {len(classes)} labels; one output tells two apart"
            )
    elif n_outputs != len(classes):
        raise InvalidModel(
            f"{fields.at('classes')} has {len(classes)} labels; the last layer has {n_outputs} outputs"
        )
    if multilabel != several_logistic and (out_activation == "softmax" or normalize or not multilabel):
        raise InvalidModel(f"{fields.at('multilabel')} is {shown(multilabel)}, but the outputs say otherwise")
    return Head(
        name=name,
        prefix=prefix,
        classes=classes,
        texts=tuple(map(label_text, classes)),
        multilabel=multilabel,
        out_activation=out_activation,
        normalize=normalize,
        decision=decision,
        threshold=0.5 if decision == "probabilities" else 0.0,
    )


def _classes(fields: Fields) -> tuple[Label, ...]:
    path, classes = fields.at("classes"), fields.items("classes")
    for i, label in enumerate(classes):
        if not isinstance(label, str | bool) and not is_finite(label):
            raise InvalidModel(f"{path}[{i}] is neither a string nor a number nor a boolean")
    if len(set(map(type, classes))) > 1:
        raise InvalidModel(f"{path} has labels of several types")
    check_distinct(classes, path)
    if len(classes) < 2:
        raise InvalidModel(f"{path} has one label only; a classifier needs two")
    return tuple(classes)
