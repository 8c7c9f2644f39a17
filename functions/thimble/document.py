"""The model document: JSON to arrays, and nothing but arrays (no code, no class names, no references).

The format is scikit-learn's fitted attributes without the trailing underscore, and a few keys of ours;
`model/README.md` explains each, `model/schema.json` states them for other tools.

`FORMAT_VERSION` is raised when a reader that does not know a new key would answer wrongly. An optional
key that old readers may ignore does not raise it. A document without `format` is one of those that were
written before there was a format: read as version 1, with whatever other keys it has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from thimble import strictjson
from thimble.errors import InvalidModel
from thimble.fields import choice, indices, is_finite, items, matrix, shown, typed, vector
from thimble.network import ACTIVATIONS, OUT_ACTIVATIONS, FloatArray

FORMAT = "thimble"
FORMAT_VERSION = 1

MAX_BYTES = 64 * 2**20
MAX_LAYERS = 64
MAX_EXAMPLES = 1000

Label = str | int | float | bool

HISTORY = (
    "t",
    "loss",
    "best_loss",
    "n_iter",
    "loss_curve",
    "validation_scores",
    "best_validation_score",
    "label_binarizer",
)
HEAD_KEYS = (
    *("classes", "coefs", "intercepts", "activation", "out_activation", "normalize"),
    *("decision", "multilabel", "n_layers", "n_outputs"),
)
KEYS = frozenset(
    (
        *("format", "format_version", "name", "feature_names_in", "n_features_in"),
        *("preprocessing", "outputs", "examples", "reference", "training"),
        *HEAD_KEYS,
        *HISTORY,
    )
)
DECISIONS = ("probabilities", "logits", "scores")
NORMALIZATIONS = ("uniform", "zero")
FEATURE_TYPES = ("number", "text", "boolean", "unused")
WANTED = {"number": "a number", "text": "a string", "boolean": "true or false"}


class Feature(NamedTuple):
    """What a model takes in a column: numbers, text, booleans (as 0 and 1), or anything, which it ignores."""

    name: str  # "" in a model without names
    type: str  # of FEATURE_TYPES
    missing: bool  # whether a value may be missing
    categories: frozenset[str] = frozenset()  # the texts that the model knows by name

    @property
    def numeric(self) -> bool:
        return self.type in ("number", "boolean")

    def takes(self, value: Any) -> bool:
        """Whether a JSON value fits."""
        if value is None or self.type == "unused":
            return self.missing
        if self.type == "text":
            return isinstance(value, str)
        return is_finite(value) if self.type == "number" else value in (True, False)


class Examples(NamedTuple):
    """Rows with the probabilities that the model must give them."""

    rows: tuple[tuple[float, ...], ...]
    probabilities: FloatArray  # (n_examples, n_classes)


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
    decision: (
        str  # what predict compares: "probabilities", "logits", or "scores", which have no probabilities
    )


class Document(NamedTuple):
    name: str
    features: tuple[Feature, ...]
    feature_names_in: tuple[str, ...] | None
    preprocessing: Mapping[str, Any] | None  # thimble.preprocessing reads it
    heads: tuple[Head, ...]  # one, or in a multi-output model several
    examples: Examples | None
    reference: Mapping[str, Any] | None  # thimble.reference reads it
    history: Mapping[str, Any]
    training: Mapping[str, Any]

    @property
    def n_features_in(self) -> int:
        return len(self.features)


def digest(data: bytes) -> str:
    """The name of a model's exact bytes: their SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def parse(data: bytes) -> Document:
    """Read and check a document; InvalidModel begins with the path of the field that is wrong."""
    raw = _decode(data)
    _check_format(raw)
    heads = _heads(raw)
    preprocessing = _preprocessing(raw, heads[0].coefs[0].shape[0])
    n_features = len(preprocessing["types"]) if preprocessing else heads[0].coefs[0].shape[0]
    _check_count(raw, "n_features_in", n_features)
    names = _feature_names(raw, n_features)
    features = _features(names, preprocessing, n_features)
    return Document(
        name=typed(raw, "name", str, ""),
        features=features,
        feature_names_in=names,
        preprocessing=preprocessing,
        heads=heads,
        examples=_examples(raw, features, sum(len(head.classes) for head in heads)),
        reference=_reference(raw),
        history={key: raw[key] for key in HISTORY if key in raw},
        training=typed(raw, "training", dict, {}),
    )


def _decode(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise InvalidModel(f"The document has {len(data)} bytes; the most that is read is {MAX_BYTES}")
    try:
        raw = strictjson.loads(data)
    except strictjson.NotJson as error:
        raise InvalidModel(f"The document is not JSON: {error}") from None
    except strictjson.DoubledKey as error:
        raise InvalidModel(f"{error} occurs twice") from None
    if not isinstance(raw, dict):
        raise InvalidModel("The document is not a JSON object")
    try:
        orjson.dumps([[[[raw]]]])  # answers and the model's card repeat parts of it, a few levels deeper
    except TypeError as error:
        raise InvalidModel(f"The document holds what no answer could repeat: {error}") from None
    return raw


def _check_format(raw: dict[str, Any]) -> None:
    if "format" not in raw and "format_version" not in raw:
        return
    if raw.get("format") != FORMAT:
        raise InvalidModel(f"format is {shown(raw.get('format'))}; this reads {FORMAT!r}")
    version = raw.get("format_version")
    if isinstance(version, bool) or version != FORMAT_VERSION:
        raise InvalidModel(f"format_version is {shown(version)}; this reads version {FORMAT_VERSION}")
    for key in raw:
        if key not in KEYS:
            raise InvalidModel(f"{shown(key)} is no key of format version {FORMAT_VERSION}")


def _heads(raw: dict[str, Any]) -> tuple[Head, ...]:
    if "outputs" not in raw:
        return (_head(raw, "", ""),)
    for key in HEAD_KEYS:
        if key in raw:
            raise InvalidModel(f"{key} stands beside outputs; it belongs in each of them")
    heads = []
    for i, output in enumerate(items(raw["outputs"], "outputs")):
        if not isinstance(output, dict):
            raise InvalidModel(f"outputs[{i}] is not an object")
        for key in output:
            if key not in HEAD_KEYS and key != "name":
                raise InvalidModel(f"outputs[{i}].{shown(key)} is no key of an output")
        heads.append(_head(output, f"outputs[{i}].", typed(output, "name", str, "", f"outputs[{i}].")))
        if not heads[i].name or heads[i].name in [head.name for head in heads[:i]]:
            raise InvalidModel(f"outputs[{i}].name is {shown(heads[i].name)}; each needs its own")
        if heads[i].coefs[0].shape[0] != heads[0].coefs[0].shape[0]:
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
    _check_count(raw, "n_outputs", n_outputs, path)
    _check_count(raw, "n_layers", len(coefs) + 1, path)
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


def _check_count(raw: dict[str, Any], key: str, actual: int, path: str = "") -> None:
    """A count that the weights say too is checked where it is present."""
    if key in raw and (isinstance(raw[key], bool) or raw[key] != actual):
        raise InvalidModel(f"{path}{key} is {shown(raw[key])}; the weights say {actual}")


def _preprocessing(raw: dict[str, Any], fan_in: int) -> dict[str, Any] | None:
    """Its outline: a type a feature, and as many outputs as the network has inputs."""
    found = raw.get("preprocessing")
    if found is None:
        return None
    if not isinstance(found, dict):
        raise InvalidModel("preprocessing is not an object")
    for key in found:
        if key not in ("types", "missing", "steps", "outputs"):
            raise InvalidModel(f"preprocessing.{shown(key)} is no key of it")
    types = items(found.get("types"), "preprocessing.types")
    for i, type_ in enumerate(types):
        if type_ not in FEATURE_TYPES:
            raise InvalidModel(
                f"preprocessing.types[{i}] is {shown(type_)}; known are {', '.join(FEATURE_TYPES)}"
            )
    if "missing" in found and found["missing"] != []:
        indices(found["missing"], "preprocessing.missing", len(types))
    outputs = items(found.get("outputs"), "preprocessing.outputs")
    if len(outputs) != fan_in:
        raise InvalidModel(f"preprocessing.outputs has {len(outputs)} columns; coefs[0] has {fan_in} rows")
    return found


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
    _check_distinct(classes, f"{path}classes")
    if len(classes) < 2:
        raise InvalidModel(f"{path}classes has one label only; a classifier needs two")
    return tuple(classes)


def _check_distinct(values: list[Any], path: str) -> None:
    if len(set(values)) == len(values):
        return
    seen = set()
    for i, value in enumerate(values):
        if value in seen:
            raise InvalidModel(f"{path}[{i}] is {shown(value)} a second time")
        seen.add(value)


def _feature_names(raw: dict[str, Any], n_features: int) -> tuple[str, ...] | None:
    names = raw.get("feature_names_in")
    if names is None:
        return None
    for i, name in enumerate(items(names, "feature_names_in")):
        if not isinstance(name, str) or not name:
            raise InvalidModel(f"feature_names_in[{i}] is {shown(name)}, not a name")
    _check_distinct(names, "feature_names_in")
    if len(names) != n_features:
        raise InvalidModel(f"feature_names_in has {len(names)} names; the model takes {n_features} features")
    return tuple(names)


def _features(
    names: tuple[str, ...] | None, preprocessing: dict[str, Any] | None, n_features: int
) -> tuple[Feature, ...]:
    """A model without preprocessing takes numbers only, and none may be missing."""
    types = preprocessing["types"] if preprocessing else ["number"] * n_features
    missing = set(preprocessing.get("missing", ()) if preprocessing else ())
    known = _categories(preprocessing or {})
    return tuple(
        Feature(name, type_, i in missing or type_ == "unused", known.get(i, frozenset()))
        for i, (name, type_) in enumerate(zip(names or [""] * n_features, types, strict=True))
    )


def _categories(preprocessing: dict[str, Any]) -> dict[int, frozenset[str]]:
    """Of the features that are encoded, their texts; whether a step is sound is `preprocessing`'s to say."""
    found: dict[int, frozenset[str]] = {}
    for step in preprocessing.get("steps", ()):
        match step:
            case {"op": "encode", "column": int(column), "categories": [*categories]}:
                texts = frozenset(text for text in categories if isinstance(text, str))
                found[column] = found.get(column, frozenset()) | texts
    return found


def _reference(raw: dict[str, Any]) -> dict[str, Any] | None:
    return None if raw.get("reference") is None else typed(raw, "reference", dict, None)


def _examples(raw: dict[str, Any], features: tuple[Feature, ...], n_classes: int) -> Examples | None:
    examples = raw.get("examples")
    if examples is None:
        return None
    if not isinstance(examples, dict):
        raise InvalidModel("examples is not an object with rows and probabilities")
    rows = _example_rows(examples, "rows", len(features))
    probabilities = _example_rows(examples, "probabilities", n_classes)
    if len(rows) != len(probabilities):
        raise InvalidModel(
            f"examples.probabilities has {len(probabilities)} rows; examples.rows has {len(rows)}"
        )
    for i, row in enumerate(rows):
        for j, (feature, value) in enumerate(zip(features, row, strict=True)):
            if not feature.takes(value):
                raise InvalidModel(f"examples.rows[{i}][{j}] is not {WANTED[feature.type]}")
    return Examples(tuple(map(tuple, rows)), matrix(probabilities, "examples.probabilities"))


def _example_rows(examples: dict[str, Any], key: str, width: int) -> list[list[Any]]:
    rows = items(examples.get(key), f"examples.{key}")
    if len(rows) > MAX_EXAMPLES:
        raise InvalidModel(f"examples.{key} has {len(rows)} rows; the most is {MAX_EXAMPLES}")
    for i, row in enumerate(rows):
        if len(items(row, f"examples.{key}[{i}]")) != width:
            raise InvalidModel(f"examples.{key}[{i}] has {len(row)} values; {width} are needed")
    return rows
