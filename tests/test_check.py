"""The scientist's commands as a person runs them."""

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner, Result

from tests.examples import EXAMPLES
from thimble.inference.steps.ops import OPS
from thimble_infra.cli import app
from thimble_model import export
from thimble_model.check import check, facts, sparkline
from thimble_model.describe import WORDS

IRIS = Path(__file__).parent.parent / "model/iris.json"


def thimble(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """iris.json, iris.joblib and iris.csv, as train-iris writes them."""
    folder = tmp_path_factory.mktemp("trained")
    outputs = (
        "--estimator",
        folder / "iris.joblib",
        "--data",
        folder / "iris.csv",
        "-o",
        folder / "iris.json",
    )
    result = thimble("train-iris", *outputs)
    assert result.exit_code == 0, result.output
    return folder


def test_train_iris_writes_the_same_bytes_every_time(files: Path, tmp_path: Path) -> None:
    assert thimble("train-iris", "-o", tmp_path / "again.json").exit_code == 0
    assert (tmp_path / "again.json").read_bytes() == (files / "iris.json").read_bytes()


def test_export_of_the_saved_estimator_is_the_same_model(files: Path, tmp_path: Path) -> None:
    output = tmp_path / "iris.json"
    result = thimble("export", files / "iris.joblib", "--data", files / "iris.csv", "-o", output)
    assert result.exit_code == 0, result.output
    exported, trained = (json.loads(path.read_bytes()) for path in (output, files / "iris.json"))
    exported["training"].pop("time")
    assert exported == trained


def test_export_warns_that_unpickling_runs_code(files: Path, tmp_path: Path) -> None:
    result = thimble("export", files / "iris.joblib", "-o", tmp_path / "model.json")
    assert "runs whatever code" in " ".join(result.stderr.split())


def test_export_takes_its_time_from_the_file_so_that_it_can_be_repeated(files: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        thimble("export", files / "iris.joblib", "-o", tmp_path / name, "--name", "m")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert json.loads((tmp_path / "a").read_bytes())["training"]["time"].endswith("Z")


def test_labels_are_the_left_over_column_or_the_named_one(tmp_path: Path) -> None:
    rows = pd.DataFrame({"y": [0, 1] * 10, "b": np.arange(20.0), "a": np.arange(20.0) ** 2, "day": "monday"})
    joblib.dump(LogisticRegression().fit(rows[["a", "b"]], rows["y"]), tmp_path / "e.joblib")
    rows.to_csv(tmp_path / "day.csv", index=False)
    rows.drop(columns="day").to_csv(tmp_path / "plain.csv", index=False)
    output = tmp_path / "m.json"
    for data, options, scored in (("plain", [], True), ("day", [], False), ("day", ["--target", "y"], True)):
        result = thimble(
            "export", tmp_path / "e.joblib", "--data", tmp_path / f"{data}.csv", "-o", output, *options
        )
        assert result.exit_code == 0, result.output
        assert bool(json.loads(output.read_bytes())["training"]["scores"]) is scored


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,2,3,4\n5,6,7,8\n", "has no header line"),
        ("a,b\n1,2\n", "has no column 'sepal length (cm)'"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_in_a_sentence(
    files: Path, tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    result = thimble("export", files / "iris.joblib", "--data", tmp_path / "t.csv", "-o", tmp_path / "m.json")
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert not (tmp_path / "m.json").exists()


NAMELESS = LogisticRegression().fit([[0.0, 1], [1, 0], [2, 1]], ["no", "no", "yes"])
UNUSABLE = [
    ({"no": "estimator"}, "thimble: dict is not supported"),
    (LogisticRegression(), "thimble: LogisticRegression is not fitted"),
    (make_pipeline(StandardScaler(), LogisticRegression()), "(LogisticRegression) is not fitted"),
    (MultiOutputClassifier(LogisticRegression()), "thimble: MultiOutputClassifier is not fitted"),
    (LinearRegression().fit([[0.0, 1], [1, 0]], [1.5, 2]), "thimble: LinearRegression is a regressor"),
]


@pytest.mark.parametrize(("estimator", "sentence"), UNUSABLE, ids=[sentence for _, sentence in UNUSABLE])
def test_an_unusable_estimator_ends_every_command_in_a_sentence(
    estimator: Any, sentence: str, tmp_path: Path
) -> None:
    joblib.dump(estimator, tmp_path / "e.joblib")
    (tmp_path / "t.csv").write_text("a,b,y\n0,1,no\n2,3,yes\n")
    data, output = ("--data", tmp_path / "t.csv"), ("-o", tmp_path / "m.json")
    for arguments in (
        ("export", tmp_path / "e.joblib", *output),
        ("export", tmp_path / "e.joblib", *data, *output),
        ("check", IRIS, "--estimator", tmp_path / "e.joblib"),
        ("check", IRIS, "--estimator", tmp_path / "e.joblib", *data),
    ):
        result = thimble(*arguments)
        assert (result.exit_code, type(result.exception)) == (1, SystemExit), result.exception
        assert sentence in result.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "a,b,y\n0,1,no\n2,,yes\n",
            "column b is missing in row 2, and the estimator takes no missing values there",
        ),
        ("a,b,y\n0,1,no\n2,inf,yes\n", 'line 3: b is "inf", not a number'),
        ("a,b,y\n0,1,no\n2,x,yes\n", 'line 3: b is "x", not a number'),
        ("a,b,y\n", " has no rows"),
        ("a,b,c,y\n0,1,2,no\n", "has 4 columns; 2 features are taken, and their names are not known"),
    ],
)
def test_rows_that_the_estimator_refuses_are_named(text: str, sentence: str, tmp_path: Path) -> None:
    joblib.dump(NAMELESS, tmp_path / "e.joblib")
    (tmp_path / "m.json").write_bytes(export(NAMELESS))
    (tmp_path / "t.csv").write_text(text)
    data = ("--data", tmp_path / "t.csv")
    for arguments in (
        ("export", tmp_path / "e.joblib", *data, "-o", tmp_path / "other.json"),
        ("check", tmp_path / "m.json", "--estimator", tmp_path / "e.joblib", *data),
    ):
        result = thimble(*arguments)
        assert (result.exit_code, type(result.exception)) == (1, SystemExit), result.exception
        assert str(tmp_path / "t.csv") in result.stderr
        assert sentence in result.stderr


def test_labels_that_cannot_be_scored_are_named(tmp_path: Path) -> None:
    joblib.dump(NAMELESS, tmp_path / "e.joblib")
    (tmp_path / "t.csv").write_text("a,b,y\n0,1,no\n2,1,maybe\n")
    arguments = ("export", tmp_path / "e.joblib", "--data", tmp_path / "t.csv", "-o", tmp_path / "m.json")
    result = thimble(*arguments)
    assert result.exit_code == 0
    said = " ".join(result.stderr.split())
    assert "no scores, for 'y' could not be told to be the labels: not all of its values are classes" in said
    result = thimble(*arguments, "--target", "y")
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    assert "y has the label 'maybe' in row 2, and the estimator's classes are 'no', 'yes'" in result.stderr


PAIRS = [
    (NAMELESS, "it has 4 features, this one 2"),
    (LogisticRegression().fit(np.eye(4), list("abca")), "'setosa' among its classes is 'a' in this one"),
    (LogisticRegression().fit(np.eye(4), [0, 1, 1, 0]), "it has 3 classes, this one 2"),
    (
        LogisticRegression().fit(pd.DataFrame(np.eye(4), columns=list("abcd")), list("abca")),
        "'sepal length (cm)' among its features is 'a' in this one",
    ),
    (
        MultiOutputClassifier(LogisticRegression()).fit(np.eye(4), [[0, 1], [1, 1], [0, 0], [1, 0]]),
        "it has 1 outputs, this one 2",
    ),
]


@pytest.mark.parametrize(("estimator", "sentence"), PAIRS, ids=[sentence for _, sentence in PAIRS])
def test_a_document_and_an_estimator_that_are_no_pair_are_told_apart(
    estimator: Any, sentence: str, tmp_path: Path
) -> None:
    joblib.dump(estimator, tmp_path / "e.joblib")
    result = thimble("check", IRIS, "--estimator", tmp_path / "e.joblib")
    assert (result.exit_code, type(result.exception)) == (1, SystemExit), result.exception
    assert f"The document is of another estimator: {sentence}" in result.stderr


def test_the_card_shows_what_the_model_is(files: Path) -> None:
    X, _, estimator = EXAMPLES["iris"]()
    card = dict(facts(check((files / "iris.json").read_bytes(), estimator, X)))
    assert card["Model"] == "iris"
    assert len(card["Digest"]) == 64
    assert card["Layers"] == "4 → 10 relu → 3 softmax; 83 parameters"
    assert card["Labels"] == "setosa, versicolor, virginica"
    assert "petal width (cm)" in card["Features"]
    assert "times as many" in card["Size"]
    assert "on 150 rows, in 1,201 iterations" in card["Trained"]
    assert "accuracy 0.98" in card["Scores"]
    assert card["Loss"].startswith("█")
    assert card["Examples"] == "3 rows, reproduced"
    assert card["Parity"].startswith("150 rows: the same labels")


def test_a_data_teams_document_has_a_card_too() -> None:
    data = (Path(__file__).parent / "documents/data-team.json").read_bytes()
    card = dict(facts(check(data)))
    assert card["Features"] == "4, by position"
    assert card["Examples"].startswith("none")
    assert {"Scores", "Parity"}.isdisjoint(card)


def test_the_card_says_the_preprocessing_in_words() -> None:
    data = (Path(__file__).parents[1] / "model/penguins.json").read_bytes()
    lines = facts(check(data))
    assert dict(lines)["Features"].startswith(
        "6: island [text, may be missing], bill_length_mm [may be missing]"
    )
    assert [text for title, text in lines if title in ("Prepared", "")] == [
        "bill_length_mm, bill_depth_mm, flipper_length_mm, body_mass_g: "
        "missing values replaced by 44.45, 17.3, 197, 4050",
        "island: coded Biscoe = 0, Dream = 1, Torgersen = 2, missing = 0; others rejected",
        "sex: coded female = 0, male = 1, missing = 1; others rejected",
        "island, sex: codes to 5 columns of 0 and 1",
    ]


def test_a_name_that_would_read_as_several_is_quoted(tmp_path: Path) -> None:
    document = json.loads(IRIS.read_bytes())
    document["feature_names_in"] = ["Größe, cm", " lead space", "a\ttab", "weight (kg)"]
    document["classes"] = ["a, b", "c", ""]
    card = dict(facts(check(json.dumps(document).encode())))
    assert card["Features"] == '4: "Größe, cm", " lead space", "a\\ttab", weight (kg)'
    assert card["Labels"] == '"a, b", c, ""'


def test_every_step_has_words() -> None:
    assert set(WORDS) == set(OPS.values())


def test_check_ends_well_on_a_good_document(files: Path) -> None:
    result = thimble("check", IRIS, "--estimator", files / "iris.joblib", "--data", files / "iris.csv")
    assert result.exit_code == 0, result.output
    assert "150 rows: the same labels" in result.stdout


def test_check_fails_on_a_document_of_another_estimator(files: Path, tmp_path: Path) -> None:
    X, y, _ = EXAMPLES["iris"]()
    joblib.dump(LogisticRegression(max_iter=1000).fit(X, y), tmp_path / "other.joblib")
    result = thimble("check", IRIS, "--estimator", tmp_path / "other.joblib", "--data", files / "iris.csv")
    assert result.exit_code == 1
    assert "does not answer as" in result.stderr


def test_check_fails_on_a_document_that_the_functions_would_refuse(tmp_path: Path) -> None:
    document = json.loads(IRIS.read_bytes())
    document["coefs"][0][0][0] += 0.01
    (tmp_path / "m.json").write_text(json.dumps(document))
    result = thimble("check", tmp_path / "m.json")
    assert result.exit_code == 1
    assert "examples.probabilities" in result.stderr


def test_check_fails_on_a_document_that_no_file_could_be_sent_to(tmp_path: Path) -> None:
    document = json.loads(IRIS.read_bytes())
    document["feature_names_in"][2] = "p_setosa"
    (tmp_path / "m.json").write_text(json.dumps(document))
    result = thimble("check", tmp_path / "m.json")
    assert result.exit_code == 1
    assert "The feature 'p_setosa' is called as one of the columns" in result.stderr


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("iris.joblib", "is no model document; `thimble export` makes one of an estimator"),
        ("iris.csv", "is no model document; `thimble export` makes one of an estimator"),
        ("bad.json", "is refused: coefs is empty"),
    ],
)
def test_what_is_refused_is_named(files: Path, name: str, sentence: str) -> None:
    (files / "bad.json").write_text('{"coefs": []}')
    for command in ("check", "publish"):
        result = thimble(command, files / name)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == f"thimble: {files / name} {sentence}\n"


def test_rows_are_for_comparing_with_an_estimator(files: Path) -> None:
    for command in ("check", "publish"):
        result = thimble(command, files / "iris.json", "--data", files / "iris.csv")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("thimble: --data needs --estimator")


def test_a_file_of_another_kind_is_a_sentence(files: Path, tmp_path: Path) -> None:
    result = thimble("export", files / "iris.csv", "-o", tmp_path / "m.json")
    assert result.exit_code == 1
    assert f"{files / 'iris.csv'} is a text, such as a table, not an estimator" in result.stderr
    arguments = ("export", files / "iris.joblib", "--data", files / "iris.joblib", "-o", tmp_path / "m.json")
    result = thimble(*arguments)
    assert result.exit_code == 1
    assert f"{files / 'iris.joblib'}: the name says no format that is read here" in result.stderr


def test_a_sparkline_falls_with_the_loss() -> None:
    assert sparkline([8.0, 7, 6, 5, 4, 3, 2, 1]) == "█▇▆▅▄▃▂▁"
    assert sparkline([2.0, 2.0]) == "▁▁"
    assert len(sparkline([float(i) for i in range(1000)])) <= 40
