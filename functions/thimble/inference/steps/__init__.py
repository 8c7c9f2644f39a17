"""The steps of preprocessing: each reads columns of the table and appends columns to it.

`model/README.md` says what each step computes. A reader for each op takes the step's keys and gives the Step;
those that belong together are a module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from thimble.errors import InvalidModel
from thimble.inference import fields
from thimble.inference.steps import arithmetic, categories, curves, missing
from thimble.inference.steps.columns import Step
from thimble.inference.steps.keys import Keys

VOCABULARY: dict[str, tuple[Callable[[Keys], Step], frozenset[str]]] = {
    "impute": (missing.impute, frozenset({"columns", "values", "missing"})),
    "encode": (categories.encode, frozenset({"column", "categories", "codes", "unknown"})),
    "one_hot": (categories.one_hot, frozenset({"columns", "sizes"})),
    "bins": (curves.bins, frozenset({"columns", "edges"})),
    "scale": (arithmetic.scale, frozenset({"columns", *arithmetic.SCALING})),
    "linear": (arithmetic.linear, frozenset({"columns", "coefs", "intercepts"})),
    "normalize": (arithmetic.normalize, frozenset({"columns", "norm", "smallest"})),
    "product": (arithmetic.product, frozenset({"left", "right"})),
    "constant": (arithmetic.constant, frozenset({"values"})),
    "quantiles": (curves.quantiles, frozenset({"columns", "quantiles", "distribution"})),
    "power": (curves.power, frozenset({"columns", "method", "lambdas"})),
    "interpolate": (curves.interpolate, frozenset({"columns", "x", "y"})),
    "function": (arithmetic.function, frozenset({"columns", "name"})),
    "require": (missing.require, frozenset({"columns"})),
}


def read(raw: Any, path: str, columns_so_far: int, texts: frozenset[int], names: Sequence[str]) -> Step:
    """A step of the document; InvalidModel says what is wrong with it."""
    if not isinstance(raw, dict):
        raise InvalidModel(f"{path} is not an object")
    op = fields.choice(raw, "op", VOCABULARY, None, f"{path}.")
    reader, keys = VOCABULARY[op]
    for key in raw:
        if key != "op" and key not in keys:
            raise InvalidModel(f"{path}.{fields.shown(key)} is no key of {op}")
    return reader(Keys(raw, path, columns_so_far, texts, names))
