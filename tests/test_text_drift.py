"""Drift of a free text: its lengths are counted, empty texts apart, and the share of its unknown terms."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union

from tests.text_corpora import labels, texts
from thimble.drift import counting, drawing, report
from thimble.drift.recent import Buffer, Watched
from thimble.errors import InvalidModel
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.predictions import concatenate
from thimble.inference.reference import Counts
from thimble_model import export

pytestmark = pytest.mark.filterwarnings("ignore")

NOTES = ["", *texts("english", 400), *texts("chinese", 100)]


@pytest.fixture(scope="module")
def document() -> bytes:
    estimator = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=300)).fit(NOTES, labels(NOTES))
    return export(estimator, NOTES)


def counts(model: Classifier, notes: list[str]) -> Counts:
    return counted(model, [notes])


def counted(model: Classifier, columns: list[list[Any]]) -> Counts:
    batch = Batch.of(model.features, columns)
    return counting.count(model.reference, batch, model.predict(batch))


def test_a_document_counts_lengths_and_no_text(document: bytes) -> None:
    (entry,) = json.loads(document)["reference"]["features"]
    assert set(entry) == {"edges", "counts", "missing", "unknown"}
    assert set(entry["unknown"]) == {"edges", "counts", "missing"}
    assert entry["edges"][:2] == [0, 1]
    assert entry["counts"][0] == NOTES.count("")
    lengths = np.array([len(note) for note in NOTES])
    assert entry["counts"] == np.histogram(lengths, entry["edges"])[0].tolist()


def test_counts_of_parts_add_up_to_those_of_the_whole(document: bytes) -> None:
    model = load(document)
    whole = counts(model, NOTES)
    assert (counts(model, NOTES[:77]) + counts(model, NOTES[77:])).tolist() == whole.tolist()
    assert model.reference is not None
    buffer = Buffer(Watched("notes", "", model.reference, model.features, model.heads))
    batch = Batch.of(model.features, [NOTES[:60]])
    buffer.grow(100)
    for part in (slice(0, 20), slice(20, 60)):
        buffer.add(batch.take(part), model.predict(batch.take(part)))
    assert buffer.counted().tolist() == counts(model, NOTES[:60]).tolist()


@pytest.mark.parametrize("change", ["", "word " * 300], ids=["empty", "long"])
def test_texts_that_run_empty_or_long_have_drifted(document: bytes, change: str) -> None:
    model = load(document)
    same, moved = (
        report.report(model, counts(model, notes)) for notes in (NOTES, [*NOTES[:250], *[change] * 250])
    )
    assert same is not None
    assert moved is not None
    assert not same["features"]["text"]["alert"]
    assert moved["features"]["text"]["alert"]


OTHERS = [
    *texts("french", 60),
    *texts("english", 60),
    "",
    "!",
    "the cat ß",
    *texts("russian", 20),
    NOTES[3] + " zzz",
]
VECTORIZERS: dict[str, Callable[[], Any]] = {
    "words": TfidfVectorizer,
    "pairs": lambda: CountVectorizer(
        ngram_range=(1, 2), min_df=3, stop_words="english", strip_accents="unicode"
    ),
    "characters": lambda: TfidfVectorizer(analyzer="char", ngram_range=(2, 3), max_features=300),
    "within words": lambda: TfidfVectorizer(
        analyzer="char_wb", ngram_range=(3, 4), lowercase=False, min_df=2
    ),
}


def shares(vectorizer: Any, notes: list[str]) -> list[float]:
    """Of each text that has terms, by scikit-learn's own analyzer."""
    cut, known = vectorizer.build_analyzer(), vectorizer.vocabulary_
    found = [[term not in known for term in cut(note)] for note in notes]
    return [sum(unknown) / len(unknown) for unknown in found if unknown]


def fitted(vectorizer: Any, notes: list[str] = NOTES) -> Any:
    return make_pipeline(vectorizer, LogisticRegression(max_iter=50)).fit(notes, labels(notes))


@pytest.mark.parametrize("name", VECTORIZERS)
def test_unknown_terms_are_those_that_the_vectorizer_does_not_know(name: str) -> None:
    pipeline = fitted(VECTORIZERS[name]())
    model = load(export(pipeline, NOTES))
    assert model.reference is not None
    found = counting.unpacked(model.reference, counts(model, OTHERS)).unknown[0].tolist()
    expected = shares(pipeline[0], OTHERS)
    assert max(expected) > 0.3 > min(expected)
    bins = np.histogram(expected, np.arange(11) / 10)[0].tolist()
    assert found == [len(OTHERS) - len(expected), 0, *bins, 0]
    alone = [counts(model, [note]) for note in OTHERS]
    assert sum(alone[1:], alone[0]).tolist() == counts(model, OTHERS).tolist()


@pytest.mark.parametrize("least", [1, 2])
def test_the_training_texts_are_counted_as_if_each_came_after_the_training(least: int) -> None:
    """The oracle trains a vectorizer without each text."""
    notes = ["", *texts("english", 25), *texts("french", 25)]
    document = json.loads(export(fitted(TfidfVectorizer(min_df=least), notes), notes))
    (entry,) = document["reference"]["features"]
    found = [
        shares(TfidfVectorizer(min_df=least).fit(notes[:i] + notes[i + 1 :]), [note])
        for i, note in enumerate(notes)
    ]
    expected = [share for one in found for share in one]
    assert max(expected) > 0
    assert entry["unknown"]["counts"] == np.histogram(expected, np.arange(11) / 10)[0].tolist()
    assert entry["unknown"]["missing"] == len(notes) - len(expected)


def test_hashed_terms_are_never_unknown() -> None:
    document = export(fitted(HashingVectorizer(n_features=64)), NOTES)
    assert set(json.loads(document)["reference"]["features"][0]) == {"edges", "counts", "missing"}
    found = report.report(load(document), counts(load(document), NOTES))
    assert found is not None
    assert "unknown" not in found["features"]["text"]


def test_each_column_has_its_own_vocabulary_and_of_several_the_first() -> None:
    X = pd.DataFrame({"n": range(len(NOTES)), "a": NOTES, "b": NOTES[::-1], "c": NOTES})
    both = make_union(HashingVectorizer(n_features=32), CountVectorizer(), TfidfVectorizer(analyzer="char"))
    columns = make_column_transformer(
        ("passthrough", ["n"]),
        (both, "a"),
        (HashingVectorizer(n_features=32), "b"),
        (CountVectorizer(min_df=9), "c"),
    )
    pipeline = make_pipeline(columns, LogisticRegression(max_iter=20)).fit(X, labels(NOTES))
    model = load(export(pipeline, X))
    assert model.reference is not None
    assert list(model.reference.unknown) == [1, 3]
    n = len(OTHERS)
    found = counting.unpacked(model.reference, counted(model, [[0.5] * n, OTHERS, OTHERS, OTHERS])).unknown
    for k, vectorizer in ((1, CountVectorizer()), (3, CountVectorizer(min_df=9))):
        expected = np.histogram(shares(vectorizer.fit(NOTES), OTHERS), np.arange(11) / 10)[0].tolist()
        assert found[k][2:-1].tolist() == expected


def test_texts_of_other_words_have_drifted_and_are_drawn_under_their_name(document: bytes) -> None:
    model = load(document)
    strange = ["".join(reversed(note)) for note in NOTES]  # as long as they were
    same, moved = (report.report(model, counts(model, notes)) for notes in (NOTES, strange))
    assert same is not None
    assert moved is not None
    assert "unknown terms of text" not in same["drifted"]
    assert "unknown terms of text" in moved["drifted"]
    drawn = {entry["name"]: entry for entry in drawing.drawing(moved)["features"]}
    assert list(drawn) == ["text", "unknown terms of text"]
    assert drawn["text"]["word"] == "steady"
    assert drawn["unknown terms of text"]["word"] == "much moved"
    twice = report.merged([moved, moved])["features"]["text"]["unknown"]["observed"]
    assert twice == [2 * n for n in moved["features"]["text"]["unknown"]["observed"]]


def test_rows_of_a_version_without_a_vocabulary_have_no_share(document: bytes) -> None:
    model, hashed = load(document), load(export(fitted(HashingVectorizer(n_features=64)), NOTES))
    batch = Batch.of(model.features, [NOTES[1:4]])
    found = concatenate([hashed.predict(batch), model.predict(batch)]).unknown[0]
    assert np.isnan(found).tolist() == [True] * 3 + [False] * 3


def test_a_document_without_unknown_terms_counts_as_before(document: bytes) -> None:
    raw = json.loads(document)
    del raw["reference"]["features"][0]["unknown"]
    model, now = load(json.dumps(raw).encode()), load(document)
    assert model.reference is not None
    assert now.reference is not None
    before = counting.unpacked(model.reference, counts(model, OTHERS))
    after = counting.unpacked(now.reference, counts(now, OTHERS))
    assert before.unknown == {}
    assert before.features[0].tolist() == after.features[0].tolist()


UNKNOWN = "reference.features[0].unknown"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, f"{UNKNOWN} is not an object"),
        (None, f"{UNKNOWN} is not an object"),
        ({}, f"{UNKNOWN}.edges is missing"),
        ({"edges": [0, 1], "counts": [1], "missing": 0}, f"{UNKNOWN} counts 1 rows; reference.rows is 501"),
        ({"edges": [1, 0], "counts": [501], "missing": 0}, f"{UNKNOWN}.edges[1] is not above"),
        ({"edges": [0, 1], "counts": [501, 0], "missing": 0}, f"{UNKNOWN}.counts has 2 counts for 1 bins"),
        (
            {"edges": [0, 1], "counts": [501], "missing": 0, "unknown": 1},
            f'{UNKNOWN}."unknown" is not a key of a number\'s counts',
        ),
    ],
)
def test_wrong_counts_of_unknown_terms_are_refused_with_their_path(
    document: bytes, value: Any, message: str
) -> None:
    raw = json.loads(document)
    raw["reference"]["features"][0]["unknown"] = value
    with pytest.raises(InvalidModel) as raised:
        load(json.dumps(raw).encode())
    assert str(raised.value).startswith(message)


def test_unknown_terms_where_no_vocabulary_is_are_refused(document: bytes) -> None:
    raw = json.loads(export(fitted(HashingVectorizer(n_features=64)), NOTES))
    unknown = json.loads(document)["reference"]["features"][0]["unknown"]
    raw["reference"]["features"][0]["unknown"] = deepcopy(unknown)
    with pytest.raises(InvalidModel, match=r"^reference\.features\[0\]\.unknown must be absent"):
        load(json.dumps(raw).encode())
