"""Turn predictions into answers: labels with their own type, and a probability for each class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from thimble.errors import InvalidInput
from thimble.inference.arrays import FloatArray
from thimble.inference.classifier import Classifier
from thimble.inference.head import Head, Label
from thimble.inference.predictions import Alone, Predictions, Scores

if TYPE_CHECKING:
    from thimble.inference.asked import Cell


class Classified:
    """The answers to rows by one model, from which every protocol and media type writes its own form.

    In a canary they are by two versions, and `versions` names the version for each row.
    """

    def __init__(self, classifier: Classifier, rows: int, found: Predictions | Alone) -> None:
        self.classifier = classifier
        self.rows = rows
        self.alone = None if isinstance(found, Predictions) else found  # of a single row, in plain numbers
        self.found = found

    @cached_property
    def predictions(self) -> Predictions:
        return self.found if isinstance(self.found, Predictions) else Predictions.alone(*self.found)

    @property
    def outputs(self) -> Iterable[tuple[Head, Scores | Alone]]:
        """The head of each output, and its answers."""
        if self.alone is None:
            return zip(self.classifier.heads, self.predictions.outputs, strict=True)
        return ((self.classifier.document.outputs[0].head, self.alone),)

    @property
    def versions(self) -> tuple[str, ...]:
        return self.predictions.versions if self.alone is None else ()

    @property
    def answers(self) -> list[dict[str, Any]]:
        """One answer for each row, as JSON has it."""
        if self.alone is None:
            return answers(self.classifier, self.predictions)
        [(head, _)] = self.outputs
        return [answer(head, *self.alone)]


def answers(classifier: Classifier, predictions: Predictions) -> list[dict[str, Any]]:
    """Return one answer for each row, in order; in a canary each with the version that gave it."""
    found = _plain_answers(classifier, predictions)
    for answer, version in zip(found, predictions.versions, strict=False):
        answer["version"] = version
    return found


def _plain_answers(classifier: Classifier, predictions: Predictions) -> list[dict[str, Any]]:
    heads = classifier.heads
    found = [_answers(head, scores) for head, scores in zip(heads, predictions.outputs, strict=True)]
    for one, values in zip(classifier.further, predictions.further, strict=True):
        for answer, value in zip(found[one.output], values.tolist(), strict=True):
            answer[one.key] = value
    if len(heads) == 1:
        return found[0]
    names = [head.name for head in heads]
    return [{"outputs": dict(zip(names, row, strict=True))} for row in zip(*found, strict=True)]


def _answers(head: Head, scores: Scores) -> list[dict[str, Any]]:
    """Return each row's label and its probability, or score without probabilities, or its several labels."""
    numbers = scores.probabilities.T.tolist()
    if head.multilabel:
        all_ = "probabilities" if head.has_probabilities else "scores"
        return [
            {"labels": labels, all_: dict(zip(head.texts, p, strict=True))}
            for labels, p in zip(label_sets(head, scores), numbers, strict=True)
        ]
    found = [answer(head, k, p) for k, p in zip(scores.labels.tolist(), numbers, strict=True)]
    for row in np.flatnonzero(scores.abstained).tolist() if scores.abstained is not None else ():
        found[row]["label"] = None
    return found


def answer(head: Head, label: int, numbers: list[float]) -> dict[str, Any]:
    """Return the answer to one row of an output that is not multilabel."""
    one, all_ = ("score", "scores") if head.decision == "scores" else ("probability", "probabilities")
    return {
        "label": head.classes[label],
        one: numbers[label],
        all_: dict(zip(head.texts, numbers)),  # noqa: B905 (checking the lengths takes half as long again)
    }


def most_likely(found: list[dict[str, Any]], k: int) -> list[dict[str, Any]]:
    """Return the answers with only the k likeliest classes of each, the likeliest first."""
    return [{key: _leading(key, value, k) for key, value in answer.items()} for answer in found]


def _leading(key: str, value: Any, k: int) -> Any:
    """Keep the k largest of probabilities or scores, also within outputs; return other values unchanged."""
    if key == "outputs":
        return dict(zip(value, most_likely(list(value.values()), k), strict=True))
    if key in ("probabilities", "scores"):
        return dict(sorted(value.items(), key=lambda item: -item[1])[:k])
    return value


def label_sets(head: Head, scores: Scores) -> list[list[Any]]:
    """Return the labels that apply to each row of a multilabel output, in the order of the classes."""
    return [
        [label for label, applies in zip(head.classes, row, strict=True) if applies]
        for row in scores.mask.T.tolist()
    ]


def column_names(classifier: Classifier) -> tuple[str, ...]:
    """Return the names of the answer's columns in a file's result; no feature may have one of them.

    Raises InvalidInput if two columns would share a name.
    """
    names = classifier.schema.answer_columns
    if len(set(names)) < len(names):
        doubled = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(
            f"two columns of the result would be called {doubled}: rename a feature or a class, or ask "
            "for a number of contributions"
        )
    return names


def columns(classifier: Classifier, predictions: Predictions) -> dict[str, list[Any]]:
    """Return lists over the rows: each output's labels and probabilities, and the classes in their order."""
    found: dict[str, list[Any]] = {}
    for head, scores in zip(classifier.heads, predictions.outputs, strict=True):
        prefix = head.prefix
        if head.multilabel:
            found[f"{prefix}labels"] = label_sets(head, scores)
        else:
            labels = (*head.classes, None)
            found[f"{prefix}label"] = [labels[k] for k in scores.answered.tolist()]
        numbers = "probabilities" if head.has_probabilities else "scores"
        found[prefix + numbers] = scores.probabilities.T.tolist()
        found[f"{prefix}classes"] = list(head.classes)
    for one, values in zip(classifier.further, predictions.further, strict=True):
        found[classifier.heads[one.output].prefix + one.key] = values.tolist()
    return found | ({"version": list(predictions.versions)} if predictions.versions else {})


def identity(classifier: Classifier) -> dict[str, str]:
    """Return the name and digest of the model, as every answer has them."""
    return {"name": classifier.name, "digest": classifier.digest}


class LabelColumn(NamedTuple):
    """A column of labels, or of sets of labels."""

    name: str
    head: Head
    distinct: Sequence[Label | list[Label] | None]  # the different ones; None: no label
    which: NDArray[np.intp]  # each row's index in `distinct`


class NumberColumn(NamedTuple):
    """A column of numbers, to be written with the fewest digits that read back as the same bits."""

    name: str
    values: FloatArray


class FurtherColumn(NamedTuple):
    """A column that an option adds, such as a contribution."""

    name: str
    numbers: bool  # or texts
    cells: Sequence[Cell]  # None: empty


def cell_text(cell: Cell) -> str:
    """Return the text of a cell; a number has the fewest digits that read back as the same bits."""
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else orjson.dumps(cell).decode()


AddedColumn = LabelColumn | NumberColumn | FurtherColumn  # of a file's result


def added(classifier: Classifier, predictions: Predictions) -> Iterator[AddedColumn]:
    """Yield the columns that a file's result adds to each record, in the order in which they are written."""
    for head, scores in zip(classifier.heads, predictions.outputs, strict=True):
        names = iter(head.columns)
        yield LabelColumn(next(names), head, *_labels(head, scores))
        for name, values in zip(names, _numbers(head, scores), strict=True):
            yield NumberColumn(name, values)
    yield from further_columns(classifier, predictions)


def further_columns(classifier: Classifier, predictions: Predictions) -> Iterator[FurtherColumn]:
    """Yield the columns that the options add."""
    for one, found in zip(classifier.further, predictions.further, strict=True):
        nothing = [None] * len(one.columns)
        rows = [nothing if value is None else one.cells(value) for value in found.tolist()]
        for k, column in enumerate(one.columns):
            yield FurtherColumn(column.name, column.numbers, [cells[k] for cells in rows])


def counts(classifier: Classifier, predictions: Predictions) -> NDArray[np.int64]:
    """Count how often each class was the label, or among the labels: (all classes of all outputs,)."""
    parts = zip(classifier.heads, predictions.outputs, strict=True)
    return np.concatenate([_times(head, scores) for head, scores in parts])


def _times(head: Head, scores: Scores) -> NDArray[np.int64]:
    if scores.abstained is not None:
        scores = scores.take(~scores.abstained)
    return scores.times(len(head.classes))


def abstained(predictions: Predictions) -> int:
    """Count the rows without a label, or without one of several outputs."""
    found = [scores.abstained for scores in predictions.outputs if scores.abstained is not None]
    return int(np.any(found, axis=0).sum()) if found else 0


def abstains(classifier: Classifier) -> bool:
    """Return whether a row may get no label."""
    return any(head.abstain_below is not None for head in classifier.heads)


def class_names(classifier: Classifier) -> list[str]:
    """Return the names of the classes that `counts` counts."""
    return [head.prefix + text for head in classifier.heads for text in head.texts]


def listed(heads: Sequence[Head], times: Sequence[int]) -> list[dict[str, Any]]:
    """Return how often each class was the label, or among the labels.

    It is a list, because a browser reorders the keys of an object.
    """
    named = [(head.name, text) for head in heads for text in head.texts]
    return [
        {"output": output, "text": text, "rows": rows}
        for (output, text), rows in zip(named, times, strict=True)
    ]


def _labels(head: Head, scores: Scores) -> tuple[Sequence[Label | list[Label] | None], NDArray[np.intp]]:
    if scores.abstained is not None:
        return (*head.classes, None), np.where(scores.abstained, len(head.classes), scores.labels)
    if not head.multilabel:
        return head.classes, scores.labels
    masks, which = np.unique(scores.mask, axis=1, return_inverse=True)
    return label_sets(head, scores._replace(mask=masks)), which.reshape(-1).astype(np.intp)


def _numbers(head: Head, scores: Scores) -> Iterator[FloatArray]:
    p = scores.probabilities  # (n_classes, n)
    if not head.multilabel:
        yield scores.winning
    yield from p
