"""A document's preprocessing in words: a line a step, columns by the names of the features behind them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from thimble.inference import preprocessing
from thimble.inference.document import Document

MOST_NAMES = 4
MOST_VALUES = 6

PLAIN = re.compile(r"(?! )[^,\"\x00-\x1f\x7f-\x9f]+(?<! )")  # reads as one name among others

Step = Mapping[str, Any]


def quoted(name: str) -> str:
    """A name or text as it is, or in quotes where one could not tell where it begins and ends."""
    return name if PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def described(document: Document) -> list[str]:
    """What happens to the features before they reach the network, in the order in which it happens."""
    raw = document.preprocessing
    if raw is None:
        return []
    names = [quoted(name) for name in preprocessing.read(raw, document.features).names]
    steps = raw.get("steps", [])
    lines = [f"{_columns(step, names)}: {WORDS[step['op']](step)}" for step in steps]
    direct = [names[i] for i in raw["outputs"] if i < len(document.features)]
    as_they_are = [f"{_enumerated(direct, MOST_NAMES)}: as they are"] if direct else []
    unused = [quoted(feature.name) for feature in document.features if feature.type == "unused"]
    ignored = [f"{_enumerated(unused, MOST_NAMES)}: not looked at"] if unused else []
    return [*lines, *as_they_are, *ignored]


def _columns(step: Step, names: Sequence[str]) -> str:
    read = [*step.get("columns", ()), *step.get("left", ()), *step.get("right", ())]
    read += [step["column"]] if "column" in step else []
    return _enumerated(list(dict.fromkeys(names[i] for i in read)), MOST_NAMES) or "every row"


def _enumerated(texts: Sequence[str], most: int) -> str:
    if len(texts) <= most:
        return ", ".join(texts)
    return f"{', '.join(texts[: most - 1])} and {len(texts) - most + 1} more"


def _numbers(values: Sequence[Any]) -> str:
    return _enumerated([_value(value) for value in values], MOST_VALUES)


def _value(value: Any) -> str:
    if value is None:
        return "missing"
    return quoted(value) if isinstance(value, str) else f"{value:.6g}"


def _impute(step: Step) -> str:
    absent = f"{_value(step['missing'])}" if "missing" in step else "missing values"
    return f"{absent} replaced by {_numbers(step['values'])}"


def _encode(step: Step) -> str:
    unknown = "others rejected" if "unknown" not in step else f"others {_value(step['unknown'])}"
    codes = step.get("codes", range(len(step["categories"])))
    pairs = [f"{_value(c)} = {_value(code)}" for c, code in zip(step["categories"], codes, strict=True)]
    return f"coded {_enumerated(pairs, MOST_VALUES)}; {unknown}"


def _one_hot(step: Step) -> str:
    return f"codes to {sum(step['sizes'])} columns of 0 and 1"


def _bins(step: Step) -> str:
    counts = sorted({len(edges) + 1 for edges in step["edges"]})
    return f"cut into {' or '.join(map(str, counts))} bins"


def _scale(step: Step) -> str:
    words = {
        "subtract": "minus",
        "divide": "divided by",
        "multiply": "times",
        "add": "plus",
        "minimum": "at least",
        "maximum": "at most",
    }
    return ", ".join(f"{word} {_numbers(step[key])}" for key, word in words.items() if key in step)


def _linear(step: Step) -> str:
    return f"{len(step['intercepts'])} weighted sums"


def _normalize(step: Step) -> str:
    if step["norm"] == "sum":
        return "each divided by their sum"
    return f"each row to unit norm ({step['norm']})"


def _product(step: Step) -> str:
    return f"{len(step['left'])} products of two columns"


def _constant(step: Step) -> str:
    return f"a column of {_numbers(step['values'])}"


def _quantiles(step: Step) -> str:
    return f"ranked among {len(step['quantiles'][0])} quantiles, {step['distribution']}"


def _power(step: Step) -> str:
    return f"{step['method']} with lambda {_numbers(step['lambdas'])}"


def _interpolate(step: Step) -> str:
    return "interpolated between known points"


def _function(step: Step) -> str:
    return f"{step['name']}(x)"


def _require(step: Step) -> str:
    return "rows without a number here rejected"


WORDS = {
    "impute": _impute,
    "encode": _encode,
    "one_hot": _one_hot,
    "bins": _bins,
    "scale": _scale,
    "linear": _linear,
    "normalize": _normalize,
    "product": _product,
    "constant": _constant,
    "quantiles": _quantiles,
    "power": _power,
    "interpolate": _interpolate,
    "function": _function,
    "require": _require,
}
