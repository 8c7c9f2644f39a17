"""Sets of labels: they hold the truth as often as they say, of any model, on rows that nobody has seen."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from crepes import ConformalClassifier
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import betabinom
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from tests.examples import EXAMPLES
from thimble.inference import sets
from thimble.inference.asked import Asked
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.predictions import Scores
from thimble_model import export
from thimble_model import sets as thresholds
from thimble_model.sets import Seen
from thimble_model.unsupported import Unsupported

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


@pytest.mark.parametrize("name", SHAPES)
def test_no_set_is_empty_and_a_threshold_between_labels_changes_none(name: str) -> None:
    _, shares, _ = SHAPES[name]
    model = exported(name)
    scores = answered(model, drawn(shares, 500, 14)[0])
    likeliest = scores.probabilities.argmax(axis=0), np.arange(500)
    for coverage in LEVELS:
        for by_class in (False, True):
            found = sets.of(model.heads[0], scores, coverage, by_class)
            assert found[likeliest].all()
            if len(shares) == 2:
                other = model.asking(Asked(threshold=0.9))
                again = sets.of(
                    other.heads[0], answered(other, drawn(shares, 500, 14)[0]), coverage, by_class
                )
                np.testing.assert_array_equal(found, again)


def conformal(p: Any, true: Any) -> dict[str, Any]:
    """The thresholds of two classes, from the probabilities of the second and which is true."""
    numbers = np.array([1.0 - np.asarray(p), p])
    scores = Scores(numbers, numbers.argmax(axis=0), np.empty((0, len(true)), np.bool_))
    head = load(export(LogisticRegression().fit([[0.0], [1.0]], [0, 1]))).heads[0]
    found: dict[str, Any] = thresholds._conformal(head, scores, np.asarray(true))
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 1)), min_size=9, max_size=250))
def test_a_threshold_is_the_quantile_of_the_textbook(rows: list[tuple[int, int]]) -> None:
    """Split conformal prediction as printed: the ceil((n + 1)(1 - alpha)) / n quantile of 1 - p(true)."""
    p, true = np.array([k / 12 for k, _ in rows]), np.array([label for _, label in rows])
    found, n = conformal(p, true), len(rows)
    strange = 1 - np.where(true == 1, p, 1 - p)
    percents = [percent for percent in (90, 95, 99) if -(-(n + 1) * percent // 100) <= n]
    assert found["levels"] == [percent / 100 for percent in percents]
    for percent, threshold in zip(percents, found["thresholds"], strict=True):
        place = -(-(n + 1) * percent // 100)
        assert 1 - threshold == pytest.approx(np.sort(strange)[place - 1], abs=1e-8)


@pytest.mark.parametrize(
    ("n", "levels"), [(9, [0.9]), (18, [0.9]), (19, [0.9, 0.95]), (98, [0.9, 0.95]), (99, list(LEVELS))]
)
def test_a_level_of_too_few_rows_is_left_out(n: int, levels: list[float]) -> None:
    assert conformal(np.linspace(0.1, 0.9, n), np.ones(n, int))["levels"] == levels


def test_with_too_few_rows_for_any_level_there_is_no_document() -> None:
    (X, y), (C, c) = drawn(EVEN, 60, 1), drawn(EVEN, 8, 2)
    sentence = "calibration has 8 rows that can be used; sets of labels take 9 for a coverage of 0.9, 19 for"
    with pytest.raises(Unsupported, match=sentence):
        export(LogisticRegression().fit(X, y), X, y, calibration=(C, c))


def test_a_class_of_too_few_rows_is_in_every_set_by_class() -> None:
    (X, y), (C, c) = drawn(RARE, 300, 10), drawn(RARE, 300, 11)
    kept = (c != 2) | (np.cumsum(c == 2) <= 8)
    model = load(export(LogisticRegression().fit(X, y), X, calibration=(C[kept], c[kept])))
    assert model.heads[0].card["sets"]["always"] == [[2], [2], [1, 2]]
    scores = answered(model, X)
    assert sets.of(model.heads[0], scores, 0.9, by_class=True)[2].all()
    assert not sets.of(model.heads[0], scores, 0.9, by_class=False)[2].all()


def test_the_last_bits_of_another_processor_drop_no_class() -> None:
    """A model of few distinct numbers: whole classes of rows stand at the bar."""
    for name in ("a forest of few numbers", "a tree of 0 and 1", "calibrated"):
        model, (C, _) = exported(name), drawn(SHAPES[name][1], N, 11)
        scores = answered(model, C)
        for by_class in (False, True):
            there = sets.of(model.heads[0], scores, 0.9, by_class)
            shaken = scores._replace(probabilities=np.nextafter(scores.probabilities, -1.0))
            np.testing.assert_array_equal(sets.of(model.heads[0], shaken, 0.9, by_class), there)


def multilabel() -> tuple[Any, Any, Any]:
    X, y = make_multilabel_classification(120, n_classes=3, random_state=0)
    return OneVsRestClassifier(LogisticRegression()).fit(X, y), X, y


def test_what_has_no_sets_is_refused_by_a_sentence() -> None:
    X, y = drawn(EVEN, 60, 1)
    plain = load(export(LogisticRegression().fit(X, y), X))
    estimator, M, m = multilabel()
    several = load(export(estimator, M[:60], calibration=(M[60:], m[60:])))
    assert sets.refusal(plain.document, 0.95, False).startswith(
        "the model has no thresholds for sets: export it again with --calibration and rows with labels"
    )
    assert sets.refusal(several.document, 0.95, True) == (
        "a set holds one true label, and the model answers with any number of labels"
    )
    for coverage in (0.93, 0.5, 95.0, 1.0, float("nan")):
        told = sets.refusal(exported("two classes").document, coverage, False)
        assert told == f"the coverage is {coverage:g}; the model has thresholds for 0.9, 0.95, 0.99"


def test_each_of_several_outputs_has_sets_of_its_own() -> None:
    (X, y), (C, c), (F, f) = (drawn(RARE, n, seed) for n, seed in ((300, 10), (N, 11), (FRESH, 12)))

    def both(y: NDArray[Any]) -> NDArray[Any]:
        return np.column_stack([y, y > 0]).astype(int)

    estimator = MultiOutputClassifier(LogisticRegression()).fit(X, both(y))
    model = load(export(estimator, X, both(y), calibration=(C, both(c)), abstain_below=0.6))
    assert sets.refusal(model.document, 0.9, True) == ""
    answers = model.predict(Batch.of(model.features, F.T)).outputs
    for head, scores, true in zip(model.heads, answers, both(f).T, strict=True):
        found = sets.of(head, scores, 0.9, by_class=False)[true, np.arange(FRESH)]
        assert found.sum() >= fewest(N, 0.9, FRESH)
        assert head.abstain_below == 0.6
    without = load(export(estimator, X, both(y)))
    assert sets.refusal(without.document, 0.9, False).startswith("the output 0 has no thresholds for sets")


def test_a_label_that_the_model_does_not_know_counts_as_outside_of_every_set() -> None:
    own = np.linspace(0.5, 0.9, 39)
    known = conformal(own, np.ones(39, int))
    strange = conformal(np.append(own, 0.9), np.append(np.ones(39, int), 7))
    assert strange["thresholds"][0] < known["thresholds"][0]
    assert strange["levels"] == [0.9, 0.95]
    assert conformal(own, np.where(np.arange(39) < 2, 7, 1))["levels"] == [
        0.9
    ]  # 95 % has 2 rows to leave out


def test_rows_for_calibration_that_were_trained_on_are_told() -> None:
    X, y, estimator = EXAMPLES["penguins"]()
    mixed = X.sample(frac=1.0, random_state=0)
    with pytest.warns(Seen, match="all rows for calibration are among the training rows"):
        export(estimator, X, y, calibration=(mixed[:200], y[mixed.index[:200]]))
    others = mixed.assign(body_mass_g=mixed["body_mass_g"] + 0.5)
    export(estimator, X, y, calibration=(others, y[mixed.index]))  # warnings are errors here
