"""`thimble diff`: two models side by side, and how far they agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from rich.table import Table as Grid
from rich.text import Text

from thimble.inference.classifier import Classifier, load
from thimble.inference.predictions import Predictions, Scores
from thimble_infra import versions
from thimble_model import reading
from thimble_model.check import Check, example_rows, facts
from thimble_model.commands import read_document
from thimble_model.frames import as_batch
from thimble_model.unsupported import refusing


def diff(one: str, other: str, data: Path | None, at: str, endpoint_url: str | None) -> None:
    checks = [_check(model, at, endpoint_url) for model in (one, other)]
    agreements = _agreements(checks[0].classifier, checks[1].classifier, (one, other), data)
    console = versions.console()
    console.print(_differences(checks[0], checks[1], (one, other)))
    for line in agreements:
        console.print(line, markup=False)


def _check(model: str, at: str, endpoint_url: str | None) -> Check:
    document = _document(model, at, endpoint_url)
    with refusing(model):
        return Check(load(document), len(document), None, None)


def _document(model: str, at: str, endpoint_url: str | None) -> bytes:
    """A file of that name, or else what is published."""
    path = Path(model)
    if path.is_file() or path.suffix == ".json":
        return read_document(path)
    name, _, version = model.partition("@")
    return versions.Keeper(at, endpoint_url).document(name, version)


def _differences(one: Check, other: Check, titles: tuple[str, str]) -> Grid:
    """The lines of the two cards that are not the same."""
    cards = [_card(check) for check in (one, other)]
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for title in ("", *titles):
        grid.add_column(title, overflow="fold")
    for line in dict.fromkeys([*cards[0], *cards[1]]):
        texts = [card.get(line, "") for card in cards]
        if texts[0] != texts[1]:
            grid.add_row(Text(line, style="bold"), *map(Text, texts))
    return grid


def _card(check: Check) -> dict[str, str]:
    lines: dict[str, list[str]] = {}
    title = ""
    for found, text in facts(check):
        title = found or title  # a line without a title goes on with the one before
        lines.setdefault(title, []).append(text)
    return {title: "\n".join(texts) for title, texts in lines.items()}


def _agreements(one: Classifier, other: Classifier, titles: tuple[str, str], data: Path | None) -> list[str]:
    if _meaning(one) != _meaning(other):
        return [
            "They take other features or answer in other classes: there is nothing to compare row by row."
        ]
    tables = {}
    for title, model in zip(titles, (one, other), strict=True):
        if rows := example_rows(model.document):
            tables[f"the examples of {title}"] = pd.DataFrame(rows, columns=model.feature_names)
    if data is not None:
        tables[str(data)] = reading.rows(data, one)
    lines = [f"On {where}: {_agreement(one, other, table)}" for where, table in tables.items()]
    return lines or ["Neither has examples; --data FILE compares them on rows."]


def _meaning(model: Classifier) -> tuple[object, ...]:
    """What must be equal for an answer of the one to be held against an answer of the other."""
    features = sorted((feature.name, feature.type) for feature in model.features)
    return model.n_features, features, [(head.name, head.texts, head.multilabel) for head in model.heads]


def _agreement(one: Classifier, other: Classifier, table: pd.DataFrame) -> str:
    found = [model.predict(as_batch(model.features, _of(model, table))) for model in (one, other)]
    rejected = [sorted(predictions.rejected) for predictions in found]
    both = ~np.isin(np.arange(len(table)), rejected[0] + rejected[1])
    same = _labels_agree(found[0], found[1])
    far = max(_distance(a, b, both) for a, b in zip(found[0].outputs, found[1].outputs, strict=True))
    labels = f"the same labels for {int((same & both).sum())} of {int(both.sum())} rows"
    text = f"{labels}, probabilities within {far:.2g}"
    neither, either = set(rejected[0]) & set(rejected[1]), set(rejected[0]) ^ set(rejected[1])
    counts = {"both of them reject": len(neither), "only one of them rejects": len(either)}
    return text + "".join(f"; rows that {who}: {count}" for who, count in counts.items() if count)


def _of(model: Classifier, table: pd.DataFrame) -> pd.DataFrame:
    """Columns by name, in the model's own order, where it has names."""
    return table[list(model.feature_names)] if model.feature_names else table


def _labels_agree(one: Predictions, other: Predictions) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    agree = np.ones(one.n_rows, np.bool_)
    for a, b in zip(one.outputs, other.outputs, strict=True):
        agree &= (a.mask == b.mask).all(axis=0) if len(a.mask) else a.labels == b.labels
    return agree


def _distance(one: Scores, other: Scores, rows: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float:
    return float(np.abs(one.probabilities - other.probabilities)[:, rows].max(initial=0.0))
