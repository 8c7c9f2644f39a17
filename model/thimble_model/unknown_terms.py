"""Estimate the shares of unknown terms that new texts like the training texts would have.

A vocabulary is made from the training texts, so it knows all their terms or nearly all. A new text brings
terms of its own, which is not drift. So each training text is counted as if the vocabulary were made without
it: a term that is in only as many texts as the vocabulary demands would be unknown in each of them.
"""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier
from thimble.inference.steps.text import Text


def shares(classifier: Classifier, feature: int, batch: Batch) -> FloatArray:
    """Return the share of unknown terms (n,) of texts that the model answers; NaN for texts without terms."""
    step = _reader(classifier, feature)
    ids, known, terms = array("i"), array("q"), array("q")
    for text in batch.texts[feature].tolist():
        found, unknown = step.vocabulary.ids(step.analyzer.terms(step.analyzer.prepared(text)))
        ids.extend(found)
        known.append(len(found))
        terms.append(len(found) + unknown)
    rows, flat = np.repeat(np.arange(batch.rows), known), np.array(ids, np.int64)
    lasting = np.bincount(rows[_frequent(rows, flat, step.vocabulary.size)[flat]], minlength=batch.rows)
    n = np.array(terms, np.float64)
    return np.where(n > 0, (n - lasting) / np.maximum(n, 1.0), np.nan)


def _frequent(rows: NDArray[np.int64], ids: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    """Return a mask (size,) of the terms that would be in the vocabulary without one of their texts."""
    frequencies = np.bincount(np.unique(rows * size + ids) % size, minlength=size)
    frequent: NDArray[np.bool_] = frequencies > frequencies.min()
    return frequent


def _reader(classifier: Classifier, feature: int) -> Text:
    assert classifier.document.preprocessing is not None
    steps = (step for step, _ in classifier.document.preprocessing.steps)
    return next(step for step in steps if isinstance(step, Text) and step.knows == feature)
