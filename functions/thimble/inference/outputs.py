"""The outputs of a model, one or several. An output is a scorer, which computes numbers, and a head, which
says what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from thimble.errors import InvalidModel
from thimble.inference import head, network
from thimble.inference.arrays import FloatArray
from thimble.inference.cost import Cost
from thimble.inference.fields import Fields, shown
from thimble.inference.head import Head


class Scorer(Protocol):
    """The part of an output that computes numbers, such as a Network."""

    @property
    def n_inputs(self) -> int: ...

    @property
    def n_outputs(self) -> int: ...

    @property
    def takes_missing(self) -> bool:
        """Whether inputs may be missing (NaN)."""

    @property
    def cost(self) -> Cost:
        """The cost of a row."""

    @property
    def card(self) -> Mapping[str, Any]:
        """What the model card shows, as JSON: layers, trees."""

    def scores(self, X: FloatArray, /) -> FloatArray:
        """Return the scores of X, (n_inputs, rows in whole blocks), as a new array, (n_outputs, rows), which
        the head overwrites. A row gets the same bits whatever the other rows are."""

    def alone(self, X: FloatArray, /) -> Callable[[], list[float]]:
        """Return a function that scores the first row of X, one block, with what X holds at the call. Only
        one thread at a time may call it."""


class Output(NamedTuple):
    head: Head
    scorer: Scorer


class Family(NamedTuple):
    """How scorers of one kind are read from a document."""

    keys: tuple[str, ...]  # beside the head's
    parse: Callable[[Fields], Scorer]


def _forest(fields: Fields) -> Scorer:
    from thimble.inference import forest_keys  # only here: a network's cold start does not need it

    return forest_keys.parse(fields.value("forest"), fields.at("forest"))


FAMILIES: Mapping[str, Family] = {  # by the key that tells the kind; an output has one of these keys
    "coefs": Family(network.KEYS, network.parse),
    "forest": Family(("forest",), _forest),
}
CLASSIFIER = (*head.KEYS, *(key for family in FAMILIES.values() for key in family.keys))
KEYS = (*CLASSIFIER, *head.ANSWERED)


def parse(fields: Fields) -> tuple[Output, ...]:
    """Read the outputs of a document. Raises InvalidModel, which says what is wrong with one."""
    if "outputs" not in fields:
        return (_output(fields, "", ""),)
    for key in KEYS:
        if key in fields:
            raise InvalidModel(f"{key} is beside outputs; put it into each of them")
    several = fields.nested_each("outputs")
    outputs: list[Output] = []
    taken: set[str] = set()
    for output in several:
        output.require_known((*KEYS, "name"), "an output")
        name = output.text("name", "")
        if not name or name in taken:
            raise InvalidModel(f"{output.at('name')} is {shown(name)}; each output needs a name of its own")
        taken.add(name)
        outputs.append(_output(output, name, f"{name}." if len(several) > 1 else ""))
        if outputs[-1].scorer.n_inputs != outputs[0].scorer.n_inputs:
            raise InvalidModel(
                f"{output.path} takes {outputs[-1].scorer.n_inputs} columns; "
                f"outputs[0] takes {outputs[0].scorer.n_inputs}"
            )
    return tuple(outputs)


def one(fields: Fields) -> Output:
    """Read a single classifier, such as a step's. Raises InvalidModel, which says what is wrong with it."""
    fields.require_known(CLASSIFIER, "a classifier")
    return _output(fields, "", "")


def _output(fields: Fields, name: str, prefix: str) -> Output:
    kind = next((key for key in FAMILIES if key in fields), "coefs")
    for key in KEYS:
        if key in fields and key not in (*head.KEYS, *head.ANSWERED, *FAMILIES[kind].keys):
            raise InvalidModel(f"{fields.at(key)} stands beside {fields.at(kind)}; an output has one of them")
    scorer = FAMILIES[kind].parse(fields)
    return Output(head.parse(fields, name, prefix, scorer.n_outputs), scorer)
