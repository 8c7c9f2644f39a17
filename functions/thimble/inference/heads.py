"""The networks of a document, and what their outputs mean: one, or in a multi-output model several."""

from __future__ import annotations

from typing import Any, NamedTuple

from thimble.errors import InvalidModel
from thimble.inference.arrays import FloatArray
from thimble.inference.fields import (
    check_count,
    check_distinct,
    choice,
    is_finite,
    items,
    matrix,
    shown,
    typed,
    vector,
)
from thimble.inference.network import ACTIVATIONS, OUT_ACTIVATIONS

MAX_LAYERS = 64

Label = str | int | float | bool

KEYS = (
    *("classes", "coefs", "intercepts", "activation", "out_activation", "normalize"),
    *("decision", "multilabel", "n_layers", "n_outputs"),
)
DECISIONS = ("probabilities", "logits", "scores")
NORMALIZATIONS = ("uniform", "zero")


class Head(NamedTuple):
    """A network and what its outputs mean."""

    name: str  # "" unless there are several
    classes: tuple[Label, ...]
    multilabel: bool
    coefs: tuple[FloatArray, ...]  # (fan_in, fan_out) each
    intercepts: tuple[FloatArray, ...]  # (fan_out,) each
    activation: str
    out_activation: str
    normalize: str | None  # divide the outputs by their sum, which may be zero: "uniform" or "zero"
    decision: str  # what predict compares: of DECISIONS; a model of scores has no probabilities

    @property
    def fan_in(self) -> int:
        return len(self.coefs[0])


def read(raw: dict[str, Any]) -> tuple[Head, ...]:
    if "outputs" not in raw:
        return (_head(raw, "", ""),)
    for key in KEYS:
        if key in raw:
            raise InvalidModel(f"{key} stands beside outputs; it belongs in each of them")
    heads: list[Head] = []
    taken: set[str] = set()
    for i, output in enumerate(items(raw["outputs"], "outputs")):
        if not isinstance(output, dict):
            raise InvalidModel(f"outputs[{i}] is not an object")
        for key in output:
            if key not in KEYS and key != "name":
                raise InvalidModel(f"outputs[{i}].{shown(key)} is no key of an output")
        heads.append(_head(output, f"outputs[{i}].", typed(output, "name", str, "", f"outputs[{i}].")))
        if not heads[i].name or heads[i].name in taken:
            raise InvalidModel(f"outputs[{i}].name is {shown(heads[i].name)}; each needs its own")
        taken.add(heads[i].name)
        if heads[i].fan_in != heads[0].fan_in:
            raise InvalidModel(f"outputs[{i}].coefs[0] has other rows than outputs[0].coefs[0]")
    return tuple(heads)


def _head(raw: dict[str, Any], path: str, name: str) -> Head:
    coefs = _coefs(raw, path)
    intercepts = _intercepts(raw, coefs, path)
    classes = _classes(raw, path)
    out_activation = choice(raw, "out_activation", OUT_ACTIVATIONS, None, path)
    decision = choice(raw, "decision", DECISIONS, "probabilities", path)
    normalize = choice(raw, "normalize", NORMALIZATIONS, None, path) if "normalize" in raw else None
    n_outputs = coefs[-1].shape[1]
    check_count(raw, "n_outputs", n_outputs, path)
    check_count(raw, "n_layers", len(coefs) + 1, path)
    if decision == "scores" and (out_activation, normalize) != ("identity", None):
        raise InvalidModel(f"{path}decision is scores; then out_activation is identity and normalize absent")
    several_logistic = out_activation == "logistic" and n_outputs > 1 and normalize is None
    multilabel = typed(raw, "multilabel", bool, several_logistic, path)
    if n_outputs == 1 and out_activation != "softmax" and not multilabel and normalize is None:
        if len(classes) != 2:
            raise InvalidModel(f"{path}classes has {len(classes)} labels; one output tells two apart")
    elif n_outputs != len(classes):
        raise InvalidModel(f"{path}classes has {len(classes)} labels; the last layer has {n_outputs} outputs")
    if multilabel != several_logistic and (out_activation == "softmax" or normalize or not multilabel):
        raise InvalidModel(f"{path}multilabel is {shown(multilabel)}, but the outputs say otherwise")
    return Head(
        name=name,
        classes=classes,
        multilabel=multilabel,
        coefs=coefs,
        intercepts=intercepts,
        activation=choice(raw, "activation", ACTIVATIONS, "relu", path),
        out_activation=out_activation,
        normalize=normalize,
        decision=decision,
    )


def _coefs(raw: dict[str, Any], path: str) -> tuple[FloatArray, ...]:
    coefs = [matrix(layer, f"{path}coefs[{i}]") for i, layer in enumerate(_layers(raw, "coefs", path))]
    for i in range(1, len(coefs)):
        rows, outputs = coefs[i].shape[0], coefs[i - 1].shape[1]
        if rows != outputs:
            raise InvalidModel(f"{path}coefs[{i}] has {rows} rows; the layer before it has {outputs} outputs")
    return tuple(coefs)


def _intercepts(raw: dict[str, Any], coefs: tuple[FloatArray, ...], path: str) -> tuple[FloatArray, ...]:
    layers = _layers(raw, "intercepts", path)
    if len(layers) != len(coefs):
        raise InvalidModel(f"{path}intercepts has {len(layers)} layers, coefs has {len(coefs)}")
    intercepts = tuple(vector(layer, f"{path}intercepts[{i}]") for i, layer in enumerate(layers))
    for i, (b, W) in enumerate(zip(intercepts, coefs, strict=True)):
        if len(b) != W.shape[1]:
            raise InvalidModel(
                f"{path}intercepts[{i}] has {len(b)} numbers; coefs[{i}] has {W.shape[1]} columns"
            )
    return intercepts


def _layers(raw: dict[str, Any], key: str, path: str) -> list[Any]:
    if key not in raw:
        raise InvalidModel(f"{path}{key} is missing")
    layers = items(raw[key], f"{path}{key}")
    if len(layers) > MAX_LAYERS:
        raise InvalidModel(f"{path}{key} has {len(layers)} layers; the most is {MAX_LAYERS}")
    return layers


def _classes(raw: dict[str, Any], path: str) -> tuple[Label, ...]:
    if "classes" not in raw:
        raise InvalidModel(f"{path}classes is missing")
    classes = items(raw["classes"], f"{path}classes")
    kinds = set(map(type, classes))
    for i, label in enumerate(classes):
        if not isinstance(label, str) and not isinstance(label, bool) and not is_finite(label):
            raise InvalidModel(f"{path}classes[{i}] is neither a string nor a number nor a boolean")
    if len(kinds) > 1:
        raise InvalidModel(f"{path}classes has labels of several types")
    check_distinct(classes, f"{path}classes")
    if len(classes) < 2:
        raise InvalidModel(f"{path}classes has one label only; a classifier needs two")
    return tuple(classes)
