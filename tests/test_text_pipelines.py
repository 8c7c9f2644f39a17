"""Generated pipelines of one text: scikit-learn's answers, or a refusal that says why."""

from typing import Any

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, MaxAbsScaler, Normalizer, StandardScaler

from thimble.inference.classifier import load
from thimble_model import Unsupported, export
from thimble_model.frames import as_table
from thimble_model.parity import parity

pytestmark = pytest.mark.filterwarnings("ignore")

WORDS = (
    *(
        "the",
        "The",
        "a",
        "don't",
        "12",
        "3.5",
        "foo_bar",
        "well-known",
        "Straße",
        "ﬁne",
        "x",
        "yy",
        "É",
        "e\u0301",
    ),
    *("ΑΣ", "i̇", "東京", "<b>", "&", ",", "!", "\t", "\n", "", "long" * 9),
)
NORMS = st.sampled_from([None, "l1", "l2"])
READING = {
    "analyzer": st.sampled_from(["word", "char", "char_wb"]),
    "ngram_range": st.sampled_from([(1, 1), (1, 2), (2, 3)]),
    "lowercase": st.booleans(),
    "strip_accents": st.sampled_from([None, "ascii", "unicode"]),
    "binary": st.booleans(),
    "stop_words": st.sampled_from([None, "english", ["foo_bar", "the"]]),
}
KNOWN = READING | {"max_features": st.sampled_from([None, 12]), "min_df": st.sampled_from([1, 2])}
WEIGHED = {
    "norm": NORMS,
    "use_idf": st.booleans(),
    "smooth_idf": st.booleans(),
    "sublinear_tf": st.booleans(),
}
HASHED = {"n_features": st.sampled_from([16, 64]), "alternate_sign": st.booleans(), "norm": NORMS}
VECTORIZERS = st.one_of(
    st.builds(CountVectorizer, **KNOWN),
    st.builds(TfidfVectorizer, **KNOWN, **WEIGHED),
    st.builds(HashingVectorizer, **READING, **HASHED),
)
FOLLOWING = st.one_of(
    st.builds(SelectKBest, k=st.sampled_from([3, 9])),
    st.builds(TfidfTransformer, **WEIGHED),
    st.builds(Normalizer, norm=st.sampled_from(["l1", "l2", "max"])),
    st.builds(Binarizer, threshold=st.sampled_from([0.0, 0.3])),
    st.builds(TruncatedSVD, n_components=st.just(2), random_state=st.just(0)),
    st.builds(MaxAbsScaler),
    st.builds(StandardScaler, with_mean=st.just(False)),
)
LAST = st.one_of(
    st.builds(LogisticRegression, max_iter=st.just(20)),
    st.builds(SGDClassifier, loss=st.sampled_from(["hinge", "modified_huber"]), random_state=st.just(0)),
    st.builds(RidgeClassifier),
    st.builds(MultinomialNB, fit_prior=st.booleans()),
    st.builds(ComplementNB, norm=st.booleans()),
    st.builds(BernoulliNB, binarize=st.sampled_from([None, 0.0, 0.5])),
    st.builds(MLPClassifier, hidden_layer_sizes=st.just((3,)), max_iter=st.just(5), random_state=st.just(0)),
)
ENDINGS = st.one_of(
    LAST,
    st.builds(OneVsRestClassifier, LAST),
    st.builds(CalibratedClassifierCV, LAST, cv=st.just(2), ensemble=st.booleans()),
    st.builds(
        BaggingClassifier,
        LAST,
        n_estimators=st.just(3),
        max_features=st.sampled_from([1.0, 0.6]),
        random_state=st.just(0),
    ),
    st.builds(lambda a, b: VotingClassifier([("a", a), ("b", b)]), LAST, LAST),
)
PIPELINES = st.builds(
    lambda first, following, last: make_pipeline(first, *following, last),
    VECTORIZERS,
    st.lists(FOLLOWING, max_size=2),
    ENDINGS,
)
TEXTS = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)


@settings(suppress_health_check=list(HealthCheck))
@given(
    pipeline=PIPELINES,
    texts=st.lists(TEXTS, min_size=24, max_size=40),
    fresh=st.lists(st.one_of(TEXTS, st.text(max_size=20)), max_size=12),
    n_classes=st.integers(2, 3),
)
@example(
    make_pipeline(
        CountVectorizer(),
        MaxAbsScaler(),
        BaggingClassifier(LogisticRegression(), n_estimators=3, max_features=0.6, random_state=0),
    ),
    [" ".join(WORDS[i : i + 5]) for i in range(20)] * 2,
    [],
    2,
)
@example(
    make_pipeline(HashingVectorizer(n_features=16), SelectKBest(k=3), BernoulliNB(binarize=0.5)),
    [" ".join(WORDS[i : i + 5]) for i in range(20)] * 2,
    ["the 12 x", "long"],
    2,
)
def test_a_pipeline_of_a_text_answers_as_scikit_learn(
    pipeline: Any, texts: list[str], fresh: list[str], n_classes: int
) -> None:
    labels = [i % n_classes for i in range(len(texts))]
    try:
        pipeline.fit(texts, labels)
        pipeline.predict(texts)
    except ValueError as error:  # an empty vocabulary, numbers below zero
        event(f"scikit-learn refuses: {str(error)[:40]}")
        return
    try:
        data = export(pipeline, texts[: len(texts) // 2])
    except Unsupported as error:
        event(f"refused: {str(error)[:60]}")
        if "would not answer" in str(error):  # what is found out by comparing answers is a fault
            raise
        return
    event("exported")
    found = parity(load(data), pipeline, as_table(pipeline, [*texts, *fresh, "", "unseen words"]))
    assert found.holds, str(found)
