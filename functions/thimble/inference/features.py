"""The features of a model, one input column each: numbers, texts or booleans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from thimble.errors import InvalidModel
from thimble.inference.fields import Fields, check_distinct, is_finite, shown

TYPES = ("number", "text", "free_text", "boolean", "unused")
WANTED = {
    "number": "a number",
    "text": "a string",
    "free_text": "a string",
    "boolean": "true or false",
}


class Feature(NamedTuple):
    """An input column of a model: numbers, booleans (as 0 and 1), texts that are categories, free texts whose
    words are read, or values that the model ignores."""

    name: str  # "" in a model without names
    type: str  # of TYPES
    missing: bool  # whether a value may be missing
    categories: frozenset[str] = frozenset()  # texts that the model knows

    @property
    def numeric(self) -> bool:
        return self.type in ("number", "boolean")

    @property
    def textual(self) -> bool:
        return self.type in ("text", "free_text")

    def takes(self, value: Any) -> bool:
        """Return whether a JSON value is valid for this feature."""
        if value is None or self.type == "unused":
            return self.missing
        if self.textual:
            return isinstance(value, str)
        return is_finite(value) if self.type == "number" else value in (True, False)


class Schema(NamedTuple):
    """What a reader of tables must know about a model."""

    features: tuple[Feature, ...]
    names: tuple[str, ...] | None  # None if the model was fitted on a plain matrix
    answer_columns: tuple[str, ...]  # of a result file; no feature has one of these names
    only_numbers: bool  # all features are of type "number"
    only_a_text: bool  # the only feature is free text, so a row may be the text alone

    @classmethod
    def of(cls, features: Sequence[Feature], answers: Sequence[str]) -> Schema:
        names = tuple(feature.name for feature in features)
        only_numbers = all(feature.type == "number" for feature in features)
        only_a_text = [feature.type for feature in features] == ["free_text"]
        known = names if any(names) else None
        return cls(tuple(features), known, tuple(answers), only_numbers, only_a_text)


def parse(fields: Fields, n_inputs: int) -> tuple[Feature, ...]:
    """Read the features of a document. Without preprocessing they are numbers, and none may be missing."""
    preprocessing = fields.nested("preprocessing")
    types, missing = _types(preprocessing) if preprocessing else (["number"] * n_inputs, frozenset[int]())
    for i in missing:
        if types[i] == "free_text":
            raise InvalidModel(f"preprocessing.missing has {i}, which is free text: it is never missing")
    return tuple(
        Feature(name, type_, i in missing or type_ == "unused")
        for i, (name, type_) in enumerate(zip(_names(fields, len(types)), types, strict=True))
    )


def _types(preprocessing: Fields) -> tuple[list[str], frozenset[int]]:
    """Read the type of each feature, and which features may be missing."""
    types = preprocessing.items("types")
    for i, type_ in enumerate(types):
        if type_ not in TYPES:
            raise InvalidModel(
                f"{preprocessing.at('types')}[{i}] is {shown(type_)}; use one of {', '.join(TYPES)}"
            )
    if preprocessing.raw.get("missing", []) == []:
        return types, frozenset()
    return types, frozenset(preprocessing.indices("missing", len(types)).tolist())


def _names(fields: Fields, n_features: int) -> list[str]:
    if fields.raw.get("feature_names_in") is None:
        return [""] * n_features
    found = fields.items("feature_names_in")
    for i, name in enumerate(found):
        if not isinstance(name, str) or not name:
            raise InvalidModel(f"feature_names_in[{i}] is {shown(name)}, not a name")
    check_distinct(found, "feature_names_in")
    _check_forms(found)
    if len(found) != n_features:
        raise InvalidModel(f"feature_names_in has {len(found)} names; the model takes {n_features} features")
    return found


def _check_forms(names: list[str]) -> None:
    """Refuse names that differ only in Unicode form, such as composed and decomposed letters: they look
    alike."""
    seen: set[str] = set()
    for i, name in enumerate(names):
        if normal(name) in seen:
            raise InvalidModel(f"feature_names_in[{i}] repeats {shown(name)} in another Unicode form")
        seen.add(normal(name))


def normal(name: str) -> str:
    """Return a name in Unicode normal form C, in which names are matched."""
    if name.isascii():
        return name
    import unicodedata  # only here: few cold starts need it

    return unicodedata.normalize("NFC", name)


def spelled(found: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return the names; one that differs from a known name only in Unicode form is replaced by it."""
    spelling = {normal(name): name for name in known}
    return [spelling.get(normal(name), name) for name in found]
