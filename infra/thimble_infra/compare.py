"""`thimble diff`: compare two models, and show how far they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.table import Table as Grid
from rich.text import Text

from thimble.inference.classifier import Classifier
from thimble.inference.predictions import Predictions, Scores
from thimble_infra import given, printing
from thimble_infra.stacks import Registry
from thimble_model import reading
from thimble_model.check import Check, example_rows, facts
from thimble_model.describe import quoted
from thimble_model.frames import as_batch

MOST_NAMES = 20


def diff(one: str, other: str, data: Path | None, registry: Registry, *, as_json: bool) -> None:
    checks = [_check(model, registry) for model in (one, other)]
    titles = [_title(text, check) for text, check in zip((one, other), checks, strict=True)]
    compared = _compared(checks[0].classifier, checks[1].classifier, titles, data)
    differing = _differing(checks[0], checks[1])
    if as_json:
        printing.as_json(
            {
                "models": [_identity(check) for check in checks],
                "differences": [{"line": line, "texts": texts} for line, texts in differing],
                "features": _features_as_json(checks[0].classifier, checks[1].classifier),
                "agreements": [asdict(agreement) for agreement in compared],
            }
        )
        return
    console = printing.fitted()
    console.print(_differences(differing, titles))
    for line in _sentences(checks[0].classifier, checks[1].classifier, compared):
        console.print(line, markup=False)


def _check(model: str, registry: Registry) -> Check:
    document = given.model(model, registry)
    return Check(document.loaded(), len(document.data), None, None)


def _title(text: str, check: Check) -> str:
    """Return the model as it was given, with its version."""
    short = check.classifier.digest[:12]
    return text if short in text else f"{text} ({short})"


def _identity(check: Check) -> dict[str, str]:
    return {"name": check.classifier.name, "digest": check.classifier.digest}


def _differing(one: Check, other: Check) -> list[tuple[str, list[str]]]:
    """Return the lines that differ between the two cards."""
    cards = [_card(check) for check in (one, other)]
    lines = dict.fromkeys([*cards[0], *cards[1]])
    found = [(line, [card.get(line, "") for card in cards]) for line in lines]
    return [(line, texts) for line, texts in found if texts[0] != texts[1]]


def _differences(differing: list[tuple[str, list[str]]], titles: Sequence[str]) -> Grid:
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for title in ("", *titles):
        grid.add_column(title, overflow="fold")
    for line, texts in differing:
        grid.add_row(Text(line, style="bold"), *map(Text, texts))
    return grid


def _card(check: Check) -> dict[str, str]:
    lines: dict[str, list[str]] = {}
    title = ""
    for found, text in facts(check):
        title = found or title  # a line without a title continues the one before
        lines.setdefault(title, []).append(text)
    return {title: "\n".join(texts) for title, texts in lines.items()}


@dataclass(frozen=True)
class Agreement:
    """How far two models agree on the same rows."""

    rows_of: str
    rows: int  # rows that both of them answer
    same_labels: int
    farthest: float  # the largest difference of a probability
    rejected_by_both: int
    rejected_by_one: int

    def __str__(self) -> str:
        labels = f"the same labels for {self.same_labels} of {self.rows} rows"
        text = f"On {self.rows_of}: {labels}, probabilities within {self.farthest:.2g}"
        counts = {
            "both of them reject": self.rejected_by_both,
            "only one of them rejects": self.rejected_by_one,
        }
        return text + "".join(f"; rows that {who}: {count}" for who, count in counts.items() if count)


def _compared(
    one: Classifier, other: Classifier, titles: Sequence[str], data: Path | None
) -> list[Agreement]:
    if _meaning(one) != _meaning(other):
        return []
    tables = {}
    for title, model in zip(titles, (one, other), strict=True):
        if rows := example_rows(model.document):
            tables[f"the examples of {title}"] = pd.DataFrame(rows, columns=model.feature_names)
    if data is not None:
        tables[str(data)] = reading.rows(data, one)
    return [_agreement(one, other, where, table) for where, table in tables.items()]


def _sentences(one: Classifier, other: Classifier, compared: Sequence[Agreement]) -> list[str]:
    found = _feature_sentences(one, other)
    if compared:
        return [*found, *map(str, compared)]
    if _meaning(one) == _meaning(other):
        return [*found, "Neither has examples; --data FILE compares them on rows."]
    return [
        *found,
        "They take other features or answer in other classes: there is nothing to compare row by row.",
    ]


def _features_as_json(one: Classifier, other: Classifier) -> dict[str, list[str]]:
    """Return the features that only one of the two takes, and those whose type or missing values differ."""
    ours, theirs = ({feature.name: feature for feature in model.features} for model in (one, other))
    both = [name for name in ours if name in theirs]
    return {
        "only_in_first": [name for name in ours if name not in theirs],
        "only_in_second": [name for name in theirs if name not in ours],
        "changed": [name for name in both if ours[name][:3] != theirs[name][:3]],
    }


def _feature_sentences(one: Classifier, other: Classifier) -> list[str]:
    found = _features_as_json(one, other)
    titles = {"only_in_first": "Only the first takes", "only_in_second": "Only the second takes"}
    titles["changed"] = "Of another type, or may be missing in one alone"
    return [f"{title}: {_listed(found[key])}." for key, title in titles.items() if found[key]]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(map(quoted, names[:MOST_NAMES])) + more


def _meaning(model: Classifier) -> tuple[object, ...]:
    """Return what must be equal for the answers of two models to be comparable."""
    features = sorted((feature.name, feature.type) for feature in model.features)
    return model.n_features, features, [(head.name, head.texts, head.multilabel) for head in model.heads]


def _agreement(one: Classifier, other: Classifier, where: str, table: pd.DataFrame) -> Agreement:
    found = [model.predict(as_batch(model.features, _of(model, table))) for model in (one, other)]
    rejected = [sorted(predictions.rejected) for predictions in found]
    both = ~np.isin(np.arange(len(table)), rejected[0] + rejected[1])
    same = _labels_agree(found[0], found[1])
    far = max(_distance(a, b, both) for a, b in zip(found[0].outputs, found[1].outputs, strict=True))
    neither, either = set(rejected[0]) & set(rejected[1]), set(rejected[0]) ^ set(rejected[1])
    return Agreement(where, int(both.sum()), int((same & both).sum()), far, len(neither), len(either))


def _of(model: Classifier, table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns in the model's own order if it has names, else the table unchanged."""
    return table[list(model.feature_names)] if model.feature_names else table


def _labels_agree(one: Predictions, other: Predictions) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    agree = np.ones(one.n_rows, np.bool_)
    for a, b in zip(one.outputs, other.outputs, strict=True):
        agree &= (a.mask == b.mask).all(axis=0) if len(a.mask) else a.labels == b.labels
    return agree


def _distance(one: Scores, other: Scores, rows: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float:
    return float(np.abs(one.probabilities - other.probabilities)[:, rows].max(initial=0.0))
