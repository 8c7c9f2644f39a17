"""Read what a document says about a text: how to cut it, the vocabulary, and the values and weights of terms.

Everything is bounded. InvalidModel says what is wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from thimble.errors import InvalidModel
from thimble.inference.arrays import FloatArray
from thimble.inference.fields import Fields, check_distinct, finite_numbers, shown
from thimble.inference.steps import text_patterns
from thimble.inference.steps.text_sums import NORMS, Buckets, Counting, Indices, Known, Vocabulary
from thimble.inference.steps.text_terms import ACCENTS, KINDS, USUAL, USUAL_OF_ASCII, WORDS, Analyzer

MAX_TERMS = 1_000_000
MAX_BUCKETS = 2**31 - 1
MAX_WIDTH = 10_000  # columns
MAX_SIZE = 20  # of an n-gram


def analyzer(fields: Fields) -> Analyzer:
    kind = fields.choice("analyzer", KINDS)
    shortest, longest = _ngram_range(fields)
    compiled = of_ascii = WORDS
    for key in ("token_pattern", "stop_words"):
        if key in fields and kind != "word":
            raise InvalidModel(f"{fields.at(key)} is of words alone; analyzer is {kind}")
    if kind == "word":
        fields.value("token_pattern")
        pattern = fields.text("token_pattern", "")
        compiled = text_patterns.compiled(pattern, fields.at("token_pattern"))
        of_ascii = USUAL_OF_ASCII if pattern == USUAL else compiled
    return Analyzer(
        kind=kind,
        lowercase=fields.flag("lowercase", False),
        accents=ACCENTS[fields.choice("strip_accents", ACCENTS)] if "strip_accents" in fields else None,
        pattern=compiled,
        of_ascii=of_ascii,
        stop_words=frozenset(_strings(fields, "stop_words")) if "stop_words" in fields else frozenset(),
        shortest=shortest,
        longest=longest,
    )


def _ngram_range(fields: Fields) -> tuple[int, int]:
    found, path = fields.items_of_length("ngram_range", 2), fields.at("ngram_range")
    if set(map(type, found)) != {int} or not 1 <= found[0] <= found[1] <= MAX_SIZE:
        raise InvalidModel(f"{path} is {shown(found)}; it is two sizes from 1 to {MAX_SIZE}, in order")
    return found[0], found[1]


def _strings(fields: Fields, key: str) -> list[str]:
    path = fields.at(key)
    found = _long(fields.value(key), path, MAX_TERMS)
    if set(map(type, found)) != {str}:
        i = next(i for i, term in enumerate(found) if not isinstance(term, str))
        raise InvalidModel(f"{path}[{i}] is {shown(found[i])}, not a string")
    check_distinct(found, path)
    return found


def _long(value: Any, path: str, most: int) -> list[Any]:
    """Return a list that may be longer than others."""
    if not isinstance(value, list) or not value:
        raise InvalidModel(f"{path} is not a list with entries")
    if len(value) > most:
        raise InvalidModel(f"{path} has {len(value):,} entries; the most is {most:,}")
    return value


def vocabulary(fields: Fields) -> Vocabulary:
    if "hashing" not in fields:
        return Known(_strings(fields, "terms"))
    if "terms" in fields:
        raise InvalidModel(f"{fields.at('terms')} stands beside hashing; a text has one of them")
    keys = Fields(fields.value("hashing"), fields.at("hashing"))
    keys.require_known(("n_features", "alternate_sign", "buckets"), "hashing")
    n = keys.count("n_features")
    if not 1 <= n <= MAX_BUCKETS:
        raise InvalidModel(f"{keys.at('n_features')} is {n}; it is 1 to {MAX_BUCKETS}")
    return Buckets(n, keys.flag("alternate_sign", True), _buckets(keys, n))


def _buckets(keys: Fields, below: int) -> Indices:
    path = keys.at("buckets")
    found = _long(keys.value("buckets"), path, MAX_TERMS)
    if set(map(type, found)) != {int} or not 0 <= min(found) <= max(found) < below:
        raise InvalidModel(f"{path} has an entry that is no whole number from 0 to {below - 1}")
    buckets = np.array(found, np.int64)
    falls = np.flatnonzero(np.diff(buckets) <= 0)
    if len(falls):
        raise InvalidModel(f"{path}[{falls[0] + 1}] is not above the bucket before it")
    return buckets


def counting(fields: Fields, known: Vocabulary) -> Counting:
    above = fields.finite("above")
    if above is not None and above < 0.0:
        raise InvalidModel(f"{fields.at('above')} is {above:g}; it is 0 or more: most terms are not there")
    idf, other = _idf(fields, known)
    return Counting(
        binary=fields.flag("binary", False),
        sublinear=fields.flag("sublinear_tf", False),
        idf=idf,
        other=other,
        norm=NORMS[fields.choice("norm", NORMS)] if "norm" in fields else None,
        above=above,
    )


def _idf(fields: Fields, known: Vocabulary) -> tuple[FloatArray | None, float]:
    """Return a factor for each term or listed bucket, and the factor for all other buckets."""
    if "idf" not in fields:
        return None, 1.0
    others = isinstance(known, Buckets)
    found = finite_numbers(_long(fields.value("idf"), fields.at("idf"), MAX_TERMS + 1), fields.at("idf"))
    fields.check_length("idf", len(found), known.listed + others)
    return (found[:-1], float(found[-1])) if others else (found, 1.0)


def weights(fields: Fields, n_terms: int) -> FloatArray:
    """Return the weights, (columns, terms). Every column has weights for the same first terms; the terms
    after them have none."""
    path = fields.at("weights")
    rows = _long(fields.value("weights"), path, MAX_WIDTH)
    for i, row in enumerate(rows):
        if len(_long(row, f"{path}[{i}]", n_terms)) != len(rows[0]):
            raise InvalidModel(f"{path}[{i}] has {len(row)} numbers, but {path}[0] has {len(rows[0])}")
    return np.array([finite_numbers(row, f"{path}[{i}]") for i, row in enumerate(rows)])
