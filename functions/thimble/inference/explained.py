"""Explanations in the form of an answer: JSON with the largest contributions first, and table columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from thimble.inference.asked import ALL, Asked, Cell, Column, Further
from thimble.inference.batch import Batch
from thimble.inference.document import Document
from thimble.inference.explain import back, contributions
from thimble.inference.explain.contributions import Contributions
from thimble.inference.features import Feature
from thimble.inference.head import Head
from thimble.inference.predictions import Predictions

PARTS = 2_000_000  # contributions that are written at once


def questions(document: Document, asked: Asked) -> Iterator[Further]:
    """Yield a `Further` for each output: the explanation of its answer."""
    used = [i for i, feature in enumerate(document.schema.features) if feature.type != "unused"]
    names = [_name(i, document.schema.features[i]) for i in used]
    most = _most_rows(document, len(used))
    values = partial(_explanations, used, asked)
    for k, head in enumerate(document.heads):
        prefix = f"{head.prefix}why"
        base = Column(f"{prefix}_base", numbers=True)
        if asked.explain == ALL:
            columns = [Column(f"{prefix}_{name}", numbers=True) for name in names]
            yield Further("explanation", k, (base, *columns), values, partial(_each, names), most)
        else:
            n = min(asked.explain, len(used))
            places = (column for i in range(1, n + 1) for column in _place(f"{prefix}_{i}"))
            whose, rest = Column(f"{prefix}_class", numbers=False), Column(f"{prefix}_rest", numbers=True)
            yield Further("explanation", k, (whose, base, *places, rest), values, _largest, most)


def _most_rows(document: Document, parts: int) -> int:
    """Return how many rows are explained at once, with so many contributions each; forests set limits of
    their own."""
    plans = (back.plan(document, output) for output in document.outputs)
    forests = [part.forest for plan in plans for part in plan.grown]
    most = PARTS // max(1, parts)
    if forests:
        from thimble.inference.explain import trees  # only here: other models do not need it

        most = min(most, *map(trees.most_rows, forests))
    return max(1, most)


def _place(name: str) -> Iterator[Column]:
    yield Column(name, numbers=False)
    yield Column(f"{name}_value", numbers=False)
    yield Column(f"{name}_contribution", numbers=True)


def _name(i: int, feature: Feature) -> str | int:
    return feature.name or i


def _each(names: Sequence[str | int], value: Any) -> list[Cell]:
    found = {part["feature"]: part["contribution"] for part in value["contributions"]}
    return [value["base"], *(found[name] for name in names)]


def _largest(value: Any) -> list[Cell]:
    cells: list[Cell] = [value["class"], value["base"]]
    for part in value["contributions"]:
        cells += [str(part["feature"]), part["value"], part["contribution"]]
    return [*cells, value["rest"]]


def _explanations(
    used: Sequence[int], asked: Asked, classifier: Any, batch: Batch, predictions: Predictions
) -> list[list[dict[str, Any]]]:
    """Return for each output one explanation per row; those of rejected rows are meaningless."""
    document: Document = classifier.document
    columns = [_column(document.schema.features[i], i, batch) for i in used]
    return [
        _told(document, head, found, used, columns, asked.explain)
        for head, found in zip(
            document.heads, contributions.of(document, batch, predictions, asked.of), strict=True
        )
    ]


def _told(
    document: Document,
    head: Head,
    found: Contributions,
    used: Sequence[int],
    columns: Sequence[Sequence[Any]],
    explain: int,
) -> list[dict[str, Any]]:
    phi = found.features[used]  # (features that are used, rows)
    order = np.argsort(-np.abs(phi), axis=0, kind="stable").T.tolist()
    told = []
    for row, (values, places) in enumerate(zip(phi.T.tolist(), order, strict=True)):
        most = places if explain == ALL else places[:explain]
        one = {
            "class": head.classes[found.classes[row]],
            "score": float(found.score[row]),
            "base": float(found.base[row]),
            "contributions": [
                {
                    "feature": _name(used[j], document.schema.features[used[j]]),
                    "value": columns[j][row],
                    "contribution": values[j],
                    **_tokens(found, used[j], row),
                }
                for j in most
            ],
        }
        if explain != ALL:
            one["rest"] = float(sum(values[j] for j in places[explain:]))
        told.append(one)
    return told


def _column(feature: Feature, i: int, batch: Batch) -> list[Any]:
    """Return the values of a feature as they were sent; None is missing."""
    if feature.textual:
        texts: list[Any] = batch.texts[i].tolist()
        return texts
    values = batch.numbers[i].tolist()
    if feature.type == "boolean":
        return [None if value != value else bool(value) for value in values]
    return [None if value != value else value for value in values]


def _tokens(found: Contributions, feature: int, row: int) -> dict[str, Any]:
    """Return the contributing words of a free text; nothing for other features."""
    if feature not in found.tokens:
        return {}
    return {"tokens": [token._asdict() for token in found.tokens[feature][row]]}
