"""Read training rows from a file, with the types that the estimator takes.

The estimator decides whether a column holds numbers, booleans or texts, not the column's looks. 01067 stays a
text if the estimator knows texts there, and NA stays a category if it knows one of that name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thimble import spelling
from thimble.errors import InvalidFile, InvalidInput
from thimble.inference.classifier import Classifier
from thimble.inference.features import Feature
from thimble.inference.head import label_text
from thimble.tables import cells
from thimble.tables.header import IDENTIFIERS
from thimble_model.estimators import heads_of
from thimble_model.frames import called, known_names, n_columns
from thimble_model.program import Program, document_keys
from thimble_model.sheets import Nulls, Sheet, opened
from thimble_model.unsupported import Unsupported
from thimble_model.wrappers import classes as classes_of


class Training(NamedTuple):
    """The rows, and the labels if there are any, that a file has for an estimator."""

    rows: pd.DataFrame
    labels: NDArray[Any] | None
    others: list[str]  # columns that were read neither as features nor as labels
    targets: Sequence[str] = ()  # columns that were read as labels


def read(path: Path, estimator: Any, targets: Sequence[str] = (), decimal: str = "") -> Training:
    """Read the features, and the labels if the file has them: the `targets`, or the one column left over."""
    sheet, known = opened(path, decimal), known_names(estimator)
    columns = sheet.columns(known or ())
    names = called(estimator, columns) or _by_position(path, columns, n_columns(estimator), targets)
    features, nulls = _schema(estimator, names, sheet.looks)
    _require(path, columns, [f.name for f in features if f.type != "unused"] + list(targets))
    rows = sheet.table(features, nulls)
    others = [name for name in columns if name not in names and name.lower() not in IDENTIFIERS]
    if targets:
        labels = [_target(sheet, name, classes) for name, classes in _classes_of(estimator, targets)]
        y = np.column_stack(labels) if len(labels) > 1 else labels[0]
        return Training(rows, y, [name for name in others if name not in targets], targets)
    found = _labels(sheet, others, classes_of(estimator))
    return Training(rows, found, others, ()) if found is None else Training(rows, found, [], others)


def rows(path: Path, model: Classifier) -> pd.DataFrame:
    """Return a table of the columns that a document's model takes. Any value may be missing."""
    sheet = opened(path)
    columns = sheet.columns(model.feature_names or ())
    names = model.feature_names or _by_position(path, columns, model.n_features)
    features = [f._replace(name=name, missing=True) for f, name in zip(model.features, names, strict=True)]
    _require(path, columns, [f.name for f in features if f.type != "unused"])
    return sheet.table(features)


def _require(path: Path, columns: Sequence[str], names: Iterable[str]) -> None:
    for name in names:
        if name not in columns:
            if columns and all(map(cells.is_number, columns)):
                raise InvalidFile(f"{path} has no header line: its first line is all numbers")
            raise InvalidFile(f"{path} has no column {name!r}{_misspelled(name, columns)}")


def _misspelled(name: str, columns: Sequence[str]) -> str:
    found = spelling.closest(name, columns)
    return f"; did you mean it by {found!r}?" if found else ""


def _by_position(path: Path, columns: Sequence[str], n: int, targets: Sequence[str] = ()) -> list[str]:
    """Return all columns except an id and the labels.

    Without `targets`, the labels are the last column if there is one too many. Raises InvalidFile if the
    number of columns does not fit.
    """
    found = [name for name in columns if name not in targets and name.lower() not in IDENTIFIERS]
    if not targets and len(found) == n + 1:
        found.pop()
    if len(found) != n:
        raise InvalidFile(
            f"{path} has {len(columns)} columns; {n} features are taken, and their names are "
            "not known: leave only these, in order, and the labels' column last"
        )
    return found


def _schema(
    estimator: Any, names: Sequence[str], looks: Mapping[str, str | None]
) -> tuple[list[Feature], Nulls]:
    """Return the features that the estimator takes, and their missing values.

    If the estimator does not tell their types, as for columns passed through, the looks decide.
    """
    try:
        features, nulls = _taken(estimator, names, [None] * len(names))
    except Unsupported:
        features, nulls = _taken(estimator, names, [looks.get(name) for name in names])
    types = [
        "boolean" if feature.type == "number" and looks.get(feature.name) == "boolean" else feature.type
        for feature in features
    ]
    return [f._replace(type=type_, missing=True) for f, type_ in zip(features, types, strict=True)], nulls


def _taken(
    estimator: Any, names: Sequence[str], types: list[str | None]
) -> tuple[tuple[Feature, ...], Nulls]:
    program = Program(list(names), types)
    heads = heads_of(program, estimator, program.features())
    keys = document_keys(program, heads[0].inputs)
    nulls = {names[i]: null for i, null in program.nulls.items()}
    return _features(names, keys or {"types": ["number"] * len(names), "missing": [], "steps": []}), nulls


def _features(names: Sequence[str], preprocessing: Mapping[str, Any]) -> tuple[Feature, ...]:
    """Return the features that a document with this preprocessing takes."""
    known: dict[int, set[str]] = {}
    for step in preprocessing["steps"]:
        if step["op"] == "encode":
            texts = (category for category in step["categories"] if isinstance(category, str))
            known.setdefault(step["column"], set()).update(texts)
    return tuple(
        Feature(name, type_, i in preprocessing["missing"] or type_ == "unused", frozenset(known.get(i, ())))
        for i, (name, type_) in enumerate(zip(names, preprocessing["types"], strict=True))
    )


Classes = Sequence[Any]


def _classes_of(estimator: Any, targets: Sequence[str]) -> list[tuple[str, Classes]]:
    """Return the classes of each target; the targets of a multilabel estimator hold 0 and 1."""
    classes = classes_of(estimator)
    if isinstance(classes, list):
        return list(zip(targets, (found.tolist() for found in classes), strict=False))
    return [(name, classes.tolist() if len(targets) == 1 else [0, 1]) for name in targets]


def _type(classes: Classes) -> str:
    if all(isinstance(label, str) for label in classes):
        return "text"
    return "boolean" if all(isinstance(label, bool) for label in classes) else "number"


def _target(sheet: Sheet, name: str, classes: Classes) -> NDArray[Any]:
    """Return a column of labels in the classes' type.

    If it cannot be read so, another type is tried, so that scikit-learn can refuse the labels itself.
    """
    types = dict.fromkeys((_type(classes), "number", "boolean", "text"))
    faults: list[InvalidInput] = []
    for type_ in types:
        try:
            return _column(sheet, name, type_, classes)
        except InvalidInput as error:
            faults.append(error)
    raise faults[0]


def _labels(sheet: Sheet, others: Sequence[str], classes: Any) -> NDArray[Any] | None:
    """Return the one column that is left over if all its values are classes, else None."""
    if len(others) != 1 or isinstance(classes, list):  # a list has the classes of each output
        return None
    known = classes.tolist()
    for type_ in dict.fromkeys((_type(known), "boolean" if _type(known) == "number" else _type(known))):
        try:
            found = _column(sheet, others[0], type_, known)
        except InvalidInput:
            continue
        return found if set(found.tolist()) <= set(known) else None
    return None


def _column(sheet: Sheet, name: str, type_: str, classes: Classes) -> NDArray[Any]:
    texts = frozenset(map(label_text, classes))
    values = sheet.table([Feature(name, type_, False, texts)])[name].to_numpy()
    whole = type_ == "number" and all(isinstance(label, int) for label in classes)
    integers: NDArray[Any] = values.astype(np.int64) if whole else values
    return integers if (integers == values).all() else values
