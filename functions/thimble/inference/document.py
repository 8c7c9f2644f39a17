"""Read a model document: JSON that becomes arrays, and nothing else (no code, no class names, no references).

The keys are scikit-learn's fitted attributes without the trailing underscore, and a few of our own.
`model/README.md` explains each; `model/schema.json` states them for other tools.

Raise `FORMAT_VERSION` when a reader that does not know a new key would answer wrongly. An optional key that
old readers may ignore does not need a new version. Documents without `format` are older than the format: they
are read as version 1, and may have any other keys.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import orjson

from thimble.errors import InvalidModel
from thimble.inference import cost, features, outputs, reference, strict_json
from thimble.inference.arrays import FloatArray
from thimble.inference.cost import Cost
from thimble.inference.features import Feature, Schema
from thimble.inference.fields import Fields, items, shown
from thimble.inference.head import Head
from thimble.inference.outputs import Output
from thimble.inference.reference import Reference

if TYPE_CHECKING:
    from thimble.inference.preprocessing import Preprocessing

T = TypeVar("T")

FORMAT = "thimble"
FORMAT_VERSION = 1

MAX_BYTES = 64 * 2**20
MAX_MEMORY = 256 * 2**20  # bytes that the parsed JSON may take
MAX_EXAMPLES = 1000

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
        *("preprocessing", "outputs", "means", "examples", "reference", "training"),
        *outputs.KEYS,
        *HISTORY,
    )
)


class Examples(NamedTuple):
    """Rows, and the probabilities that the model must give for them."""

    rows: tuple[tuple[float | str | None, ...], ...]
    probabilities: FloatArray  # (n_examples, n_classes)


class Document(NamedTuple):
    name: str
    schema: Schema
    preprocessing: Preprocessing | None
    outputs: tuple[Output, ...]  # one, or several in a multi-output model
    means: FloatArray | None  # (columns,) means over the training rows, NaN where none is kept
    examples: Examples | None
    reference: Reference | None  # counts of the training data, to measure drift against
    history: Mapping[str, Any]
    training: Mapping[str, Any]
    cost: Cost  # of a row
    kept: dict[tuple[str, int], Any]  # the results of `once`, by their kind and the part's id

    def once(self, what: str, part: object, make: Callable[[], T]) -> T:
        """Return the result of `make`. It is made once per kind (`what`) and part of the document, and kept
        as long as the document."""
        key = what, id(part)
        if key not in self.kept:
            self.kept[key] = make()
        found: T = self.kept[key]
        return found

    @property
    def heads(self) -> tuple[Head, ...]:
        return tuple(output.head for output in self.outputs)


def digest(data: bytes) -> str:
    """Return the SHA-256 of a document's exact bytes in hexadecimal, which names the model."""
    found: str = _sha256(len(data))(data).hexdigest()
    return found


def _sha256(size: int) -> Callable[[bytes], Any]:
    """Return the faster SHA-256 for so many bytes. `hashlib` loads OpenSSL, which takes 3 ms of a cold start;
    Python's own implementation hashes 1.4 MB in that time."""
    own = import_module("_sha2" if sys.version_info >= (3, 12) else "_sha256")
    found: Callable[[bytes], Any] = (own if size <= 1_400_000 else import_module("hashlib")).sha256
    return found


def parse(data: bytes) -> Document:
    """Read and check a document. Raises InvalidModel, which begins with the path of the wrong field."""
    fields = Fields(_decode(data))
    _check_format(fields)
    found = outputs.parse(fields)
    heads = [output.head for output in found]
    n_inputs = found[0].scorer.n_inputs
    known = features.parse(fields, n_inputs)
    program = _preprocessing(fields.nested("preprocessing"), known, found)
    fields.check_count("n_features_in", len(known))
    if program is not None:
        known = program.with_categories(known)
    counts = fields.nested("reference")
    training = fields.json("training")
    reference.check_training(Fields(training, fields.at("training")), known, heads)
    return Document(
        name=fields.text("name", ""),
        schema=Schema.of(known, answers=[name for head in heads for name in head.columns]),
        preprocessing=program,
        outputs=found,
        means=_means(fields, len(known) if program is None else program.width),
        examples=_examples(fields.nested("examples"), known, sum(len(head.classes) for head in heads)),
        reference=None
        if counts is None
        else reference.parse(counts, known, heads, program.vocabularies if program else frozenset()),
        history={key: fields.raw[key] for key in HISTORY if key in fields},
        training=training,
        cost=_cost(len(known), program, found),
        kept={},
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
    repeated = {key: value for key, value in raw.items() if key not in outputs.FAMILIES}
    try:
        orjson.dumps([[[[repeated]]]])  # by answers and the model's card, a few levels deeper
    except TypeError as error:
        raise InvalidModel(f"The document has a value that no answer can contain: {error}") from None
    return raw


def _check_format(fields: Fields) -> None:
    if "format" not in fields and "format_version" not in fields:
        return
    found, version = fields.raw.get("format"), fields.raw.get("format_version")
    if found != FORMAT:
        raise InvalidModel(f"format is {shown(found)}; only {FORMAT!r} can be read")
    if isinstance(version, bool) or version != FORMAT_VERSION:
        raise InvalidModel(f"format_version is {shown(version)}; only version {FORMAT_VERSION} can be read")
    fields.require_known(KEYS, f"format version {FORMAT_VERSION}")


def _preprocessing(
    fields: Fields | None, known: tuple[Feature, ...], found: Sequence[Output]
) -> Preprocessing | None:
    if fields is None:
        return None
    from thimble.inference import preprocessing  # only here: few cold starts need it

    takes_missing = all(output.scorer.takes_missing for output in found)
    return preprocessing.parse(fields, known, found[0].scorer.n_inputs, takes_missing)


def _cost(n_features: int, program: Preprocessing | None, found: Sequence[Output]) -> Cost:
    """Return the cost of a row: the preprocessing, then each output in turn, with all answers kept in memory.
    Raises InvalidModel if it is too high."""
    kept = sum(len(output.head.classes) for output in found)
    before = program.cost if program else Cost(0, n_features)
    own = Cost(cost.OUTPUT * len(found), before.numbers + kept)
    scorers = cost.in_turn(output.scorer.cost for output in found)
    price = cost.in_turn((before, own, cost.beside(scorers, own.numbers)))
    cost.check(price, "The model")
    return price


def _means(fields: Fields, n_columns: int) -> FloatArray | None:
    return np.array(fields.numbers("means", n_columns)) if "means" in fields else None


def _examples(fields: Fields | None, known: tuple[Feature, ...], n_classes: int) -> Examples | None:
    if fields is None:
        return None
    rows = _example_rows(fields, "rows", len(known))
    n_probabilities = len(_example_rows(fields, "probabilities", n_classes))
    if len(rows) != n_probabilities:
        raise InvalidModel(
            f"examples.probabilities has {n_probabilities} rows; examples.rows has {len(rows)}"
        )
    for i, row in enumerate(rows):
        for j, (feature, value) in enumerate(zip(known, row, strict=True)):
            if not feature.takes(value):
                raise InvalidModel(f"examples.rows[{i}][{j}] is not {features.WANTED[feature.type]}")
    return Examples(tuple(map(tuple, rows)), fields.matrix("probabilities", len(rows)))


def _example_rows(fields: Fields, key: str, width: int) -> list[list[Any]]:
    rows, path = fields.items(key), fields.at(key)
    if len(rows) > MAX_EXAMPLES:
        raise InvalidModel(f"{path} has {len(rows)} rows; the most is {MAX_EXAMPLES}")
    for i, row in enumerate(rows):
        if len(items(row, f"{path}[{i}]")) != width:
            raise InvalidModel(f"{path}[{i}] has {len(row)} values; {width} are needed")
    return rows
