"""What a model is asked, in counts: rows and their predictions become a vector of integers, laid out by the
model's reference. The sum of such vectors is the vector of all their rows, however they were split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thimble.arrays import FloatArray
from thimble.classifier import Predictions
from thimble.reference import Categories, Counts, Numbers, Predicted, Reference

CHUNK = 1 << 15  # numbers looked at at once: they stay in the cache
WORD = 64  # bits


def none(reference: Reference | None) -> Counts:
    """The counts of no rows; of a model without a reference there are none ever."""
    return np.zeros(sum(_lengths(reference)) if reference else 0, np.int64)


def count(reference: Reference | None, columns: Any, predictions: Predictions) -> Counts:
    """Rows, numbers feature by feature, texts feature by feature, then each output's classes and winners.

    A number's counts are: missing, below the first edge, a count a bin, above the last; a text's: missing,
    none of the categories, a count a category. `columns` are what was predicted, and no row was rejected."""
    if reference is None:
        return none(None)
    rows = predictions.probabilities.shape[1]
    found = [np.array([rows])]
    if reference.numbers:
        found.append(_binned(columns, list(reference.numbers), reference.edges, rows))
    found += [_counted(columns[k], text) for k, text in reference.texts.items()]
    for output, part in zip(reference.outputs, (predictions, *predictions.further), strict=True):
        winning = part.probabilities.max(axis=0, keepdims=True)
        found += [_classes(output, part), _binned(winning, [0], output.edges, rows)]
    return np.concatenate(found)


def _binned(columns: Any, positions: Sequence[int], edges: FloatArray, rows: int) -> Counts:
    """By how many numbers reach each edge, counted in bits: faster than to look for each number's bin."""
    reached = np.zeros((len(edges) + 2, len(positions)), np.int64)
    reached[0] = rows
    width = min(CHUNK, rows + -rows % WORD)
    for start in range(0, rows, width or 1):
        for first in range(0, len(positions), CHUNK // width):
            some = slice(first, first + CHUNK // width)
            X = _filled([columns[k][start : start + width] for k in positions[some]], width)
            reached[1:-1, some] += _reaching(edges[:, some], X)
    counts: Counts = -np.diff(reached, axis=0).T
    return counts.ravel()


def _filled(columns: list[Any], width: int) -> FloatArray:
    """(columns, width), with NaN, which reaches no edge, at the end."""
    X = np.empty((len(columns), width))
    for x, column in zip(X, columns, strict=True):
        x[: len(column)], x[len(column) :] = column, np.nan
    return X


def _reaching(edges: FloatArray, X: FloatArray) -> Counts:
    """(edges, columns)"""
    reaches = np.empty((len(edges), *X.shape), np.bool_)
    for edge, out in zip(edges, reaches, strict=True):
        np.less_equal(edge, X, out=out)
    bits = np.bitwise_count(np.packbits(reaches.reshape(-1)).view(np.uint64))
    counts: Counts = bits.reshape(*reaches.shape[:2], -1).sum(axis=2, dtype=np.int64)
    return counts


def _counted(column: Any, text: Categories) -> Counts:
    found = Counter(column.tolist() if isinstance(column, np.ndarray) else column)
    known = [found.pop(name, 0) for name in text.names]
    missing = found.pop(None, 0)
    return np.array([missing, found.total(), *known])


def _classes(output: Predicted, predictions: Predictions) -> Counts:
    if len(predictions.label_mask):
        counts: Counts = predictions.label_mask.sum(axis=1)
    else:
        counts = np.bincount(predictions.label_indices, minlength=len(output.classes))
    return counts.astype(np.int64)


def together(answered: Sequence[tuple[Any, Predictions]]) -> tuple[Any, Predictions]:
    """The columns and predictions of several requests as if they had been one."""
    if len(answered) == 1:
        return answered[0]
    tables = [columns for columns, _ in answered]
    if isinstance(tables[0], np.ndarray):
        return np.concatenate(tables, axis=1), _joined([predictions for _, predictions in answered])
    columns = [
        np.concatenate(parts)
        if isinstance(parts[0], np.ndarray)
        else [text for part in parts for text in part]
        for parts in zip(*tables, strict=True)
    ]
    return columns, _joined([predictions for _, predictions in answered])


def every(step: int, columns: Any, predictions: Predictions) -> tuple[Any, Predictions]:
    """One row of so many."""
    if isinstance(columns, np.ndarray):
        return columns[:, ::step], _every(step, predictions)
    return [column[::step] for column in columns], _every(step, predictions)


def _every(step: int, found: Predictions) -> Predictions:
    return Predictions(
        probabilities=found.probabilities[:, ::step],
        label_indices=found.label_indices[::step],
        label_mask=found.label_mask[:, ::step],
        further=tuple(_every(step, more) for more in found.further),
    )


def _joined(parts: Sequence[Predictions]) -> Predictions:
    return Predictions(
        probabilities=np.concatenate([part.probabilities for part in parts], axis=1),
        label_indices=np.concatenate([part.label_indices for part in parts]),
        label_mask=np.concatenate([part.label_mask for part in parts], axis=1),
        further=tuple(map(_joined, zip(*(part.further for part in parts), strict=True))),
    )


@dataclass(frozen=True)
class Unpacked:
    """A vector of counts, taken apart."""

    rows: int
    features: dict[int, Counts]
    classes: list[Counts]  # of each output
    winning: list[Counts]


def unpacked(reference: Reference, counts: Counts) -> Unpacked:
    rest = iter(np.split(counts, np.cumsum(_lengths(reference))[:-1]))
    rows = int(next(rest)[0])
    features = {k: _trimmed(next(rest), found) for k, found in reference.numbers.items()}
    features |= {k: next(rest) for k in reference.texts}
    outputs = [(next(rest), next(rest)) for _ in reference.outputs]
    return Unpacked(rows, features, [classes for classes, _ in outputs], [winning for _, winning in outputs])


def _lengths(reference: Reference) -> list[int]:
    numbers = [len(reference.edges) + 1] * len(reference.numbers) if reference.numbers else []
    texts = [2 + len(text.names) for text in reference.texts.values()]
    outputs = [n for out in reference.outputs for n in (len(out.classes), len(out.edges) + 1)]
    return [1, *numbers, *texts, *outputs]


def _trimmed(counts: Counts, numbers: Numbers) -> Counts:
    """Without the bins that other numbers have and this one has not."""
    bins = len(numbers.edges) - 1
    return np.append(counts[: 2 + bins], counts[-1])
