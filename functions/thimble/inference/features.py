"""What a model takes, a feature a column: numbers, text or booleans; and rows of JSON as such columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from thimble.errors import InvalidModel
from thimble.inference.fields import check_distinct, is_finite, items, shown

TYPES = ("number", "text", "boolean", "unused")
WANTED = {"number": "a number", "text": "a string", "boolean": "true or false"}


class Feature(NamedTuple):
    """What a model takes in a column: numbers, text, booleans (as 0 and 1), or anything, which it ignores."""

    name: str  # "" in a model without names
    type: str  # of TYPES
    missing: bool  # whether a value may be missing
    categories: frozenset[str] = frozenset()  # the texts that the model knows by name

    @property
    def numeric(self) -> bool:
        return self.type in ("number", "boolean")

    def takes(self, value: Any) -> bool:
        """Whether a JSON value fits."""
        if value is None or self.type == "unused":
            return self.missing
        if self.type == "text":
            return isinstance(value, str)
        return is_finite(value) if self.type == "number" else value in (True, False)


def names(raw: dict[str, Any], n_features: int) -> tuple[str, ...] | None:
    """None of a model that was fitted on a plain matrix."""
    found = raw.get("feature_names_in")
    if found is None:
        return None
    for i, name in enumerate(items(found, "feature_names_in")):
        if not isinstance(name, str) or not name:
            raise InvalidModel(f"feature_names_in[{i}] is {shown(name)}, not a name")
    check_distinct(found, "feature_names_in")
    _check_forms(found)
    if len(found) != n_features:
        raise InvalidModel(f"feature_names_in has {len(found)} names; the model takes {n_features} features")
    return tuple(found)


def _check_forms(names: list[str]) -> None:
    """InvalidModel for two names that look the same: composed and decomposed letters."""
    seen: set[str] = set()
    for i, name in enumerate(names):
        if normal(name) in seen:
            raise InvalidModel(
                f"feature_names_in[{i}] is {shown(name)} a second time, in another Unicode form"
            )
        seen.add(normal(name))


def normal(name: str) -> str:
    """A name in Unicode's normal form C, in which names are matched."""
    if name.isascii():
        return name
    import unicodedata  # which few models need: a cold start is spared it

    return unicodedata.normalize("NFC", name)


def spelled(found: Iterable[str], known: Iterable[str]) -> list[str]:
    """Names as the model spells them, where only the Unicode form differs; others as they are."""
    spelling = {normal(name): name for name in known}
    return [spelling.get(normal(name), name) for name in found]


def read(
    names: tuple[str, ...] | None, preprocessing: dict[str, Any] | None, n_features: int
) -> tuple[Feature, ...]:
    """A model without preprocessing takes numbers only, and none may be missing."""
    types = preprocessing["types"] if preprocessing else ["number"] * n_features
    missing = set(preprocessing.get("missing", ()) if preprocessing else ())
    known = _categories(preprocessing or {})
    return tuple(
        Feature(name, type_, i in missing or type_ == "unused", known.get(i, frozenset()))
        for i, (name, type_) in enumerate(zip(names or [""] * n_features, types, strict=True))
    )


def _categories(preprocessing: dict[str, Any]) -> dict[int, frozenset[str]]:
    """Of the features that are encoded, their texts; whether a step is sound is `preprocessing`'s to say."""
    found: dict[int, set[str]] = {}
    for step in preprocessing.get("steps", ()):
        match step:
            case {"op": "encode", "column": int(column), "categories": [*categories]}:
                found.setdefault(column, set()).update(text for text in categories if isinstance(text, str))
    return {column: frozenset(texts) for column, texts in found.items()}


def columns(features: Sequence[Feature], rows: Sequence[Sequence[Any]]) -> list[Any]:
    """JSON rows that fit the features, as columns: float64 with NaN for what is missing, or lists of text."""
    return [
        np.array([np.nan if value is None else value for value in column], np.float64)
        if feature.numeric
        else list(column)
        for feature, column in zip(features, zip(*rows, strict=True), strict=True)
    ]
