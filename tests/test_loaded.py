"""`load(document).predict(rows)`: a notebook gets the bits of the service, or a sentence."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier

from thimble.errors import InvalidInput, InvalidModel
from thimble.files.options import FileOptions
from thimble.registry.lookup import OneModel
from thimble.settings import from_environment
from thimble.web import routes
from thimble.web.app import Request
from thimble_infra import classifying
from thimble_infra.stacks import Registry
from thimble_model import Model, export, load
from thimble_model.examples import EXAMPLES

ROOT = Path(__file__).parents[1]
IRIS = (ROOT / "model" / "iris.json").read_bytes()
PENGUINS = (ROOT / "model" / "penguins.json").read_bytes()
IRIS_NAMES = json.loads(IRIS)["feature_names_in"]
RNG = np.random.default_rng(0)
ROWS = RNG.uniform(0.1, 7.0, (57, 4))


def served(document: bytes, instances: list[Any]) -> list[dict[str, Any]]:
    """What /classify answers."""
    app = routes.app(OneModel("", lambda uri: document), from_environment({}))
    answer = app(Request("POST", "/classify", json.dumps({"instances": instances}).encode()))
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = json.loads(answer.body)["predictions"]
    return found


def as_answers(found: pd.DataFrame) -> list[dict[str, Any]]:
    classes = [name for name in found.columns if name.startswith("p_")]
    return [
        {
            "label": row["label"],
            "probability": row["probability"],
            "probabilities": {name.removeprefix("p_"): row[name] for name in classes},
        }
        for _, row in found.iterrows()
    ]


FORMS: dict[str, Callable[[NDArray[np.float64]], Any]] = {
    "an array": lambda X: X,
    "an array of objects": lambda X: X.astype(object),
    "lists": lambda X: X.tolist(),
    "dicts": lambda X: [dict(zip(IRIS_NAMES[::-1], row[::-1], strict=True)) for row in X.tolist()],
    "dicts of numpy's numbers": lambda X: [dict(zip(IRIS_NAMES, row, strict=True)) for row in X],
    "a DataFrame": lambda X: pd.DataFrame(X, columns=IRIS_NAMES),
    "a DataFrame in another order with a column more": lambda X: pd.DataFrame(X, columns=IRIS_NAMES).assign(
        other="x"
    )[[*IRIS_NAMES[::-1], "other"]],
    "a DataFrame of decimals": lambda X: pd.DataFrame(X, columns=IRIS_NAMES).map(lambda x: Decimal(repr(x))),
    "a DataFrame of nullable numbers": lambda X: pd.DataFrame(X, columns=IRIS_NAMES).astype("Float64"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_notebook_gets_the_bits_of_the_service(form: str) -> None:
    found = load(IRIS).predict(FORMS[form](ROWS))
    assert as_answers(found) == served(IRIS, ROWS.tolist())


def test_texts_gaps_and_booleans_are_read_as_the_service_reads_them() -> None:
    table, _, _ = EXAMPLES["penguins"]()
    instances = json.loads(table.to_json(orient="records"))
    assert any(None in row.values() for row in instances)
    expected = served(PENGUINS, instances)
    assert as_answers(load(PENGUINS).predict(table)) == expected
    assert as_answers(load(PENGUINS).predict(instances)) == expected


def test_the_columns_are_those_that_a_file_gets(tmp_path: Path) -> None:
    table = pd.DataFrame(ROWS, columns=IRIS_NAMES)
    table.to_csv(tmp_path / "rows.csv", index=False)
    classifying.classify(
        [str(tmp_path / "rows.csv")],
        output=str(tmp_path / "out.csv"),
        model=str(ROOT / "model" / "iris.json"),
        registry=Registry("", "", None),
        options=FileOptions.of(),
    )
    file = pd.read_csv(tmp_path / "out.csv").drop(columns=IRIS_NAMES)
    pd.testing.assert_frame_equal(load(IRIS).predict(table), file, check_exact=True, check_dtype=False)


def test_a_row_that_a_model_answers_without_a_label_has_none_and_the_reason() -> None:
    document = json.dumps(json.loads(IRIS) | {"abstain_below": 0.99}).encode()
    expected = served(document, ROWS.tolist())
    withheld = [answer["label"] is None for answer in expected]
    assert 0 < sum(withheld) < len(withheld)
    found = load(document).predict(ROWS)
    for name in ("label", "abstained"):
        cells = [None if pd.isna(cell) else cell for cell in found[name]]
        assert cells == [answer[name] for answer in expected]
    assert found["probability"].tolist() == [answer["probability"] for answer in expected]


def test_the_index_of_a_data_frame_is_kept() -> None:
    table = pd.DataFrame(ROWS[:3], columns=IRIS_NAMES, index=pd.Index(["x", "y", "x"], name="customer"))
    assert load(IRIS).predict(table).index.equals(table.index)
    assert list(load(IRIS).predict(table[:0]).columns)[:2] == ["label", "probability"]


@pytest.mark.parametrize(
    "labels", [["no", "yes"], [3, 7], [False, True]], ids=["texts", "integers", "booleans"]
)
def test_labels_keep_their_type(labels: list[Any]) -> None:
    y = np.array(labels)[(ROWS[:, 0] > 3).astype(int)]
    estimator = LogisticRegression().fit(ROWS, y)
    assert load(export(estimator, ROWS)).predict(ROWS)["label"].tolist() == estimator.predict(ROWS).tolist()


def test_a_multilabel_model_gives_lists_and_one_of_several_outputs_a_column_each() -> None:
    several = np.column_stack([ROWS[:, 0] > 3, ROWS[:, 1] > 4, ROWS[:, 2] > 2]).astype(int)
    network = MLPClassifier((4,), solver="lbfgs", random_state=0).fit(ROWS, several)
    found = load(export(network, ROWS)).predict(ROWS)
    assert list(found.columns) == ["labels", "p_0", "p_1", "p_2"]
    wanted = [np.flatnonzero(row).tolist() for row in network.predict(ROWS)]
    assert [[int(label) for label in row] for row in found["labels"]] == wanted
    answers = pd.DataFrame(
        {"kind": np.where(several[:, 0], "a", "b"), "size": np.where(several[:, 1], "L", "M")}
    )
    both = MultiOutputClassifier(LogisticRegression()).fit(ROWS, answers)
    found = load(export(both, ROWS, answers)).predict(ROWS)
    assert found["kind.label"].tolist() == both.predict(ROWS)[:, 0].tolist()
    assert {"kind.probability", "kind.p_a", "size.p_L"} <= set(found.columns)


REFUSED: dict[str, tuple[Any, str]] = {
    "one row": (ROWS[0], "this is an array of 1"),
    "a text": ("5.1,3.5", "of the type str"),
    "a Series": (pd.Series([1.0]), "of the type Series"),
    "a short row": ([[1.0, 2.0, 3.0]], "rows[0] has 3 values; the model takes 4"),
    "a text among numbers": ([[1.0, 2.0, 3.0, "x"]], "rows[0][3] is a string, not a number"),
    "a gap": (np.array([[1.0, 2.0, 3.0, 4.0], [1.0, np.nan, 3.0, 4.0]]), "rows[1][1] is null"),
    "an infinity": ([[1.0, 2.0, np.inf, 4.0]], "rows[0][2]"),
    "a column too few": (pd.DataFrame(ROWS[:, :3], columns=IRIS_NAMES[:3]), "petal width (cm)"),
    "a name that is nobody's": ([dict.fromkeys([*IRIS_NAMES, "x"], 1.0)], "rows[0].x is no feature"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_answered_is_refused_with_its_place(case: str) -> None:
    rows, sentence = REFUSED[case]
    with pytest.raises(InvalidInput) as refused:
        load(IRIS).predict(rows)
    assert sentence in str(refused.value)


def test_a_date_is_no_number() -> None:
    table = pd.DataFrame(ROWS[:1], columns=IRIS_NAMES).assign(**{IRIS_NAMES[0]: pd.Timestamp("2026-01-01")})
    with pytest.raises(InvalidInput, match=r"rows\[0\]\.sepal length \(cm\) is a Timestamp"):
        load(IRIS).predict(table)


def test_a_document_is_loaded_from_its_path_or_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "iris.json"
    path.write_bytes(IRIS)
    digests = [load(source).digest for source in (IRIS, path, str(path))]
    assert len(set(digests)) == 1
    assert repr(load(path)) == f"<iris {digests[0][:12]}>"
    assert isinstance(load(path), Model)
    path.write_bytes(b"{}")
    with pytest.raises(InvalidModel, match=r"iris\.json is refused"):
        load(path)
    with pytest.raises(InvalidModel, match="`thimble export` makes one"):
        load(b"\x80\x04pickle")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.json")


@pytest.mark.parametrize("count", [1, 3, 4, 5])
def test_a_row_alone_and_among_many_gets_the_same_bits(count: int) -> None:
    model = load(IRIS)
    many = model.predict(ROWS)
    pd.testing.assert_frame_equal(model.predict(ROWS[:count]), many[:count], check_exact=True)
