"""Turn fitted vectorizers, and transformers that may follow them, into steps over a text.

During the export a vectorizer's terms are columns like any others, but their numbers are never laid out:
`text_lowering` replaces them by sums.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.preprocessing import Binarizer, Normalizer

from thimble.errors import InvalidModel
from thimble.inference.steps import text_patterns
from thimble_model.program import Column, Program, Step
from thimble_model.text_columns import Terms
from thimble_model.unsupported import Unsupported
from thimble_model.wrappers import receivers

FloatArray = NDArray[np.float64]
Columns = list[Column]

DTYPES = (
    "int32",
    "int64",
    "float64",
)  # counts in these are exact, and scikit-learn continues in double precision


def count_vectorizer(program: Program, estimator: CountVectorizer, columns: Columns) -> Columns:
    terms = sorted(estimator.vocabulary_, key=estimator.vocabulary_.__getitem__)
    return _vectorized(program, estimator, columns, len(terms), terms=terms, binary=estimator.binary or None)


def tfidf_vectorizer(program: Program, estimator: TfidfVectorizer, columns: Columns) -> Columns:
    return tfidf_transformer(program, estimator._tfidf, count_vectorizer(program, estimator, columns))


def hashing_vectorizer(program: Program, estimator: HashingVectorizer, columns: Columns) -> Columns:
    hashing = {"n_features": int(estimator.n_features), "alternate_sign": bool(estimator.alternate_sign)}
    return _vectorized(
        program,
        estimator,
        columns,
        int(estimator.n_features),
        hashing=hashing,
        binary=estimator.binary or None,
        norm=estimator.norm,
    )


def _vectorized(program: Program, estimator: Any, columns: Columns, width: int, **keys: Any) -> Columns:
    if len(columns) != 1:
        raise Unsupported(f"it reads {len(columns)} columns; a vectorizer reads one text")
    _require_plain(estimator)
    program.read_text(columns[0])
    return program.add("text", [columns[0].index], width=width, **_analyzer(estimator), **keys)


def _require_plain(estimator: Any) -> None:
    """Raise Unsupported if the vectorizer has functions of its own, reads files, or has another precision."""
    for key in ("analyzer", "tokenizer", "preprocessor", "strip_accents"):
        if callable(getattr(estimator, key)):
            raise Unsupported(
                f"its {key} is a function, which a document cannot hold; say the same with analyzer, "
                "token_pattern, lowercase and strip_accents, or prepare the texts before the pipeline"
            )
    if estimator.input != "content":
        raise Unsupported(f"input={estimator.input!r} reads files; a request has the texts themselves")
    if np.dtype(estimator.dtype).name not in DTYPES:
        raise Unsupported(f"it counts in {np.dtype(estimator.dtype).name}; fit it with dtype=np.float64")


def _analyzer(estimator: Any) -> dict[str, Any]:
    """Return the document's keys for how a text is cut into terms."""
    words = estimator.analyzer == "word"
    return {
        "analyzer": estimator.analyzer,
        "lowercase": bool(estimator.lowercase),
        "strip_accents": estimator.strip_accents,
        "token_pattern": _token_pattern(estimator) if words else None,
        "ngram_range": [int(n) for n in estimator.ngram_range],
        "stop_words": (sorted(estimator.get_stop_words() or ()) or None) if words else None,
        "unicode_version": unicodedata.unidata_version,
    }


def _token_pattern(estimator: Any) -> str:
    pattern = estimator.token_pattern
    pattern = pattern if isinstance(pattern, str) else pattern.pattern
    try:
        text_patterns.compiled(pattern, "its token_pattern")
    except InvalidModel as error:
        raise Unsupported(f"{error}; fit it with another") from None
    return str(pattern)


def _of_one_text(program: Program, columns: Columns) -> tuple[Step, list[int], FloatArray]:
    """Return the step of a text, and the ids and factors of its terms.

    Raises Unsupported if the columns are anything else than scaled terms of one text.
    """
    terms = Terms(program.steps)
    found = [term for column in columns if (term := terms.of(column.index))]
    ids = [term.id for term in found]
    if len(found) < len(columns) or any(term.step is not found[0].step for term in found):
        raise Unsupported("it reads the terms of one text together with other columns; give each its own")
    if any(term.offset for term in found) or len(set(ids)) < len(ids):
        raise Unsupported("it reads terms that were moved, or some of them twice; scale them without a mean")
    return found[0].step, ids, np.array([term.factor for term in found])


def tfidf_transformer(program: Program, estimator: TfidfTransformer, columns: Columns) -> Columns:
    step, ids, factors = _of_one_text(program, columns)
    if estimator.sublinear_tf and not (_is_counted(step) and np.all(factors == 1.0)):
        raise Unsupported(
            "sublinear_tf is supported over the counts of a text alone, not over what is made of them"
        )
    if estimator.use_idf:
        factors = factors * _finite(estimator.idf_)
    sublinear = {"sublinear_tf": True} if estimator.sublinear_tf else {}
    return _derived(program, step, ids, factors, estimator.norm, **sublinear)


def _finite(idf: FloatArray) -> FloatArray:
    if not np.isfinite(idf).all():
        raise Unsupported(
            "some terms are in no training text, and without smooth_idf they weigh infinitely much"
        )
    return idf


def tfidf_of_numbers(program: Program, estimator: TfidfTransformer, columns: Columns) -> Columns:
    """Weigh counts that come as numbers, not as the terms of a text."""
    if estimator.sublinear_tf:
        raise Unsupported("sublinear_tf is supported over the counts of a text alone, not over numbers")
    if estimator.use_idf:
        columns = program.add("scale", program.numbers(columns), foldable=True, multiply=estimator.idf_)
    if estimator.norm is None:
        return columns
    return program.add("normalize", program.numbers(columns), width=len(columns), norm=estimator.norm)


def _is_counted(step: Step) -> bool:
    return not step.keys.keys() & {"sublinear_tf", "idf", "norm", "above"}


def normalizer(program: Program, estimator: Normalizer, columns: Columns) -> Columns:
    return _derived(program, *_of_one_text(program, columns), estimator.norm)


def binarizer(program: Program, estimator: Binarizer, columns: Columns) -> Columns:
    step, ids, factors = _of_one_text(program, columns)
    if "norm" not in step.keys:
        return _derived(program, step, ids, factors, None, above=float(estimator.threshold))
    if not np.all(factors == 1.0):
        raise Unsupported("it reads terms that were scaled after their norm; binarize them before")
    every = np.arange(len(step.writes))  # the norm is of all terms, also of those that are left out here
    made = _derived(
        program, step, [*every], np.ones(len(every)), step.keys["norm"], above=float(estimator.threshold)
    )
    return [made[i] for i in ids]


def _derived(
    program: Program, step: Step, ids: list[int], factors: FloatArray, norm: str | None, **more: Any
) -> Columns:
    """Return columns of the same text with its terms weighed and then normalized.

    An earlier norm cancels out, because it divides all terms of a row by one number.
    """
    if "above" in step.keys:
        raise Unsupported("it reads terms after they were binarized; binarize them last")
    if norm is None and "norm" in step.keys:  # no new norm: each is only scaled
        return program.add("scale", [step.writes[i] for i in ids], foldable=True, multiply=factors)
    width = len(step.writes)
    idf = np.zeros(width)
    idf[ids] = factors
    if "idf" in step.keys:
        idf *= step.keys["idf"]
    keys = {key: value for key, value in step.keys.items() if key not in ("idf", "norm")}
    plain = len(ids) == width and np.all(idf == 1.0)
    keys |= more | ({} if plain else {"idf": idf}) | ({} if norm is None else {"norm": norm})
    made = program.add("text", step.reads, width=width, **keys)
    return [made[i] for i in ids]


def reads_texts(estimator: Any) -> bool:
    """Return whether an estimator takes plain texts, one per row, instead of rows of columns."""
    return any(isinstance(one, CountVectorizer | HashingVectorizer) for one in receivers(estimator))


VECTORIZERS: dict[type, Callable[[Program, Any, Columns], Columns]] = {
    CountVectorizer: count_vectorizer,
    HashingVectorizer: hashing_vectorizer,
    TfidfVectorizer: tfidf_vectorizer,
}
OVER_TERMS: dict[type, Callable[[Program, Any, Columns], Columns]] = {
    Binarizer: binarizer,
    Normalizer: normalizer,
    TfidfTransformer: tfidf_transformer,
}
