"""The scientist's side: what export writes, and what it refuses."""

import json
import pickle
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from tests.examples import EXAMPLES
from thimble.inference.batch import Batch
from thimble.inference.classifier import load
from thimble.inference.document import HISTORY, parse
from thimble.inference.network import Network
from thimble_model import Unsupported, examples, export

ROOT = Path(__file__).parent.parent
X: Any
Y: Any
IRIS: Any
X, Y, IRIS = EXAMPLES["iris"]()


def keys_of(data: bytes) -> dict[str, Any]:
    keys: dict[str, Any] = json.loads(data)
    return keys


def fitted(labels: Any, **parameters: Any) -> LogisticRegression:
    return LogisticRegression(**parameters).fit(X[: len(labels)].to_numpy(), labels)


def test_an_export_is_a_pure_function_of_its_arguments() -> None:
    _, _, again = examples.iris()
    assert export(IRIS, X, Y, name="iris") == export(again, X, Y, name="iris")


def test_the_committed_iris_document_is_what_the_command_writes() -> None:
    """Up to the last bits, which another CPU's matrix products may round otherwise during the training."""
    committed, made = (parse(data) for data in ((ROOT / "model/iris.json").read_bytes(), export(IRIS, X, Y)))
    assert committed.heads[0].classes == ("setosa", "versicolor", "virginica") == made.heads[0].classes
    assert committed.schema.names == tuple(X.columns) == made.schema.names
    kept, new = (found.outputs[0].scorer for found in (committed, made))
    assert isinstance(kept, Network)
    assert isinstance(new, Network)
    for a, b in zip(kept.weights + kept.biases, new.weights + new.biases, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_the_document_is_a_tenth_of_the_pickle_and_with_its_training_history_a_quarter() -> None:
    size = len(pickle.dumps(IRIS))
    without = len(export(IRIS, X, Y, name="iris", with_history=False))
    assert round(without / size, 1) <= 0.1  # 0.105 of the oldest scikit-learn's
    assert len(export(IRIS, X, Y, name="iris")) <= size / 4


def test_everything_the_pickle_knew_of_its_training_is_kept() -> None:
    codes = pd.factorize(Y)[0]  # scikit-learn 1.8 stops early on labels of numbers only
    early = MLPClassifier((3,), early_stopping=True, random_state=0, max_iter=3000).fit(X, codes)
    document = keys_of(export(early, X, codes))
    assert document["validation_scores"] == early.validation_scores_[: len(document["validation_scores"])]
    assert document["best_validation_score"] == early.best_validation_score_
    document = keys_of(export(IRIS, X, Y))
    assert (document["n_iter"], document["t"]) == (IRIS.n_iter_, IRIS.t_)
    assert (document["loss"], document["best_loss"]) == (IRIS.loss_, IRIS.best_loss_)
    assert (document["loss_curve"][0], document["loss_curve"][-1]) == (
        IRIS.loss_curve_[0],
        IRIS.loss_curve_[-1],
    )
    assert len(document["loss_curve"]) == 100


def test_history_can_be_left_out() -> None:
    assert not keys_of(export(IRIS, X, Y, with_history=False)).keys() & set(HISTORY)


def test_examples_hold_a_row_of_each_class_and_scikit_learns_own_answers() -> None:
    examples = keys_of(export(IRIS, X, Y))["examples"]
    rows = pd.DataFrame(examples["rows"], columns=X.columns)
    assert set(IRIS.predict(rows)) == set(IRIS.classes_)
    assert examples["probabilities"] == IRIS.predict_proba(rows).tolist()


def test_a_model_without_data_proves_itself_too() -> None:
    document = parse(export(IRIS))
    assert document.examples is not None
    assert len(document.examples.rows) == 3
    assert "data_digest" not in document.training


def test_the_training_data_are_named_by_their_digest() -> None:
    changed = X.copy()
    changed.iloc[7, 2] += 1e-9
    digests = [keys_of(export(IRIS, rows))["training"]["data_digest"] for rows in (X, X.copy(), changed)]
    assert digests[0] == digests[1] != digests[2]


def test_scores_are_of_the_training_data_and_others_can_be_added() -> None:
    scores = keys_of(export(IRIS, X, Y, scores={"held_out_accuracy": 0.97}))["training"]["scores"]
    assert scores["accuracy"] == IRIS.score(X, Y)
    assert set(scores) == {"accuracy", "log_loss", "held_out_accuracy"}


def test_the_time_of_the_training_is_in_universal_time() -> None:
    trained = datetime(2024, 5, 1, 12, 30, 1, 999, tzinfo=UTC)
    assert keys_of(export(IRIS, trained=trained))["training"]["time"] == "2024-05-01T12:30:01Z"


def test_feature_names_come_from_the_estimator_or_else_from_the_data() -> None:
    nameless = LogisticRegression(max_iter=1000).fit(X.to_numpy(), Y)
    assert parse(export(IRIS)).schema.names == tuple(X.columns)
    assert parse(export(nameless, X)).schema.names == tuple(X.columns)
    assert parse(export(nameless, X.to_numpy())).schema.names is None
    assert parse(export(nameless)).schema.names is None


def test_columns_in_another_order_are_found_by_name() -> None:
    assert export(IRIS, X[X.columns[::-1]], Y) == export(IRIS, X, Y)


def test_a_sparsified_linear_model_has_the_same_document() -> None:
    dense, sparse = fitted([0, 1, 2] * 20, max_iter=1000), fitted([0, 1, 2] * 20, max_iter=1000).sparsify()
    weights = ("classes", "coefs", "intercepts", "out_activation", "decision")
    a, b = keys_of(export(dense)), keys_of(export(sparse))
    assert [a[key] for key in weights] == [b[key] for key in weights]


SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga")


@pytest.mark.parametrize(
    ("solver", "n_classes"), [("liblinear", 2), *((solver, n) for solver in SOLVERS for n in (2, 3))]
)
def test_every_solver_of_logistic_regression_is_exact(solver: str, n_classes: int) -> None:
    rows = X[Y != "virginica"] if n_classes == 2 else X
    estimator = LogisticRegression(solver=solver, max_iter=10_000, tol=1e-2).fit(rows, Y[rows.index])
    document = parse(export(estimator, rows))  # which compares on all the rows
    assert document.heads[0].out_activation == ("logistic" if n_classes == 2 else "softmax")


class OddClassifier(LogisticRegression):  # type: ignore[misc]
    """A subclass may predict in its own way."""


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: KNeighborsClassifier(2).fit(X, Y),
        "KNeighborsClassifier is not supported: its answers need the training rows, which a document does "
        "not hold; the nearest that exports is RandomForestClassifier",
    ),
    (lambda: MLPRegressor(max_iter=2).fit(X[:9], range(9)), "MLPRegressor is a regressor"),
    (lambda: KMeans(2).fit(X), "KMeans is not supported"),
    (lambda: OddClassifier(max_iter=1000).fit(X, Y), "OddClassifier is not supported; supported are Ada"),
    (lambda: "a string", "a path is no estimator: pass joblib.load(path)"),
    (lambda: MLPClassifier((2,), max_iter=5000).fit(X, ["same"] * 150), "was fitted on one class only"),
    (LogisticRegression, "LogisticRegression is not fitted: call its fit(X, y) first"),
    (lambda: LogisticRegression, "LogisticRegression is a class, not a fitted estimator: pass Log"),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("estimator", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_what_has_no_exact_document_is_refused_in_a_sentence(
    estimator: Callable[[], Any], sentence: str
) -> None:
    with pytest.raises(Unsupported, match=re.escape(sentence)):
        export(estimator())


TAKEN = [
    ("label", ["a", "b"]),
    ("probability", ["a", "b"]),
    ("p_a", ["a", "b"]),
    ("p_1", [0, 1]),
    ("p_true", [False, True]),
]


@pytest.mark.parametrize(("name", "labels"), TAKEN)
def test_a_feature_that_is_called_like_a_column_of_the_answer_is_refused(name: str, labels: Any) -> None:
    table = pd.DataFrame({"x": np.arange(20.0), name: np.arange(20.0) % 3})
    with pytest.raises(Unsupported, match=f"The feature '{name}' is called as one of the columns"):
        export(LogisticRegression().fit(table, labels * 10))


@pytest.mark.parametrize("name", ["score", "score_a", "score_b"])
def test_of_a_model_of_scores_these_are_taken(name: str) -> None:
    table = pd.DataFrame({"x": np.arange(20.0), name: np.arange(20.0) % 3})
    with pytest.raises(Unsupported, match=f"The feature '{name}' is called as"):
        export(LinearSVC().fit(table, ["a", "b"] * 10))
    export(LogisticRegression().fit(table, ["a", "b"] * 10))


def test_of_several_outputs_the_names_have_the_outputs_before_them() -> None:
    y = pd.DataFrame({"kind": ["a", "b"] * 10, "size": ["L", "M"] * 10})
    for name, free in (("label", True), ("kind.label", False), ("size.p_M", False)):
        table = pd.DataFrame({"x": np.arange(20.0), name: np.arange(20.0) % 3})
        fitted = MultiOutputClassifier(LogisticRegression()).fit(table, y)
        if free:
            export(fitted, table, y)
        else:
            with pytest.raises(Unsupported, match="is called as"):
                export(fitted, table, y)


def test_a_column_that_the_pipeline_drops_may_have_any_name() -> None:
    table = pd.DataFrame({"x": np.arange(20.0), "label": "z"})
    pipeline = make_pipeline(ColumnTransformer([("x", "passthrough", ["x"])]), LogisticRegression())
    export(pipeline.fit(table, ["a", "b"] * 10), table)


def test_weights_that_are_not_finite_are_refused() -> None:
    broken = fitted([0, 1, 2] * 20, max_iter=1000)
    broken.coef_[0, 0] = np.inf
    with pytest.raises(Unsupported, match="weights that are not finite"):
        export(broken)


def test_a_document_of_another_estimator_is_never_handed_out() -> None:
    class Liar:
        """Answers otherwise than its weights say."""

        classes_ = IRIS.classes_
        feature_names_in_ = IRIS.feature_names_in_
        predict = IRIS.predict
        get_params = IRIS.get_params

        def predict_proba(self, rows: Any) -> Any:
            return IRIS.predict_proba(rows)[:, ::-1]

    from thimble_model.parity import require_parity

    with pytest.raises(Unsupported, match="would not answer as the estimator does: 150 rows"):
        require_parity(load(export(IRIS)), Liar(), X)


def test_the_data_teams_own_documents_load_unchanged() -> None:
    """Their key set: no activation, no feature names, no format; relu is meant."""
    data = (ROOT / "tests/documents/data-team.json").read_bytes()
    document = parse(data)
    assert set(keys_of(data)) == {
        *("coefs", "intercepts", "classes", "out_activation", "n_features_in", "n_layers", "n_outputs"),
        *HISTORY,
    }
    assert document.outputs[0].scorer.card["activation"] == "relu"
    assert (document.schema.names, document.name) == (None, "")
    model = load(data)
    predicted = model.predict(Batch.of(model.features, X.to_numpy().T)).outputs[0].labels
    assert (predicted == pd.factorize(Y)[0]).mean() > 0.95
    assert document.history["n_iter"] == len(document.history["loss_curve"])
