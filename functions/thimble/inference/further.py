"""Check what a request asks for beside labels, before any work begins, and find it for rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thimble.errors import InvalidInput
from thimble.inference import sets
from thimble.inference.asked import Asked, Cell, Column, Further
from thimble.inference.batch import Batch
from thimble.inference.document import Document
from thimble.inference.head import Head, Label
from thimble.inference.outputs import Output
from thimble.inference.predictions import Predictions, Scores


def asking(document: Document, asked: Asked) -> tuple[Document, tuple[Further, ...]]:
    """Return the document with the decision rules that are asked for, and the values that rows get beside
    their labels. Raises InvalidInput if the model cannot do what is asked."""
    document = document._replace(outputs=_decided(document.outputs, asked))
    found = tuple(_questions(document, asked))
    answers = [name for head in document.heads for name in head.columns]
    answers += [column.name for one in found for column in one.columns]
    return document._replace(schema=document.schema._replace(answer_columns=tuple(answers))), found


def _decided(outputs: tuple[Output, ...], asked: Asked) -> tuple[Output, ...]:
    """Return the outputs with the threshold and the abstention that are asked for."""
    threshold, below = asked.threshold, asked.abstain_below
    if threshold is not None:
        if len(outputs) > 1:
            raise InvalidInput("a threshold chooses one of two classes; the model answers several questions")
        outputs = tuple(output._replace(head=output.head.at(threshold)) for output in outputs)
    if below is not None:
        outputs = tuple(output._replace(head=output.head.abstaining(below)) for output in outputs)
    return outputs


def _questions(document: Document, asked: Asked) -> Iterator[Further]:
    if asked.explain:
        from thimble.inference import explained
        from thimble.inference.explain import contributions

        _require(contributions.refusal(document, asked.of))
        yield from explained.questions(document, asked)
    if asked.what_if:
        from thimble.inference import changes
        from thimble.inference.explain import what_if

        _require(what_if.refusal(document))
        yield from changes.questions(document)
    if asked.by_class and asked.coverage is None:
        raise InvalidInput("by_class is of sets of labels: ask for a coverage with it, such as 0.95")
    if asked.coverage is not None:
        _require(sets.refusal(document, asked.coverage, asked.by_class))
        yield from _sets(document, asked.coverage, asked.by_class)
    yield from _abstentions(document)


def _require(refusal: str) -> None:
    if refusal:
        raise InvalidInput(refusal)


def _sets(document: Document, coverage: float, by_class: bool) -> Iterator[Further]:
    """Yield a `Further` for each output: the set of labels that holds the true one."""
    values = partial(_labels, document.heads, coverage, by_class)
    for k, head in enumerate(document.heads):
        columns = (Column(f"{head.prefix}set", numbers=False),)
        yield Further("set", k, columns, values, _itself)


def _labels(
    heads: Sequence[Head],
    coverage: float,
    by_class: bool,
    classifier: Any,
    batch: Batch,
    predictions: Predictions,
) -> list[list[list[Label]]]:
    pairs = zip(heads, predictions.outputs, strict=True)
    return [_of_output(head, sets.of(head, scores, coverage, by_class)) for head, scores in pairs]


def _of_output(head: Head, found: NDArray[np.bool_]) -> list[list[Label]]:
    rows = found.T.tolist()
    return [[label for label, within in zip(head.classes, row, strict=True) if within] for row in rows]


def _abstentions(document: Document) -> Iterator[Further]:
    """Yield a `Further` for each output that may abstain: the reason why a row has no label."""
    values = partial(_reasons, document.heads)
    for k, head in enumerate(document.heads):
        if head.abstain_below is not None:
            columns = (Column(f"{head.prefix}abstained", numbers=False),)
            yield Further("abstained", k, columns, values, _itself)


def _reasons(
    heads: Sequence[Head], classifier: Any, batch: Batch, predictions: Predictions
) -> list[list[str | None]]:
    return [_reason(head, scores) for head, scores in zip(heads, predictions.outputs, strict=True)]


def _reason(head: Head, scores: Scores) -> list[str | None]:
    found: list[str | None] = [None] * len(scores.labels)
    numbers, what = scores.winning.tolist(), "probability" if head.has_probabilities else "score"
    below = head.abstain_below
    if below is None:
        return found
    for row in np.flatnonzero(scores.answered < 0).tolist():
        found[row] = f"the {what} {_shortened(numbers[row], below)} is below {below!r}"
    return found


def _shortened(number: float, below: float) -> str:
    """Return a number in four digits, or in as many as show that it is below the limit."""
    texts = (f"{number:.{digits}g}" for digits in range(4, 18))
    return next(text for text in texts if float(text) < below)


def _itself(value: Any) -> Sequence[Cell]:
    return (value,)
