"""Count the training data for the document's `reference`, against which drift is measured later.

Edges are deciles; if a number has few distinct values, they are the middles between the values. An edge has
no more digits than it takes to separate its neighbours. Deciles draw badly, so there are histograms with bins
of equal width too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from thimble.drift import counting
from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier
from thimble.inference.features import Feature
from thimble.inference.head import Head
from thimble.inference.predictions import Predictions, Scores
from thimble.inference.reference import Categories, Numbers, Predicted, Reference
from thimble_model import unknown_terms
from thimble_model.frames import answered_rows

BINS = 10
FEW = 10  # distinct numbers get a bin each
CATEGORIES = 20  # the most frequent categories; the others are counted together
LONGEST_CATEGORY = 100  # characters
WATCHED = 1000  # the first features; others are not counted
DRAWN_BINS = 20  # the most bins of equal width
DECIMALS = 6  # a number with more decimals counts as continuous
TENTHS = Numbers(np.arange(BINS + 1) / BINS, np.zeros(BINS, np.int64), 0)  # bins of a share
DRAWN_STEPS = 2**53  # the most steps of the last digit between the lowest and the highest value


def answered(classifier: Classifier, batch: Batch) -> tuple[Batch, Predictions]:
    """Return the rows that the model answers, and the answers."""
    found = classifier.predict(batch)
    if not found.rejected:
        return batch, found
    kept = answered_rows(found)
    return batch.take(kept), found.take(kept)


def document_key(classifier: Classifier, batch: Batch, found: Predictions) -> dict[str, Any]:
    """Return the document's key `reference`, counted from rows that the model answers."""
    features = enumerate(classifier.features[:WATCHED])
    empty = Reference(
        rows=batch.rows,
        features=tuple(_feature(feature, k, batch) for k, feature in features)
        + (None,) * (classifier.n_features - WATCHED),
        outputs=tuple(map(_predicted, classifier.heads, found.outputs)),
        unknown={k: TENTHS for k in sorted(found.unknown) if k < WATCHED},
    )
    shares = {k: unknown_terms.shares(classifier, k, batch) for k in empty.unknown}
    found = found._replace(unknown=shares)
    counts = counting.unpacked(empty, counting.count(empty, batch, found))
    return {
        "reference": {
            "rows": empty.rows,
            "features": [
                _counted(bins, counts.features[k])
                | ({"unknown": _counted(TENTHS, counts.unknown[k])} if k in counts.unknown else {})
                if bins
                else None
                for k, bins in enumerate(empty.features)
            ],
            "outputs": [
                {"classes": classes.tolist(), "winning": _counted(output.winning, winning)}
                for output, classes, winning in zip(
                    empty.outputs, counts.classes, counts.winning, strict=True
                )
            ],
        }
    }


def drawn(classifier: Classifier, batch: Batch) -> list[dict[str, Any] | None]:
    """Return a histogram of each numeric feature for people to look at; None for other features."""
    features = enumerate(classifier.features)
    return [
        _histogram(batch.numbers[k]) if feature.numeric and k < WATCHED else None for k, feature in features
    ]


def _histogram(column: FloatArray) -> dict[str, Any] | None:
    """Return a histogram with bins of equal width; None if there are no values or infinite ones.

    If the numbers have few decimals, every bin covers the same number of possible values. Otherwise the
    histogram could look like a comb because of the bins, not the data.
    """
    values = column[~np.isnan(column)]
    if len(values) == 0 or not np.isfinite(values).all():
        return None
    low, high, decimals = float(values.min()), float(values.max()), _decimals(values)
    most = min(DRAWN_BINS, math.ceil(2 * len(values) ** (1 / 3)))  # Rice's rule
    if low == high:
        counts = [len(values)]
    elif decimals is None or (high - low) * 10**decimals > DRAWN_STEPS:
        scale = 1.0 if math.isfinite(high - low) else 0.5
        shares = (values * scale - low * scale) / (high * scale - low * scale)
        counts = np.bincount(np.minimum((shares * most).astype(np.intp), most - 1), minlength=most).tolist()
    else:
        steps = np.rint((values - low) * 10**decimals).astype(np.int64)
        width = -(-(int(steps.max()) + 1) // most)
        counts = np.bincount(steps // width).tolist()
    return {"low": low, "high": high, "counts": counts, "decimals": decimals}


def _decimals(values: FloatArray) -> int | None:
    """Return how many digits the numbers have after the point; None if more than DECIMALS."""
    with np.errstate(over="ignore", invalid="ignore"):
        return next((d for d in range(DECIMALS + 1) if (np.round(values, d) == values).all()), None)


def _feature(feature: Feature, k: int, batch: Batch) -> Numbers | Categories | None:
    if feature.type == "unused":
        return None
    if feature.type == "free_text":
        return _lengths(batch.texts[k].tolist())
    return _numbers(batch.numbers[k]) if feature.numeric else _categories(batch.texts[k].tolist())


def _categories(column: Iterable[str | None]) -> Categories | None:
    found = Counter(text for text in column if text is not None and len(text) <= LONGEST_CATEGORY)
    names = sorted(found, key=lambda name: (-found[name], name))[:CATEGORIES]
    return Categories(tuple(names), np.zeros(len(names), np.int64), 0, 0) if names else None


def _lengths(column: Iterable[str]) -> Numbers:
    """Return bins for the lengths of texts in characters, one of them for empty texts."""
    found = _numbers(np.array([float(len(text)) for text in column]))
    edges = sorted({0.0, 1.0, *(() if found is None else found.edges.tolist())})
    return Numbers(np.array(edges), np.zeros(len(edges) - 1, np.int64), 0)


def _numbers(column: FloatArray) -> Numbers | None:
    values, times = np.unique(column[~np.isnan(column)], return_counts=True)
    if len(values) == 0:
        return None
    edges = [values[0], *_cuts(values, times), values[-1]]
    return Numbers(np.array(edges), np.zeros(len(edges) - 1, np.int64), 0)


def _cuts(values: FloatArray, times: Any) -> list[float]:
    """Return the cuts between bins.

    If there are few distinct values, there is a cut between any two. Otherwise there is one after every tenth
    of the rows, and on both sides of a value that fills a tenth by itself.
    """
    if len(values) <= FEW:
        chosen = list(range(1, len(values)))
    else:
        reached = np.cumsum(times)
        tenths = np.searchsorted(reached, reached[-1] * np.arange(1, BINS) / BINS).tolist()
        heavy = {k for k, more in pairwise(tenths) if k == more}
        chosen = sorted(({k + 1 for k in tenths} | heavy) - {0, len(values)})
    cuts = [_between(values[k - 1], values[k]) for k in chosen]
    return [cut for cut, k in zip(cuts, chosen, strict=True) if values[k - 1] < cut < values[k]]


def _between(low: float, high: float) -> float:
    """Return the shortest decimal near the middle of two numbers."""
    middle = low / 2 + high / 2
    decimals = (float(f"{middle:.{digits}e}") for digits in range(17))
    return next((number for number in decimals if low < number < high), middle)


def _predicted(head: Head, scores: Scores) -> Predicted:
    if head.has_probabilities:
        winning = TENTHS
    else:
        winning = _numbers(scores.probabilities.max(axis=0)) or Numbers(np.zeros(2), np.zeros(1, np.int64), 0)
    return Predicted(np.zeros(len(head.classes), np.int64), winning)


def _counted(bins: Numbers | Categories, counts: Any) -> dict[str, Any]:
    found = counts.tolist()
    if isinstance(bins, Numbers):
        return {"edges": bins.edges.tolist(), "counts": found[2:-1], "missing": found[0]}
    return {"categories": list(bins.names), "counts": found[2:], "other": found[1], "missing": found[0]}
