"""Texts beside the vectorizer and the classifier that they were exported from: a row, and 10,000, and a file.

The texts are made of 10,000 words, some of them much more frequent than others, 40 on average. Figures are
the processor's seconds, in one process, to which it does not matter what else the machine does.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline

from tests.benchmarks import file_job
from tests.benchmarks.report import AtLeast, AtMost, Case, Contender, Figure, duration
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.tables import rows
from thimble.tables.answers import answers
from thimble_model import export

ROWS, TERMS, WORDS = 10_000, 10_000, 40
LABELS = ("a", "b", "c", "d")
FILES = 5  # times the rows, in the file
REPEATS = 200  # of one row, in one figure
MOST_BYTES = 600_000  # of a document of 10,000 terms
VECTORIZERS: dict[str, Callable[[], Any]] = {
    "words": TfidfVectorizer,
    "pairs of words": partial(TfidfVectorizer, ngram_range=(1, 2), max_features=TERMS),
    "characters within words": partial(
        TfidfVectorizer, analyzer="char_wb", ngram_range=(3, 4), max_features=TERMS
    ),
    "hashed words": partial(HashingVectorizer, n_features=2**16),
}


def cases() -> Iterator[Case]:
    texts = _texts()
    for name, vectorizer in VECTORIZERS.items():
        pipeline = _fitted(vectorizer(), texts, LABELS)
        document = export(pipeline, texts[:500])
        classifier = load(document)
        yield _one_row(name, classifier, pipeline, texts[7])
        yield _many(name, classifier, pipeline, texts, AtMost(2 if "hashed" in name else 1))
        if name == "words":
            yield _file(document, pipeline, texts)
    yield _sized(export(_fitted(TfidfVectorizer(), texts, LABELS[:2]), texts[:500]))


def _fitted(vectorizer: Any, texts: list[str], labels: Sequence[str]) -> Any:
    pipeline = make_pipeline(vectorizer, SGDClassifier(loss="log_loss", random_state=0, max_iter=5))
    return pipeline.fit(texts, [labels[len(text) % len(labels)] for text in texts])


def _texts() -> list[str]:
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(rng.choice(letters, rng.integers(3, 11))) + f"{i:x}" for i in range(TERMS)])
    frequencies = 1.0 / np.arange(10, TERMS + 10)
    drawn = rng.choice(TERMS, (ROWS, WORDS), p=frequencies / frequencies.sum())
    return [" ".join(words[row[: rng.integers(5, WORDS)]]) + "." for row in drawn]


def _one_row(name: str, classifier: Classifier, pipeline: Any, text: str) -> Case:
    def ours() -> object:
        return answers(classifier, classifier.predict(rows.batch(classifier.schema, [text])))

    theirs = _timed(lambda: pipeline.predict_proba([text]), REPEATS)
    rival = Contender("predict_proba([text])", theirs, AtMost(0.35))
    contender = Contender("Thimble", _timed(ours, REPEATS))
    return Case(f"texts, {name}: one row, text to answer", contender, [rival])


def _many(name: str, classifier: Classifier, pipeline: Any, texts: list[str], goal: AtMost) -> Case:
    def ours() -> object:
        return classifier.predict(Batch.of(classifier.features, [texts]))

    rival = Contender("predict_proba(texts)", _timed(lambda: pipeline.predict_proba(texts)), goal)
    return Case(f"texts, {name}: {ROWS:,} rows", Contender("Thimble", _timed(ours)), [rival])


def _sized(document: bytes) -> Case:
    n = len(json.loads(document)["preprocessing"]["steps"][0]["terms"])
    limit = Contender("the limit", lambda: Figure(MOST_BYTES, f"{MOST_BYTES / 1e6} MB"), AtMost(1))
    ours = Contender("Thimble", lambda: Figure(len(document), f"{len(document) / 1e6:.2f} MB"))
    return Case(f"texts, {n:,} terms of two classes: the document", ours, [limit], pairs=1)


def _file(document: bytes, pipeline: Any, texts: list[str]) -> Case:
    folder = Path(tempfile.mkdtemp(prefix="thimble-text-"))
    file = folder / "texts.csv"
    (folder / "model.json").write_bytes(document)
    pd.DataFrame({"id": range(ROWS * FILES), "text": texts * FILES}).to_csv(file, index=False)

    def ours() -> object:
        with tempfile.TemporaryDirectory(dir=folder) as out:
            return file_job.thimble(folder, file, Path(out))()

    def pandas() -> object:
        frame = pd.read_csv(file)
        p = pipeline.predict_proba(frame["text"])
        best = p.argmax(axis=1)
        frame["label"], frame["probability"] = pipeline.classes_[best], p[np.arange(len(p)), best]
        for k, label in enumerate(pipeline.classes_):
            frame[f"p_{label}"] = p[:, k]
        return frame.to_csv(folder / "out.csv", index=False)

    n = ROWS * FILES
    rival = Contender("pandas, the pipeline", _timed(pandas, speed=n), AtLeast(1.2))
    contender = Contender("Thimble", _timed(ours, speed=n))
    return Case("texts: CSV, file to file", contender, [rival], rehearsed=True)


def _timed(work: Callable[[], object], repeats: int = 1, speed: int = 0) -> Callable[[], Figure]:
    """The seconds that the work takes, or how many rows a second that is."""

    def figure() -> Figure:
        start = time.process_time()
        for _ in range(repeats):
            work()
        seconds = (time.process_time() - start) / repeats
        return Figure(speed / seconds, f"{speed / seconds / 1e3:.0f}k rows/s") if speed else duration(seconds)

    return figure
