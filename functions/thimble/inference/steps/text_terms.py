"""Cut a text into terms: words, or runs of characters, as scikit-learn's vectorizers do.

A term's id is its position in a vocabulary, or its hash. All of this is pure Python, one text at a time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple

SPACES = re.compile(r"\s\s+")
WORDS = re.compile(r"\S+")
USUAL = r"(?u)\b\w\w+\b"  # scikit-learn's default: whole words of two or more characters
USUAL_OF_ASCII = re.compile(r"(?a)\w\w+")
FEWEST_BYTES = 4  # that are hashed at once
REMEMBERED, LONGEST_REMEMBERED = 2**16, 64  # hashed terms, and characters of one


def without_accents(text: str) -> str:
    """Return a text decomposed (NFKD), without combining marks."""
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def only_ascii(text: str) -> str:
    """Return a text decomposed (NFKD), without characters that are not ASCII then."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


ACCENTS: Mapping[str, Callable[[str], str]] = {"unicode": without_accents, "ascii": only_ascii}


class Analyzer(NamedTuple):
    """How a text becomes terms."""

    kind: str  # of KINDS
    lowercase: bool
    accents: Callable[[str], str] | None
    pattern: re.Pattern[str]  # only for words
    of_ascii: re.Pattern[str]  # gives the same words of an ASCII text, and may be faster
    stop_words: frozenset[str]
    shortest: int  # of n-grams
    longest: int

    def prepared(self, text: str) -> str:
        if self.lowercase:
            text = text.lower()
        return self.accents(text) if self.accents else text

    def terms(self, prepared: str) -> Iterable[str]:
        return KINDS[self.kind](self, prepared)


def _words(analyzer: Analyzer, text: str) -> Iterable[str]:
    pattern = analyzer.of_ascii if text.isascii() else analyzer.pattern
    words: list[str] = pattern.findall(text)
    if analyzer.stop_words:
        stopped = analyzer.stop_words
        words = [word for word in words if word not in stopped]
    if analyzer.longest == 1:
        return words
    sizes = range(analyzer.shortest, min(analyzer.longest, len(words)) + 1)
    return chain.from_iterable(words if n == 1 else _joined(words, n) for n in sizes)


def _joined(words: list[str], n: int) -> Iterator[str]:
    return map(" ".join, zip(*(words[i:] for i in range(n)), strict=False))


def _characters(analyzer: Analyzer, text: str) -> Iterable[str]:
    text = SPACES.sub(" ", text)
    sizes = range(analyzer.shortest, min(analyzer.longest, len(text)) + 1)
    return chain.from_iterable(
        text if n == 1 else [text[i : i + n] for i in range(len(text) - n + 1)] for n in sizes
    )


def _within_words(analyzer: Analyzer, text: str) -> Iterable[str]:
    """Return runs of characters within words that have a space added on both sides. A word that is too short
    counts once."""
    return chain.from_iterable(_within(f" {word} ", analyzer) for word in SPACES.sub(" ", text).split())


def _within(word: str, analyzer: Analyzer) -> list[str]:
    found: list[str] = []
    for n in range(analyzer.shortest, analyzer.longest + 1):
        if n >= len(word):
            found.append(word)
            break
        found += [word[i : i + n] for i in range(len(word) - n + 1)]
    return found


KINDS: Mapping[str, Callable[[Analyzer, str], Iterable[str]]] = {
    "word": _words,
    "char": _characters,
    "char_wb": _within_words,
}


class Hashed(dict[str, int]):
    """The bucket of each term, or -1 - bucket if its sign is negative. Short terms are remembered."""

    def __init__(self, n_buckets: int, alternate_sign: bool) -> None:
        super().__init__()
        self.n_buckets = n_buckets
        self.alternate_sign = alternate_sign

    def __missing__(self, term: str) -> int:
        hashed = murmur3(term.encode("utf-8", "surrogatepass"))
        signed = hashed - (1 << 32) if hashed >= 1 << 31 else hashed
        bucket = abs(signed) % self.n_buckets  # for the least integer too, as in scikit-learn
        found = -1 - bucket if signed < 0 and self.alternate_sign else bucket
        if len(term) <= LONGEST_REMEMBERED and len(self) < REMEMBERED:
            self[term] = found
        return found


MASK = 0xFFFFFFFF


def murmur3(data: bytes) -> int:
    """Return the 32-bit MurmurHash3 with the seed 0 (A. Appleby, public domain)."""
    h, whole = 0, len(data) & ~3
    for i in range(0, whole, FEWEST_BYTES):
        h ^= _mixed(int.from_bytes(data[i : i + FEWEST_BYTES], "little"))
        h = (h << 13 | h >> 19) & MASK
        h = (h * 5 + 0xE6546B64) & MASK
    if whole < len(data):
        h ^= _mixed(int.from_bytes(data[whole:], "little"))
    h ^= len(data)
    h = ((h ^ h >> 16) * 0x85EBCA6B) & MASK
    h = ((h ^ h >> 13) * 0xC2B2AE35) & MASK
    return h ^ h >> 16


def _mixed(k: int) -> int:
    k = (k * 0xCC9E2D51) & MASK
    return (((k << 15 | k >> 17) & MASK) * 0x1B873593) & MASK
