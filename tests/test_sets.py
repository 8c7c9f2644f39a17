"""Sets of labels: they hold the truth as often as they say, of any model, on rows that nobody has seen."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from crepes import ConformalClassifier
from numpy.typing import NDArray
from scipy.stats import betabinom
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from thimble.inference import sets
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble_model import export

LEVELS = (0.9, 0.95, 0.99)
N, FRESH, TRIALS_LOST = 400, 4000, 1e-6

Rows = tuple[NDArray[np.float64], NDArray[Any]]


def drawn(shares: tuple[float, ...], n: int, seed: int, spread: float = 1.5) -> Rows:
    """Classes around points of their own, so near each other that they are mixed up."""
    rng = np.random.default_rng(seed)
    y = rng.choice(len(shares), n, p=shares)
    centres = np.random.default_rng(1).normal(size=(len(shares), 4)) * spread
    return centres[y] + rng.normal(size=(n, 4)), y


def overfitted() -> Any:
    return MLPClassifier((30,), alpha=0, max_iter=150, random_state=0)


EVEN, RARE = (0.5, 0.5), (0.8, 0.15, 0.05)
TEN = (0.1,) * 10
SHAPES: dict[str, tuple[Callable[[], Any], tuple[float, ...], Callable[[NDArray[Any]], NDArray[Any]]]] = {
    "two classes": (LogisticRegression, EVEN, lambda y: y),
    "two booleans": (LogisticRegression, (0.9, 0.1), lambda y: y == 1),
    "ten classes": (lambda: LogisticRegression(max_iter=500), TEN, lambda y: y * 10),
    "rare classes, of texts": (LogisticRegression, RARE, lambda y: np.array(["a", "b", "c"])[y]),
    "too sure: naive Bayes": (GaussianNB, RARE, lambda y: y),
    "too sure: a network by heart": (overfitted, TEN, lambda y: y),
    "a forest": (lambda: RandomForestClassifier(20, random_state=0), TEN, lambda y: y),
    "a forest of few numbers": (
        lambda: RandomForestClassifier(3, max_depth=2, random_state=0),
        RARE,
        lambda y: y,
    ),
    "a tree of 0 and 1": (lambda: DecisionTreeClassifier(random_state=0), EVEN, lambda y: y),
    "calibrated": (lambda: CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=3), RARE, lambda y: y),
    "scores of two": (lambda: LinearSVC(random_state=0), EVEN, lambda y: y),
    "scores of ten": (RidgeClassifier, TEN, lambda y: y),
}


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@cache
def exported(name: str) -> Classifier:
    make, shares, labelled = SHAPES[name]
    (X, y), (C, c) = drawn(shares, 300, 10), drawn(shares, N, 11)
    return load(export(make().fit(X, labelled(y)), X, labelled(y), calibration=(C, labelled(c))))


def answered(model: Classifier, X: Any) -> Any:
    (scores,) = model.predict(Batch.of(model.features, np.asarray(X).T)).outputs
    return scores


def held(model: Classifier, X: Any, y: Any, coverage: float, by_class: bool) -> NDArray[np.bool_]:
    """Whether the set of each row holds its true label."""
    assert sets.refusal(model.document, coverage, by_class) == ""
    (head,) = model.heads
    found = sets.of(head, answered(model, X), coverage, by_class)
    places = {label: k for k, label in enumerate(head.classes)}
    return found[[places[label] for label in y.tolist()], np.arange(len(y))]


def fewest(n: int, coverage: float, fresh: int) -> int:
    """Of so many fresh rows, how many sets hold the truth but once in a million calibrations: the share that
    a calibration of n rows reaches is drawn from a beta distribution."""
    below = int((n + 1) * (1000 - round(coverage * 1000)) // 1000)
    return int(betabinom.ppf(TRIALS_LOST, fresh, n + 1 - below, below)) if below else fresh


@pytest.mark.parametrize("coverage", LEVELS)
@pytest.mark.parametrize("name", SHAPES)
def test_sets_hold_the_truth_of_fresh_rows_as_often_as_they_say(name: str, coverage: float) -> None:
    _, shares, labelled = SHAPES[name]
    X, y = drawn(shares, FRESH, 12)
    assert held(exported(name), X, labelled(y), coverage, by_class=False).sum() >= fewest(N, coverage, FRESH)


@pytest.mark.parametrize("coverage", LEVELS)
@pytest.mark.parametrize("name", SHAPES)
def test_sets_by_class_hold_the_truth_of_each_class_as_often(name: str, coverage: float) -> None:
    _, shares, labelled = SHAPES[name]
    (X, y), (_, c) = drawn(shares, FRESH, 12), drawn(shares, N, 11)
    found = held(exported(name), X, labelled(y), coverage, by_class=True)
    for k in range(len(shares)):
        rows = y == k
        assert found[rows].sum() >= fewest(int((c == k).sum()), coverage, int(rows.sum())), k


def test_without_classes_of_their_own_a_rare_one_is_missed_and_with_them_it_is_not() -> None:
    _, shares, labelled = SHAPES["rare classes, of texts"]
    model, (X, y) = exported("rare classes, of texts"), drawn(shares, FRESH, 12)
    rare = y == 2
    assert held(model, X, labelled(y), 0.9, by_class=False)[rare].mean() < 0.85
    assert held(model, X, labelled(y), 0.9, by_class=True)[rare].mean() > 0.85


@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("name", SHAPES)
def test_sets_are_those_of_another_implementation(name: str, by_class: bool) -> None:
    """But that none is empty: crepes gives an empty set where no class conforms."""
    _, shares, _ = SHAPES[name]
    model, (C, c), (X, _) = exported(name), drawn(shares, N, 11), drawn(shares, 1000, 13)
    own, new = -answered(model, C).probabilities, -answered(model, X).probabilities
    classes = np.arange(len(shares))
    oracle = ConformalClassifier().fit(own[c, np.arange(N)], bins=c if by_class else None)
    for coverage in LEVELS:
        theirs = np.array(
            [
                oracle.predict_set(
                    new[[k]].T,
                    bins=np.full(1000, k) if by_class else None,
                    confidence=coverage,
                    smoothing=False,
                )[:, 0]
                for k in classes
            ]
        ).astype(bool)
        theirs[new.argmin(axis=0), np.arange(1000)] = True
        ours = sets.of(model.heads[0], answered(model, X), coverage, by_class)
        np.testing.assert_array_equal(ours, theirs)
