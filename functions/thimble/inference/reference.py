"""Counts of the training data: the document's `reference`, against which drift is measured.

It holds a histogram of each number, the most frequent values of each text, histograms of the lengths and of
the shares of unknown terms of each free text, and of the predictions the classes and how sure they were. It
holds no row of the training data. This module also checks the parts of the document's `training` that a model
card draws. It uses no dataclasses: to define one takes half a millisecond of a cold start.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble.errors import InvalidModel
from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Batch, Value
from thimble.inference.features import Feature
from thimble.inference.fields import Fields, counts, shown
from thimble.inference.head import Head
from thimble.inference.predictions import Predictions

Counts = NDArray[np.int64]

MAX_BINS = 64  # bins of a number, or categories of a text
MAX_DECIMALS = 17
MAX_CLASSES = 100  # classes of a confusion matrix
MAX_TEXT = 2_000  # characters of a text about the model
MAX_CURVES = 20  # classes that may each have a calibration of their own
TENTHS = 10  # bins of the winning probability in a calibration
ABOUT = ("summary", "use", "not_for", "limits", "data", "owner", "contact", "licence", "link")


class Numbers(NamedTuple):
    """A histogram. A bin includes its lower edge; the last bin includes both edges."""

    edges: FloatArray  # (bins + 1,)
    counts: Counts  # (bins,)
    missing: int

    @property
    def total(self) -> int:
        return int(self.counts.sum()) + self.missing


class Categories(NamedTuple):
    names: tuple[str, ...]
    counts: Counts  # (names,)
    other: int  # all other values together
    missing: int

    @property
    def total(self) -> int:
        return int(self.counts.sum()) + self.other + self.missing

    def places(self) -> dict[Value, int]:
        """Return the position of each text among the counts: None (missing) is at 0, the categories are from
        2 on. Position 1 is for all other texts, which are not in the result."""
        return {None: 0, **{name: k for k, name in enumerate(self.names, 2)}}


class Predicted(NamedTuple):
    """Counts of the predictions of one output."""

    classes: Counts  # how often each was the label, or one of the labels
    winning: Numbers  # the largest probability (or score) of each row


class Reference:
    def __init__(
        self,
        rows: int,
        features: tuple[Numbers | Categories | None, ...],
        outputs: tuple[Predicted, ...],
        unknown: Mapping[int, Numbers] = MappingProxyType({}),
    ) -> None:
        self.rows = rows
        self.features = features  # None: not watched
        self.outputs = outputs
        self.unknown = unknown  # by free text: its shares of terms that are not in the vocabulary

    @cached_property
    def numbers(self) -> dict[int, Numbers]:
        return {k: found for k, found in enumerate(self.features) if isinstance(found, Numbers)}

    @property
    def width(self) -> int:
        """The number of rows that `measured` returns."""
        return len(self.features) + len(self.unknown)

    def measured(self, batch: Batch, predictions: Predictions) -> FloatArray:
        """Return the numbers that are counted, (width, n): a row per feature, which for a free text holds its
        lengths in characters, then a row of shares of unknown terms per feature of `unknown`."""
        lengths = [k for k in batch.texts if k in self.numbers]
        if not lengths:
            return batch.numbers
        numbers = np.full((self.width, batch.rows), np.nan)
        numbers[: len(self.features)] = batch.numbers
        for k in lengths:
            numbers[k] = [len(text or "") for text in batch.texts[k].tolist()]
        for row, k in enumerate(self.unknown, len(self.features)):
            numbers[row] = predictions.unknown.get(k, np.nan)
        return numbers

    @cached_property
    def texts(self) -> dict[int, Categories]:
        return {k: found for k, found in enumerate(self.features) if isinstance(found, Categories)}


def parse(
    fields: Fields, features: Sequence[Feature], heads: Sequence[Head], vocabularies: Collection[int]
) -> Reference:
    """Read the reference of a document. `vocabularies` are the features whose unknown terms are counted.
    Raises InvalidModel, which says what is wrong with it."""
    fields.require_known(("rows", "features", "outputs"), "reference")
    rows = fields.count("rows")
    of_features = _each(fields, "features", len(features))
    of_outputs = _each(fields, "outputs", len(heads))
    return Reference(
        rows=rows,
        features=tuple(
            None if value is None else _feature(value, f"{fields.at('features')}[{i}]", feature, rows)
            for i, (value, feature) in enumerate(zip(of_features, features, strict=True))
        ),
        outputs=tuple(
            _predicted(Fields(value, f"{fields.at('outputs')}[{i}]"), head, rows)
            for i, (value, head) in enumerate(zip(of_outputs, heads, strict=True))
        ),
        unknown={
            i: _unknown(Fields(value, f"{fields.at('features')}[{i}]"), i in vocabularies, rows)
            for i, (value, feature) in enumerate(zip(of_features, features, strict=True))
            if value is not None and feature.type == "free_text" and "unknown" in value
        },
    )


def _each(fields: Fields, key: str, length: int) -> list[Any]:
    found = fields.items(key)
    if len(found) != length:
        raise InvalidModel(f"{fields.at(key)} has {len(found)} entries; the model has {length} {key}")
    return found


def _feature(value: Any, path: str, feature: Feature, rows: int) -> Numbers | Categories:
    if feature.type == "unused":
        raise InvalidModel(f"{path} must be null: the model does not use this feature")
    fields = Fields(value, path)
    if feature.type == "free_text":
        found: Numbers | Categories = _numbers(fields, ("unknown",))  # counts of its lengths
    else:
        found = _numbers(fields) if feature.numeric else _categories(fields)
    _check_total(found.total, path, rows)
    return found


def _unknown(fields: Fields, counted: bool, rows: int) -> Numbers:
    path = fields.at("unknown")
    if not counted:
        raise InvalidModel(f"{path} must be absent: no step has a vocabulary for this feature")
    found = _numbers(Fields(fields.value("unknown"), path))
    _check_total(found.total, path, rows)
    return found


def _numbers(fields: Fields, more: tuple[str, ...] = ()) -> Numbers:
    fields.require_known(("edges", "counts", "missing", *more), "a number's counts")
    edges, path = fields.vector("edges"), fields.at("edges")
    steps = np.diff(edges)
    if not 2 <= len(edges) <= MAX_BINS + 1:
        raise InvalidModel(f"{path} has {len(edges)} numbers; 2 to {MAX_BINS + 1} are needed")
    if not (steps > 0).all() and (len(steps) > 1 or steps[0] < 0):
        raise InvalidModel(f"{path}[{int(np.argmin(steps > 0)) + 1}] is not above the edge before it")
    return Numbers(edges, fields.counts("counts", len(edges) - 1, "bins"), fields.count("missing"))


def _categories(fields: Fields) -> Categories:
    fields.require_known(("categories", "counts", "other", "missing"), "a text's counts")
    names, path = fields.items("categories"), fields.at("categories")
    if len(names) > MAX_BINS:
        raise InvalidModel(f"{path} has {len(names)} entries; the most is {MAX_BINS}")
    distinct: set[str] = set()
    for i, name in enumerate(names):
        if not isinstance(name, str) or name in distinct:
            raise InvalidModel(f"{path}[{i}] is {shown(name)}; the categories must be distinct strings")
        distinct.add(name)
    counts = fields.counts("counts", len(names), "categories")
    return Categories(tuple(names), counts, fields.count("other"), fields.count("missing"))


def _predicted(fields: Fields, head: Head, rows: int) -> Predicted:
    fields.require_known(("classes", "winning"), "an output's counts")
    classes, path = fields.counts("classes", len(head.classes), "classes"), fields.at("classes")
    winning = _numbers(Fields(fields.value("winning"), fields.at("winning")))
    _check_total(winning.total, fields.at("winning"), rows)
    if not head.multilabel:
        _check_total(int(classes.sum()), path, rows)
    elif classes.max() > rows:
        raise InvalidModel(f"{path}[{int(classes.argmax())}] is more than reference.rows")
    return Predicted(classes, winning)


def _check_total(total: int, path: str, rows: int) -> None:
    if total != rows:
        raise InvalidModel(f"{path} counts {total} rows; reference.rows is {rows}")


def check_training(training: Fields, features: Sequence[Feature], heads: Sequence[Head]) -> None:
    """Raise InvalidModel if a model card could not show `training`. Keys that it does not show may hold
    anything."""
    if "card" in training:
        check_about(Fields(training.raw["card"], training.at("card")))
    if "features" in training:
        of_features = training.items_of_length("features", len(features))
        for i, (value, feature) in enumerate(zip(of_features, features, strict=True)):
            if value is not None:
                _check_histogram(Fields(value, f"{training.at('features')}[{i}]"), feature)
    measured = training.raw.get("held_out")
    if isinstance(measured, dict):
        _check_measured(Fields(measured, training.at("held_out")), heads)


def check_about(fields: Fields) -> None:
    fields.require_known(ABOUT, f"a card, which has {', '.join(ABOUT)}")
    for key in fields.raw:
        text = fields.text(key, "")
        if not 0 < len(text) <= MAX_TEXT:
            raise InvalidModel(f"{fields.at(key)} has {len(text)} characters; 1 to {MAX_TEXT} are shown")
    if "link" in fields and not fields.raw["link"].startswith("https://"):
        raise InvalidModel(f"{fields.at('link')} is {shown(fields.raw['link'])}; it begins with https://")


def _check_histogram(fields: Fields, feature: Feature) -> None:
    if not feature.numeric:
        raise InvalidModel(f"{fields.path} must be null: the feature is no number")
    fields.require_known(("low", "high", "counts", "decimals"), "a histogram")
    low, high = fields.finite("low"), fields.finite("high")
    if low is None or high is None or low > high:
        raise InvalidModel(f"{fields.path} needs low and high, and low is not above high")
    bins, most = len(fields.items("counts")), MAX_BINS if low < high else 1
    if bins > most:
        raise InvalidModel(f"{fields.at('counts')} has {bins} bins; the most is {most}")
    fields.counts("counts", bins, "bins")
    if fields.raw.get("decimals") is not None and fields.count("decimals") > MAX_DECIMALS:
        raise InvalidModel(f"{fields.at('decimals')} is more than {MAX_DECIMALS}")


def _check_measured(fields: Fields, heads: Sequence[Head]) -> None:
    """Check held-out results. If the model has several outputs, `outputs` has an entry for each."""
    parts = [fields]
    if len(heads) > 1:
        parts = fields.nested_each("outputs") if "outputs" in fields else [Fields({})] * len(heads)
        fields.check_length("outputs", len(parts), len(heads))
    for part, head in zip(parts, heads, strict=True):
        if "confusion" in part:
            _check_confusion(part, head)
        calibration = part.nested("calibration")
        if calibration is not None:
            check_calibration(calibration)
        if "calibration_by_class" in part:
            part.check_length(
                "calibration_by_class", len(part.items("calibration_by_class")), len(head.classes)
            )
            for one in part.nested_each("calibration_by_class"):
                check_calibration(one)


def _check_confusion(fields: Fields, head: Head) -> None:
    n, path = len(head.classes), fields.at("confusion")
    if head.multilabel or n > MAX_CLASSES:
        raise InvalidModel(f"{path} is of models that choose one of at most {MAX_CLASSES} classes")
    for i, row in enumerate(fields.items_of_length("confusion", n)):
        counts(row, f"{path}[{i}]", n, "classes")


def check_calibration(fields: Fields) -> None:
    fields.require_known(("rows", "probability", "right"), "a calibration")
    fields.counts("rows", TENTHS, "tenths")
    fields.counts("right", TENTHS, "tenths")
    fields.value("probability")
    fields.numbers("probability", TENTHS)
