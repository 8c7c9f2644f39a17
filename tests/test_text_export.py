"""What may follow a vectorizer, and what it may end in: exported with parity, or refused with a sentence."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.feature_selection import SelectKBest, SelectPercentile, VarianceThreshold, chi2
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.svm import LinearSVC

from tests.text_corpora import labels, texts
from thimble.errors import InvalidInput
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble_model import Unsupported, export
from thimble_model.catalogue import CLASSIFIERS, Exports

pytestmark = pytest.mark.filterwarnings("ignore")

NOTES = texts("english", 120) + texts("mixed", 60)
FRESH = texts("english", 30, seed=1) + texts("greek", 9)
Y = labels(NOTES)
EACH = np.array([[len(note) % 2, "good" in note] for note in NOTES]).astype(int)
TABLE = pd.DataFrame(
    {
        "title": NOTES,
        "body": NOTES[::-1],
        "mass": [float(len(note)) for note in NOTES],
        "kind": ["a" if "not" in note else "b" for note in NOTES],
    }
)


def plain() -> Any:
    return LogisticRegression(max_iter=300)


def exported(estimator: Any, X: Any = NOTES, y: Any = Y) -> tuple[Classifier, Any]:
    """Fitted, exported (which compares all rows) and loaded."""
    fitted = estimator.fit(X, y)
    return load(export(fitted, X, y)), fitted


def check_fresh(estimator: Any, y: Any = Y) -> Classifier:
    classifier, fitted = exported(estimator, y=y)
    found = classifier.predict(Batch.of(classifier.features, [FRESH]))
    assert not found.rejected
    if classifier.heads[0].multilabel or len(classifier.heads) > 1:
        return classifier
    (scores,) = found.outputs
    numbers = (fitted.predict_proba if classifier.heads[0].has_probabilities else fitted.decision_function)(
        FRESH
    )
    numbers = np.column_stack([-numbers, numbers]) if numbers.ndim == 1 else numbers
    sound = np.isfinite(numbers).all(axis=1)  # all rows, but for a one-vs-rest of an older scikit-learn
    assert sound.mean() > 0.5
    np.testing.assert_allclose(scores.probabilities.T[sound], numbers[sound], rtol=1e-12, atol=1e-12)
    found = np.array(classifier.heads[0].classes)[scores.labels[sound]]
    assert found.tolist() == fitted.predict(FRESH)[sound].tolist()
    return classifier


ENDINGS: dict[str, Any] = {
    "logistic": plain(),
    "svc": LinearSVC(),
    "sgd": SGDClassifier(random_state=0),
    "sgd, log loss": SGDClassifier(loss="log_loss", random_state=0),
    "ridge": RidgeClassifier(),
    "perceptron": Perceptron(),
    "sigmoid": CalibratedClassifierCV(LinearSVC(), cv=3),
    "isotonic": CalibratedClassifierCV(plain(), method="isotonic", cv=2),
    "one vs rest": OneVsRestClassifier(SGDClassifier(loss="modified_huber", random_state=0)),
    "network": MLPClassifier((9,), max_iter=60, random_state=0),
    "frozen": FrozenEstimator(plain().fit(CountVectorizer().fit(NOTES).transform(NOTES), Y)),
    "search": GridSearchCV(plain(), {"C": [1.0, 9.0]}, cv=2),
    "multinomial": MultinomialNB(),
    "complement": ComplementNB(),
    "complement, norm": ComplementNB(norm=True),
    "bernoulli": BernoulliNB(),
    "bernoulli above": BernoulliNB(binarize=1.0),
}
NAIVE = {"multinomial": "MultinomialNB", "complement": "ComplementNB", "bernoulli": "BernoulliNB"}
EXPORTED = [
    name
    for name in ENDINGS
    if name.split()[0].strip(",") not in NAIVE
    or isinstance(CLASSIFIERS[NAIVE[name.split()[0].strip(",")]], Exports)
]


@pytest.mark.parametrize("ending", EXPORTED)
def test_every_ending_gets_the_trainers_answers(ending: str) -> None:
    vectorizer = CountVectorizer() if ending == "frozen" else CountVectorizer(ngram_range=(1, 2))
    check_fresh(make_pipeline(vectorizer, ENDINGS[ending]))


SEVERAL: dict[str, Any] = {
    "one vs rest": OneVsRestClassifier(plain()),
    "ridge": RidgeClassifier(),
    "network": MLPClassifier((5,), max_iter=60, random_state=0),
    "several outputs": MultiOutputClassifier(plain()),
}


@pytest.mark.parametrize("ending", SEVERAL)
def test_several_labels_get_the_trainers_answers(ending: str) -> None:
    check_fresh(make_pipeline(TfidfVectorizer(), SEVERAL[ending]), EACH)


WHOLE: dict[str, Any] = {
    "members with texts of their own": CalibratedClassifierCV(
        make_pipeline(TfidfVectorizer(), LinearSVC()), cv=3
    ),
    "classes with texts of their own": OneVsRestClassifier(make_pipeline(TfidfVectorizer(), plain())),
    "a search": GridSearchCV(make_pipeline(TfidfVectorizer(), plain()), {"tfidfvectorizer__min_df": [1, 2]}),
    "a pipeline in a pipeline": make_pipeline(make_pipeline(CountVectorizer(), TfidfTransformer()), plain()),
}


@pytest.mark.parametrize("whole", WHOLE)
def test_estimators_around_a_vectorizer_get_the_trainers_answers(whole: str) -> None:
    check_fresh(WHOLE[whole])


FOLLOWING: dict[str, list[Any]] = {
    "selected": [TfidfVectorizer(), SelectKBest(chi2, k=12)],
    "selected before idf": [CountVectorizer(), SelectPercentile(chi2, percentile=40), TfidfTransformer()],
    "varied": [TfidfVectorizer(norm=None), VarianceThreshold(0.01)],
    "components": [TfidfVectorizer(), TruncatedSVD(6, random_state=0)],
    "components to unit norm": [
        TfidfVectorizer(analyzer="char", ngram_range=(1, 2)),
        TruncatedSVD(6, random_state=0),
        Normalizer(),
        StandardScaler(),
    ],
    "scaled": [CountVectorizer(), MaxAbsScaler()],
    "scaled without a mean": [TfidfVectorizer(), StandardScaler(with_mean=False)],
    "normalized": [CountVectorizer(), Normalizer("l1")],
    "normalized to the largest": [HashingVectorizer(n_features=80, norm=None), Normalizer("max")],
    "scaled, then normalized": [TfidfVectorizer(norm="l1"), MaxAbsScaler(), Normalizer()],
    "normalized, then idf": [HashingVectorizer(n_features=80), TfidfTransformer(norm=None)],
    "idf of hashed terms": [HashingVectorizer(n_features=2**14), TfidfTransformer()],
    "sublinear": [CountVectorizer(analyzer="char_wb"), TfidfTransformer(sublinear_tf=True, norm="l1")],
    "binarized": [TfidfVectorizer(), Binarizer(threshold=0.15)],
    "binarized signs": [HashingVectorizer(n_features=50, norm=None), Binarizer()],
    "as they are": [CountVectorizer(), FunctionTransformer()],
    "a few by curves": [CountVectorizer(max_features=8), MaxAbsScaler(), PolynomialFeatures(2)],
    "a union": [make_union(TfidfVectorizer(), CountVectorizer(analyzer="char")), MaxAbsScaler()],
    "a weighted union": [
        FeatureUnion(
            [("words", TfidfVectorizer()), ("characters", HashingVectorizer(n_features=60, analyzer="char"))],
            transformer_weights={"words": 0.5, "characters": 2.0},
        )
    ],
    "a vocabulary that is given": [CountVectorizer(vocabulary=["not", "good", "bad", "never seen"])],
    "terms in an order of their own": [TfidfVectorizer(vocabulary={"not": 1, "good": 0, "x": 2}, norm="l1")],
}


@pytest.mark.parametrize("following", FOLLOWING)
def test_what_follows_gets_the_trainers_answers(following: str) -> None:
    check_fresh(make_pipeline(*FOLLOWING[following], plain()))


def columns(**keys: Any) -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("title", TfidfVectorizer(), "title"),
            (
                "body",
                make_pipeline(CountVectorizer(analyzer="char"), TruncatedSVD(3, random_state=0)),
                "body",
            ),
            ("letters", HashingVectorizer(n_features=30, analyzer="char"), "body"),
            ("mass", StandardScaler(), ["mass"]),
            ("kind", OneHotEncoder(handle_unknown="ignore"), ["kind", "body"]),
        ],
        **keys,
    )


BESIDE: dict[str, Any] = {
    "linear": make_pipeline(columns(), plain()),
    "dense and centred": make_pipeline(columns(sparse_threshold=0), StandardScaler(), plain()),
    "a network": make_pipeline(columns(), MLPClassifier((6,), max_iter=40, random_state=0)),
    "weighted": make_pipeline(columns(transformer_weights={"title": 0.5}), MaxAbsScaler(), LinearSVC()),
    "calibrated": make_pipeline(columns(), CalibratedClassifierCV(RidgeClassifier(), cv=2)),
    "a forest": make_pipeline(
        make_column_transformer(
            (make_pipeline(TfidfVectorizer(), TruncatedSVD(4, random_state=0)), "title"),
            (CountVectorizer(max_features=20), "body"),
            ("passthrough", ["mass"]),
        ),
        RandomForestClassifier(8, random_state=0),
    ),
}


@pytest.mark.parametrize("beside", BESIDE)
def test_texts_beside_numbers_and_categories_get_the_trainers_answers(beside: str) -> None:
    classifier, _ = exported(BESIDE[beside], TABLE)
    types = [feature.type for feature in classifier.features]
    assert types[:3] == ["free_text", "free_text", "number"]


def test_a_text_that_is_a_category_too_is_not_missing() -> None:
    """NA is a word to the vectorizer, and an unknown category to the encoder."""
    table = pd.DataFrame({"text": ["good day", "bad day", "good", "bad"] * 5})
    both = make_column_transformer(
        (CountVectorizer(), "text"), (OneHotEncoder(handle_unknown="ignore"), ["text"])
    )
    classifier, fitted = exported(make_pipeline(both, plain()), table, ["p", "n"] * 10)
    fresh = pd.DataFrame({"text": ["NA", "", "good"]})
    (scores,) = classifier.predict(Batch.of(classifier.features, [fresh["text"].tolist()])).outputs
    np.testing.assert_allclose(scores.probabilities.T, fitted.predict_proba(fresh), rtol=0, atol=1e-12)


def upper(text: str) -> str:
    return text.upper()


REFUSED: dict[str, tuple[Any, str]] = {
    "analyzer": (CountVectorizer(analyzer=upper), "its analyzer is a function"),
    "tokenizer": (TfidfVectorizer(tokenizer=str.split), "its tokenizer is a function"),
    "preprocessor": (HashingVectorizer(preprocessor=upper), "its preprocessor is a function"),
    "strip_accents": (CountVectorizer(strip_accents=upper), "its strip_accents is a function"),
    "float32": (TfidfVectorizer(dtype=np.float32), "it counts in float32; fit it with dtype=np.float64"),
    "int8": (CountVectorizer(dtype=np.int8), "it counts in int8"),
    "nested": (CountVectorizer(token_pattern=r"(?:\w+\s?)+"), "a quantifier within a quantifier"),
    "backreference": (CountVectorizer(token_pattern=r"(\w)\w*\1?"), "a backreference"),
    "lookaround": (CountVectorizer(token_pattern=r"\w+(?=\s|$)"), "lookaround"),
    "quadratic": (CountVectorizer(token_pattern=r"\w+ "), "a repeat without an end before what may fail"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_a_document_cannot_hold_is_refused_with_its_step(kind: str) -> None:
    vectorizer, sentence = REFUSED[kind]
    fitted = make_pipeline(vectorizer, RidgeClassifier()).fit(NOTES, Y)
    with pytest.raises(Unsupported) as refusal:
        export(fitted, NOTES)
    name = type(vectorizer).__name__
    assert str(refusal.value).startswith(f"step {name.lower()!r} ({name}): ")
    assert sentence in str(refusal.value)


MANY = [f"w{i} w{i + 1} w{2 * i}" for i in range(800)]
TOO_MANY: dict[str, tuple[Any, str]] = {
    "a forest": (
        make_pipeline(CountVectorizer(), RandomForestClassifier(2)),
        "a forest reads more than 1,000 terms",
    ),
    "a curve": (
        make_pipeline(
            CountVectorizer(), FunctionTransformer(np.sqrt), TruncatedSVD(2), MinMaxScaler(), plain()
        ),
        "the step 'function' reads more than 1,000 terms",
    ),
}


@pytest.mark.parametrize("reader", TOO_MANY)
def test_many_terms_one_by_one_are_refused_with_a_way_out(reader: str) -> None:
    estimator, sentence = TOO_MANY[reader]
    with pytest.raises(Unsupported, match=sentence) as refusal:
        export(estimator.fit(MANY, labels(MANY)), MANY)
    assert "put TruncatedSVD, or SelectKBest(k=1000), before it, and fit again" in str(refusal.value)


ROWS: list[tuple[Any, str]] = [
    ("one text", "X is one text, or a path; pass a list of texts"),
    (TABLE[["title", "body"]], "X has 2 columns, and the estimator reads one text a row: pass that column"),
    ([], "X has no rows: pass those that the estimator was fitted on"),
    (["a", None], "column 0 is missing in row 2, and the estimator takes no missing values there"),
]


@pytest.mark.parametrize(("X", "sentence"), ROWS, ids=[sentence[:30] for _, sentence in ROWS])
def test_rows_that_are_no_texts_are_refused_with_a_sentence(X: Any, sentence: str) -> None:
    fitted = make_pipeline(TfidfVectorizer(), RidgeClassifier()).fit(NOTES, Y)
    with pytest.raises(InvalidInput) as refusal:
        export(fitted, X)
    assert str(refusal.value) == sentence


def test_terms_without_weights_are_written_once_and_those_that_never_count_not_at_all() -> None:
    def step(*steps: Any) -> dict[str, Any]:
        document = json.loads(export(make_pipeline(*steps, plain()).fit(NOTES, Y), NOTES))
        (found,) = [one for one in document["preprocessing"]["steps"] if one["op"] == "text"]
        return dict(found)

    n = len(TfidfVectorizer().fit(NOTES).vocabulary_)
    normed, counted = (
        step(vectorizer(), SelectKBest(chi2, k=5)) for vectorizer in (TfidfVectorizer, CountVectorizer)
    )
    assert (len(normed["terms"]), {len(row) for row in normed["weights"]}) == (n, {5})
    assert (len(counted["terms"]), {len(row) for row in counted["weights"]}) == (5, {5})
    hashed = step(HashingVectorizer(n_features=2**18))
    assert len(hashed["hashing"]["buckets"]) < 200


def test_members_share_the_step_of_their_text() -> None:
    members = CalibratedClassifierCV(LinearSVC(), cv=4)
    document = json.loads(export(make_pipeline(TfidfVectorizer(), members).fit(NOTES, Y), NOTES))
    assert [step["op"] for step in document["preprocessing"]["steps"]].count("text") == 1


def test_ten_thousand_terms_make_a_small_document() -> None:
    rng = np.random.default_rng(0)
    words = np.array([f"{rng.integers(10**6):x}word{i}" for i in range(10_000)])
    found = [" ".join(rng.choice(words, 60)) for _ in range(900)] + [" ".join(words)]
    fitted = make_pipeline(TfidfVectorizer(), SGDClassifier(loss="log_loss")).fit(found, labels(found, 2))
    data = export(fitted, found)
    assert len(json.loads(data)["preprocessing"]["steps"][0]["terms"]) == 10_000
    assert len(data) < 600_000


def test_an_estimator_without_rows_exports_with_texts_of_its_own() -> None:
    fitted = make_pipeline(TfidfVectorizer(max_features=50), plain()).fit(NOTES, Y)
    document = json.loads(export(fitted))
    assert all(row[0] for row in document["examples"]["rows"])
