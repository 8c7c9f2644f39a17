"""Counting: what a bin holds, and that any split of the rows adds up to the same counts."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import EXAMPLES
from thimble.drift.counting import count, none, unpacked
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.predictions import Predictions, Scores
from thimble.inference.reference import Counts, Numbers, Predicted, Reference
from thimble_model.frames import as_batch

ROOT = Path(__file__).parent.parent
PENGUINS = load((ROOT / "model/penguins.json").read_bytes())
PENGUINS_ROWS = as_batch(PENGUINS.features, EXAMPLES["penguins"]()[0])


def counted(classifier: Classifier, rows: Batch) -> Counts:
    assert classifier.reference is not None
    return count(classifier.reference, rows, classifier.predict(rows))


def of_numbers(edges: list[float], values: list[float]) -> list[int]:
    n = len(values)
    nothing = Predictions((Scores(np.zeros((1, n)), np.zeros(n, np.intp), np.zeros((0, n), bool)),))
    bins = Numbers(np.array(edges), np.zeros(len(edges) - 1, np.int64), 0)
    output = Predicted(np.zeros(2, np.int64), bins)
    reference = Reference(0, (bins,), (output,))
    counts: list[int] = (
        unpacked(reference, count(reference, Batch(np.array([values]), {}), nothing)).features[0].tolist()
    )
    return counts


@pytest.mark.parametrize(
    ("edges", "values", "expected"),
    [
        ([0, 1, 2], [0, 0.5, 1, 1.5, 2], [0, 0, 2, 3, 0]),
        ([0, 1, 2], [-0.1, -1e308, 2.0000001, 1e308], [0, 2, 0, 0, 2]),
        ([0, 1, 2], [np.nan, 1], [1, 0, 0, 1, 0]),
        ([7, 7], [7, 7, 6.9, 7.1], [0, 1, 2, 1]),
        ([0, 1], [], [0, 0, 0, 0]),
    ],
)
def test_a_bin_holds_its_lower_edge_and_the_last_both(
    edges: list[float], values: list[float], expected: list[int]
) -> None:
    assert of_numbers(edges, values) == expected


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_training_data_are_what_the_reference_says(name: str) -> None:
    classifier = load((ROOT / f"model/{name}.json").read_bytes())
    reference = classifier.reference
    assert reference is not None
    found = unpacked(reference, counted(classifier, as_batch(classifier.features, EXAMPLES[name]()[0])))
    assert found.rows == reference.rows
    for k, feature in enumerate(reference.features):
        assert feature is not None
        inner = found.features[k][2:-1] if isinstance(feature, Numbers) else found.features[k][2:]
        assert inner.tolist() == feature.counts.tolist()
        assert found.features[k][0] == feature.missing
    assert found.classes[0].tolist() == reference.outputs[0].classes.tolist()


@given(st.lists(st.integers(0, 344), max_size=4))
def test_any_split_adds_up_to_the_same_counts(cuts: list[int]) -> None:
    assert PENGUINS.reference is not None
    edges = [0, *sorted(cuts), 344]
    parts = [counted(PENGUINS, PENGUINS_ROWS.take(slice(a, b))) for a, b in pairwise(edges) if a < b]
    assert sum(parts, none(PENGUINS.reference)).tolist() == counted(PENGUINS, PENGUINS_ROWS).tolist()


def test_many_rows_are_counted_as_few_are() -> None:
    """Past the size of a chunk."""
    assert PENGUINS.reference is not None
    numbers, texts, *_ = PENGUINS_ROWS
    rows = Batch(np.tile(numbers, 300), {k: np.tile(column, 300) for k, column in texts.items()})
    assert counted(PENGUINS, rows).tolist() == (300 * counted(PENGUINS, PENGUINS_ROWS)).tolist()


def test_an_unknown_text_and_a_missing_one_are_told_apart() -> None:
    rows = PENGUINS_ROWS.take(slice(3))
    rows.texts[5][:] = ["male", None, "unknown"]
    reference = PENGUINS.reference
    assert reference is not None
    found = unpacked(reference, count(reference, rows, PENGUINS.predict(PENGUINS_ROWS.take(slice(3)))))
    assert found.features[5].tolist() == [1, 1, 1, 0]
