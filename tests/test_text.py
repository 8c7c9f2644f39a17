"""Texts: what scikit-learn answers, from the terms alone, with the same bits in any company."""

import json
import random
import re
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.utils.murmurhash import murmurhash3_32

from tests.text_corpora import WORDS, labels, texts
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.predictions import Predictions
from thimble.inference.steps.text_terms import USUAL, USUAL_OF_ASCII, Hashed, murmur3
from thimble_model import export

pytestmark = pytest.mark.filterwarnings("ignore")

VECTORIZERS: dict[str, Any] = {
    "words": lambda: TfidfVectorizer(),
    "counts of pairs": lambda: CountVectorizer(ngram_range=(1, 2), token_pattern=r"\S+"),
    "characters": lambda: TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True),
    "within words": lambda: TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), norm="l1"),
    "without accents": lambda: TfidfVectorizer(strip_accents="unicode", lowercase=False, min_df=2),
    "ASCII": lambda: CountVectorizer(strip_accents="ascii", analyzer="char_wb", binary=True),
    "hashed": lambda: HashingVectorizer(n_features=64, ngram_range=(1, 2)),
    "hashed, idf": lambda: make_pipeline(
        HashingVectorizer(n_features=97, analyzer="char", norm=None), TfidfTransformer()
    ),
    "no norm": lambda: TfidfVectorizer(norm=None, stop_words="english", token_pattern=r"(?u)\b\w+\b"),
    "both": lambda: make_union(TfidfVectorizer(max_features=9), CountVectorizer(analyzer="char", max_df=0.9)),
}


def answers(classifier: Classifier, found: list[str]) -> Predictions:
    return classifier.predict(Batch.of(classifier.features, [found]))


def same_as_the_trainer(estimator: Any, found: list[str], fresh: list[str]) -> Classifier:
    """Exported, which compares all rows; and compared on rows that are new to it."""
    classifier = load(export(estimator, found))
    predictions = answers(classifier, fresh)
    (scores,) = predictions.outputs
    assert not predictions.rejected
    numbers = scores.probabilities.T
    decides = not classifier.heads[0].has_probabilities
    expected = estimator.decision_function(fresh) if decides else estimator.predict_proba(fresh)
    np.testing.assert_allclose(numbers, expected, rtol=1e-12, atol=1e-12)
    assert np.array(classifier.heads[0].classes)[scores.labels].tolist() == estimator.predict(fresh).tolist()
    return classifier


def same_bits_in_any_company(classifier: Classifier, found: list[str]) -> None:
    (whole,) = answers(classifier, found).outputs
    order = random.Random(0).sample(range(len(found)), len(found))
    (shuffled,) = answers(classifier, [found[i] for i in order]).outputs
    assert whole.probabilities[:, order].tobytes() == shuffled.probabilities.tobytes()
    for i in order[:25]:
        (alone,) = answers(classifier, [found[i]]).outputs
        assert whole.probabilities[:, [i]].tobytes() == alone.probabilities.tobytes()


@pytest.mark.parametrize("script", WORDS)
def test_every_script_gets_the_trainers_answers_and_the_same_bits(script: str) -> None:
    found, fresh = texts(script), texts(script, seed=1) + texts("mixed", 20, seed=2)
    y = labels(found)
    kinds = list(VECTORIZERS)
    for k in range(3):  # all kinds are met, each in several scripts
        kind = kinds[(list(WORDS).index(script) * 3 + k) % len(kinds)]
        last = RidgeClassifier() if k == 2 else LogisticRegression(max_iter=300)
        if kind == "ASCII" and not any("a" <= character <= "z" for character in "".join(found)):
            kind = "without accents"
        estimator = make_pipeline(VECTORIZERS[kind](), last).fit(found, y)
        same_bits_in_any_company(same_as_the_trainer(estimator, found, fresh), fresh)


OPTIONS = st.fixed_dictionaries(
    {
        "analyzer": st.sampled_from(["word", "char", "char_wb"]),
        "ngram_range": st.sampled_from([(1, 1), (1, 2), (2, 3), (3, 3), (1, 5)]),
        "lowercase": st.booleans(),
        "strip_accents": st.sampled_from([None, "unicode", "ascii"]),
        "binary": st.booleans(),
        "norm": st.sampled_from([None, "l1", "l2"]),
        "token_pattern": st.sampled_from([r"(?u)\b\w\w+\b", r"\S+", r"[^\W\d_]+", r"(?i)([a-zé])|\w+"]),
        "stop_words": st.sampled_from([None, "english", ["not", "дом", "水"]]),
    }
)
TFIDF = st.fixed_dictionaries({"sublinear_tf": st.booleans(), "use_idf": st.booleans()})
HASHING = st.fixed_dictionaries(
    {"n_features": st.sampled_from([1, 16, 1023, 2**18]), "alternate_sign": st.booleans()}
)


@settings(max_examples=40, deadline=None)
@given(OPTIONS, st.one_of(TFIDF, HASHING), st.sampled_from(sorted(WORDS)), st.data())
def test_any_options_give_the_trainers_answers(options: Any, more: Any, script: str, data: Any) -> None:
    hashes = "n_features" in more
    vectorizer = (HashingVectorizer if hashes else TfidfVectorizer)(**options, **more)
    found = texts(script, 40)
    try:
        estimator = make_pipeline(vectorizer, LogisticRegression(max_iter=50)).fit(found, labels(found, 2))
    except ValueError:  # no term is left
        return
    alphabet = st.sampled_from([*"".join(WORDS.values())])
    fresh = data.draw(st.lists(st.one_of(st.text(alphabet), st.text()), min_size=1, max_size=6))
    same_bits_in_any_company(same_as_the_trainer(estimator, found, fresh), fresh)


@given(st.binary(max_size=40))
def test_the_hash_is_murmurs(data: bytes) -> None:
    assert murmur3(data) == murmurhash3_32(data, 0, positive=True)


def test_hashed_terms_are_remembered_within_bounds() -> None:
    buckets = Hashed(2**20, alternate_sign=True)
    for i in range(70_000):
        buckets[f"term {i}"]
    buckets["x" * 1000]
    assert len(buckets) == 2**16
    assert all(len(term) <= 64 for term in buckets)


LONG = {
    "one word many times": "good " * 200_000,
    "one long word": "a" * 1_000_000,
    "no word": "- " * 500_000,
    "accents": "é" * 500_000 + " e\u0301" * 150_000,
}


@pytest.mark.parametrize("kind", ["words", "hashed"])
def test_texts_of_a_megabyte_get_the_trainers_answers(kind: str) -> None:
    found = [*LONG.values(), *texts("mixed")]
    estimator = make_pipeline(VECTORIZERS[kind](), LogisticRegression(max_iter=50))
    estimator.fit(found, labels(found))
    rows = json.loads(export(estimator, found))["examples"]["rows"]
    assert max(len(text) for (text,) in rows) == 500  # examples are the beginnings of texts
    same_bits_in_any_company(same_as_the_trainer(estimator, texts("mixed"), [*LONG.values()]), found[3:5])


def test_a_text_that_is_too_long_is_rejected_with_a_sentence() -> None:
    found = texts("english")
    estimator = make_pipeline(VECTORIZERS["words"](), RidgeClassifier()).fit(found, labels(found))
    classifier = load(export(estimator, found))
    at_bound, beyond = "a b " * 2**18, "a b " * 2**18 + "c"
    predictions = answers(classifier, ["good", beyond, at_bound, "good"])
    assert predictions.rejected == {1: "text is too long a text; the most is 1,048,576 characters"}
    scores = predictions.outputs[0].probabilities
    assert scores[:, 0].tobytes() == scores[:, 3].tobytes()


def test_the_longest_texts_and_n_grams_stay_within_memory() -> None:
    """The terms of one size are held at once, and not those of all."""
    found = texts("english")
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 5), max_features=500)
    classifier = load(export(make_pipeline(vectorizer, RidgeClassifier()).fit(found, labels(found)), found))
    tracemalloc.start()
    answers(classifier, [" ".join(f"w{i}" for i in range(70_000))])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 250e6


@given(st.text(st.characters(max_codepoint=127), max_size=40))
def test_a_text_of_ascii_has_the_words_that_the_usual_pattern_finds(text: str) -> None:
    assert USUAL_OF_ASCII.findall(text) == re.findall(USUAL, text)
    assert TfidfVectorizer().token_pattern == USUAL
