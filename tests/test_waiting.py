"""What waits is counted as it would have been at once: of every kind of model, in portions of any size."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier

from thimble.drift.counting import count
from thimble.drift.waiting import FEWEST, Waiting, watched
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble_model import export
from thimble_model.examples import EXAMPLES
from thimble_model.frames import as_batch

ROOT = Path(__file__).parent.parent
X = EXAMPLES["iris"]()[0].to_numpy()


def several_outputs() -> Classifier:
    y = np.stack([X[:, 0] > 5.8, X[:, 1] > 3], axis=1)
    return load(export(MultiOutputClassifier(LogisticRegression()).fit(X, y), X, y))


def multilabel() -> Classifier:
    y = (X[:, :3] > X[:, :3].mean(axis=0)).astype(int)
    return load(export(MLPClassifier((4,), max_iter=5, random_state=0).fit(X, y), X, y))


def penguins() -> tuple[Classifier, Batch]:
    """With texts that are missing, or none of the categories."""
    classifier = load((ROOT / "model/penguins.json").read_bytes())
    rows = as_batch(classifier.features, EXAMPLES["penguins"]()[0][:150])
    rows.texts[5][100:] = [*[None, "", "of no category"] * 16, None, "male"]
    return classifier, rows


@pytest.mark.parametrize("at_once", [1, 7, 150])
@pytest.mark.parametrize("kind", ["iris", "penguins", "several outputs", "multilabel"])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_what_waits_is_counted_as_it_would_be_at_once(kind: str, at_once: int) -> None:
    rows = Batch(np.ascontiguousarray(X.T), {})
    match kind:
        case "iris":
            classifier = load((ROOT / "model/iris.json").read_bytes())
        case "penguins":
            classifier, rows = penguins()
        case "several outputs":
            classifier = several_outputs()
        case _:
            classifier = multilabel()
    reference = classifier.reference
    assert reference is not None
    waiting = Waiting(watched(classifier, reference))
    expected = count(reference, rows, classifier.predict(rows)).tolist()
    for _ in range(2):  # the second time in the places of the first
        for start in range(0, 150, at_once):
            part = rows.take(slice(start, start + at_once))
            while waiting.rows + at_once > waiting.room:
                waiting.grow(waiting.room + FEWEST)
            waiting.add(part, classifier.predict(part))
        assert waiting.counted().tolist() == expected
