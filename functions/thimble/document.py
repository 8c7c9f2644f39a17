"""The model document: JSON to arrays, and nothing but arrays (no code, no class names, no references).

The format is scikit-learn's fitted attributes without the trailing underscore, and a few keys of ours;
`model/README.md` explains each, `model/schema.json` states them for other tools.

`FORMAT_VERSION` is raised when a reader that does not know a new key would answer wrongly. An optional
key that old readers may ignore does not raise it. A document without `format` is one of those that were
written before there was a format: read as version 1, with whatever other keys it has.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from thimble.errors import InvalidModel
from thimble.network import ACTIVATIONS, OUT_ACTIVATIONS, FloatArray

FORMAT = "thimble"
FORMAT_VERSION = 1

MAX_BYTES = 64 * 2**20
MAX_LAYERS = 64
MAX_WIDTH = 100_000  # of a layer, in columns
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
KEYS = frozenset(
    (
        *("format", "format_version", "name", "classes", "feature_names_in", "n_features_in"),
        *("coefs", "intercepts", "activation", "out_activation", "decision", "n_layers", "n_outputs"),
        *("preprocessing", "examples", "reference", "training"),
        *HISTORY,
    )
)


@dataclass(frozen=True)
class Examples:
    """Rows with the probabilities that the model must give them."""

    rows: tuple[tuple[float, ...], ...]
    probabilities: FloatArray  # (n_examples, n_classes)


@dataclass(frozen=True)
class Document:
    name: str
    classes: tuple[Label, ...]
    multilabel: bool
    n_features_in: int
    feature_names_in: tuple[str, ...] | None
    coefs: tuple[FloatArray, ...]  # (fan_in, fan_out) each
    intercepts: tuple[FloatArray, ...]  # (fan_out,) each
    activation: str
    out_activation: str
    decision: str  # what predict compares: "probabilities" or "logits"
    examples: Examples | None
    history: Mapping[str, Any]
    training: Mapping[str, Any]


def digest(data: bytes) -> str:
    """The name of a model's exact bytes: their SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def parse(data: bytes) -> Document:
    """Read and check a document; InvalidModel begins with the path of the field that is wrong."""
    raw = _decode(data)
    _check_format(raw)
    coefs = _coefs(raw)
    intercepts = _intercepts(raw, coefs)
    n_features, n_outputs = coefs[0].shape[0], coefs[-1].shape[1]
    out_activation = _choice(raw, "out_activation", OUT_ACTIVATIONS, None)
    classes = _classes(raw)
    _check_counts(raw, n_features, n_outputs, len(coefs) + 1)
    multilabel = _multilabel(classes, n_outputs, out_activation)
    return Document(
        name=_typed(raw, "name", str, ""),
        classes=classes,
        multilabel=multilabel,
        n_features_in=n_features,
        feature_names_in=_feature_names(raw, n_features),
        coefs=coefs,
        intercepts=intercepts,
        activation=_choice(raw, "activation", ACTIVATIONS, "relu"),
        out_activation=out_activation,
        decision=_choice(raw, "decision", ("probabilities", "logits"), "probabilities"),
        examples=_examples(raw, n_features, len(classes)),
        history={key: raw[key] for key in HISTORY if key in raw},
        training=_typed(raw, "training", dict, {}),
    )


def _decode(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise InvalidModel(f"The document has {len(data)} bytes; the most that is read is {MAX_BYTES}")
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidModel(f"The document is not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise InvalidModel("The document is not a JSON object")
    return raw


def _check_format(raw: dict[str, Any]) -> None:
    if "format" not in raw and "format_version" not in raw:
        return
    if raw.get("format") != FORMAT:
        raise InvalidModel(f"format is {_shown(raw.get('format'))}; this reads {FORMAT!r}")
    version = raw.get("format_version")
    if isinstance(version, bool) or version != FORMAT_VERSION:
        raise InvalidModel(f"format_version is {_shown(version)}; this reads version {FORMAT_VERSION}")
    for key in raw:
        if key not in KEYS:
            raise InvalidModel(f"{_shown(key)} is no key of format version {FORMAT_VERSION}")


def _coefs(raw: dict[str, Any]) -> tuple[FloatArray, ...]:
    layers = _layers(raw, "coefs")
    coefs = []
    for i, layer in enumerate(layers):
        rows = _list(layer, f"coefs[{i}]")
        for j, row in enumerate(rows):
            width = len(_list(row, f"coefs[{i}][{j}]"))
            if width != len(rows[0]):
                raise InvalidModel(
                    f"coefs[{i}][{j}] has {width} numbers, but coefs[{i}][0] has {len(rows[0])}"
                )
        coefs.append(_matrix(rows, f"coefs[{i}]"))
        if i and len(rows) != coefs[i - 1].shape[1]:
            raise InvalidModel(
                f"coefs[{i}] has {len(rows)} rows; the layer before it has {coefs[i - 1].shape[1]} outputs"
            )
    return tuple(coefs)


def _intercepts(raw: dict[str, Any], coefs: tuple[FloatArray, ...]) -> tuple[FloatArray, ...]:
    layers = _layers(raw, "intercepts")
    if len(layers) != len(coefs):
        raise InvalidModel(f"intercepts has {len(layers)} layers, coefs has {len(coefs)}")
    for i, (layer, W) in enumerate(zip(layers, coefs, strict=True)):
        if len(_list(layer, f"intercepts[{i}]")) != W.shape[1]:
            raise InvalidModel(
                f"intercepts[{i}] has {len(layer)} numbers; coefs[{i}] has {W.shape[1]} columns"
            )
    return tuple(_vector(layer, f"intercepts[{i}]") for i, layer in enumerate(layers))


def _layers(raw: dict[str, Any], key: str) -> list[Any]:
    if key not in raw:
        raise InvalidModel(f"{key} is missing")
    layers = _list(raw[key], key)
    if len(layers) > MAX_LAYERS:
        raise InvalidModel(f"{key} has {len(layers)} layers; the most is {MAX_LAYERS}")
    return layers


def _list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidModel(f"{path} is not a list")
    if not value:
        raise InvalidModel(f"{path} is empty")
    if len(value) > MAX_WIDTH:
        raise InvalidModel(f"{path} has {len(value)} entries; the most is {MAX_WIDTH}")
    return value


def _vector(values: list[Any], path: str) -> FloatArray:
    """Finite float64; booleans, which numpy would take for numbers, are none."""
    if not set(map(type, values)) <= {int, float}:
        i = next(i for i, value in enumerate(values) if type(value) not in (int, float))
        raise InvalidModel(f"{path}[{i}] is not a number")
    try:
        vector = np.array(values, dtype=np.float64)
    except OverflowError:
        vector = np.array([_float(value) for value in values])
    if not np.isfinite(vector).all():
        raise InvalidModel(f"{path}[{np.argmin(np.isfinite(vector))}] is not finite")
    return vector


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _matrix(rows: list[list[Any]], path: str) -> FloatArray:
    """Of rows known to be as long as each other."""
    return np.array([_vector(row, f"{path}[{i}]") for i, row in enumerate(rows)])


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(_float(value))


def _choice(raw: dict[str, Any], key: str, known: Any, default: str | None) -> str:
    if key not in raw and default is None:
        raise InvalidModel(f"{key} is missing")
    value = raw.get(key, default)
    if not isinstance(value, str) or value not in known:
        raise InvalidModel(f"{key} is {_shown(value)}; known are {', '.join(known)}")
    return value


def _typed(raw: dict[str, Any], key: str, kind: type, default: Any) -> Any:
    value = raw.get(key, default)
    if not isinstance(value, kind):
        raise InvalidModel(f"{key} is {_shown(value)}, not {'a string' if kind is str else 'an object'}")
    return value


def _classes(raw: dict[str, Any]) -> tuple[Label, ...]:
    if "classes" not in raw:
        raise InvalidModel("classes is missing")
    classes = _list(raw["classes"], "classes")
    kinds = set(map(type, classes))
    for i, label in enumerate(classes):
        if not isinstance(label, str) and not isinstance(label, bool) and not _is_finite(label):
            raise InvalidModel(f"classes[{i}] is neither a string nor a number nor a boolean")
    if len(kinds) > 1:
        raise InvalidModel("classes has labels of several types")
    for i, label in enumerate(classes):
        if label in classes[:i]:
            raise InvalidModel(f"classes[{i}] is {_shown(label)} a second time")
    if len(classes) < 2:
        raise InvalidModel("classes has one label only; a classifier needs two")
    return tuple(classes)


def _check_counts(raw: dict[str, Any], n_features: int, n_outputs: int, n_layers: int) -> None:
    """Counts that the weights say too are checked where present."""
    for key, actual in (("n_features_in", n_features), ("n_outputs", n_outputs), ("n_layers", n_layers)):
        if key in raw and (isinstance(raw[key], bool) or raw[key] != actual):
            raise InvalidModel(f"{key} is {_shown(raw[key])}; the weights say {actual}")


def _multilabel(classes: tuple[Label, ...], n_outputs: int, out_activation: str) -> bool:
    """One logistic output tells two classes apart; several are a label each."""
    if out_activation == "logistic" and n_outputs == 1:
        if len(classes) != 2:
            raise InvalidModel(f"classes has {len(classes)} labels; one logistic output tells two apart")
        return False
    if n_outputs != len(classes):
        raise InvalidModel(f"classes has {len(classes)} labels; the last layer has {n_outputs} outputs")
    return out_activation == "logistic"


def _feature_names(raw: dict[str, Any], n_features: int) -> tuple[str, ...] | None:
    names = raw.get("feature_names_in")
    if names is None:
        return None
    for i, name in enumerate(_list(names, "feature_names_in")):
        if not isinstance(name, str) or not name:
            raise InvalidModel(f"feature_names_in[{i}] is {_shown(name)}, not a name")
        if name in names[:i]:
            raise InvalidModel(f"feature_names_in[{i}] is {_shown(name)} a second time")
    if len(names) != n_features:
        raise InvalidModel(f"feature_names_in has {len(names)} names; the model takes {n_features} features")
    return tuple(names)


def _examples(raw: dict[str, Any], n_features: int, n_classes: int) -> Examples | None:
    examples = raw.get("examples")
    if examples is None:
        return None
    if not isinstance(examples, dict):
        raise InvalidModel("examples is not an object with rows and probabilities")
    parts = []
    for key, width in (("rows", n_features), ("probabilities", n_classes)):
        rows = _list(examples.get(key), f"examples.{key}")
        if len(rows) > MAX_EXAMPLES:
            raise InvalidModel(f"examples.{key} has {len(rows)} rows; the most is {MAX_EXAMPLES}")
        for i, row in enumerate(rows):
            if len(_list(row, f"examples.{key}[{i}]")) != width:
                raise InvalidModel(f"examples.{key}[{i}] has {len(row)} values; {width} are needed")
        parts.append(rows)
    rows, probabilities = parts
    if len(rows) != len(probabilities):
        raise InvalidModel(
            f"examples.probabilities has {len(probabilities)} rows; examples.rows has {len(rows)}"
        )
    _matrix(rows, "examples.rows")
    return Examples(tuple(map(tuple, rows)), _matrix(probabilities, "examples.probabilities"))


def _shown(value: Any) -> str:
    """A value as its document spells it, cut short."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError:
        text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
