"""Count rows and their predictions: they become a vector of integers, laid out by the model's reference. The
sum of such vectors is the vector of all their rows, however they were split."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise, repeat
from typing import NamedTuple

import numpy as np

from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Batch, Texts
from thimble.inference.predictions import Predictions, Scores
from thimble.inference.reference import Categories, Counts, Numbers, Predicted, Reference


def none(reference: Reference | None) -> Counts:
    """Return the counts of no rows: zeros, or an empty vector for a model without a reference."""
    return np.zeros(sum(_lengths(reference)) if reference else 0, np.int64)


def count(reference: Reference | None, batch: Batch, predictions: Predictions) -> Counts:
    """Return the counts of rows that were all answered; an empty vector for a model without a reference."""
    if reference is None:
        return none(None)
    places = {k: places_of(text, batch.texts[k]) for k, text in reference.texts.items()}
    return counted(reference, reference.measured(batch, predictions), places, predictions)


def places_of(text: Categories, column: Texts) -> bytearray:
    """Return the position of each text of a column among the feature's counts."""
    return bytearray(map(text.places().get, column.tolist(), repeat(1)))


def counted(
    reference: Reference, numbers: FloatArray, places: Mapping[int, bytearray], predictions: Predictions
) -> Counts:
    """Return the counts of rows that were all answered, in this order: the number of rows, numbers by
    feature, shares of unknown terms by feature, texts by feature, then the classes and winning numbers of
    each output.

    A number's counts are: missing, below the first edge, one count per bin, above the last edge. A text's
    are: missing, no category of the reference, one count per category. `numbers` is what `Reference.measured`
    returns, and `places` holds the result of `places_of` for each text.
    """
    found = [predictions.n_rows]
    for k, number in reference.numbers.items():
        found += _binned(numbers[k], number)
    for row, shares in enumerate(reference.unknown.values(), len(reference.features)):
        found += _binned(numbers[row], shares)
    for k, text in reference.texts.items():
        found += [places[k].count(place) for place in range(2 + len(text.names))]
    for output, part in zip(reference.outputs, predictions.outputs, strict=True):
        found += _classes(output, part)
        found += _binned(part.probabilities.max(axis=0), output.winning)
    return np.array(found, np.int64)


def _binned(x: FloatArray, bins: Numbers) -> list[int]:
    """Count numbers by bin, from how many reach each edge: this is faster than finding each number's bin."""
    *edges, last = bins.edges.tolist()
    missing = int(np.count_nonzero(np.isnan(x)))
    reached = [int(np.count_nonzero(x >= edge)) for edge in edges]
    reached = [len(x) - missing, *reached, int(np.count_nonzero(x > last)), 0]
    return [missing, *(more - fewer for more, fewer in pairwise(reached))]


def _classes(output: Predicted, scores: Scores) -> list[int]:
    found: list[int] = scores.times(len(output.classes)).tolist()
    return found


class Unpacked(NamedTuple):
    """A vector of counts, split into its parts; dictionaries are by feature, lists by output."""

    rows: int
    features: dict[int, Counts]
    unknown: dict[int, Counts]
    classes: list[Counts]
    winning: list[Counts]


def unpacked(reference: Reference, counts: Counts) -> Unpacked:
    rest = iter(np.split(counts, np.cumsum(_lengths(reference))[:-1]))
    rows = int(next(rest)[0])
    features = {k: next(rest) for k in reference.numbers}
    unknown = {k: next(rest) for k in reference.unknown}
    features |= {k: next(rest) for k in reference.texts}
    outputs = [(next(rest), next(rest)) for _ in reference.outputs]
    classes, winning = [classes for classes, _ in outputs], [winning for _, winning in outputs]
    return Unpacked(rows, features, unknown, classes, winning)


def _lengths(reference: Reference) -> list[int]:
    of_numbers = (*reference.numbers.values(), *reference.unknown.values())
    numbers = [2 + len(number.edges) for number in of_numbers]
    texts = [2 + len(text.names) for text in reference.texts.values()]
    outputs = [n for out in reference.outputs for n in (len(out.classes), 2 + len(out.winning.edges))]
    return [1, *numbers, *texts, *outputs]
