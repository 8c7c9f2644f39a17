"""Turn a member's answers into columns of the program, for the classifier that is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from thimble.inference.head import Label
from thimble_model.forests import ForestHead, raw
from thimble_model.networks import AnyHead, Head, identity_head
from thimble_model.program import Column, Program
from thimble_model.unsupported import Unsupported

MANY = 1_000  # columns that a network reads
OWN_DECISION = ("threshold", "positive", "ties", "apart")  # keys that affect only the label


def answers(program: Program, one: AnyHead, *gives: str) -> list[list[int]]:
    """Return the columns of each kind of answer that the step `classify` gives.

    Known answers are reused. Ask for all the kinds that you need at once, so that one step gives them.
    """
    _, known = program.answered.setdefault(id(one), (one, {}))
    missing = tuple(kind for kind in gives if kind not in known)
    if missing:
        known |= dict(zip(missing, _asked(program, one, missing), strict=True))
    return [known[kind] for kind in gives]


def _asked(program: Program, one: AnyHead, gives: tuple[str, ...]) -> list[list[int]]:
    if isinstance(one, Head):
        one = _begun(program, one)
        if (is_plain(one) and "label" not in gives) or (_is_unit(one) and gives == ("logits",)):
            return [list(one.inputs) for _ in gives]
    widths = {
        "label": len(one.classes) if _is_multilabel(one) else 1,
        "probabilities": len(one.classes),
        "logits": one.n_outputs,
    }
    made = program.add(
        "classify",
        one.inputs,
        width=sum(widths[kind] for kind in gives),
        classifier=one.document_keys(),
        gives=list(gives),
    )
    columns, ends = [column.index for column in made], np.cumsum([widths[kind] for kind in gives])
    return [columns[end - widths[kind] : end] for kind, end in zip(gives, ends.tolist(), strict=True)]


def _begun(program: Program, one: Head) -> Head:
    """Turn the first layer of a linear model, or of a network that reads many columns, into a step.

    Such a step can replace columns of terms by sums.
    """
    (first, *others), (bias, *_) = one.coefs, one.intercepts
    if _is_unit(one) or (others and len(one.inputs) <= MANY):
        return one
    found = program.begun.get(id(one))
    if found is not None:
        return cast(Head, found[1])
    made = program.add("linear", one.inputs, width=len(bias), coefs=first, intercepts=bias)
    begun = _after(program, one, made)
    program.begun[id(one)] = (one, begun)
    return begun


def _after(program: Program, one: Head, made: list[Column]) -> Head:
    """Return the rest of a network after its first layer, whose outputs are the columns `made`."""
    others, biases = one.coefs[1:], one.intercepts[1:]
    if not others:
        n = len(made)
        units = tuple(column.index for column in made)
        return replace(one, inputs=units, coefs=(np.eye(n),), intercepts=(np.zeros(n),))
    if one.keys["activation"] != "identity":
        made = program.add("function", [column.index for column in made], name=one.keys["activation"])
    units = tuple(column.index for column in made)
    return replace(one, inputs=units, coefs=others, intercepts=biases)


def _is_unit(one: Head) -> bool:
    """Return whether the logits are the input columns unchanged."""
    (first, *others), (bias, *_) = one.coefs, one.intercepts
    return not others and np.array_equal(first, np.eye(len(first))) and not bias.any()


def _is_multilabel(one: AnyHead) -> bool:
    """Return whether any number of labels may apply, as the document says or its other keys imply."""
    if "multilabel" in one.keys:
        return bool(one.keys["multilabel"])
    several = one.n_outputs > 1 and "normalize" not in one.keys
    return several and one.keys["out_activation"] == "logistic" and not one.keys.get("apart")


def is_plain(one: Head) -> bool:
    """Return whether the answers are the input columns unchanged."""
    return (
        _is_unit(one)
        and one.n_outputs == len(one.classes)
        and one.keys["out_activation"] == "identity"
        and not one.keys.keys() & {"normalize", "temperature", "apart"}
    )


def require_probabilities(one: AnyHead) -> None:
    if one.decision == "scores":
        raise Unsupported("a member of it has no probabilities")


def probabilities(program: Program, one: AnyHead) -> list[int]:
    """Return the columns of predict_proba, one for each class."""
    require_probabilities(one)
    (found,) = answers(program, one, "probabilities")
    return found


def decisions(program: Program, one: AnyHead) -> list[int]:
    """Return the columns of decision_function: one for two classes, else one for each class."""
    if isinstance(one, Head) and one.decisions:
        return list(one.decisions)
    if isinstance(one, ForestHead):
        one = raw(one)
    (logits,) = answers(program, one, "logits")
    if one.keys.get("apart"):
        logits = logits[: len(logits) // 2]
    return of_two(program, logits)


def of_two(program: Program, logits: Sequence[int]) -> list[int]:
    """Replace the numbers of two classes by their difference, second minus first; leave others unchanged."""
    if len(logits) != 2:
        return list(logits)
    (difference,) = program.add(
        "linear", logits, width=1, coefs=np.array([[-1.0], [1.0]]), intercepts=np.zeros(1)
    )
    return [difference.index]


def codes(program: Program, label: int, classes: Sequence[Label], among: Sequence[Label]) -> int:
    """Return a column with the index of the member's label among the labels that its ensemble counts."""
    if list(classes) == list(among):
        return label
    known = {value: place for place, value in enumerate(among)}
    if not set(classes) <= known.keys():
        raise Unsupported("one of its members answers with a label that is none of its own")
    return valued(program, label, [float(known[value]) for value in classes])


def valued(program: Program, label: int, values: Sequence[float]) -> int:
    """Return a column that maps a label's index to its number in `values`."""
    if list(values) == [float(place) for place in range(len(values))]:
        return label
    (made,) = program.add(
        "encode",
        [label],
        width=1,
        categories=[float(place) for place in range(len(values))],
        codes=[float(value) for value in values],
    )
    return made.index


def numbers(classes: Sequence[Label]) -> list[float]:
    """Return labels as the numbers that a matrix holds. Raises Unsupported if any is a text."""
    if any(isinstance(label, str) for label in classes):
        raise Unsupported("it puts labels that are texts among numbers")
    return [float(label) for label in classes]


def shown(one: AnyHead) -> AnyHead:
    """Return the same head without a rule of its own for the label."""
    keys = {key: value for key, value in one.keys.items() if key not in OWN_DECISION}
    if not one.keys.get("apart") or not isinstance(one, Head):
        return replace(one, keys=keys)
    n = one.n_outputs // 2
    coefs = (*one.coefs[:-1], one.coefs[-1][:, :n])
    return replace(one, keys=keys, coefs=coefs, intercepts=(*one.intercepts[:-1], one.intercepts[-1][:n]))


def relabelled(one: AnyHead, classes: list[Label]) -> AnyHead:
    """Return the same head with other names for its classes."""
    keys: dict[str, Any] = {**one.keys, "classes": classes}
    if "positive" in keys:
        keys["positive"] = classes[one.classes.index(keys["positive"])]
    return replace(one, keys=keys)


def by_probability(one: AnyHead) -> AnyHead:
    """Return a head with the same probabilities, where the largest decides the label."""
    require_probabilities(one)
    plain = shown(one)
    keys = {key: value for key, value in plain.keys.items() if key != "decision"}
    return replace(plain, keys=keys, decisions=()) if isinstance(plain, Head) else replace(plain, keys=keys)


def is_linear(one: AnyHead) -> bool:
    """Return whether the head's logits are its decision_function."""
    network = isinstance(one, Head) and not one.decisions and one.n_outputs != 2
    return network and not one.keys.keys() & {"apart", "threshold"}


def alike(heads: Sequence[AnyHead], decides: bool) -> bool:
    """Return whether the heads are of one kind (forests, networks or linear models) and one meaning."""
    meanings = {(type(one), one.keys["out_activation"], one.decision, one.n_outputs) for one in heads}
    if len(meanings) > 1 or any(one.keys.keys() & {"normalize", *OWN_DECISION[:2], "apart"} for one in heads):
        return False
    if decides and any(one.sums for one in heads if isinstance(one, ForestHead)):
        return False
    linear = all(is_linear(one) and len(one.coefs) == 1 for one in heads if isinstance(one, Head))
    return linear or not decides


def of_one_kind(program: Program, heads: Sequence[AnyHead]) -> list[AnyHead]:
    """Return heads that can read the same columns.

    If some are networks, or some take missing values and others do not, forests become steps before them.
    """
    kinds = {_takes_missing(one) if isinstance(one, ForestHead) else None for one in heads}
    if len(kinds) == 1:
        return list(heads)
    return [one if isinstance(one, Head) else _as_network(program, one) for one in heads]


def _takes_missing(one: ForestHead) -> bool:
    return "n" not in one.forest["nodes"]


def _as_network(program: Program, one: AnyHead) -> Head:
    """Turn a forest into a network over its answers; a one-hot column marks the label."""
    label, likely = answers(program, one, "label", "probabilities")
    if not _is_multilabel(one):
        n = len(one.classes)
        label = [column.index for column in program.add("one_hot", label, width=n, sizes=[n])]
    return identity_head(
        [*likely, *label],
        classes=one.classes,
        apart=True,
        decision="scores" if one.decision == "scores" else None,
        multilabel=_is_multilabel(one) or None,
    )
