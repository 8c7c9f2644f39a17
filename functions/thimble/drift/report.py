"""Measure how far a model's requests have moved from its training data.

- PSI, the population stability index: Σ (q - p) log(q / p) over the bins' shares; it is moderate from 0.1 on
  and large from 0.25 on. Empty bins are filled as evidently does (`get_binned_data` of its stattests).
- The Jensen-Shannon distance to base 2, with an alert above 0.1, as in nannyml's univariate drift: values
  outside the reference's range go into a bin of their own.

Missing values are a bin too: a column that becomes empty has moved. There is no verdict on fewer than
FEWEST_ROWS rows. If nothing moved, PSI is distributed as (1/n + 1/m) times chi squared (B. Yurdakul,
"Statistical Properties of Population Stability Index", 2018), and the squared distance is about PSI / (8 log
2). `chance` is the distance that is then exceeded in one of 10,000 reports. An alert within it is a small
sample, not drift.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from thimble.drift.counting import unpacked
from thimble.drift.recent import Watched
from thimble.inference.classifier import Classifier
from thimble.inference.normal import inverse_normal
from thimble.inference.reference import Categories, Counts, Numbers

FEWEST_ROWS = 200
LISTED = 10  # at most so many classes get a log line each, and so many drifted features are named
PSI_MODERATE, PSI_LARGE = 0.1, 0.25
JS_ALERT = 0.1
CHANCE = 1e-4  # probability of a false alarm in one report

COUNTS = (
    "edges",
    "categories",
    "labels",
    "multilabel",
    "reference",
    "observed",
)  # keys of an entry that are copied, not computed
INNER = ("unknown", "winning")  # keys of an entry that hold further entries

Entry = dict[str, Any]


def report(model: Classifier | Watched, counts: Counts) -> Entry | None:
    """Return the report on a vector of counts; None for a model without a reference."""
    reference = model.reference
    if reference is None:
        return None
    found = unpacked(reference, counts)
    names = [feature.name or f"feature {k}" for k, feature in enumerate(model.features)]
    features = {names[k]: _entry(reference.features[k], found.features[k]) for k in sorted(found.features)}
    for k, shares in found.unknown.items():
        features[names[k]]["unknown"] = _entry(reference.unknown[k], shares)
    predictions = [
        {
            "output": head.name,
            "multilabel": head.multilabel,
            "labels": list(head.texts),
            "reference": predicted.classes.tolist(),
            "observed": classes.tolist(),
            "winning": _entry(predicted.winning, winning),
        }
        for head, predicted, classes, winning in zip(
            model.heads, reference.outputs, found.classes, found.winning, strict=True
        )
    ]
    return _judged(found.rows, reference.rows, features, predictions)


def predicted(model: Classifier | Watched, counts: Counts) -> dict[str, int]:
    """Return how often each label was predicted. With several outputs, the keys are "output.label"."""
    assert model.reference is not None
    return {
        f"{head.name}.{text}" if head.name else text: n
        for head, times in zip(model.heads, unpacked(model.reference, counts).classes, strict=True)
        for text, n in zip(head.texts, times.tolist(), strict=True)
    }


def merged(reports: Sequence[Entry]) -> Entry:
    """Return one report on the rows of several reports, all of the same model."""

    def added(entries: Sequence[Entry]) -> Entry:
        inner = {key: added([entry[key] for entry in entries]) for key in INNER if key in entries[0]}
        observed = np.sum([entry["observed"] for entry in entries], axis=0).tolist()
        return {**entries[0], "observed": observed, **inner}

    first = reports[0]
    features = {name: added([found["features"][name] for found in reports]) for name in first["features"]}
    predictions = [
        added(entries) for entries in zip(*(found["predictions"] for found in reports), strict=True)
    ]
    return _judged(sum(found["rows"] for found in reports), first["reference_rows"], features, predictions)


def _entry(bins: Numbers | Categories | None, observed: Counts) -> Entry:
    """Return the counts of a feature, or of winning numbers, in the order of `counting.counted`."""
    assert bins is not None
    if isinstance(bins, Numbers):
        edges, reference = {"edges": bins.edges.tolist()}, [bins.missing, 0, *bins.counts.tolist(), 0]
        return {**edges, "reference": reference, "observed": observed.tolist()}
    reference = [bins.missing, bins.other, *bins.counts.tolist()]
    return {"categories": list(bins.names), "reference": reference, "observed": observed.tolist()}


def _judged(rows: int, reference_rows: int, features: dict[str, Entry], predictions: list[Entry]) -> Entry:
    compared = len(list(named(features, predictions)))
    scale = Scale(rows, reference_rows, CHANCE / compared)
    features = {name: _feature(scale, entry) for name, entry in features.items()}
    predictions = [
        {
            "output": entry["output"],
            **scale.classes(entry),
            **_counts(entry),
            "winning": _feature(scale, entry["winning"]),
        }
        for entry in predictions
    ]
    drifted = [name for name, entry in named(features, predictions) if moved(entry)]
    return {
        "rows": rows,
        "reference_rows": reference_rows,
        "verdict": scale.verdict("drift" if drifted else "stable"),
        "drifted": drifted,
        "features": features,
        "predictions": predictions,
    }


def _feature(scale: Scale, entry: Entry) -> Entry:
    found = {**scale.bins(entry), **_counts(entry)}
    return {**found, "unknown": _feature(scale, entry["unknown"])} if "unknown" in entry else found


def _counts(entry: Entry) -> Entry:
    return {key: entry[key] for key in COUNTS if key in entry}


def named(features: dict[str, Entry], predictions: list[Entry]) -> Iterator[tuple[str, Entry]]:
    """Yield everything that is compared, each with a readable name."""
    yield from by_feature(features)
    for entry in predictions:
        of = f" of {entry['output']}" if entry["output"] else ""
        yield f"prediction{of}", entry
        yield f"winning probability{of}", entry["winning"]


def moved(entry: Entry) -> bool:
    """Return whether an entry is out of bounds by more than chance."""
    return bool(entry["alert"] and entry["js"] > entry["chance"])


def by_feature(features: dict[str, Entry]) -> Iterator[tuple[str, Entry]]:
    """Yield each feature by name; a free text is followed by its unknown terms."""
    for name, entry in features.items():
        yield name, entry
        if "unknown" in entry:
            yield f"unknown terms of {name}", entry["unknown"]


def ranked(found: Entry) -> list[tuple[str, Entry]]:
    """Return everything that a report compares, the largest distance first."""
    return sorted(named(found["features"], found["predictions"]), key=lambda item: -item[1]["js"])


@dataclass(frozen=True)
class Scale:
    """Judges distances between shares, by the number of rows behind them."""

    rows: int
    reference_rows: int
    chance: float  # probability of a false alarm in one comparison

    def bins(self, entry: Entry) -> Entry:
        """Compare the bins of a feature. All values outside a number's edges are one bin."""
        reference, observed = entry["reference"], entry["observed"]
        if "edges" in entry:
            reference, observed = _outside_first(reference), _outside_first(observed)
        missing, outside, *_ = observed
        return {
            **self.compared(reference, observed),
            "missing": self.share(missing),
            "out_of_range": self.share(outside),
        }

    def classes(self, entry: Entry) -> Entry:
        """Compare the classes of an output. In a multilabel output each label is compared alone, as present
        or absent; the result is that of the label that moved most."""
        pairs = list(zip(entry["reference"], entry["observed"], strict=True))
        if entry["multilabel"]:
            each = [self.compared([self.reference_rows - m, m], [self.rows - n, n]) for m, n in pairs]
            found = max(each, key=lambda distances: distances["js"])
        else:
            found = self.compared(entry["reference"], entry["observed"])
        shares = [self.share(n) for _, n in pairs]
        return {**found, "classes": dict(zip(entry["labels"], shares, strict=True))}

    def compared(self, reference: Sequence[int], observed: Sequence[int]) -> Entry:
        """Return the distances between two distributions over the same bins, and their verdicts."""
        there = [(m, n) for m, n in zip(reference, observed, strict=True) if m or n]
        p = [m / max(self.reference_rows, 1) for m, _ in there]
        q = [n / max(self.rows, 1) for _, n in there]
        stability, distance = psi(p, q), jensen_shannon(p, q)
        return {
            "psi": round(stability, 6),
            "js": round(distance, 6),
            "chance": round(self.noise(len(p)), 6),
            "verdict": self.verdict(_size(stability)),
            "alert": self.verdict(distance > JS_ALERT),
        }

    @cached_property
    def z(self) -> float:
        """The number that a standard normal variable exceeds with probability `chance`."""
        return float(inverse_normal(np.array([1 - self.chance]))[0])

    def verdict(self, found: Any) -> Any:
        return found if self.rows >= FEWEST_ROWS else None

    def share(self, n: int) -> float:
        return round(n / max(self.rows, 1), 6)

    def noise(self, bins: int) -> float:
        """Return the distance that is exceeded with probability `chance` if nothing moved. Chi squared is
        approximated after Wilson and Hilferty."""
        k = max(bins - 1, 1)
        chi_squared = k * (1 - 2 / (9 * k) + self.z * math.sqrt(2 / (9 * k))) ** 3
        stability = (1 / max(self.rows, 1) + 1 / max(self.reference_rows, 1)) * chi_squared
        return min(1.0, math.sqrt(stability / (8 * math.log(2))))


def _size(stability: float) -> str:
    if stability < PSI_MODERATE:
        return "stable"
    return "moderate" if stability < PSI_LARGE else "large"


def _outside_first(counts: Sequence[int]) -> list[int]:
    """Turn [missing, below, *bins, above] into [missing, below + above, *bins]."""
    missing, below, *bins, above = counts
    return [missing, below + above, *bins]


# For a dozen bins, plain Python is faster than arrays.


def psi(p: Sequence[float], q: Sequence[float]) -> float:
    return sum((b - a) * math.log(b / a) for a, b in zip(_filled(p), _filled(q), strict=True))


def _filled(shares: Sequence[float]) -> list[float]:
    smallest = min((share for share in shares if share > 0), default=1.0)
    empty = smallest / 1e6 if smallest <= 1e-4 else 1e-4
    return [share if share > 0 else empty for share in shares]


def jensen_shannon(p: Sequence[float], q: Sequence[float]) -> float:
    """Return the Jensen-Shannon distance, between 0 and 1."""
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return math.sqrt(max(0.0, (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2))


def _relative_entropy(p: Sequence[float], q: Sequence[float]) -> float:
    """Return the relative entropy of p to q in bits; empty bins of p add nothing."""
    return sum(a * math.log2(a / b) for a, b in zip(p, q, strict=True) if a > 0)


class Observed(NamedTuple):
    """What a report becomes: log lines, and the value of the metric for the alarm."""

    lines: list[tuple[str, Entry]]  # messages with their fields
    drifted: bool | None  # None: the rows are too few for a verdict


def of_minute(model: Watched, window: Counts, minute: Counts) -> Observed:
    """Judge the window. The numbers of rows and labels are those of the last minute."""
    found = report(model, window)
    assert found is not None
    return observed(found, predicted(model, minute), int(minute[0]), model.name, model.digest)


def observed(found: Entry, labels: Mapping[str, int], rows: int, name: str, digest: str) -> Observed:
    """Return the log lines of a report: the worst values of its features and of its predictions, the number
    of new rows (`rows`), and how often they got each label (`labels`)."""
    model = {"model_name": name, "model_digest": digest}
    lines = [("watched", {**model, "rows": rows, **_shares(found), **_verdict(found)})]
    for label, times in _bounded(labels).items():
        lines.append(("predicted", {**model, "class": label, "predicted": times}))
    return Observed(lines, None if found["verdict"] is None else bool(found["drifted"]))


def _shares(found: Entry) -> dict[str, float]:
    features = found["features"].values()
    return {
        "missing_share": max((entry["missing"] for entry in features), default=0.0),
        "out_of_range_share": max((entry["out_of_range"] for entry in features), default=0.0),
    }


def _verdict(found: Entry) -> Entry:
    """Return the fields of the verdict; none if there are too few rows for one."""
    if found["verdict"] is None:
        return {}
    features, predictions = [entry for _, entry in by_feature(found["features"])], found["predictions"]
    return {
        "drift_rows": found["rows"],
        "drifted": found["drifted"][:LISTED],
        "drifted_in_all": len(found["drifted"]),
        "feature_psi": max((entry["psi"] for entry in features), default=0.0),
        "feature_js": max((entry["js"] for entry in features), default=0.0),
        "prediction_psi": max(entry["psi"] for entry in predictions),
        "prediction_js": max(entry["js"] for entry in predictions),
        "confidence_js": max(entry["winning"]["js"] for entry in predictions),
    }


def _bounded(labels: Mapping[str, int]) -> dict[str, int]:
    """Return the LISTED most frequent labels, and all others together as "others"."""
    found = sorted(((label, n) for label, n in labels.items() if n), key=lambda item: -item[1])
    bounded = dict(found[:LISTED])
    if others := found[LISTED:]:
        bounded["others"] = bounded.get("others", 0) + sum(n for _, n in others)
    return bounded
