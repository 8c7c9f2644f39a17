"""Turn predictions into tensors: for each output of the model the labels, and the probabilities or scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from thimble import spelling
from thimble.errors import InvalidInput
from thimble.inference.classifier import Classifier
from thimble.inference.head import Head
from thimble.inference.predictions import Alone, Scores
from thimble.tables.answers import Classified, cell_text
from thimble.tables.cells import whole
from thimble.tables.tensors import Values
from thimble.web import options
from thimble.web.open_inference.wire import DTYPES, PLAIN, Tensor, content_type, parameters

DATATYPES: Mapping[type, str] = {bool: "BOOL", int: "INT64", float: "FP64"}  # of labels; str is BYTES

KEYS = ("name", "parameters")
PARAMETERS = ("binary_data", "classification", "content_type", "headers")


def chosen(
    answered: Classified, wanted: Sequence[dict[str, Any]] | None, binary: bool
) -> list[tuple[Tensor, bool]]:
    """Return the requested outputs, or all, each with a flag: whether it is sent as bytes.

    `binary` is the flag of an output that does not set its own.
    """
    known = _tensors(answered)
    if wanted is None:
        return [(tensor, binary) for tensor in known.values()]
    heads = answered.classifier.heads
    return [_asked_for(known, heads, raw, f"outputs[{i}]", binary) for i, raw in enumerate(wanted)]


def _tensors(answered: Classified) -> dict[str, Tensor]:
    """Return the outputs by name. What an option adds to each row is text or JSON, "" for nothing."""
    known = {tensor.name: tensor for head, scores in answered.outputs for tensor in _of_head(head, scores)}
    for k, one in enumerate(answered.classifier.further):
        name = answered.classifier.heads[one.output].prefix + one.key
        texts = map(cell_text, answered.predictions.further[k])
        known[name] = Tensor(name, "BYTES", [answered.rows], list(texts))
    return known


def _of_head(head: Head, scores: Scores | Alone) -> tuple[Tensor, Tensor]:
    """Return the labels, and the probabilities or scores."""
    first, second = _names(head)
    datatype, labels = _labels(head)
    if not isinstance(scores, Scores):
        label, p = scores
        one = Tensor(first, datatype, [1], [labels.item(label)])
        return one, Tensor(second, "FP64", [1, len(p)], p)
    numbers = Tensor.of(second, "FP64", scores.probabilities.T)
    if head.multilabel:
        return Tensor.of(first, "BOOL", scores.mask.T), numbers
    return Tensor.of(first, datatype, labels[scores.answered]), numbers


def _asked_for(
    known: Mapping[str, Tensor], heads: Sequence[Head], raw: dict[str, Any], path: str, binary: bool
) -> tuple[Tensor, bool]:
    options.check_close(raw, KEYS, path)
    name, asked = raw.get("name"), parameters(raw, PARAMETERS, path)
    if not isinstance(name, str) or name not in known:
        told = spelling.hint(name, known) if isinstance(name, str) else ""
        raise InvalidInput(f"{path} is none of the model's: {', '.join(known)}{told}")
    content_type(asked, PLAIN, path)
    k = asked.get("classification") or 0  # tritonclient sends 0 for none
    tensor = _ranking(known[name], heads, k) if k else known[name]
    chosen = options.flag(asked, "binary_data", path)
    return tensor, binary if chosen is None else chosen


def _ranking(tensor: Tensor, heads: Sequence[Head], k: Any) -> Tensor:
    """Return the k likeliest classes of each row, as texts score:index:label."""
    head = next((head for head in heads if _names(head)[1] == tensor.name), None)
    if head is None:
        raise InvalidInput(f"classification is of probabilities or scores, not of {tensor.name}")
    count = whole(k)
    if not count:
        raise InvalidInput("classification is how many classes to answer with: a whole number from 1")
    p = tensor.values
    first = np.argsort(-p, axis=1, kind="stable")[:, :count]
    texts = [
        [f"{row[c]!r}:{c}:{head.texts[c]}" for c in order]
        for row, order in zip(p.tolist(), first.tolist(), strict=True)
    ]
    return Tensor.of(tensor.name, "BYTES", np.array(texts, object))


def _names(head: Head) -> tuple[str, str]:
    labels = "labels" if head.multilabel else "label"
    return head.prefix + labels, head.prefix + ("probabilities" if head.has_probabilities else "scores")


def _labels(head: Head) -> tuple[str, Values]:
    """Return the labels by class, and their datatype.

    No datatype has a null. If a label may be withheld, labels are BYTES, and an empty one follows the others.
    """
    if head.abstain_below is None:
        return _of_classes(head.classes, head.texts)
    return "BYTES", np.array((*head.texts, ""), np.object_)


@lru_cache(maxsize=64)
def _of_classes(classes: tuple[Any, ...], texts: tuple[str, ...]) -> tuple[str, Values]:
    """Return the labels, and their datatype: BYTES for strings and for labels that no one datatype holds.

    The cache's key includes the texts, which differ for 1 and True, though these are equal.
    """
    types = set(map(type, classes))
    datatype = DATATYPES.get(types.pop(), "BYTES") if len(types) == 1 else "BYTES"
    if datatype == "INT64" and any(abs(label) >= 2**63 for label in classes):
        datatype = "BYTES"
    return datatype, np.array(texts if datatype == "BYTES" else classes, DTYPES[datatype])


def metadata(classifier: Classifier) -> list[dict[str, Any]]:
    """Describe the outputs that can be requested."""
    found = [tensor for head in classifier.heads for tensor in _described(head)]
    names = (classifier.heads[one.output].prefix + one.key for one in classifier.further)
    return [*found, *(described(name, "BYTES", -1) for name in names)]


def _described(head: Head) -> list[dict[str, Any]]:
    first, numbers = _names(head)
    width, labels = len(head.classes), {"parameters": {"labels": list(head.classes)}}
    if head.multilabel:
        return [described(first, "BOOL", -1, width) | labels, described(numbers, "FP64", -1, width) | labels]
    datatype, _ = _labels(head)
    return [described(first, datatype, -1), described(numbers, "FP64", -1, width) | labels]


def described(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    """Return a tensor's metadata; -1 in its shape stands for any size."""
    return {"name": name, "datatype": datatype, "shape": shape}
