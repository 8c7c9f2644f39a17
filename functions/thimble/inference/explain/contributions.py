"""Split a score into a base and one contribution per feature; their sum is the score.

The score is the number behind the probability, before its activation: the log-odds in a logistic model, the
logit of the class in a softmax. If one number tells two classes apart, it is the second's, and the first's is
its negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble.inference import network
from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Batch
from thimble.inference.document import Document
from thimble.inference.explain import back, linear, text
from thimble.inference.explain.back import Grown, Owners, Plan
from thimble.inference.explain.text import Token
from thimble.inference.head import Head
from thimble.inference.network import BLOCK
from thimble.inference.outputs import Output
from thimble.inference.predictions import Predictions, Scores

MOST_TOLD = 20  # classes that an error lists
NO_MEANS = "the document has no means of the training data: export the model again, with its training data"


class Contributions(NamedTuple):
    """The contributions to one output's scores. Those of rejected rows are meaningless."""

    classes: NDArray[np.intp]  # (rows,) the class whose score is explained
    base: FloatArray  # (rows,)
    score: FloatArray  # (rows,) base plus the sum over the features
    features: FloatArray  # (features, rows)
    tokens: Mapping[int, Sequence[Sequence[Token]]]  # by free text, then by row


def refusal(document: Document, of: str = "") -> str:
    """Return why there are no contributions (for the class `of`), as a sentence; "" if there are."""
    known = dict.fromkeys(text for head in document.heads for text in head.texts)
    if of and of not in known:
        told = f": {', '.join(known)}" if len(known) <= MOST_TOLD else ""
        return f"class is {of!r}, which is none of the model's classes{told}"
    for output in document.outputs:
        if told := _refusal(document, output):
            return f"{output.head.name}: {told}" if len(document.outputs) > 1 else told
    return ""


def needs(document: Document) -> tuple[NDArray[np.intp], list[int]]:
    """Return the columns whose means are needed to explain the model, and the indices of the steps `embed`
    that need means of their own."""
    plans = [back.plan(document, output) for output in document.outputs]
    found = [plan for plan in plans if not plan.refusal]
    columns = {column for plan in found for column in plan.columns.at.tolist()}
    embedded = {id(part.step) for plan in found for part in plan.embedded}
    steps = document.preprocessing.steps if document.preprocessing else ()
    return np.array(sorted(columns), np.intp), [
        i for i, (step, _) in enumerate(steps) if id(step) in embedded
    ]


def of(document: Document, batch: Batch, predictions: Predictions, of: str = "") -> tuple[Contributions, ...]:
    """Return the contributions for each output: to the score of the class `of` if the output has it, else to
    that of the predicted class. There must be at least one row."""
    plans = [back.plan(document, output) for output in document.outputs]
    pairs = zip(document.outputs, predictions.outputs, strict=True)
    classes = [_classes(output.head, scores, of) for output, scores in pairs]
    asked = [_explained(output.head, own) for output, own in zip(document.outputs, classes, strict=True)]
    step = min(_rows_at_once(document, plan) for plan in plans)
    found: list[list[_OfRows]] = [[] for _ in plans]
    with np.errstate(all="ignore"):
        for start in range(0, batch.rows, step):
            rows = slice(start, start + step)
            numbers, X = _numbers(document, batch.take(rows))
            for parts, output, plan, one in zip(found, document.outputs, plans, asked, strict=True):
                parts.append(_of_rows(document, output, plan, numbers, X, one.take(rows)))
    return tuple(
        Contributions(own, *_joined(parts), text.tokens(document, plan, batch, *one))
        for own, parts, plan, one in zip(classes, found, plans, asked, strict=True)
    )


def _refusal(document: Document, output: Output) -> str:
    plan = back.plan(document, output)
    if plan.refusal:
        only = "; only linear models, naive Bayes and trees are explained"
        more = only if plan.refusal == back.NETWORK else ""
        return f"{plan.refusal}: its score is not a sum over the features{more}"
    if told := _of_trees(plan):
        return told
    means, needed = document.means, plan.columns.at
    if len(needed) and (means is None or np.isnan(means[needed]).any()):
        return NO_MEANS
    return NO_MEANS if any(part.step.means is None for part in plan.embedded) else ""


def _of_trees(plan: Plan) -> str:
    if not plan.grown:
        return ""
    from thimble.inference.explain import trees  # only here: other models do not need it

    return next(filter(None, (trees.refusal(part.forest) for part in plan.grown)), "")


def _classes(head: Head, scores: Scores, of: str) -> NDArray[np.intp]:
    n = len(scores.labels)
    if of in head.texts:
        return np.full(n, head.texts.index(of), np.intp)
    return scores.probabilities.argmax(axis=0) if head.multilabel else scores.labels


class _OfRows(NamedTuple):
    base: FloatArray
    score: FloatArray
    features: FloatArray


def _joined(parts: Sequence[_OfRows]) -> _OfRows:
    return _OfRows(*(np.concatenate(own, axis=-1) for own in zip(*parts, strict=True)))


def _rows_at_once(document: Document, plan: Plan) -> int:
    kept = sum(part.forest.n_inputs * part.forest.n_outputs for part in plan.grown)
    wide = document.cost.numbers + 4 * (len(plan.columns.at) + kept) + len(document.schema.features)
    most = network.rows_at_once(wide)
    if plan.grown:
        from thimble.inference.explain import trees

        most = min(most, *(trees.most_rows(part.forest) // BLOCK * BLOCK for part in plan.grown))
    return max(BLOCK, most)


class Explained(NamedTuple):
    """Which of the scorer's numbers is explained for each row, and what it is multiplied by."""

    chosen: NDArray[np.intp]
    factor: FloatArray

    def take(self, rows: slice) -> Explained:
        return Explained(self.chosen[rows], self.factor[rows])


def _explained(head: Head, classes: NDArray[np.intp]) -> Explained:
    factor = np.full(len(classes), 1.0 / head.temperature)
    if not head.binary:
        return Explained(classes, factor)
    return Explained(np.zeros_like(classes), np.where(classes == 0, -factor, factor))


def _of_rows(
    document: Document,
    output: Output,
    plan: Plan,
    numbers: FloatArray,
    X: FloatArray,
    explained: Explained,
) -> _OfRows:
    """Return the bases and scores of rows, and what their features contribute."""
    n = len(explained.chosen)
    chosen = np.pad(explained.chosen, (0, numbers.shape[1] - n))
    base = plan.constant.copy()
    features = np.zeros((len(document.schema.features), numbers.shape[1]))
    if len(plan.columns.at) and document.means is not None:
        base += linear.base(plan.columns, document.means)
        found = linear.contributions(plan.columns, document.means, numbers, chosen)
        _share(found, [plan.owners[i] for i in plan.columns.at.tolist()], features)
    for part in plan.embedded:
        base += linear.embedded_base(part)
        found = linear.embedded_contributions(part, numbers, chosen)
        _share(found, [plan.owners[i] for i in part.step.columns], features)
    for grown in plan.grown:
        base += _add_trees(document, grown, plan, numbers[:, :n], chosen, features)
    score = np.take_along_axis(output.scorer.scores(X), chosen[np.newaxis], axis=0)[0]
    factor = explained.factor
    return _OfRows(base.take(chosen)[:n] * factor, score[:n] * factor, features[:, :n] * factor)


def _add_trees(
    document: Document,
    grown: Grown,
    plan: Plan,
    numbers: FloatArray,
    chosen: NDArray[np.intp],
    features: FloatArray,
) -> FloatArray:
    """Add what a forest's columns contribute to `features`; return what the forest adds to the base.
    `numbers` has no rows of padding: here they would cost as much as others."""
    from thimble.inference.explain import trees

    forest = grown.forest
    known = document.once("trees", forest, lambda: trees.parts(forest))
    base, found = trees.contributions(forest, numbers[grown.reads], known)
    phi = np.zeros((*found.shape[:2], len(chosen)))
    phi[..., : found.shape[2]] = found
    phi *= grown.weights.take(chosen, axis=1)[:, np.newaxis]  # (outputs of the forest, 1, rows)
    _share(np.add.reduce(phi, axis=0), [plan.owners[i] for i in grown.reads], features)
    total: FloatArray = base @ grown.weights
    return total


def _numbers(document: Document, batch: Batch) -> tuple[FloatArray, FloatArray]:
    """Return all columns of the program, and those that the scorers take; rows are in whole blocks."""
    preprocessing = document.preprocessing
    if preprocessing is None:
        X = network.padded(batch.numbers)
        return X, X
    numbers = preprocessing.table(batch).numbers
    return numbers, numbers[preprocessing.outputs]


def _share(found: FloatArray, owners: Sequence[Owners], features: FloatArray) -> None:
    """Add what columns contribute, (columns, rows), to their features, in equal parts. `found` is
    overwritten."""
    places: dict[int, list[int]] = {}
    for i, own in enumerate(owners):
        for feature in own:
            places.setdefault(feature, []).append(i)
    parts = np.array([max(1, len(own)) for own in owners], np.float64)[:, np.newaxis]
    found /= parts
    for feature, at in places.items():
        features[feature] += np.add.reduce(found[at], axis=0)
