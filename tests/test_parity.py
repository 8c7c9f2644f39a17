"""Contracts 1 and 2: scikit-learn is the oracle, and a row's bits depend on nothing but the row."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble_model import export
from thimble_model.catalogue import CLOSE as TOLERANCE
from thimble_model.frames import as_batch

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ACTIVATIONS = ("identity", "logistic", "relu", "tanh")
LABELS: dict[str, Any] = {
    "strings": [f"class {k}" for k in "hgfedcba"],
    "integers": [30, -2, 7, 2**40, 0, 1, 5, 4],
    "booleans": [True, False],
    "floats": [3.0, -1.0, 2.0, 8.0, 9.0, 10.0, 11.0, 12.0],
}
BATCHES = (1, 2, 15, 16, 17, 64, 1009)


def trained(
    activation: str, n_classes: int, kind: str, seed: int, n_features: int = 5, dtype: Any = np.float64
) -> Any:
    """A network that was really fitted; `linear` for the activation is a logistic regression."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(8 * n_classes, n_features)).astype(dtype)
    labels = np.array(LABELS.get(kind, [])[:n_classes])
    y = rng.integers(0, 2, (len(X), n_classes)) if kind == "multilabel" else np.repeat(labels, 8)
    if activation == "linear":
        return LogisticRegression(max_iter=20).fit(X, y)
    hidden = tuple(rng.integers(1, 20, rng.integers(1, 4)).tolist())
    return MLPClassifier(
        hidden, activation=activation, max_iter=3, random_state=seed, learning_rate_init=0.1
    ).fit(X, y)


def assert_parity(classifier: Classifier, estimator: Any, X: NDArray[np.float64]) -> None:
    predictions = classifier.predict(Batch.of(classifier.features, X.T))
    expected = estimator.predict_proba(X)
    np.testing.assert_allclose(predictions.outputs[0].probabilities.T, expected, rtol=0, atol=TOLERANCE)
    if classifier.heads[0].multilabel:
        np.testing.assert_array_equal(predictions.outputs[0].mask.T, estimator.predict(X))
    else:
        labels = [classifier.heads[0].classes[k] for k in predictions.outputs[0].labels]
        assert labels == estimator.predict(X).tolist()
        assert {type(label) for label in labels} <= {type(estimator.classes_.tolist()[0])}


ESTIMATORS = [
    (activation, n_classes, kind)
    for activation in (*ACTIVATIONS, "linear")
    for n_classes in (2, 3, 8)
    for kind in (*LABELS, "multilabel")
    if not (kind == "booleans" and n_classes > 2) and not (kind == "multilabel" and activation == "linear")
]


@pytest.mark.parametrize(("activation", "n_classes", "kind"), ESTIMATORS)
def test_answers_are_scikit_learns(activation: str, n_classes: int, kind: str) -> None:
    estimator = trained(activation, n_classes, kind, seed=n_classes)
    classifier = load(export(estimator))
    for n in BATCHES:
        X = np.random.default_rng(n).normal(scale=10, size=(n, 5))
        assert_parity(classifier, estimator, X)


networks = st.builds(
    trained,
    activation=st.sampled_from([*ACTIVATIONS, "linear"]),
    n_classes=st.integers(2, 8),
    kind=st.sampled_from(["strings", "integers", "floats"]),
    seed=st.integers(0, 2**32 - 1),
    n_features=st.integers(1, 40),
    dtype=st.sampled_from([np.float64, np.float32]),
) | st.builds(
    trained,
    activation=st.sampled_from(ACTIVATIONS),
    n_classes=st.integers(2, 8),
    kind=st.just("multilabel"),
    seed=st.integers(0, 2**32 - 1),
)


@settings(max_examples=60)
@given(
    estimator=networks,
    n=st.integers(1, 200),
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([0.1, 1, 100]),
)
def test_any_network_on_any_rows(estimator: Any, n: int, seed: int, scale: float) -> None:
    X = np.random.default_rng(seed).normal(scale=scale, size=(n, estimator.n_features_in_))
    assert_parity(load(export(estimator)), estimator, X)


@settings(max_examples=60)
@given(estimator=networks, n=st.integers(1, 2100), seed=st.integers(0, 2**32 - 1))
def test_a_row_gets_the_same_bits_alone_in_company_and_in_any_position(
    estimator: Any, n: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(estimator.n_features_in_, n))
    classifier = load(export(estimator))
    together = classifier.predict(Batch.of(classifier.features, X))
    order = rng.permutation(n)
    shuffled = classifier.predict(Batch.of(classifier.features, X[:, order]))
    assert (
        together.outputs[0].probabilities[:, order].tobytes() == shuffled.outputs[0].probabilities.tobytes()
    )
    assert together.outputs[0].mask[:, order].tobytes() == shuffled.outputs[0].mask.tobytes()
    cut = int(rng.integers(0, n))
    for part in (slice(0, cut + 1), slice(cut, None), slice(cut, cut + 1)):
        some = classifier.predict(Batch.of(classifier.features, X[:, part]))
        assert some.outputs[0].probabilities.tobytes() == together.outputs[0].probabilities[:, part].tobytes()
        if not classifier.heads[0].multilabel:
            assert some.outputs[0].labels.tobytes() == together.outputs[0].labels[part].tobytes()


@pytest.mark.parametrize("n_classes", [2, 4])
def test_memory_layout_changes_no_bit(n_classes: int) -> None:
    classifier = load(export(trained("linear", n_classes, "strings", seed=1)))
    rows = np.random.default_rng(0).normal(size=(160, 5))
    layouts: list[Any] = [
        rows.T,
        np.ascontiguousarray(rows.T),
        list(rows.T.copy()),
        np.repeat(rows, 2, axis=0)[::2].T,
    ]
    assert (
        len(
            {
                classifier.predict(Batch.of(classifier.features, X)).outputs[0].probabilities.tobytes()
                for X in layouts
            }
        )
        == 1
    )


class TestTies:
    """Where two classes are exactly as likely, the first wins, as in scikit-learn."""

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    @pytest.mark.parametrize("kind", ["strings", "multilabel"])
    @pytest.mark.parametrize("n_classes", [2, 3, 8])
    def test_all_classes_tie(self, activation: str, kind: str, n_classes: int) -> None:
        estimator = trained(activation, n_classes, kind, seed=0)
        estimator.coefs_[-1][:] = 0
        estimator.intercepts_[-1][:] = 0
        X = np.random.default_rng(0).normal(size=(40, 5))
        assert_parity(load(export(estimator)), estimator, X)

    @pytest.mark.parametrize("activation", [*ACTIVATIONS, "linear"])
    @pytest.mark.parametrize("pair", [(0, 1), (1, 2), (0, 3), (2, 3)])
    def test_two_classes_of_equal_weights_tie(self, activation: str, pair: tuple[int, int]) -> None:
        estimator = trained(activation, 4, "strings", seed=3)
        first, second = pair
        weights, biases = (
            (estimator.coef_.T, estimator.intercept_)
            if activation == "linear"
            else (estimator.coefs_[-1], estimator.intercepts_[-1])
        )
        weights[:, second], biases[second] = weights[:, first], biases[first]
        X = np.random.default_rng(0).normal(scale=3, size=(200, 5))
        assert_parity(load(export(estimator)), estimator, X)

    def test_probabilities_that_round_to_a_tie_are_told_apart_by_logits_only(self) -> None:
        """predict of a linear model looks at the logits, predict of a network at the probabilities."""
        linear = trained("linear", 2, "strings", seed=0, n_features=1)
        linear.coef_[:], linear.intercept_[:] = 1e-20, 0
        network = trained("relu", 2, "strings", seed=0, n_features=1)
        network.coefs_, network.intercepts_ = [np.array([[1e-20]])], [np.zeros(1)]
        network.n_layers_ = 2
        X = np.array([[-1.0], [0.0], [1.0]])
        assert linear.predict(X).tolist() == ["class g", "class g", "class h"]
        assert network.predict(X).tolist() == ["class g", "class g", "class g"]
        assert_parity(load(export(linear)), linear, X)
        assert_parity(load(export(network)), network, X)

    def test_saturated_classes_tie_for_a_network_only(self) -> None:
        linear = trained("linear", 3, "integers", seed=0, n_features=1)
        linear.coef_[:], linear.intercept_[:] = [[1.0], [1.0 + 1e-15], [-1.0]], 0
        X = np.array([[0.1], [1.0], [-3.0], [1e6]])
        assert_parity(load(export(linear)), linear, X)


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-308, 1e150, -1e150, 800.0, -800.0])
@pytest.mark.parametrize("activation", ["logistic", "relu", "tanh", "linear"])
def test_extreme_rows_saturate_without_a_warning(activation: str, value: float) -> None:
    estimator = trained(activation, 2, "strings", seed=5)
    X = np.full((3, 5), value)
    with np.errstate(all="ignore"):
        expected = estimator.predict_proba(X)
    actual = (
        load(export(estimator))
        .predict(Batch.of(load(export(estimator)).features, X.T))
        .outputs[0]
        .probabilities.T
    )
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE)


def test_a_float32_estimator_answers_in_double_precision() -> None:
    estimator = trained("relu", 3, "strings", seed=2, dtype=np.float32)
    assert estimator.coefs_[0].dtype == np.float32
    X = np.random.default_rng(0).normal(size=(100, 5))
    assert_parity(load(export(estimator, X.astype(np.float32))), estimator, X)


def test_columns_of_integers_and_booleans_count_as_numbers() -> None:
    table = pd.DataFrame(
        {"count": [1, 5, 2, 9] * 5, "flag": [True, False, True, True] * 5, "x": [0.1, 2, 3, 4] * 5}
    )
    estimator = LogisticRegression().fit(table, ["a", "b", "a", "b"] * 5)
    classifier = load(export(estimator, table))
    np.testing.assert_allclose(
        classifier.predict(as_batch(classifier.features, table)).outputs[0].probabilities.T,
        estimator.predict_proba(table),
        rtol=0,
        atol=TOLERANCE,
    )
