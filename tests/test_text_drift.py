"""Drift of a free text: its lengths are counted, and empty texts apart."""

import json

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from tests.text_corpora import labels, texts
from thimble.drift import counting, report
from thimble.drift.recent import Buffer, Watched
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.reference import Counts
from thimble_model import export

pytestmark = pytest.mark.filterwarnings("ignore")

NOTES = ["", *texts("english", 400), *texts("chinese", 100)]


@pytest.fixture(scope="module")
def document() -> bytes:
    estimator = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=300)).fit(NOTES, labels(NOTES))
    return export(estimator, NOTES)


def counts(model: Classifier, notes: list[str]) -> Counts:
    batch = Batch.of(model.features, [notes])
    return counting.count(model.reference, batch, model.predict(batch))


def test_a_document_counts_lengths_and_no_text(document: bytes) -> None:
    (entry,) = json.loads(document)["reference"]["features"]
    assert set(entry) == {"edges", "counts", "missing"}
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
    buffer.add(batch, model.predict(batch))
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
