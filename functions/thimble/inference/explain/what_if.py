"""Find the smallest change of one feature that gives another label.

A number may become any other in the range of the training data; a category may become any other that the
model knows and the training data had. A missing value stays missing, and no value becomes missing. Changes
are compared in units of the feature's range; a change to another category counts as one range.

A forest's thresholds tell where its label may change. A linear model's label changes at most once in each
direction. Otherwise the range is searched in steps, which include the kinks of the preprocessing. Each change
that is found is then narrowed by bisection to the last digit of a number. The model has answered every change
that is returned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from thimble.errors import InvalidInput
from thimble.inference import cost
from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Batch
from thimble.inference.document import Document
from thimble.inference.explain import back
from thimble.inference.explain.back import Plan
from thimble.inference.features import Feature
from thimble.inference.forest import Forest
from thimble.inference.leaves import Nodes, Oblivious
from thimble.inference.predictions import Predictions
from thimble.inference.reference import Categories, Numbers
from thimble.inference.steps import arithmetic, categories, curves, splines
from thimble.inference.steps.columns import Step

STEPS = 64  # steps of a range whose label changes are not known otherwise
MOST_POINTS = 8_000  # changes of a row that are tried
MOST_CATEGORIES = 100  # of a feature
HALVINGS = 100
AT_ONCE = 1_000_000  # numbers that are computed at once
MOST = 10_000 * cost.MAX_MULTIPLICATIONS  # for all rows

TEXTS_ALONE = "the model reads free text alone: what_if changes a number or a category"
UNKNOWN = ": where the label changes with one feature is not known, and what_if finds no smallest change"
NO_RANGE = "the document has no ranges of the training data: export the model again, with its training data"

Labels = NDArray[np.intp]
Flags = NDArray[np.bool_]


class Change(NamedTuple):
    feature: int
    value: float | bool | str  # what was sent
    to: float | bool | str
    label: int  # index of the class that the changed row gets


class Model(Protocol):
    """What this module needs of a Classifier."""

    @property
    def document(self) -> Document: ...

    def predict(self, batch: Batch) -> Predictions: ...

    def _replace(self, *, document: Document) -> Model: ...


class Points(NamedTuple):
    """The values of one feature that are tried."""

    feature: int
    values: FloatArray  # of a number, ascending
    texts: tuple[str, ...]  # of a text
    span: float  # the range of the feature; 0 if its values are categories

    @property
    def n(self) -> int:
        return len(self.texts) or len(self.values)


def refusal(document: Document) -> str:
    """Return why no change can be found, as a sentence; "" if one can."""
    for output in document.outputs:
        if output.head.multilabel:
            return "the model answers with any number of labels; what would change one label cannot be told"
        plan = back.plan(document, output)
        if plan.refusal:
            return f"{plan.refusal}{UNKNOWN}"
        if any(len(plan.owners[column]) > 1 for part in plan.grown for column in part.reads):
            return f"the trees read mixtures of several features{UNKNOWN}"
    if any(one.n for one in points(document)):
        return ""
    features = [feature for feature in document.schema.features if feature.type != "unused"]
    return TEXTS_ALONE if all(feature.type == "free_text" for feature in features) else NO_RANGE


def of(model: Model, batch: Batch, predictions: Predictions) -> list[list[Change | None]]:
    """Return, for each output, each row's smallest change that gives another label; None if none does. Raises
    InvalidInput if so many rows would take too long."""
    document = model.document
    grid = [one for one in points(document) if one.n]
    width = sum(one.n for one in grid)
    most = _most_rows(document, width)
    if batch.rows > most:
        raise InvalidInput(
            f"what_if looks at {width:,} changes of a row of this model: at most {most:,} rows can "
            "be asked at once"
        )
    found: list[list[Change | None]] = [[None] * batch.rows for _ in document.outputs]
    readable = [i for i in np.flatnonzero(batch.readable).tolist() if i not in predictions.rejected]
    step = max(1, AT_ONCE // max(1, width * (document.cost.numbers + batch.numbers.shape[0])))
    for start in range(0, len(readable), step):
        rows = np.array(readable[start : start + step], np.intp)
        mask = np.zeros(batch.rows, np.bool_)
        mask[rows] = True
        labels = [scores.labels[rows] for scores in predictions.outputs]
        for k, changes in enumerate(_of_rows(model, batch.take(mask), labels, grid)):
            for row, change in zip(rows.tolist(), changes, strict=True):
                found[k][row] = change if change is None else _typed(document, change)
    return found


def most_rows(document: Document) -> int:
    """Return how many rows can be asked at once."""
    return _most_rows(document, sum(one.n for one in points(document)))


def _most_rows(document: Document, width: int) -> int:
    return max(1, MOST // ((width + HALVINGS) * (document.cost.multiplications + cost.OUTPUT)))


def _typed(document: Document, change: Change) -> Change:
    if document.schema.features[change.feature].type != "boolean":
        return change
    return change._replace(value=bool(change.value), to=bool(change.to))


def _of_rows(
    model: Model, batch: Batch, own: Sequence[Labels], grid: Sequence[Points]
) -> list[list[Change | None]]:
    answered, valid = _at_points(model, batch, grid)
    found = []
    for k, (labels, output) in enumerate(zip(own, model.document.outputs, strict=True)):
        flips = valid & (answered[k] != labels[:, np.newaxis])
        best: list[_Best | None] = [None] * batch.rows
        brackets: list[_Bracket] = []
        for points, at in _places(grid):
            for row in np.flatnonzero(flips[:, at].any(axis=1)).tolist():
                flipped = np.flatnonzero(flips[row, at])
                if not points.span:
                    _nearer(best, row, _category(batch, row, points, int(flipped[0]), answered[k][row, at]))
                    continue
                brackets += _brackets(points, row, batch.numbers[points.feature, row], flipped)
        alone = model._replace(document=model.document._replace(outputs=(output,)))
        _halve(alone, batch, labels, brackets, best)
        found.append([None if one is None else one.change for one in best])
    return found


class _Best(NamedTuple):
    size: float
    change: Change


class _Bracket(NamedTuple):
    """Two values for a row's number. The far one gives another label; the near one does not."""

    row: int
    points: Points
    value: float
    near: float
    far: float

    def size(self, to: float) -> float:
        return abs(to - self.value) / self.points.span


def _nearer(best: list[_Best | None], row: int, found: _Best) -> None:
    known = best[row]
    key = (found.size, found.change.feature)
    if known is None or key < (known.size, known.change.feature):
        best[row] = found


def _category(batch: Batch, row: int, points: Points, place: int, labels: Labels) -> _Best:
    k = points.feature
    if points.texts:
        change = Change(k, batch.texts[k][row], points.texts[place], int(labels[place]))
    else:
        change = Change(k, float(batch.numbers[k, row]), float(points.values[place]), int(labels[place]))
    return _Best(1.0, change)


def _brackets(points: Points, row: int, value: float, flipped: NDArray[np.intp]) -> Iterator[_Bracket]:
    values = points.values
    above = flipped[values[flipped] > value]
    if len(above):
        i = int(above[0])
        near = max(value, float(values[i - 1])) if i else float(values[0])  # the value is below the range
        yield _Bracket(row, points, value, near, float(values[i]))
    below = flipped[values[flipped] < value]
    if len(below):
        i = int(below[-1])
        near = min(value, float(values[i + 1])) if i + 1 < len(values) else float(values[-1])
        yield _Bracket(row, points, value, near, float(values[i]))


def _halve(
    model: Model, batch: Batch, own: Labels, brackets: list[_Bracket], best: list[_Best | None]
) -> None:
    """Move each bracket's far end as near as it still gives another label, and keep the `best` changes."""
    bound = [np.inf if one is None else one.size for one in best]
    for bracket in brackets:
        bound[bracket.row] = min(bound[bracket.row], bracket.size(bracket.far))
    kept = [one for one in brackets if one.size(one.near) <= bound[one.row]]
    if not kept:
        return
    near, far = (np.array([getattr(one, key) for one in kept]) for key in ("near", "far"))
    rows = np.array([one.row for one in kept])
    features = np.array([one.points.feature for one in kept])
    for _ in range(HALVINGS):
        middle = near + (far - near) / 2.0
        open_ = np.flatnonzero((middle != near) & (middle != far))
        if not len(open_):
            break
        labels, valid = _with(model, batch, rows[open_], features[open_], middle[open_])
        flips = valid & (labels != own[rows[open_]])
        far[open_[flips]] = middle[open_[flips]]
        near[open_[~flips]] = middle[open_[~flips]]
    labels, _ = _with(model, batch, rows, features, far)
    for bracket, to, label in zip(kept, far.tolist(), labels.tolist(), strict=True):
        change = Change(bracket.points.feature, bracket.value, to, label)
        _nearer(best, bracket.row, _Best(bracket.size(to), change))


def _with(
    model: Model, batch: Batch, rows: Labels, features: Labels, values: FloatArray
) -> tuple[Labels, Flags]:
    """Return the labels of rows that each have another value for one feature, and a mask of those that are
    answered. The model has only one output."""
    changed = _repeated(batch, rows)
    changed.numbers[features, np.arange(len(rows))] = values
    found = model.predict(changed)
    valid = np.ones(len(rows), np.bool_)
    valid[[*found.rejected]] = False
    return found.outputs[0].labels, valid


def _repeated(batch: Batch, rows: Labels) -> Batch:
    texts = {k: column[rows] for k, column in batch.texts.items()}
    return Batch(np.ascontiguousarray(batch.numbers[:, rows]), texts)


def _places(grid: Sequence[Points]) -> Iterator[tuple[Points, slice]]:
    start = 0
    for points in grid:
        yield points, slice(start, start + points.n)
        start += points.n


def _at_points(model: Model, batch: Batch, grid: Sequence[Points]) -> tuple[list[Labels], Flags]:
    """Return the labels of each row at each point, (rows, points) for each output, and a mask of those that
    are answered."""
    width = sum(one.n for one in grid)
    changed = _repeated(batch, np.repeat(np.arange(batch.rows), width))
    numbers = changed.numbers.reshape(-1, batch.rows, width)
    there = np.ones((batch.rows, width), np.bool_)
    for points, at in _places(grid):
        k = points.feature
        if points.texts:
            column = changed.texts[k].reshape(batch.rows, width)
            there[:, at] = np.array([[text is not None] for text in batch.texts[k]])
            column[:, at] = np.array(points.texts, np.object_)
        else:
            there[:, at] = ~np.isnan(batch.numbers[k])[:, np.newaxis]
            numbers[k, :, at] = points.values
    found = model.predict(changed)
    there.reshape(-1)[[*found.rejected]] = False
    return [scores.labels.reshape(batch.rows, width) for scores in found.outputs], there


def points(document: Document) -> list[Points]:
    """Return the values of each feature to try; none for features that never change a label alone."""
    kinks = _kinks(document)
    known = _numeric_categories(document)
    most = MOST_POINTS // max(1, len(document.schema.features))
    return [
        _of_feature(document, k, feature, kinks.get(k), known.get(k), most)
        for k, feature in enumerate(document.schema.features)
    ]


def _of_feature(
    document: Document,
    k: int,
    feature: Feature,
    kinks: FloatArray | None,
    known: FloatArray | None,
    most: int,
) -> Points:
    nothing = Points(k, np.empty(0), (), 0.0)
    if feature.type == "text":
        return nothing._replace(texts=_texts(document, k, feature, most))
    if feature.type == "boolean":
        return nothing._replace(values=np.array([0.0, 1.0]))
    found = _range(document, k) if feature.type == "number" else None
    if found is None or not found[0] < found[1]:
        return nothing
    low, high = found
    if known is not None:
        inside = known[(known >= low) & (known <= high)]
        return nothing._replace(values=inside[:MOST_CATEGORIES])
    values = np.array([low, high]) if kinks is None else np.concatenate([[low, high], kinks])
    values = np.unique(values[(values >= low) & (values <= high)])
    if len(values) > max(3, most):
        values = values[np.linspace(0, len(values) - 1, max(3, most)).round().astype(np.intp)]
    return Points(k, values, (), high - low)


def _range(document: Document, k: int) -> tuple[float, float] | None:
    """Return the least and the largest value in training; None if they are not known."""
    drawn = document.training.get("features")
    if drawn and drawn[k]:
        return float(drawn[k]["low"]), float(drawn[k]["high"])
    counted = document.reference.features[k] if document.reference else None
    return (float(counted.edges[0]), float(counted.edges[-1])) if isinstance(counted, Numbers) else None


def _texts(document: Document, k: int, feature: Feature, most: int) -> tuple[str, ...]:
    """Return the categories to try, the most frequent in training first. Categories that were not in
    training, such as a substitute for missing values, are tried only if the document does not list all that
    were."""
    counted = document.reference.features[k] if document.reference else None
    frequent, others = (counted.names, counted.other) if isinstance(counted, Categories) else ((), 1)
    first = [name for name in frequent if name in feature.categories]
    listed = dict.fromkeys([*first, *(sorted(feature.categories) if others else ())])
    return tuple(listed)[: max(2, min(MOST_CATEGORIES, most))]


def _numeric_categories(document: Document) -> dict[int, FloatArray]:
    """Return the numbers that are categories, by feature."""
    program, found = document.preprocessing, dict[int, FloatArray]()
    plans = [back.plan(document, output) for output in document.outputs]
    for plan in plans:
        for part in plan.grown:
            for one in part.forest.inputs.sets:
                for k in _held(document, plan, part.reads[one.column]):
                    found[k] = np.arange(len(one.table) - 2.0)
    for step, _ in program.steps if program else ():
        if isinstance(step, categories.Encode) and not step.is_text:
            numbers = sorted(float(x) for x in step.codes if isinstance(x, float | int))
            column = step.columns[0]
            held = (
                _held(document, plans[0], column) if len(numbers) > 1 else []
            )  # a single number only marks a value
            found |= {k: _had(document, k, numbers, _fills(document, column)) for k in held}
    return found


def _fills(document: Document, column: int) -> set[float]:
    """Return what imputers put in place of a missing number, on its way to a column."""
    for step, filled in document.preprocessing.steps if document.preprocessing else ():
        if isinstance(step, arithmetic.Impute) and filled.start <= column < filled.stop:
            place = column - filled.start
            return {float(step.values[place, 0]), *_fills(document, step.columns[place])}
    return set()


def _had(document: Document, k: int, numbers: list[float], fills: set[float]) -> FloatArray:
    """Return the categories that the training data had. One that fills gaps, such as a mean, is among them
    only if it has a bin of its own in the reference, as each of a few values has."""
    counted = document.reference.features[k] if document.reference else None
    bins = counted.edges[1:-1] if isinstance(counted, Numbers) else np.empty(0)
    places = np.searchsorted(bins, numbers, side="right").tolist()
    pairs = zip(numbers, places, strict=True)
    return np.array([x for x, place in pairs if x not in fills or places.count(place) == 1])


def _held(document: Document, plan: Plan, column: int) -> list[int]:
    """Return the feature whose numbers a column holds unchanged, in a list; empty if there is none."""
    return [k for k in plan.owners[column] if _as_it_is(document, column, k)]


def _direct(document: Document) -> range:
    return range(len(document.schema.features))


def _kinks(document: Document) -> dict[int, FloatArray]:
    """Return, by feature, the values where the label may change or the computation has a kink. A feature that
    goes into a linear model unchanged has none: the label changes at most once in each direction."""
    found: dict[int, list[FloatArray]] = {}
    curved: set[int] = set()
    for output in document.outputs:
        plan = back.plan(document, output)
        for column in plan.columns.at.tolist():
            if column not in _direct(document):
                curved |= plan.owners[column]
        for part in plan.grown:
            for place, column in enumerate(part.reads):
                for k in plan.owners[column]:
                    found.setdefault(k, [])
                    if _as_it_is(document, column, k):
                        found[k].append(_thresholds(part.forest, place))
                    else:
                        curved.add(k)
    for k in curved:
        span = _range(document, k)
        if span:
            found.setdefault(k, []).append(np.linspace(*span, STEPS + 1))
        found.setdefault(k, []).extend(_of_steps(document, k))
    return {k: np.concatenate(parts) if parts else np.empty(0) for k, parts in found.items()}


def _as_it_is(document: Document, column: int, feature: int) -> bool:
    """Return whether a column holds the feature's numbers unchanged, except for missing ones."""
    if column < len(document.schema.features):
        return column == feature
    for step, filled in document.preprocessing.steps if document.preprocessing else ():
        if filled.start <= column < filled.stop:
            if not isinstance(step, arithmetic.Impute) or step.missing is not None:
                return False
            return _as_it_is(document, step.columns[column - filled.start], feature)
    return False


def _of_steps(document: Document, feature: int) -> list[FloatArray]:
    """Return the kinks of the steps that read the feature itself."""
    found = []
    for step, _ in document.preprocessing.steps if document.preprocessing else ():
        for place, column in enumerate(step.columns):
            if column == feature:
                found += _of_step(step, place)
    return found


def _of_step(step: Step, place: int) -> list[FloatArray]:
    if isinstance(step, splines.Spline):
        return [step.knots[place]]
    if isinstance(step, curves.Bins):
        return [step.edges[place]]
    if isinstance(step, curves.Interpolate):
        return [step.points[place][0]]
    return [step.quantiles[place]] if isinstance(step, curves.Quantiles) else []


def _thresholds(forest: Forest, place: int) -> FloatArray:
    """Return the thresholds that a forest compares one of its columns with."""
    leaves = forest.leaves
    assert isinstance(leaves, Nodes | Oblivious)
    own = (leaves.inputs == place) | (
        leaves.inputs == place + forest.n_inputs if forest.inputs.twice else False
    )
    found = leaves.thresholds[own].astype(np.float64)
    return np.unique(found[np.isfinite(found)])
