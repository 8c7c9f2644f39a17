"""Read the local API's traffic from its log: requests, canaries, shadows, and drift by the minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

COUNTED = ("rows", "canary_rows", "shadow_rows", "shadow_disagreements", "shadow_failed")


@dataclass
class Traffic:
    requests: int = 0
    failed: int = 0  # answered with 400 or more
    counts: dict[str, int] = field(default_factory=dict)  # sums of the fields in COUNTED
    watched: dict[str, dict[str, Any]] = field(default_factory=dict)  # by model: the last minute's drift
    predicted: dict[str, dict[str, int]] = field(default_factory=dict)  # by model: each class's count


def read(lines: Iterable[str]) -> Traffic:
    found, counts = Traffic(), Counter[str]()
    for line in lines:
        if not line.startswith("{"):
            continue
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        _add(found, counts, entry)
    found.counts = dict(counts)
    return found


def _add(found: Traffic, counts: Counter[str], entry: dict[str, Any]) -> None:
    model = f"{entry.get('model_name')} ({str(entry.get('model_digest'))[:12]})"
    match entry.get("message"):
        case "request":
            found.requests += 1
            found.failed += entry.get("status", 0) >= 400
            counts.update({name: int(entry[name]) for name in COUNTED if name in entry})
        case "watched":
            found.watched[model] = entry
        case "predicted":
            classes = found.predicted.setdefault(model, {})
            classes[entry["class"]] = classes.get(entry["class"], 0) + entry["predicted"]


def lines(found: Traffic) -> Iterator[tuple[str, str]]:
    """Yield titles and texts for a person."""
    rows = found.counts.get("rows", 0)
    yield "requests", f"{found.requests:,}, {found.failed:,} of them refused; {_rows(rows)}"
    if "canary_rows" in found.counts:
        yield "canary", f"answered {_rows(found.counts['canary_rows'])}"
    if "shadow_rows" in found.counts:
        others = found.counts.get("shadow_disagreements", 0)
        failed = found.counts.get("shadow_failed", 0)
        yield (
            "shadow",
            f"compared on {_rows(found.counts['shadow_rows'])}: {others:,} answers differ, {failed:,} failed",
        )
    for model, entry in found.watched.items():
        yield "drift", f"{model}: {_verdict(entry)}"
    for model, classes in found.predicted.items():
        yield "predicted", f"{model}: " + ", ".join(f"{name} {n:,}" for name, n in classes.items())


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{n:,} rows"


def _verdict(entry: dict[str, Any]) -> str:
    if "drift_rows" not in entry:
        return f"{_rows(entry['rows'])} in the last minute that was reported: too few for a verdict"
    drifted = f"moved: {', '.join(entry['drifted'])}" if entry["drifted"] else "nothing moved"
    return f"{drifted} (of {_rows(entry['drift_rows'])}, largest PSI {entry['feature_psi']:.3f})"
