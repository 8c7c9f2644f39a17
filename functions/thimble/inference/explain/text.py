"""Find which words of a text contribute, and where they stand.

A term contributes its weight times its value, in equal parts for each of its occurrences. Runs of characters
overlap: each is shared equally among its characters, and the sums are given by word. The rest of the text's
contribution comes from the means of the terms that it lacks.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Batch, Texts
from thimble.inference.document import Document
from thimble.inference.explain import back
from thimble.inference.explain.back import OfText, Plan
from thimble.inference.steps.text import MAX_CHARACTERS, MAX_PREPARED
from thimble.inference.steps.text_terms import SPACES, WORDS, Analyzer


class Token(NamedTuple):
    """A term, and where it stands in the text that was sent; positions count characters as Python does."""

    text: str
    start: int
    end: int
    contribution: float


class Term(NamedTuple):
    """A term in a text, from `start` to before `end`."""

    term: str
    start: int
    end: int


class Tokens(Sequence[tuple[Token, ...]]):
    """The tokens of a free text, by row. They are computed when they are read."""

    def __init__(
        self, steps: Sequence[OfText], texts: Texts, chosen: NDArray[np.intp], factor: FloatArray
    ) -> None:
        self._steps, self._texts, self._chosen, self._factor = steps, texts, chosen, factor

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, row: int) -> tuple[Token, ...]: ...

    @overload
    def __getitem__(self, row: slice) -> list[tuple[Token, ...]]: ...

    def __getitem__(self, row: int | slice) -> tuple[Token, ...] | list[tuple[Token, ...]]:
        if isinstance(row, slice):
            return [self[i] for i in range(len(self))[row]]
        text = self._texts[row]
        found: dict[tuple[int, int], float] = {}
        for part in self._steps if text is not None else ():
            weights = part.weights[:, self._chosen[row]] * self._factor[row]
            for start, end, contribution in _of_text(part, text, weights):
                found[start, end] = found.get((start, end), 0.0) + contribution
        return tuple(Token(text[a:b], a, b, c) for (a, b), c in sorted(found.items()))


def tokens(
    document: Document, plan: Plan, batch: Batch, chosen: NDArray[np.intp], factor: FloatArray
) -> Mapping[int, Sequence[Sequence[Token]]]:
    """Return the tokens of each free text, by row."""
    steps: dict[int, list[OfText]] = {}
    for part in back.of_texts(document, plan):
        steps.setdefault(part.step.columns[0], []).append(part)
    return {k: Tokens(parts, batch.texts[k], chosen, factor) for k, parts in steps.items()}


def _of_text(part: OfText, text: str, weights: FloatArray) -> Iterator[tuple[int, int, float]]:
    """Yield the start, end and contribution of everything in a text that contributes."""
    step = part.step
    if len(text) > MAX_CHARACTERS or len(step.analyzer.prepared(text)) > MAX_PREPARED:
        return
    vocabulary = step.vocabulary
    placed = [(vocabulary.id(term.term), term) for term in terms(step.analyzer, text)]
    ids = [i for i, _ in placed if i is not None]
    added = step.adding(ids, weights)
    unsigned = vocabulary.signs(np.array(ids, np.int64))[0].tolist()
    times: dict[int, int] = {}
    for i in unsigned:
        times[i] = times.get(i, 0) + 1
    known = [term for i, term in placed if i is not None]
    each = [(term, added[i] / times[i]) for i, term in zip(unsigned, known, strict=True) if i in added]
    if step.analyzer.kind == "word":
        yield from ((term.start, term.end, contribution) for term, contribution in each)
    else:
        yield from _by_word(text, each)


def _by_word(text: str, each: Sequence[tuple[Term, float]]) -> Iterator[tuple[int, int, float]]:
    """Yield the start, end and contribution of each word, from runs of characters. A run is shared equally
    among its characters that are not spaces."""
    at = np.full(len(text), -1)
    words = [found.span() for found in WORDS.finditer(text)]
    for i, (start, end) in enumerate(words):
        at[start:end] = i
    sums, touched = np.zeros(len(words)), np.zeros(len(words), np.bool_)
    for term, contribution in each:
        own = at[term.start : term.end]
        own = own[own >= 0]
        for i in own.tolist():
            sums[i] += contribution / len(own)
            touched[i] = True
    for i in np.flatnonzero(touched).tolist():
        yield (*words[i], float(sums[i]))


def terms(analyzer: Analyzer, text: str) -> list[Term]:
    """Return the terms of a text, the same as `Analyzer.terms`, and where they stand in it."""
    prepared = analyzer.prepared(text)
    origins = _origins(analyzer, text)
    found = PLACED[analyzer.kind](analyzer, prepared)
    return [Term(term, *_placed(text, origins, start, end)) for term, start, end in found]


def _origins(analyzer: Analyzer, text: str) -> Sequence[int]:
    """Return for each character of the prepared text the index of the character that it comes from."""
    if text.isascii():
        return range(len(text))
    found: Sequence[int] = range(len(text))
    if analyzer.lowercase:
        lowered = text.lower()
        if len(lowered) > len(text):
            found = [i for i, character in enumerate(text) for _ in character.lower()]
        text = lowered
    if analyzer.accents is None:
        return found
    accents = analyzer.accents
    return [i for i, character in zip(found, text, strict=True) for _ in accents(character)]


def _placed(text: str, origins: Sequence[int], start: int, end: int) -> tuple[int, int]:
    """Turn a span of the prepared text into a span of the text that was sent. Marks that combine with its
    last character belong to it."""
    if start == end:
        return (origins[start],) * 2 if start < len(origins) else (len(text),) * 2
    first, last = origins[start], origins[end - 1] + 1
    while last < len(text) and unicodedata.combining(text[last]):
        last += 1
    return first, last


def _words(analyzer: Analyzer, text: str) -> Iterator[Term]:
    pattern = analyzer.pattern
    group = 1 if pattern.groups else 0
    words = [
        Term(found.group(group) or "", *(found.span(group) if found.group(group) else (found.end(),) * 2))
        for found in pattern.finditer(text)
    ]
    words = [word for word in words if word.term not in analyzer.stop_words]
    for n in range(analyzer.shortest, min(analyzer.longest, len(words)) + 1):
        for i in range(len(words) - n + 1):
            run = words[i : i + n]
            yield Term(" ".join(word.term for word in run), run[0].start, run[-1].end)


def _characters(analyzer: Analyzer, text: str) -> Iterator[Term]:
    single, places = _single_spaces(text)
    yield from _runs(analyzer, single, places)


def _within_words(analyzer: Analyzer, text: str) -> Iterator[Term]:
    single, places = _single_spaces(text)
    for found in WORDS.finditer(single):
        own = places[found.start() : found.end()]
        first, last = own[0][0], own[-1][1]
        yield from _within(analyzer, f" {found.group()} ", [(first, first), *own, (last, last)])


def _within(analyzer: Analyzer, word: str, places: list[tuple[int, int]]) -> Iterator[Term]:
    for n in range(analyzer.shortest, analyzer.longest + 1):
        whole = n >= len(word)
        for i in range(1 if whole else len(word) - n + 1):
            run = places[i : i + n]
            start, end = run[0][0], run[-1][1]
            if start == end:  # only the space before or after the word
                start, end = places[0][0], places[-1][1]
            yield Term(word[i : i + n], start, end)
        if whole:
            break


def _runs(analyzer: Analyzer, text: str, places: list[tuple[int, int]]) -> Iterator[Term]:
    for n in range(analyzer.shortest, min(analyzer.longest, len(text)) + 1):
        for i in range(len(text) - n + 1):
            yield Term(text[i : i + n], places[i][0], places[i + n - 1][1])


def _single_spaces(text: str) -> tuple[str, list[tuple[int, int]]]:
    """Return the text with one space in place of several, and the span in the text of each character left."""
    places: list[tuple[int, int]] = []
    at = 0
    for found in chain(SPACES.finditer(text), (None,)):
        stop = found.start() if found else len(text)
        places += [(i, i + 1) for i in range(at, stop)]
        if found:
            places.append(found.span())
            at = found.end()
    return SPACES.sub(" ", text), places


PLACED = {"word": _words, "char": _characters, "char_wb": _within_words}
