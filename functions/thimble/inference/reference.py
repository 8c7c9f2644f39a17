"""What a model was trained on, in counts: the document's `reference`, against which drift is measured.

Of a number a histogram, of a text its most frequent values, of the predictions the classes and how sure they
were. No row of the training data is in it. No dataclasses: making one costs a cold start half a millisecond.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble.errors import InvalidModel
from thimble.inference.arrays import FloatArray
from thimble.inference.document import Document
from thimble.inference.features import Feature
from thimble.inference.fields import items, shown, vector
from thimble.inference.head import Head

Counts = NDArray[np.int64]

MAX_BINS = 64  # of a number, and categories of a text


class Numbers(NamedTuple):
    """A bin holds its lower edge, the last bin both of its edges."""

    edges: FloatArray  # (bins + 1,)
    counts: Counts  # (bins,)
    missing: int

    @property
    def total(self) -> int:
        return int(self.counts.sum()) + self.missing


class Categories(NamedTuple):
    names: tuple[str, ...]
    counts: Counts  # (names,)
    other: int  # all further values together
    missing: int

    @property
    def total(self) -> int:
        return int(self.counts.sum()) + self.other + self.missing

    def places(self) -> dict[str | None, int]:
        """Of a text among what is counted: missing, at 1 none of the categories, then each of them."""
        return {None: 0} | {name: k for k, name in enumerate(self.names, 2)}


class Predicted(NamedTuple):
    """Of one output."""

    classes: Counts  # how often each was the label, or one of the labels
    winning: Numbers  # the largest probability (or score) of each row


class Reference:
    def __init__(
        self, rows: int, features: tuple[Numbers | Categories | None, ...], outputs: tuple[Predicted, ...]
    ) -> None:
        self.rows = rows
        self.features = features  # None: not watched
        self.outputs = outputs

    @cached_property
    def numbers(self) -> dict[int, Numbers]:
        return {k: found for k, found in enumerate(self.features) if isinstance(found, Numbers)}

    @cached_property
    def texts(self) -> dict[int, Categories]:
        return {k: found for k, found in enumerate(self.features) if isinstance(found, Categories)}


def read(document: Document) -> Reference | None:
    """The reference of a document; InvalidModel says what is wrong with it."""
    raw = document.reference
    if raw is None:
        return None
    _check_keys(raw, "reference", "rows", "features", "outputs")
    rows = _count(raw["rows"], "reference.rows")
    features = _list(raw["features"], "reference.features", len(document.features), "features")
    outputs = _list(raw["outputs"], "reference.outputs", len(document.outputs), "outputs")
    return Reference(
        rows=rows,
        features=tuple(
            _feature(value, f"reference.features[{i}]", feature, rows)
            for i, (value, feature) in enumerate(zip(features, document.features, strict=True))
        ),
        outputs=tuple(
            _predicted(value, f"reference.outputs[{i}]", output.head, rows)
            for i, (value, output) in enumerate(zip(outputs, document.outputs, strict=True))
        ),
    )


def _feature(value: Any, path: str, feature: Feature, rows: int) -> Numbers | Categories | None:
    if value is None:
        return None
    if feature.type == "unused":
        raise InvalidModel(f"{path} is of a feature that the model does not use; null belongs there")
    found = _numbers(value, path) if feature.numeric else _categories(value, path)
    _check_total(found.total, path, rows)
    return found


def _numbers(raw: Any, path: str) -> Numbers:
    _check_keys(raw, path, "edges", "counts", "missing")
    edges = vector(raw["edges"], f"{path}.edges")
    steps = np.diff(edges)
    if not 2 <= len(edges) <= MAX_BINS + 1:
        raise InvalidModel(f"{path}.edges has {len(edges)} numbers; it takes 2 to {MAX_BINS + 1}")
    if not (steps > 0).all() and (len(steps) > 1 or steps[0] < 0):
        raise InvalidModel(f"{path}.edges[{int(np.argmin(steps > 0)) + 1}] is not above the edge before it")
    counts = _counts(raw["counts"], f"{path}.counts", len(edges) - 1, "bins")
    return Numbers(edges, counts, _count(raw["missing"], f"{path}.missing"))


def _categories(raw: Any, path: str) -> Categories:
    _check_keys(raw, path, "categories", "counts", "other", "missing")
    names = items(raw["categories"], f"{path}.categories")
    if len(names) > MAX_BINS:
        raise InvalidModel(f"{path}.categories has {len(names)} entries; the most is {MAX_BINS}")
    distinct: set[str] = set()
    for i, name in enumerate(names):
        if not isinstance(name, str) or name in distinct:
            raise InvalidModel(f"{path}.categories[{i}] is {shown(name)}; each is a string of its own")
        distinct.add(name)
    counts = _counts(raw["counts"], f"{path}.counts", len(names), "categories")
    other, missing = (_count(raw[key], f"{path}.{key}") for key in ("other", "missing"))
    return Categories(tuple(names), counts, other, missing)


def _predicted(raw: Any, path: str, head: Head, rows: int) -> Predicted:
    _check_keys(raw, path, "classes", "winning")
    classes = _counts(raw["classes"], f"{path}.classes", len(head.classes), "classes")
    winning = _numbers(raw["winning"], f"{path}.winning")
    _check_total(winning.total, f"{path}.winning", rows)
    if not head.multilabel:
        _check_total(int(classes.sum()), f"{path}.classes", rows)
    elif classes.max() > rows:
        raise InvalidModel(f"{path}.classes[{int(classes.argmax())}] is more than reference.rows")
    return Predicted(classes, winning)


def _check_keys(raw: Any, path: str, *keys: str) -> None:
    if not isinstance(raw, Mapping):
        raise InvalidModel(f"{path} is not an object")
    for key in keys:
        if key not in raw:
            raise InvalidModel(f"{path}.{key} is missing")
    for key in raw:
        if key not in keys:
            raise InvalidModel(f"{path}.{shown(key)} is no key of it")


def _check_total(total: int, path: str, rows: int) -> None:
    if total != rows:
        raise InvalidModel(f"{path} counts {total} rows; reference.rows is {rows}")


def _list(value: Any, path: str, length: int, of: str) -> list[Any]:
    if len(items(value, path)) != length:
        raise InvalidModel(f"{path} has {len(value)} entries; the model has {length} {of}")
    return list(value)


def _counts(value: Any, path: str, length: int, of: str) -> Counts:
    values = items(value, path)
    if len(values) != length:
        raise InvalidModel(f"{path} has {len(values)} counts for {length} {of}")
    return np.array([_count(count, f"{path}[{i}]") for i, count in enumerate(values)], np.int64)


def _count(value: Any, path: str) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise InvalidModel(f"{path} is {shown(value)}, not a count")
    return value
