"""The meaning of an output's numbers: its classes, how numbers become probabilities, and which label wins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from thimble.errors import InvalidInput, InvalidModel
from thimble.inference.arrays import FloatArray, all_finite, first_largest
from thimble.inference.fields import Fields, check_distinct, is_finite, shown
from thimble.inference.network import OUT_ACTIVATIONS
from thimble.inference.predictions import Scores

if TYPE_CHECKING:
    from thimble.inference.conformal import Conformal

Label = str | int | float | bool

KEYS = (
    *("classes", "out_activation", "temperature", "normalize"),
    *("decision", "ties", "multilabel", "n_outputs"),
    *("threshold", "positive", "apart"),
)
ANSWERED = ("abstain_below", "conformal")  # keys of a model's own output, not of a step's classifier
DECISIONS = ("probabilities", "logits", "scores")
SOFTMAX = ("softmax", "softmax32")
NORMALIZATIONS = ("uniform", "zero", "zero32")
TIES = ("first", "last")


class Head(NamedTuple):
    """The meaning of one output."""

    name: str  # "" for the only output of most models
    prefix: str  # of its columns in a file; "" unless there are several outputs
    classes: tuple[Label, ...]
    texts: tuple[str, ...]  # the classes as text: JSON keys, CSV cells and headers
    multilabel: bool
    out_activation: str  # one of OUT_ACTIVATIONS
    temperature: float  # divides the numbers before their activation
    normalize: str | None  # how to divide the numbers by their sum, which may be zero: one of NORMALIZATIONS
    decision: str  # what predict compares, one of DECISIONS; a model of "scores" has no probabilities
    binary: bool  # one number, for the second of two classes; a forest may know only the first class
    bar: float  # a label applies above it
    at_bar: bool  # the second of two classes applies at the bar too
    apart: bool  # predict compares the second half of the numbers, as they are
    threshold: float | None = None  # the positive of two classes applies from here on
    positive: int = 1  # index of the positive class
    of_shown: bool = False  # the threshold is for the numbers that are shown, not those that predict compares
    abstain_below: float | None = None  # no label is given if its probability, or score, is lower
    conformal: Conformal | None = None  # thresholds for sets of labels

    @property
    def has_probabilities(self) -> bool:
        return self.decision != "scores"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in a result file: label, probability, p_<class>...; or labels, p_<class>... if
        multilabel; "score" instead of "probability" and "p" if the model has no probabilities."""
        one, each = ("probability", "p") if self.has_probabilities else ("score", "score")
        first = ("labels",) if self.multilabel else ("label", one)
        return tuple(self.prefix + name for name in (*first, *(f"{each}_{text}" for text in self.texts)))

    def decide(self, raw: FloatArray, n: int) -> tuple[Scores, dict[int, str]]:
        """Return the answers to the first n rows of a scorer's numbers, and the rows that get none, with
        reasons. `raw`, (n_outputs, rows), is overwritten."""
        faults = _too_large(raw, n) if self.apart else {}
        if self.apart:
            raw, compared = np.split(raw, 2)
        else:
            compared = raw if self.decision == "probabilities" else raw.copy()
        if self.temperature != 1.0:
            raw /= self.temperature
        OUT_ACTIVATIONS[self.out_activation](raw)  # in place
        if self.normalize:
            _normalize(raw, self.normalize)
        numbers = self._of_classes(raw)
        mask = compared > self.bar if self.multilabel else np.empty((0, n), np.bool_)
        if self.threshold is None:
            labels = self._labels(compared)
        else:
            labels = self._labels_from(self.threshold, compared, numbers)
        found = Scores(numbers[:, :n], labels[:n], mask[:, :n])
        if self.abstain_below is not None:
            found = found._replace(abstained=found.winning < self.abstain_below)
        return found, _too_large(raw, n) | faults

    def at(self, threshold: float) -> Head:
        """Return the same head with this threshold, in the unit of the document's own threshold if it has
        one, else of the numbers that are shown. Raises InvalidInput if the head does not choose one of two
        classes, or if a probability is not from 0 to 1."""
        if told := self.without_threshold:
            raise InvalidInput(told)
        if self.threshold_is_probability and not 0.0 <= threshold <= 1.0:
            raise InvalidInput(f"the threshold is {threshold:g}; it is of a probability, from 0 to 1")
        return self._replace(threshold=threshold, of_shown=self.of_shown or self.threshold is None)

    def abstaining(self, below: float) -> Head:
        """Return the same head, which gives no label if the label's number is lower. Raises InvalidInput if
        rows may have several labels, or if a probability is not from 0 to 1."""
        if self.multilabel:
            raise InvalidInput(
                "abstain_below leaves out one label; the model answers with any number of labels"
            )
        if self.has_probabilities and not 0.0 <= below <= 1.0:
            raise InvalidInput(f"abstain_below is {below:g}; it is of a probability, from 0 to 1")
        return self._replace(abstain_below=below)

    @property
    def without_threshold(self) -> str:
        """The reason why there can be no threshold; "" if there can be one."""
        if not self.multilabel and len(self.classes) == 2:
            return ""
        found = "any number of labels" if self.multilabel else f"one of {len(self.classes)} classes"
        return f"a threshold chooses one of two classes; the model answers with {found}"

    @property
    def threshold_is_probability(self) -> bool:
        """Whether the threshold is a probability; otherwise it is a score."""
        if self.threshold is None or self.of_shown:
            return self.has_probabilities
        return self.decision == "probabilities" and not self.apart

    @property
    def card(self) -> dict[str, Any]:
        """What the model card shows of the document's own rules, as JSON: its threshold, when it abstains,
        and its sets."""
        found: dict[str, Any] = {}
        if self.threshold is not None:
            of = "probability" if self.threshold_is_probability else "score"
            own = {"of": of, "positive": self.classes[self.positive], "value": self.threshold}
            found["own_threshold"] = own
        if self.abstain_below is not None:
            found["abstain_below"] = self.abstain_below
        if self.conformal is not None:
            found["sets"] = self.conformal.card
        return found

    def _of_classes(self, p: FloatArray) -> FloatArray:
        """Return the numbers of the classes, (n_classes, rows). A single number is the second class's."""
        if not self.binary:
            return p
        rest = (1.0 if self.has_probabilities else 0.0) - p
        if self.out_activation == "logistic32":
            rest = rest.astype(np.float32)
        return np.concatenate((rest, p))[: len(self.classes)]

    def _labels(self, compared: FloatArray) -> NDArray[np.intp]:
        """Return the class indices that scikit-learn's predict gives: a tie goes to the first class."""
        if self.binary:
            above = compared[0] >= self.bar if self.at_bar else compared[0] > self.bar
            second: NDArray[np.intp] = np.minimum(above, len(self.classes) - 1, dtype=np.intp)
            return second
        return first_largest(compared)

    def _labels_from(self, threshold: float, compared: FloatArray, numbers: FloatArray) -> NDArray[np.intp]:
        """Return the positive class where its number is at least the threshold, else the other class."""
        if self.of_shown or self.threshold_is_probability:
            score = numbers[self.positive]
        elif len(compared) == 1:
            score = compared[0] if self.positive else -compared[0]
        else:
            score = compared[self.positive]
        return np.where(score >= threshold, self.positive, 1 - self.positive).astype(np.intp)


def _too_large(p: FloatArray, n: int) -> dict[int, str]:
    """Return those of the first n rows that have a number that is not finite, each with the reason."""
    if all_finite(p):
        return {}
    rows = np.flatnonzero(~np.isfinite(p[:, :n]).all(axis=0)).tolist()
    return dict.fromkeys(rows, "the values are too large for the model")


def _normalize(p: NDArray[Any], zero: str) -> None:
    """Divide each row's numbers by their sum, in place. If the sum is zero, all classes become equally likely
    ("uniform"), or all stay zero ("zero"; "zero32" in single precision)."""
    if zero == "zero32":
        single = p.astype(np.float32)
        _normalize(single, "zero")
        p[:] = single
        return
    sums = p.sum(axis=0)
    empty = sums == 0
    sums[empty] = 1.0
    p /= sums
    if zero == "uniform":
        p[:, empty] = 1.0 / len(p)


def label_text(label: Label) -> str:
    """Return a string as it is, and anything else as in JSON: 1, 0.5, true."""
    return label if isinstance(label, str) else orjson.dumps(label).decode()


def parse(fields: Fields, name: str, prefix: str, n_outputs: int) -> Head:
    """Read the head of an output whose scorer gives `n_outputs` numbers. Raises InvalidModel, which says what
    is wrong."""
    classes = _classes(fields)
    out_activation = fields.choice("out_activation", OUT_ACTIVATIONS)
    decision = fields.choice("decision", DECISIONS, "probabilities")
    normalize = fields.choice("normalize", NORMALIZATIONS) if "normalize" in fields else None
    fields.check_count("n_outputs", n_outputs)
    apart = fields.flag("apart", False)
    n_shown = _halved(fields, n_outputs) if apart else n_outputs
    if decision == "scores" and (out_activation, normalize) != ("identity", None):
        raise InvalidModel(
            f"{fields.at('decision')} is scores; then out_activation is identity and normalize absent"
        )
    several_logistic = out_activation == "logistic" and n_shown > 1 and normalize is None
    multilabel = fields.flag("multilabel", several_logistic)
    binary = n_shown == 1 and out_activation not in SOFTMAX and not multilabel and normalize is None
    if binary:
        if len(classes) > 2:
            raise InvalidModel(
                f"{fields.at('classes')} has {len(classes)} labels; one output tells two apart"
            )
    elif n_shown != len(classes):
        raise InvalidModel(
            f"{fields.at('classes')} has {len(classes)} labels; the last layer has {n_shown} outputs"
            f"{' for them' if apart else ''}"
        )
    if multilabel and (out_activation in SOFTMAX or normalize):
        raise InvalidModel(f"{fields.at('multilabel')} is {shown(multilabel)}, but the outputs say otherwise")
    found = Head(
        name=name,
        prefix=prefix,
        classes=classes,
        texts=tuple(map(label_text, classes)),
        multilabel=multilabel,
        out_activation=out_activation,
        temperature=fields.positive("temperature"),
        normalize=normalize,
        decision=decision,
        binary=binary,
        bar=0.5 if decision == "probabilities" and not apart else 0.0,
        at_bar=_ties(fields, binary) == "last",
        apart=apart,
    )
    return _with_answers(fields, _with_threshold(fields, found))


def _with_answers(fields: Fields, head: Head) -> Head:
    """Return the head with what the document says about abstention and sets of labels."""
    below = fields.finite("abstain_below")
    if below is not None:
        try:
            head = head.abstaining(below)
        except InvalidInput as error:
            raise InvalidModel(f"{fields.at('abstain_below')}: {error}") from None
    if "conformal" not in fields:
        return head
    if head.multilabel:
        raise InvalidModel(f"{fields.at('conformal')} is of models that choose one of their classes")
    from thimble.inference import conformal  # only here: a cold start without it is faster

    kept = Fields(fields.value("conformal"), fields.at("conformal"))
    return head._replace(conformal=conformal.parse(kept, len(head.classes)))


def _halved(fields: Fields, n_outputs: int) -> int:
    if n_outputs % 2:
        raise InvalidModel(f"{fields.at('apart')} is true, but the last layer has {n_outputs} outputs")
    if fields.raw.get("decision") == "logits":
        raise InvalidModel(f"{fields.at('apart')} is true, so {fields.at('decision')} cannot be logits")
    return n_outputs // 2


def _with_threshold(fields: Fields, head: Head) -> Head:
    """Return the head with the document's own threshold, if it has one."""
    threshold = fields.finite("threshold")
    if threshold is None:
        if "positive" in fields:
            raise InvalidModel(f"{fields.at('positive')} stands without a threshold")
        return head
    if head.decision == "logits" and not head.binary:
        raise InvalidModel(f"{fields.at('threshold')} is of logits, of which there are several")
    if told := head.without_threshold:
        raise InvalidModel(f"{fields.at('threshold')} is {threshold:g}: {told}")
    return head._replace(threshold=threshold, positive=_positive(fields, head.classes))


def _positive(fields: Fields, classes: tuple[Label, ...]) -> int:
    label = fields.raw.get("positive", classes[1])
    for i, known in enumerate(classes):
        if type(known) is type(label) and known == label:
            return i
    raise InvalidModel(f"{fields.at('positive')} is {shown(label)}, which is not among classes")


def _ties(fields: Fields, binary: bool) -> str:
    found = fields.choice("ties", TIES, "first")
    if found == "last" and not binary:
        raise InvalidModel(f"{fields.at('ties')} is last; of several outputs the first wins")
    return found


def _classes(fields: Fields) -> tuple[Label, ...]:
    path, classes = fields.at("classes"), fields.items("classes")
    for i, label in enumerate(classes):
        if not isinstance(label, str | bool) and not is_finite(label):
            raise InvalidModel(f"{path}[{i}] is neither a string nor a number nor a boolean")
    if len(set(map(type, classes))) > 1:
        raise InvalidModel(f"{path} has labels of several types")
    check_distinct(classes, path)
    if len(classes) < 2 and "forest" not in fields:
        raise InvalidModel(f"{path} has one label only; a classifier needs two")
    return tuple(classes)
