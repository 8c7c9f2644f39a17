"""Turn fitted transformers of category_encoders and feature_engine into steps.

Each transforms a column by itself. So it is asked for every category that it knows, for a missing value and
for an unknown one. The classes are recognized by the names of their modules; neither library is imported.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from thimble_model.encoders import coded
from thimble_model.forms import is_missing
from thimble_model.frames import pandas
from thimble_model.program import Code, Column, Others, Program
from thimble_model.unsupported import Unsupported

Columns = list[Column]


def _by_category(program: Program, estimator: Any, columns: Columns) -> Columns:
    """Encode each category as a number or as one-hot columns; pass other columns through unchanged.

    The columns are in the order of the estimator's answer.
    """
    if getattr(estimator, "composite_members_", None):
        raise Unsupported("composite_cols; make them one column before the pipeline, and fit again")
    names = list(estimator.feature_names_in_)
    known = _categories(estimator)
    samples = {name: known[name][0] if name in known else 0.0 for name in names}
    given = _answers(estimator, samples, names[0], [samples[names[0]]])
    made: dict[Any, Column] = {}
    for name, column in zip(names, columns, strict=True):
        if name not in known:
            made[name] = column
            continue
        present = [place for place in _owned(estimator, name, known[name]) if place in given]
        found = _columns(program, estimator, column, samples, name, known[name], present)
        made |= dict(zip(present, found, strict=True))
    return [made[name] for name in given]


def _columns(
    program: Program,
    estimator: Any,
    column: Column,
    samples: dict[Any, Any],
    name: Any,
    known: list[Any],
    places: list[Any],
) -> Columns:
    """Return the columns that one column becomes."""
    if not places:
        return []

    def ask(values: list[Any]) -> list[Code]:
        try:
            answers = _answers(estimator, samples, name, values)
        except (ValueError, KeyError):  # it refuses an unknown or a missing value
            return [None] * len(values)
        if places == [name]:
            return [float(value) for value in answers[name]]
        rows = np.column_stack([np.asarray(answers[place], np.float64) for place in places])
        return [_place_of_one(row) for row in rows]

    code = coded(program, column, known, ask)
    if places == [name]:
        return [code]
    return program.add("one_hot", [code.index], width=len(places), sizes=[len(places)])


def _place_of_one(row: Any) -> float:
    if np.isnan(row).any():
        return float("nan")
    ones = np.flatnonzero(row)
    if len(ones) > 1:
        raise Unsupported("a category has several columns of 1")
    return float(ones[0]) if len(ones) else -1.0


def _answers(estimator: Any, samples: dict[Any, Any], name: Any, values: list[Any]) -> dict[Any, list[Any]]:
    """Return the estimator's answers, by column name, to sample rows that differ only in column `name`."""
    columns = {one: [value] * len(values) for one, value in samples.items()} | {name: values}
    rows = pandas().DataFrame({one: pandas().Series(found, dtype=object) for one, found in columns.items()})
    known = _categories(estimator)
    numbers = [one for one in samples if one not in known]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = estimator.transform(rows.astype(dict.fromkeys(numbers, float)))
    if not hasattr(found, "columns"):
        found = pandas().DataFrame(found, columns=list(estimator.get_feature_names_out()))
    return {one: found[one].tolist() for one in found.columns}


def _categories(estimator: Any) -> dict[Any, list[Any]]:
    """Return the known categories of each encoded column, for feature_engine or category_encoders."""
    if hasattr(estimator, "encoder_dict_"):
        return {name: list(found) for name, found in estimator.encoder_dict_.items()}
    mapping = getattr(estimator, "ordinal_encoder", estimator).mapping
    return {one["col"]: list(pandas().Series(one["mapping"]).index) for one in mapping}


def _owned(estimator: Any, name: Any, known: list[Any]) -> list[Any]:
    """Return the names of the answer's columns that an encoded column becomes."""
    if type(estimator).__name__ != "OneHotEncoder":
        return [name]
    if hasattr(estimator, "encoder_dict_"):
        return [f"{name}_{category}" for category in known]
    return next(list(one["mapping"].columns) for one in estimator.mapping if one["col"] == name)


def _filled(program: Program, estimator: Any, columns: Columns) -> Columns:
    """Fill missing values as feature_engine's imputers do."""
    made = []
    for name, column in zip(estimator.feature_names_in_, columns, strict=True):
        fill = estimator.imputer_dict_.get(name)
        if fill is None:
            made.append(column)
        elif isinstance(fill, str):
            program.settle(column, "text")
            made.append(column.replacing(None, fill))
        else:
            made += program.add(
                "impute", program.numbers([column]), keeps_missing=False, values=np.array([float(fill)])
            )
    return made


def _rare(program: Program, estimator: Any, columns: Columns) -> Columns:
    """Replace all texts that feature_engine's RareLabelEncoder does not keep by one text."""
    made = []
    for name, column in zip(estimator.feature_names_in_, columns, strict=True):
        kept = estimator.encoder_dict_.get(name)
        if kept is None:
            made.append(column)
            continue
        texts = [text for text in kept if not is_missing(text)]
        if not all(isinstance(text, str) for text in [*texts, estimator.replace_with]):
            raise Unsupported(f"{program.describe(column)} is of numbers; make texts of them before it")
        program.settle(column, "text")
        if estimator.missing_values == "raise":
            program.refuse_missing([column])
        made.append(column.replacing(Others(frozenset(texts)), estimator.replace_with))
    return made


OTHERS: dict[str, Callable[[Program, Any, Columns], Columns]] = {
    **{
        f"category_encoders.{name}": _by_category
        for name in ("CountEncoder", "OneHotEncoder", "OrdinalEncoder", "TargetEncoder")
    },
    **{
        f"feature_engine.{name}": _by_category
        for name in ("CountFrequencyEncoder", "MeanEncoder", "OneHotEncoder", "OrdinalEncoder")
    },
    **{
        f"feature_engine.{name}": _filled
        for name in ("ArbitraryNumberImputer", "CategoricalImputer", "MeanMedianImputer")
    },
    "feature_engine.RareLabelEncoder": _rare,
}
