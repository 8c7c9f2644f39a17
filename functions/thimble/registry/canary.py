"""Which version may be on trial, and which rows it answers.

Rows are chosen only by a hash of their values, in the order of the model's features. So the same row gets the
same version, alone or among others, by any protocol, in any process. If a canary grows from 10 % to 50 %, it
keeps the rows that it had. Another version on trial gets other rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from thimble.errors import InvalidModel
from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Batch, Texts
from thimble.inference.classifier import Classifier
from thimble.inference.features import Feature
from thimble.inference.predictions import Predictions, concatenate
from thimble.tables.cells import missing

Hashes = NDArray[np.uint64]
Mask = NDArray[np.bool_]
MISSING = 0x9E3779B97F4A7C15


def predict(current: Classifier, candidate: Classifier, batch: Batch, percent: float) -> Predictions:
    """Answer each row by one of the two models. The result's `versions` tell which one."""
    theirs = chosen(current.features, batch, percent, candidate.digest)
    ours = current.predict(batch.take(~theirs))
    found = _merge(ours, candidate.predict(batch.take(theirs)), theirs)
    digests = current.digest, candidate.digest
    return found._replace(versions=tuple(digests[tried] for tried in theirs.tolist()))


def disagreements(one: Predictions, other: Predictions) -> int:
    """Count the rows whose labels differ, and the rows that only one of the two answers."""
    differ = np.zeros(one.n_rows, np.bool_)
    for a, b in zip(one.outputs, other.outputs, strict=True):
        differ |= (a.mask != b.mask).any(axis=0) if len(a.mask) else a.answered != b.answered
    rejected = set(one.rejected) | set(other.rejected)
    differ[list(rejected)] = False
    return int(differ.sum()) + len(set(one.rejected) ^ set(other.rejected))


def _merge(ours: Predictions, theirs: Predictions, mask: Mask) -> Predictions:
    """Put the predictions for two parts of the rows back in order; `mask` marks the rows of the second."""
    both, rows = concatenate([ours, theirs]), np.concatenate((np.flatnonzero(~mask), np.flatnonzero(mask)))
    order = np.argsort(rows)
    rejected = {int(rows[row]): reason for row, reason in both.rejected.items()}
    return both.take(order)._replace(rejected=rejected)


def chosen(features: Sequence[Feature], batch: Batch, percent: float, version: str) -> Mask:
    """Return a mask of the rows that `version` answers, (n,): about `percent` of them."""
    hashes = [
        _of_numbers(batch.numbers[k]) if feature.numeric else _of_texts(batch.texts[k])
        for k, feature in enumerate(features)
        if feature.type != "unused"
    ]
    places = _mixed(np.arange(len(hashes), dtype=np.uint64))  # so that swapped columns hash differently
    row = _mixed(np.array(hashes) ^ places[:, np.newaxis]).sum(axis=0, dtype=np.uint64)
    row = _mixed(row ^ np.uint64(int(version[:16], 16)))
    share: Mask = (row >> np.uint64(11)) < percent / 100 * 2.0**53
    return share


def _of_numbers(column: FloatArray) -> Hashes:
    """Return the bits of numbers; -0.0 counts as 0.0, and all NaNs are equal."""
    numbers = column + 0.0
    numbers[np.isnan(numbers)] = np.nan
    return numbers.view(np.uint64)


def _of_texts(column: Texts) -> Hashes:
    import hashlib  # only here, so that a cold start does not load OpenSSL

    known: dict[str | None, int] = {None: MISSING}
    values: list[str | None] = column.tolist()
    for value in values:
        if value not in known:
            text = str(value).encode("utf-8", "surrogatepass")
            known[value] = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
    return np.array([known[value] for value in values], np.uint64)


def _mixed(z: Hashes) -> Hashes:
    """Apply one step of SplitMix64: every bit of the input affects every bit of the output."""
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def check_alike(one: Classifier, other: Classifier) -> None:
    """Raise InvalidModel unless both models take the same rows and give the same kind of answers, so that
    both can answer rows of one request."""
    if _taken(one) != _taken(other):
        raise InvalidModel("its features are not those of the current version, in that order")
    if _meanings(one) != _meanings(other):
        raise InvalidModel("its classes are not those of the current version, in that order")
    if _abstaining(one) != _abstaining(other):
        raise InvalidModel(
            "one of the two versions may answer without a label, and the other not: export the other with "
            "--abstain-below too, with 0 for never"
        )


def _taken(classifier: Classifier) -> list[tuple[object, ...]]:
    return [
        (feature.name, feature.type, feature.missing, missing(feature)) for feature in classifier.features
    ]


def _abstaining(classifier: Classifier) -> list[bool]:
    return [head.abstain_below is not None for head in classifier.heads]


def _meanings(classifier: Classifier) -> list[tuple[object, ...]]:
    return [(head.name, head.texts, head.multilabel, head.has_probabilities) for head in classifier.heads]
