"""A model's card: its description for people and the page, as JSON.

It is taken from the document; only the answers to the examples are computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from thimble.errors import InvalidModel
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier
from thimble.inference.document import Document
from thimble.inference.fields import Fields, is_finite
from thimble.inference.head import Head
from thimble.inference.network import OUT_ACTIVATIONS
from thimble.inference.outputs import Output
from thimble.inference.reference import Categories, Numbers, Reference, check_calibration
from thimble.tables.answers import answers, identity

if TYPE_CHECKING:
    from thimble.inference.steps.categories import Category, Encode

Entry = dict[str, Any]

EXAMPLES = 20  # shown at most
CATEGORIES = 200  # shown at most for a feature
EXAMPLES_BYTES = 500_000  # of JSON; further examples are left out
FEATURES_BYTES = 1_500_000  # of JSON; further features are shown without their training data
CURVES = ("loss_curve", "validation_scores")  # long lists, which only the history has
ELSEWHERE = ("card", "features")  # keys that the card has in other places than `training`


def card(classifier: Classifier) -> Entry:
    document = classifier.document
    return {
        **identity(classifier),
        **_outputs(document),
        "output_names": [head.name for head in classifier.heads],
        "n_features_in": classifier.n_features,
        "feature_names_in": list(classifier.feature_names) if classifier.feature_names else None,
        "features": list(_features(document)),
        "reference": _answered(document.reference),
        "examples": list(_examples(classifier)),
        "scores": {
            "training": measured(document, document.training),
            "held_out": measured(document, document.training.get("held_out")),
        },
        "about": document.training.get("card", {}),
        "training": {
            key: value
            for key, value in {**document.training, **document.history}.items()
            if key not in (*CURVES, *ELSEWHERE)
        },
    }


def history(classifier: Classifier) -> Entry:
    """Return the history of the training, with its curves."""
    return {**identity(classifier), "history": dict(classifier.document.history)}


def _outputs(document: Document) -> Entry:
    """Return the labels and layers of a model's only output, or of each of its outputs by name."""
    cards = [{**_output(output), **abilities(document, output)} for output in document.outputs]
    if len(cards) == 1:
        return cards[0]
    return {"outputs": {head.name: card for head, card in zip(document.heads, cards, strict=True)}}


def _output(output: Output) -> Entry:
    head = output.head
    return {
        "classes": list(head.classes),
        "class_texts": list(head.texts),
        "multilabel": head.multilabel,
        "has_probabilities": head.has_probabilities,
        "threshold": _threshold(head),
        **output.scorer.card,
        "out_activation": head.out_activation,
        **head.card,
    }


def abilities(document: Document, output: Output) -> Entry:
    """Return the options that an output can answer (`can`), and why it cannot answer others (`cannot`)."""
    from thimble.inference import sets  # imported only where it is needed
    from thimble.inference.explain import contributions, what_if

    alone, levels = document._replace(outputs=(output,)), list(sets.levels(output.head))
    refusals = {
        "explain": contributions.refusal(alone),
        "coverage": sets.refusal(alone, levels[0] if levels else 1.0, by_class=False),
        "what_if": what_if.refusal(alone),
    }
    able = {"explain": True, "coverage": levels, "what_if": True}
    return {
        "can": {key: able[key] for key, refusal in refusals.items() if not refusal},
        "cannot": {key: refusal for key, refusal in refusals.items() if refusal},
    }


def _threshold(head: Head) -> float | None:
    """Return the probability or score above which a label applies, or the second of two classes is the label.

    Returns None for an output without such a threshold.
    """
    if head.apart or (not head.multilabel and len(head.classes) != 2):
        return None
    if head.threshold is not None and head.threshold_is_probability:
        return head.threshold if head.positive else 1.0 - head.threshold
    if not head.multilabel and not head.binary:
        return None
    bar = head.bar if head.threshold is None else head.threshold * (1.0 if head.positive else -1.0)
    if head.decision != "logits":
        return bar
    at = np.array([[bar / head.temperature]])
    OUT_ACTIVATIONS[head.out_activation](at)
    return float(at[0, 0])


def _features(document: Document) -> Iterator[Entry]:
    """Yield each feature with its training data, until FEATURES_BYTES are used up."""
    room = FEATURES_BYTES
    histograms = document.training.get("features") or [None] * len(document.schema.features)
    for i, feature in enumerate(document.schema.features):
        plain = {"name": feature.name, "type": feature.type, "may_be_missing": feature.missing}
        known = _known(document, i)
        entry = {**plain, **known, "seen": _seen(document.reference, i, histograms[i])}
        room -= len(orjson.dumps(entry))
        yield entry if room >= 0 else {**plain, **known, "categories": None, "seen": None}


def _known(document: Document, i: int) -> Entry:
    """Return a feature's known categories, and whether the model accepts others."""
    steps = _encoders(document, i)
    if not steps:
        return {"categories": None, "categories_in_all": None, "accepts_unknown": None}
    strict = [step for step in steps if step.unknown is None]
    in_order = dict.fromkeys(value for step in steps for value in step.codes if value is not None)
    known = [value for value in in_order if all(value in step.codes for step in strict)]
    counts = _counts(document.reference, i, known)
    return {
        "categories": [{"value": value, "count": counts.get(value)} for value in known[:CATEGORIES]],
        "categories_in_all": len(known),
        "accepts_unknown": not strict,
    }


def _encoders(document: Document, i: int) -> list[Encode]:
    """Return the encoding steps that take a feature itself as input."""
    if document.preprocessing is None or document.schema.features[i].type not in ("text", "number"):
        return []
    from thimble.inference.steps.categories import Encode  # not needed for a model without preprocessing

    steps = [step for step, _ in document.preprocessing.steps]
    return [step for step in steps if isinstance(step, Encode) and step.columns == [i]]


def _counts(reference: Reference | None, i: int, known: Sequence[Category]) -> Mapping[Category, int]:
    """Return the number of training rows with each value, for the values that were counted."""
    found = None if reference is None else reference.features[i]
    if isinstance(found, Categories):
        counted: dict[Category, int] = dict(zip(found.names, found.counts.tolist(), strict=True))
        return counted if found.other else dict.fromkeys(known, 0) | counted
    if isinstance(found, Numbers):
        bins = np.searchsorted(found.edges, np.array(known, np.float64), "right") - 1
        places = np.clip(bins, 0, len(found.counts) - 1).tolist()
        if len(set(places)) == len(places) == len(found.counts):  # each value has a bin of its own
            return dict(zip(known, found.counts[places].tolist(), strict=True))
    return {}


def _seen(reference: Reference | None, i: int, histogram: Mapping[str, Any] | None) -> Entry | None:
    """Return a feature's training data: counts by bin or category; None if there are none."""
    bins = None if reference is None else reference.features[i]
    if reference is None or bins is None:
        return None
    drawn, numbers = histogram or {}, isinstance(bins, Numbers)
    edges = bins.edges.tolist() if isinstance(bins, Numbers) else [None]
    return {
        "rows": reference.rows,
        "missing": bins.missing,
        "low": drawn.get("low", edges[0]),
        "high": drawn.get("high", edges[-1]),
        "histogram": drawn.get("counts"),
        "decimals": drawn.get("decimals"),
        "edges": edges if numbers else None,
        "counts": bins.counts.tolist(),
        "categories": list(bins.names) if isinstance(bins, Categories) else None,
        "other": bins.other if isinstance(bins, Categories) else None,
    }


def _answered(reference: Reference | None) -> Entry | None:
    """Return how often the model answers each class on its training rows."""
    if reference is None:
        return None
    outputs = [{"classes": output.classes.tolist()} for output in reference.outputs]
    return {"rows": reference.rows, "outputs": outputs}


def _examples(classifier: Classifier) -> Iterator[Entry]:
    examples = classifier.document.examples
    if examples is None:
        return
    rows, room = examples.rows[:EXAMPLES], EXAMPLES_BYTES
    found = answers(classifier, classifier.predict(Batch.of(classifier.features, [*zip(*rows, strict=True)])))
    for row, answer in zip(rows, found, strict=True):
        entry = {"row": list(row), "answer": answer}
        room -= len(orjson.dumps(entry))
        if room < 0:
            return
        yield entry


def measured(document: Document, said: Any) -> Entry | None:
    """Return the model's scores on some rows, as the document states them.

    Values that cannot be counts or scores are left out. Returns None if nothing is left.
    """
    if not isinstance(said, dict):
        return None
    several, scores = len(document.heads) > 1, said.get("scores")
    parts = said.get("outputs") if several else [said]
    if not isinstance(parts, list) or len(parts) != len(document.heads):
        parts = [{} for _ in document.heads]
    outputs = [_judged(head, part) for head, part in zip(document.heads, parts, strict=True)]
    numbers = scores if isinstance(scores, dict) else {}
    found = {
        "rows": said["rows"] if _are_counts([said.get("rows")], 1) else None,
        "scores": {key: value for key, value in numbers.items() if is_finite(value)},
        "outputs": outputs,
    }
    return found if found["scores"] or any(output["labels"] for output in outputs) else None


def _judged(head: Head, part: Any) -> Entry:
    """Return the counts of an output's true labels, the share of the commonest one (the accuracy of always
    guessing it), and the output's confusion matrix and calibration.
    """
    part = part if isinstance(part, dict) else {}
    labels = part.get("labels")
    if not _are_counts(labels, len(head.classes)) or not sum(labels):
        labels = None
    commonest = None
    if labels and not head.multilabel:
        most = max(range(len(labels)), key=labels.__getitem__)
        commonest = {"class": most, "share": labels[most] / sum(labels)}
    return {
        "labels": labels,
        "commonest": commonest,
        "confusion": part.get("confusion"),
        "calibration": _curve(part.get("calibration")),
        "calibration_by_class": _curves(part.get("calibration_by_class")),
    }


def _curves(found: Any) -> list[Entry | None] | None:
    return list(map(_curve, found)) if isinstance(found, list) else None


def _curve(found: Any) -> Entry | None:
    """Return a calibration curve with its expected calibration error; None if it is not valid.

    The error is the mean over the rows of the distance between the mean probability of a row's tenth and the
    share of that tenth that is right.
    """
    try:
        check_calibration(Fields(found))
    except InvalidModel:
        return None
    parts = zip(found["rows"], found["probability"], found["right"], strict=True)
    gaps = [abs(rows * p - right) for rows, p, right in parts if rows and p is not None]
    return {**found, "error": sum(gaps) / sum(found["rows"]) if gaps else None}


def _are_counts(found: Any, n: int) -> bool:
    return isinstance(found, list) and len(found) == n and all(type(m) is int and m >= 0 for m in found)
