"""Describe a document's preprocessing in words: a line for each step, with features' names for columns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from thimble.inference.document import Document
from thimble.inference.steps.arithmetic import (
    Coalesce,
    Constant,
    Function,
    Impute,
    Linear,
    Normalize,
    Product,
    Quotient,
    Require,
    Scale,
)
from thimble.inference.steps.categories import Embed, Encode, OneHot
from thimble.inference.steps.classify import Classify
from thimble.inference.steps.columns import Step, listed
from thimble.inference.steps.curves import Bins, Interpolate, Power, Quantiles
from thimble.inference.steps.splines import Spline
from thimble.inference.steps.sums import Sum, Votes
from thimble.inference.steps.text import Text
from thimble.inference.steps.trees import Forest

MOST_NAMES = 4
MOST_VALUES = 6

PLAIN = re.compile(r"(?! )[^,\"\x00-\x1f\x7f-\x9f]+(?<! )")  # can stand in a list without quotes


def quoted(name: str) -> str:
    """Return a name or text, in quotes if one could not tell where it begins and ends."""
    return name if PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def described(document: Document) -> list[str]:
    """Return a line for each step that the features go through before the network, in order."""
    program, features = document.preprocessing, document.schema.features
    if program is None:
        return []
    names = [quoted(name) for name in program.names]
    lines = [f"{_columns(step, names)}: {WORDS[type(step)](step)}" for step, _ in program.steps]
    direct = [names[i] for i in listed(program.outputs) if i < len(features)]
    as_they_are = [f"{_enumerated(direct, MOST_NAMES)}: as they are"] if direct else []
    unused = [quoted(feature.name) for feature in features if feature.type == "unused"]
    ignored = [f"{_enumerated(unused, MOST_NAMES)}: not looked at"] if unused else []
    return [*lines, *as_they_are, *ignored]


def _columns(step: Step, names: Sequence[str]) -> str:
    return _enumerated(list(dict.fromkeys(names[i] for i in step.columns)), MOST_NAMES) or "every row"


def _enumerated(texts: Sequence[str], most: int) -> str:
    if len(texts) <= most:
        return ", ".join(texts)
    return f"{', '.join(texts[: most - 1])} and {len(texts) - most + 1} more"


def _numbers(values: Any) -> str:
    """Return the numbers of an array of any shape in words."""
    return _enumerated([_value(value) for value in np.ravel(values).tolist()], MOST_VALUES)


def _value(value: str | float | None) -> str:
    if value is None or value != value:
        return "missing"
    return quoted(value) if isinstance(value, str) else f"{value:.6g}"


def _impute(step: Impute) -> str:
    absent = "missing values" if step.missing is None else _value(step.missing)
    return f"{absent} replaced by {_numbers(step.values)}"


def _encode(step: Encode) -> str:
    unknown = "others rejected" if step.unknown is None else f"others {_value(step.unknown)}"
    pairs = [f"{_value(category)} = {_value(code)}" for category, code in step.codes.items()]
    return f"coded {_enumerated(pairs, MOST_VALUES)}; {unknown}"


def _one_hot(step: OneHot) -> str:
    return f"codes to {step.width} columns of 0 and 1"


def _embed(step: Embed) -> str:
    return f"{step.width} sums of what is known of {sum(step.sizes)} codes"


def _coalesce(step: Coalesce) -> str:
    return "missing values replaced by a guess from the other columns"


def _spline(step: Spline) -> str:
    return f"{step.width} splines of degree {step.degree}"


def _bins(step: Bins) -> str:
    counts = sorted({len(edges) + 1 for edges in step.edges})
    return f"cut into {' or '.join(map(str, counts))} bins"


SCALING = {
    "subtract": "minus",
    "divide": "divided by",
    "multiply": "times",
    "add": "plus",
    "minimum": "at least",
    "maximum": "at most",
}


def _scale(step: Scale) -> str:
    return ", ".join(f"{SCALING[key]} {_numbers(values)}" for key, values in step.operations)


def _linear(step: Linear) -> str:
    return f"{step.width} weighted sums"


def _normalize(step: Normalize) -> str:
    return "each divided by their sum" if step.norm == "sum" else f"each row to unit norm ({step.norm})"


def _product(step: Product) -> str:
    return f"{step.width} products of two columns"


def _quotient(step: Quotient) -> str:
    return f"{step.width} quotients of two columns"


def _constant(step: Constant) -> str:
    return f"a column of {_numbers(step.values)}"


def _quantiles(step: Quantiles) -> str:
    return f"ranked among {len(step.quantiles[0])} quantiles, {step.distribution}"


def _power(step: Power) -> str:
    return f"{step.method} with lambda {_numbers(step.lambdas)}"


def _interpolate(step: Interpolate) -> str:
    return "interpolated between known points"


def _function(step: Function) -> str:
    return f"{step.name}(x)"


def _forest(step: Forest) -> str:
    return f"the sums of {step.card['trees']} trees"


def _text(step: Text) -> str:
    analyzer, n = step.analyzer, step.vocabulary.listed
    kinds = {"word": "words", "char": "characters", "char_wb": "characters within words"}
    sizes = sorted({analyzer.shortest, analyzer.longest})
    runs = "" if sizes == [1] else f" in runs of {' to '.join(map(str, sizes))}"
    return f"the weights of {n:,} terms ({kinds[analyzer.kind]}{runs}), {step.width} sums"


def _classify(step: Classify) -> str:
    texts = _enumerated([quoted(text) for text in step.output.head.texts], MOST_NAMES)
    trees = step.output.scorer.card.get("trees")
    return f"{f'{trees} trees' if trees else 'a network'} tell{'' if trees else 's'} {texts}"


def _sum(step: Sum) -> str:
    return f"sums of {len(step.parts)} columns each"


def _votes(step: Votes) -> str:
    return f"{len(step.members)} votes counted"


def _require(step: Require) -> str:
    return "rows without a number here rejected"


WORDS: Mapping[type[Step], Callable[[Any], str]] = {
    Impute: _impute,
    Encode: _encode,
    OneHot: _one_hot,
    Embed: _embed,
    Coalesce: _coalesce,
    Spline: _spline,
    Bins: _bins,
    Scale: _scale,
    Linear: _linear,
    Normalize: _normalize,
    Product: _product,
    Constant: _constant,
    Quantiles: _quantiles,
    Power: _power,
    Interpolate: _interpolate,
    Function: _function,
    Require: _require,
    Forest: _forest,
    Text: _text,
    Quotient: _quotient,
    Classify: _classify,
    Sum: _sum,
    Votes: _votes,
}
