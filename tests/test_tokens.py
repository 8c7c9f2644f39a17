"""Which words of a text contribute: laid beside a second computation with scikit-learn's own vectorizers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.explain import contributions, text
from thimble.inference.explain.contributions import Contributions
from thimble.inference.steps.text import Text
from thimble_model.exporter import export

TEXTS = [
    "Free prize! Call now to claim your FREE prize",
    "see you at the café tonight, call me",
    "CALL now: a prize of 1000 waits for you",
    "İstanbul is lovely;  see you   there",
    "are we still on for lunch?",
    "win a free lunch now!!",
    "no one home tonight",
    "cafe\u0301 prices: free for two",
]
SPAM = np.array([1, 0, 1, 0, 0, 1, 0, 1])
VECTORIZERS: list[Any] = [
    CountVectorizer(),
    CountVectorizer(ngram_range=(1, 3), stop_words=["the", "for"]),
    CountVectorizer(binary=True, strip_accents="unicode"),
    CountVectorizer(token_pattern=r"(?u)\b(\w)\w*\b"),
    TfidfVectorizer(sublinear_tf=True, strip_accents="ascii"),
    TfidfVectorizer(analyzer="char", ngram_range=(2, 4)),
    CountVectorizer(analyzer="char_wb", ngram_range=(1, 5), lowercase=False),
    HashingVectorizer(n_features=64, norm=None),
    HashingVectorizer(n_features=2**16, analyzer="char_wb", ngram_range=(3, 3)),
]


def exported(vectorizer: Any, model: Any = None) -> Classifier:
    estimator = make_pipeline(vectorizer, model or LogisticRegression())
    return load(export(estimator.fit(TEXTS, SPAM), TEXTS, SPAM))


def explained(classifier: Classifier, texts: list[str], of: str = "1") -> Contributions:
    batch = Batch.of(classifier.features, [texts])
    (found,) = contributions.of(classifier.document, batch, classifier.predict(batch), of)
    return found


def analyzer_of(classifier: Classifier) -> Any:
    preprocessing = classifier.document.preprocessing
    assert preprocessing is not None
    (step,) = (step for step, _ in preprocessing.steps if isinstance(step, Text))
    return step.analyzer


@pytest.mark.parametrize("vectorizer", VECTORIZERS, ids=str)
def test_tokens_and_what_is_not_there_are_the_texts_contribution(vectorizer: Any) -> None:
    classifier = exported(vectorizer)
    found = explained(classifier, TEXTS)
    np.testing.assert_allclose(found.base + found.features[0], found.score, atol=1e-9)
    estimator = make_pipeline(vectorizer, LogisticRegression()).fit(TEXTS, SPAM)
    Z, coef = estimator[0].transform(TEXTS).toarray(), estimator[1].coef_[0]
    sums = [sum(token.contribution for token in tokens) for tokens in found.tokens[0]]
    np.testing.assert_allclose(sums, Z @ coef, atol=1e-9)
    np.testing.assert_allclose(found.features[0], (Z - Z.mean(axis=0)) @ coef, atol=1e-9)
    for sent, tokens in zip(TEXTS, found.tokens[0], strict=True):
        assert tokens
        assert all(token.text == sent[token.start : token.end] and token.text for token in tokens)
        assert len({token[1:3] for token in tokens}) == len(tokens)


@pytest.mark.parametrize("vectorizer", VECTORIZERS, ids=str)
@given(
    sent=st.text(st.sampled_from("aAéßİΣς \t\n\x1c'-_.,1ﬁ日\u0301\u0327가ǅ") | st.characters(), max_size=40)
)
def test_the_terms_that_are_placed_are_those_that_are_counted(vectorizer: Any, sent: str) -> None:
    analyzer = analyzer_of(CLASSIFIERS[str(vectorizer)])
    placed = text.terms(analyzer, sent)
    assert [term.term for term in placed] == list(analyzer.terms(analyzer.prepared(sent)))
    assert all(0 <= term.start <= term.end <= len(sent) for term in placed)


CLASSIFIERS = {str(vectorizer): exported(vectorizer) for vectorizer in VECTORIZERS}


def test_a_term_stands_where_it_was_written() -> None:
    """In characters of the text that was sent, though case, accents and spaces change the number of them."""
    analyzer = analyzer_of(exported(CountVectorizer(strip_accents="unicode")))
    sent = "İİ Cafe\u0301  ﬁne ÉTÉ"
    found = {sent[term.start : term.end]: term.term for term in text.terms(analyzer, sent)}
    assert found == {"İİ": "ii", "Cafe\u0301": "cafe", "ﬁne": "fine", "ÉTÉ": "ete"}


def test_a_term_of_several_words_is_a_token_of_its_own() -> None:
    classifier = exported(CountVectorizer(ngram_range=(1, 2)))
    (tokens,) = explained(classifier, ["free prize"]).tokens[0]
    assert [token[:3] for token in tokens] == [("free", 0, 4), ("free prize", 0, 10), ("prize", 5, 10)]


@pytest.mark.parametrize("model", [MultinomialNB(), ComplementNB()], ids=str)
def test_naive_bayes_tells_its_words(model: Any) -> None:
    found = explained(exported(CountVectorizer(), model), TEXTS)
    np.testing.assert_allclose(found.base + found.features[0], found.score, atol=1e-9)
    assert {token.text for token in found.tokens[0][6]} == {"no", "one", "home", "tonight"}


def test_a_text_alone_and_among_others_gets_the_same_tokens() -> None:
    classifier = exported(TfidfVectorizer())
    together = explained(classifier, TEXTS * 50)
    for i in (0, 3, 201):
        alone = explained(classifier, [(TEXTS * 50)[i]])
        assert alone.tokens[0][0] == together.tokens[0][i]
        assert alone.features[0, 0].hex() == together.features[0, i].hex()


def test_components_of_a_text_are_taken_back_to_its_words() -> None:
    estimator = make_pipeline(TfidfVectorizer(), TruncatedSVD(3, random_state=0), LogisticRegression())
    classifier = load(export(estimator.fit(TEXTS, SPAM), TEXTS, SPAM))
    found = explained(classifier, TEXTS)
    Z = estimator[0].transform(TEXTS).toarray() @ estimator[1].components_.T @ estimator[2].coef_[0]
    sums = [sum(token.contribution for token in tokens) for tokens in found.tokens[0]]
    np.testing.assert_allclose(sums, Z, atol=1e-9)


def test_what_is_no_sum_of_words_has_no_tokens() -> None:
    estimator = make_pipeline(
        TfidfVectorizer(), TruncatedSVD(3, random_state=0), Normalizer(), LogisticRegression()
    )
    classifier = load(export(estimator.fit(TEXTS, SPAM), TEXTS, SPAM))
    found = explained(classifier, TEXTS)
    np.testing.assert_allclose(found.base + found.features[0], found.score, atol=1e-9)
    assert not found.tokens


def test_a_text_beside_other_features() -> None:
    table = pd.DataFrame({"size": np.arange(8.0), "text": TEXTS})
    estimator = make_pipeline(
        make_column_transformer((CountVectorizer(), "text"), remainder="passthrough"), LogisticRegression()
    )
    classifier = load(export(estimator.fit(table, SPAM), table, SPAM))
    batch = Batch.of(classifier.features, [table["size"].tolist(), TEXTS])
    (found,) = contributions.of(classifier.document, batch, classifier.predict(batch))
    np.testing.assert_allclose(found.base + found.features.sum(axis=0), found.score, atol=1e-9)
    np.testing.assert_allclose(
        np.abs(found.features[0]), np.abs((np.arange(8) - 3.5) * estimator[1].coef_[0, -1])
    )
    assert set(found.tokens) == {1}
