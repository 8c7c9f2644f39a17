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

from thimble.errors import InvalidModel
from thimble.inference import features, outputs, strict_json
from thimble.inference.arrays import FloatArray
from thimble.inference.features import Feature
from thimble.inference.fields import check_count, indices, items, matrix, shown, typed
from thimble.inference.head import Head
from thimble.inference.outputs import Output

FORMAT = "thimble"
FORMAT_VERSION = 1

MAX_BYTES = 64 * 2**20
MAX_MEMORY = 256 * 2**20  # of the values of its JSON
MAX_EXAMPLES = 1000
MAX_STEPS = 2_000

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
        *("format", "format_version", "name", "feature_names_in", "n_features_in"),
        *("preprocessing", "outputs", "examples", "reference", "training"),
        *outputs.KEYS,
        *HISTORY,
    )
)


class Examples(NamedTuple):
    """Rows with the probabilities that the model must give them."""

    rows: tuple[tuple[float, ...], ...]
    probabilities: FloatArray  # (n_examples, n_classes)


class Document(NamedTuple):
    name: str
    features: tuple[Feature, ...]
    feature_names_in: tuple[str, ...] | None
    preprocessing: Mapping[str, Any] | None  # thimble.inference.preprocessing reads it
    outputs: tuple[Output, ...]  # one, or in a multi-output model several
    examples: Examples | None
    reference: Mapping[str, Any] | None  # thimble.inference.reference reads it
    history: Mapping[str, Any]
    training: Mapping[str, Any]

    @property
    def n_features_in(self) -> int:
        return len(self.features)

    @property
    def heads(self) -> tuple[Head, ...]:
        return tuple(output.head for output in self.outputs)


def digest(data: bytes) -> str:
    """The name of a model's exact bytes: their SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def parse(data: bytes) -> Document:
    """Read and check a document; InvalidModel begins with the path of the field that is wrong."""
    raw = _decode(data)
    _check_format(raw)
    found = outputs.parse(raw)
    n_inputs = found[0].scorer.n_inputs
    preprocessing = _preprocessing(raw, n_inputs)
    n_features = len(preprocessing["types"]) if preprocessing else n_inputs
    check_count(raw, "n_features_in", n_features)
    names = features.names(raw, n_features)
    taken = features.read(names, preprocessing, n_features)
    return Document(
        name=typed(raw, "name", str, ""),
        features=taken,
        feature_names_in=names,
        preprocessing=preprocessing,
        outputs=found,
        examples=_examples(raw, taken, sum(len(output.head.classes) for output in found)),
        reference=_reference(raw),
        history={key: raw[key] for key in HISTORY if key in raw},
        training=typed(raw, "training", dict, {}),
    )


def _decode(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise InvalidModel(f"The document has {len(data)} bytes; the most that is read is {MAX_BYTES}")
    needed = strict_json.memory(data)
    if needed > MAX_MEMORY:
        raise InvalidModel(
            f"The document has so many values that it could take {needed:,} bytes of memory to read; the "
            f"most is {MAX_MEMORY:,}: make the model smaller"
        )
    try:
        raw = strict_json.loads(data)
    except strict_json.NotJson as error:
        raise InvalidModel(f"The document is not JSON: {error}") from None
    except strict_json.DoubledKey as error:
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


def _preprocessing(raw: dict[str, Any], fan_in: int) -> dict[str, Any] | None:
    """Its outline: a type a feature, a list of steps, and as many outputs as the network has inputs."""
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
        if type_ not in features.TYPES:
            raise InvalidModel(
                f"preprocessing.types[{i}] is {shown(type_)}; known are {', '.join(features.TYPES)}"
            )
    if "missing" in found and found["missing"] != []:
        indices(found["missing"], "preprocessing.missing", len(types))
    steps = found.get("steps", [])
    if not isinstance(steps, list) or len(steps) > MAX_STEPS:
        raise InvalidModel(f"preprocessing.steps is not a list of at most {MAX_STEPS} steps")
    outputs = items(found.get("outputs"), "preprocessing.outputs")
    if len(outputs) != fan_in:
        raise InvalidModel(f"preprocessing.outputs has {len(outputs)} columns; coefs[0] has {fan_in} rows")
    return found


def _reference(raw: dict[str, Any]) -> dict[str, Any] | None:
    return None if raw.get("reference") is None else typed(raw, "reference", dict, None)


def _examples(raw: dict[str, Any], taken: tuple[Feature, ...], n_classes: int) -> Examples | None:
    examples = raw.get("examples")
    if examples is None:
        return None
    if not isinstance(examples, dict):
        raise InvalidModel("examples is not an object with rows and probabilities")
    rows = _example_rows(examples, "rows", len(taken))
    probabilities = _example_rows(examples, "probabilities", n_classes)
    if len(rows) != len(probabilities):
        raise InvalidModel(
            f"examples.probabilities has {len(probabilities)} rows; examples.rows has {len(rows)}"
        )
    for i, row in enumerate(rows):
        for j, (feature, value) in enumerate(zip(taken, row, strict=True)):
            if not feature.takes(value):
                raise InvalidModel(f"examples.rows[{i}][{j}] is not {features.WANTED[feature.type]}")
    return Examples(tuple(map(tuple, rows)), matrix(probabilities, "examples.probabilities"))


def _example_rows(examples: dict[str, Any], key: str, width: int) -> list[list[Any]]:
    rows = items(examples.get(key), f"examples.{key}")
    if len(rows) > MAX_EXAMPLES:
        raise InvalidModel(f"examples.{key} has {len(rows)} rows; the most is {MAX_EXAMPLES}")
    for i, row in enumerate(rows):
        if len(items(row, f"examples.{key}[{i}]")) != width:
            raise InvalidModel(f"examples.{key}[{i}] has {len(row)} values; {width} are needed")
    return rows
