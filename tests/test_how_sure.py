"""What `export --calibration` and `--abstain-below` keep with a document, and who shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import orjson
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from typer.testing import CliRunner

from tests.door import IRIS, get, served
from tests.examples import EXAMPLES
from thimble.errors import InvalidModel
from thimble.inference.batch import Batch
from thimble.inference.classifier import load
from thimble_infra.cli import app
from thimble_model import export
from thimble_model.check import card_as_json, check, facts
from thimble_model.unsupported import Unsupported

RNG = np.random.default_rng(7)
X = RNG.normal(size=(900, 3))
Y = (X @ [1.0, -1.0, 0.5] + RNG.normal(size=900) > 0.3).astype(int) + (X[:, 2] > 1)
TRAINED, UNSEEN, FRESH = ((X[part], Y[part]) for part in (slice(300), slice(300, 600), slice(600, 900)))
SURE = GaussianNB().fit(*TRAINED)


def document(estimator: Any = SURE, **keys: Any) -> bytes:
    return export(estimator, *TRAINED, calibration=UNSEEN, **keys)


def judged(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(get("/model", served(data)).body)["scores"]["held_out"]["outputs"][0]
    return found


def error_of(right: Any, p: Any) -> float:
    """The expected calibration error as it is printed: bins of (k / 10, (k + 1) / 10], weighted by rows."""
    bins = np.minimum((p * 10).astype(int), 9)
    each = [
        (bins == k).mean() * abs(right[bins == k].mean() - p[bins == k].mean()) for k in set(bins.tolist())
    ]
    return float(sum(each))


def test_a_curve_and_its_expected_error_are_kept_of_the_winning_probability_and_of_each_class() -> None:
    found = judged(document())
    p, y = SURE.predict_proba(UNSEEN[0]), UNSEEN[1]
    winning, right = p.max(axis=1), SURE.predict(UNSEEN[0]) == y
    assert found["calibration"]["error"] == pytest.approx(error_of(right, winning))
    assert sum(found["calibration"]["rows"]) == len(y)
    for k, curve in enumerate(found["calibration_by_class"]):
        shares, means = calibration_curve(y == k, p[:, k], n_bins=10)
        filled = [i for i, rows in enumerate(curve["rows"]) if rows]
        assert [curve["probability"][i] for i in filled] == pytest.approx(means)
        assert [curve["right"][i] / curve["rows"][i] for i in filled] == pytest.approx(shares)
        assert curve["error"] == pytest.approx(error_of(y == k, p[:, k]))


def test_rows_for_calibration_are_scored_where_no_others_are_held_out() -> None:
    alone = json.loads(document())["training"]["held_out"]
    beside = json.loads(document(held_out=FRESH))["training"]["held_out"]
    assert alone["scores"]["accuracy"] == SURE.score(*UNSEEN)
    assert beside["scores"]["accuracy"] == SURE.score(*FRESH)
    assert json.loads(document())["conformal"] == json.loads(document(held_out=FRESH))["conformal"]


def test_labels_that_may_all_apply_have_curves_by_class_and_no_sets() -> None:
    X, y = make_multilabel_classification(200, n_classes=3, random_state=0)
    estimator = OneVsRestClassifier(LogisticRegression()).fit(X[:100], y[:100])
    data = export(estimator, X[:100], y[:100], calibration=(X[100:], y[100:]))
    assert "conformal" not in json.loads(data)
    found = judged(data)
    p = estimator.predict_proba(X[100:])
    assert found["calibration"] is None
    for k, curve in enumerate(found["calibration_by_class"]):
        assert curve["error"] == pytest.approx(error_of(y[100:, k] == 1, p[:, k]))


def test_scores_have_thresholds_and_no_curve() -> None:
    data = document(LinearSVC(random_state=0).fit(*TRAINED))
    found = judged(data)
    assert found["calibration"] is found["calibration_by_class"] is None
    assert json.loads(data)["conformal"]["levels"] == [0.9, 0.95, 0.99]
    assert "Calibration" not in dict(facts(check(data)))


def test_without_rows_for_calibration_a_document_is_as_it_was() -> None:
    plain = json.loads(export(SURE, *TRAINED))
    assert {"conformal", "abstain_below"}.isdisjoint(plain)
    assert "held_out" not in plain["training"]


@pytest.mark.parametrize(
    ("held_out", "sentence"),
    [
        ({"calibration_by_class": []}, "held_out.calibration_by_class is empty"),
        ({"calibration_by_class": [{}]}, "held_out.calibration_by_class has 1 entries; 3 are needed"),
        ({"calibration_by_class": [1, 2, 3]}, r"held_out.calibration_by_class\[0\] is not an object"),
        (
            {"calibration": {"rows": [0] * 10, "right": [0] * 10}},
            "held_out.calibration.probability is missing",
        ),
    ],
)
def test_a_curve_that_cannot_be_drawn_is_refused_with_its_path(held_out: Any, sentence: str) -> None:
    raw = json.loads(document())
    raw["training"]["held_out"] = held_out
    with pytest.raises(InvalidModel, match=sentence):
        load(orjson.dumps(raw))


def test_the_card_of_a_network_says_why_it_is_not_explained() -> None:
    assert "Can tell" not in dict(facts(check(IRIS)))
    assert "hidden layers" in card_as_json(check(IRIS))["outputs"][0]["cannot"]["explain"]


def test_the_check_and_the_card_say_how_sure_a_model_is() -> None:
    data = document(abstain_below=0.8)
    lines, told = dict(facts(check(data))), card_as_json(check(data))
    error = judged(data)["calibration"]["error"]
    assert lines["Abstains"] == "no label below a probability of 0.8"
    assert lines[
        "Sets"
    ] == "hold the truth 90 % or 95 % or 99 % of the time, by 300 rows; each class's too, but " + (
        "in every such set, of too few rows: 2 at 99 %"
    )
    assert lines["Calibration"] == f"expected error {error:.2g}, on 300 rows that it has not seen"
    assert told["calibration"] == [{"output": "", "rows": 300, "error": error}]
    assert lines["Can tell"] == "why it answers so (explain), what would change it (what_if)"
    assert told["outputs"][0]["can"] == {"explain": True, "coverage": [0.9, 0.95, 0.99], "what_if": True}
    assert (told["outputs"][0]["abstain_below"], told["outputs"][0]["sets"]["rows"]) == (0.8, 300)
    card = json.loads(get("/model", served(data)).body)
    assert card["abstain_below"] == 0.8
    assert card["sets"] == {"rows": 300, "levels": [0.9, 0.95, 0.99], "always": [[], [], [2]]}


def test_the_check_says_which_level_takes_more_rows() -> None:
    data = export(SURE, *TRAINED, calibration=(UNSEEN[0][:60], UNSEEN[1][:60]))
    assert "90 % or 95 % of the time, by 60 rows (99 % takes 99); each" in dict(facts(check(data)))["Sets"]


def test_abstaining_changes_no_number_and_no_label_alone_or_in_company() -> None:
    plain, own = load(export(SURE, *TRAINED)), load(export(SURE, *TRAINED, abstain_below=0.8))
    assert (plain.heads[0].abstain_below, own.heads[0].abstain_below) == (None, 0.8)
    for rows in (FRESH[0], FRESH[0][:1]):
        (one,), (other,) = (model.predict(Batch.of(model.features, rows.T)).outputs for model in (plain, own))
        assert one.probabilities.tobytes() == other.probabilities.tobytes()
        assert one.labels.tolist() == other.labels.tolist()


@pytest.mark.parametrize("below", [-0.1, 1.1, 8, float("nan"), float("inf"), "much", True, [0.8]])
def test_an_abstention_beyond_probabilities_is_refused(below: Any) -> None:
    with pytest.raises(Unsupported, match="abstain_below"):
        export(SURE, *TRAINED, abstain_below=below)


@pytest.mark.parametrize("below", [-3.5, 0.0, 12.0])
def test_of_a_score_any_number_may_be_asked(below: float) -> None:
    estimator = LinearSVC(random_state=0).fit(*TRAINED)
    data = export(estimator, *TRAINED, abstain_below=below)
    assert load(data).heads[0].abstain_below == below
    assert dict(facts(check(data)))["Abstains"] == f"no label below a score of {below:g}"


def test_labels_that_may_all_apply_are_never_withheld() -> None:
    X, y = make_multilabel_classification(60, n_classes=3, random_state=0)
    estimator = OneVsRestClassifier(LogisticRegression()).fit(X, y)
    with pytest.raises(
        Unsupported, match="abstain_below leaves out one label; the model answers with any number"
    ):
        export(estimator, X, y, abstain_below=0.5)


@pytest.mark.parametrize("key", ["abstain_below", "conformal"])
def test_a_member_of_an_ensemble_neither_abstains_nor_has_sets(key: str) -> None:
    """Nobody would heed it there."""
    vote = VotingClassifier([("a", DecisionTreeClassifier(max_depth=2)), ("b", GaussianNB())]).fit(*TRAINED)
    raw, own = json.loads(export(vote, *TRAINED)), json.loads(document(abstain_below=0.5))
    members = [step for step in raw["preprocessing"]["steps"] if step["op"] == "classify"]
    members[0]["classifier"][key] = own[key]
    with pytest.raises(InvalidModel, match=rf"\.classifier\.\"{key}\" is not a key of a classifier"):
        load(orjson.dumps(raw))


def run(folder: Path, *arguments: str) -> Any:
    return CliRunner().invoke(
        app, ["export", str(folder / "e.joblib"), *arguments, "-o", str(folder / "m.json")]
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An estimator of mixed columns, and its rows in files."""
    X, y, estimator = EXAMPLES["penguins"]()
    joblib.dump(estimator, tmp_path / "e.joblib")
    table: pd.DataFrame = X.join(y).sample(frac=1.0, random_state=0)
    for name, rows in (("train", table[:200]), ("rest", table[200:]), ("few", table[200:205])):
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
    X.to_csv(tmp_path / "unlabelled.csv", index=False)
    return tmp_path


def test_the_command_keeps_what_python_keeps(folder: Path) -> None:
    rest = pd.read_csv(folder / "rest.csv", keep_default_na=True)
    for given in (["--data", str(folder / "train.csv")], ["--target", "species"]):
        done = run(folder, *given, "--calibration", str(folder / "rest.csv"), "--abstain-below", "0.8")
        assert done.exit_code == 0, done.output
        found = json.loads((folder / "m.json").read_bytes())
        estimator = EXAMPLES["penguins"]()[2]
        expected = json.loads(export(estimator, calibration=(rest.drop(columns="species"), rest["species"])))
        assert found["conformal"] == expected["conformal"]
        assert found["training"]["held_out"] == expected["training"]["held_out"]
        assert found["abstain_below"] == 0.8


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("few.csv", "calibration has 5 rows that can be used; sets of labels take 9 for a coverage of 0.9"),
        ("unlabelled.csv", "unlabelled.csv has no column 'species'"),
        ("none.csv", "there is no file"),
    ],
)
def test_rows_that_do_not_calibrate_are_a_sentence(folder: Path, name: str, sentence: str) -> None:
    done = run(folder, "--data", str(folder / "train.csv"), "--calibration", str(folder / name))
    assert done.exit_code == 1
    assert sentence in " ".join(done.stderr.split())
    assert not (folder / "m.json").exists()


def test_the_command_warns_of_rows_that_were_trained_on(folder: Path) -> None:
    train = str(folder / "train.csv")
    done = run(folder, "--data", train, "--calibration", train)
    assert done.exit_code == 0
    assert "all rows for calibration are among the training rows" in " ".join(done.stderr.split())
