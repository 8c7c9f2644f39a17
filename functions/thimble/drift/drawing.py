"""A drift report in the form in which it is drawn: bins and a word for everything that is compared.

Each bin shows the training data behind the new rows. The page, the API and `thimble drift` share this form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from thimble.drift.report import FEWEST_ROWS, PSI_LARGE, Entry, by_feature, moved

WORDS = ("steady", "moved", "much moved")


def drawing(found: Entry) -> Entry:
    """Return the drawing of a report. Names are values, not keys: a feature may have any name, and browsers
    reorder keys."""
    features = [{"name": name, **_entry(found, entry)} for name, entry in by_feature(found["features"])]
    outputs = [
        {
            "name": entry["output"],
            **_entry(found, entry),
            "winning": {"name": "", **_entry(found, entry["winning"])},
        }
        for entry in found["predictions"]
    ]
    words = [entry["word"] for output in outputs for entry in (output, output["winning"])]
    words += [entry["word"] for entry in features]
    return {
        "rows": found["rows"],
        "training_rows": found["reference_rows"],
        "fewest_rows": FEWEST_ROWS,
        "word": None if None in words else max(words, key=WORDS.index),
        "features": features,
        "outputs": outputs,
    }


def _entry(found: Entry, entry: Entry) -> Entry:
    return {"word": _word(found, entry), "psi": entry["psi"], "js": entry["js"], "bins": list(bins(entry))}


def _word(found: Entry, entry: Entry) -> str | None:
    """Return one of WORDS; None if there are too few rows for a verdict."""
    if found["verdict"] is None:
        return None
    if not moved(entry):
        return WORDS[0]
    return WORDS[2] if entry["psi"] >= PSI_LARGE else WORDS[1]


def bins(entry: Entry) -> Iterator[Entry]:
    """Yield the bins of an entry, in the order in which they are counted. The bins for missing values and for
    values outside the others are left out if they are empty."""
    pairs = zip(entry["reference"], entry["observed"], strict=True)
    if "edges" in entry:
        ranges = [{"kind": "range", "low": low, "high": high} for low, high in pairwise(entry["edges"])]
        kinds: list[Entry] = [{"kind": "missing"}, {"kind": "below"}, *ranges, {"kind": "above"}]
    elif "categories" in entry:
        kinds = [{"kind": "missing"}, {"kind": "other"}, *_named(entry["categories"])]
    else:
        kinds = _named(entry["labels"])
    for kind, (training, now) in zip(kinds, pairs, strict=True):
        if training or now or kind["kind"] in ("range", "category"):
            yield {**kind, "training": training, "now": now}


def _named(texts: Iterable[str]) -> list[Entry]:
    return [{"kind": "category", "text": text} for text in texts]
