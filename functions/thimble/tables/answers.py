"""Predictions as people get them: labels with their own type, and a probability for each class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from thimble.errors import InvalidInput
from thimble.inference.arrays import FloatArray
from thimble.inference.classifier import Classifier
from thimble.inference.head import Head, Label
from thimble.inference.predictions import Predictions, Scores

if TYPE_CHECKING:
    from thimble.inference.asked import Cell


def answers(classifier: Classifier, predictions: Predictions) -> list[dict[str, Any]]:
    """One answer a row, in order; in a canary each with the version that gave it."""
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
    """A label and its probability, or a score where there are no probabilities; or several labels."""
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
    """The answer to one row of an output that is not multilabel."""
    one, all_ = ("score", "scores") if head.decision == "scores" else ("probability", "probabilities")
    return {
        "label": head.classes[label],
        one: numbers[label],
        all_: dict(zip(head.texts, numbers)),  # noqa: B905 (to compare the lengths takes half as long again)
    }


def most_likely(found: list[dict[str, Any]], k: int) -> list[dict[str, Any]]:
    """The answers with the k most likely classes of each, the likeliest first."""
    return [{key: _leading(key, value, k) for key, value in answer.items()} for answer in found]


def _leading(key: str, value: Any, k: int) -> Any:
    """Of probabilities, scores, or outputs that have them."""
    if key == "outputs":
        return dict(zip(value, most_likely(list(value.values()), k), strict=True))
    if key in ("probabilities", "scores"):
        return dict(sorted(value.items(), key=lambda item: -item[1])[:k])
    return value


def label_sets(head: Head, scores: Scores) -> list[list[Any]]:
    """Of each row of a multilabel model, the labels that apply, in the classes' order."""
    return [
        [label for label, applies in zip(head.classes, row, strict=True) if applies]
        for row in scores.mask.T.tolist()
    ]


def column_names(classifier: Classifier) -> tuple[str, ...]:
    """What a file's result calls the answer: no feature may have one of these names. InvalidInput if two
    columns would share one."""
    names = classifier.schema.answer_columns
    if len(set(names)) < len(names):
        doubled = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(
            f"two columns of the result would be called {doubled}: rename a feature or a class, or ask "
            "for a number of contributions"
        )
    return names


def columns(classifier: Classifier, predictions: Predictions) -> dict[str, list[Any]]:
    """Lists over the rows: each output's labels and probabilities, and the classes in the order of these."""
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
    """What every answer says of the model that gave it."""
    return {"name": classifier.name, "digest": classifier.digest}


class LabelColumn(NamedTuple):
    """The distinct labels, or sets of labels, and which of them each row got; None is no label."""

    name: str
    head: Head
    distinct: Sequence[Label | list[Label] | None]
    which: NDArray[np.intp]


class NumberColumn(NamedTuple):
    """Written with the fewest digits that read back as the same bits."""

    name: str
    values: FloatArray


class FurtherColumn(NamedTuple):
    """What rows get beside their labels: numbers, or texts; None is nothing."""

    name: str
    numbers: bool
    cells: Sequence[Cell]


def cell_text(cell: Cell) -> str:
    """A cell of a table: numbers with the fewest digits that read back as the same bits."""
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
    """Yield the columns of what rows get beside their labels."""
    for one, found in zip(classifier.further, predictions.further, strict=True):
        nothing = [None] * len(one.columns)
        rows = [nothing if value is None else one.cells(value) for value in found.tolist()]
        for k, column in enumerate(one.columns):
            yield FurtherColumn(column.name, column.numbers, [cells[k] for cells in rows])


def counts(classifier: Classifier, predictions: Predictions) -> NDArray[np.int64]:
    """Count how often each class was the label, or among the labels, one output after the other."""
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
    """Whether a row may get no label."""
    return any(head.abstain_below is not None for head in classifier.heads)


def class_names(classifier: Classifier) -> list[str]:
    """Return the names of what is counted."""
    return [head.prefix + text for head in classifier.heads for text in head.texts]


def listed(heads: Sequence[Head], times: Sequence[int]) -> list[dict[str, Any]]:
    """How often each class was the label, or among the labels, as a list: a browser reorders keys."""
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
