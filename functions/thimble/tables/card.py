"""A model's card: what people and a page are told of it, as JSON.

It draws on the document, and computes nothing but the answers to its examples.
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

EXAMPLES = 20  # that are shown, at most
CATEGORIES = 200  # of a feature
EXAMPLES_BYTES = 500_000  # as JSON: what does not fit into an answer is left out
FEATURES_BYTES = 1_500_000  # beyond which a feature is shown without its training data
CURVES = ("loss_curve", "validation_scores")  # which are long
ELSEWHERE = ("card", "features")  # in the card, not in its `training`


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
    """How the training went, with its curves."""
    return {**identity(classifier), "history": dict(classifier.document.history)}


def _outputs(document: Document) -> Entry:
    """The labels and layers of a model of one output, of others those of each."""
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
    """What can be asked for beside an output's labels, and the sentences that say why the rest cannot."""
    from thimble.inference import sets  # which requests without them are spared
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
    """The probability, or score, above which a label applies, or the second of two is the label."""
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
    """Each feature with its training data, as far as there is room for them."""
    room = FEATURES_BYTES
    histograms = document.training.get("features") or [None] * len(document.schema.features)
    for i, feature in enumerate(document.schema.features):
        plain = {"name": feature.name, "type": feature.type, "may_be_missing": feature.missing}
        known = _known(document, i)
        entry = {**plain, **known, "seen": _seen(document.reference, i, histograms[i])}
        room -= len(orjson.dumps(entry))
        yield entry if room >= 0 else {**plain, **known, "categories": None, "seen": None}


def _known(document: Document, i: int) -> Entry:
    """The values of a feature that the model knows by name, and whether it takes others."""
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
    """The steps that look a feature itself up in a table."""
    if document.preprocessing is None or document.schema.features[i].type not in ("text", "number"):
        return []
    from thimble.inference.steps.categories import Encode  # with all steps: models without have none

    steps = [step for step, _ in document.preprocessing.steps]
    return [step for step in steps if isinstance(step, Encode) and step.columns == [i]]


def _counts(reference: Reference | None, i: int, known: Sequence[Category]) -> Mapping[Category, int]:
    """How many rows of the training data had each value, where that was counted."""
    found = None if reference is None else reference.features[i]
    if isinstance(found, Categories):
        counted: dict[Category, int] = dict(zip(found.names, found.counts.tolist(), strict=True))
        return counted if found.other else dict.fromkeys(known, 0) | counted
    if isinstance(found, Numbers):
        bins = np.searchsorted(found.edges, np.array(known, np.float64), "right") - 1
        places = np.clip(bins, 0, len(found.counts) - 1).tolist()
        if len(set(places)) == len(places) == len(found.counts):  # a bin each
            return dict(zip(known, found.counts[places].tolist(), strict=True))
    return {}


def _seen(reference: Reference | None, i: int, histogram: Mapping[str, Any] | None) -> Entry | None:
    """The training data of a feature."""
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
    """What the model itself answers to its training rows."""
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
    """How well the model did on some rows. Of what the document says for people, what can be no count and no
    score is left out."""
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
    """Of one output: the true labels, and what always guessing the commonest of them would be worth."""
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
    """A calibration with its expected error: how far, in the mean of the rows, a probability is from the
    share that is right in its tenth."""
    try:
        check_calibration(Fields(found))
    except InvalidModel:
        return None
    parts = zip(found["rows"], found["probability"], found["right"], strict=True)
    gaps = [abs(rows * p - right) for rows, p, right in parts if rows and p is not None]
    return {**found, "error": sum(gaps) / sum(found["rows"]) if gaps else None}


def _are_counts(found: Any, n: int) -> bool:
    return isinstance(found, list) and len(found) == n and all(type(m) is int and m >= 0 for m in found)
