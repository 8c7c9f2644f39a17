"""Drift on shifted penguins: distances by another's hand, verdicts where something moved, none by chance."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon

from tests.examples import EXAMPLES
from thimble.drift import report
from thimble.drift.counting import count, none
from thimble.inference.classifier import Classifier, load
from thimble_model import export
from thimble_model.frames import as_batch

ROOT = Path(__file__).parent.parent
PENGUINS = load((ROOT / "model/penguins.json").read_bytes())
TABLE: Any = EXAMPLES["penguins"]()[0]


def sample(table: Any, rows: int, seed: int = 0) -> Any:
    return table.sample(rows, replace=True, random_state=seed)


SHIFTS: dict[str, Any] = {
    "none": sample(TABLE, 2000),
    "heavier": sample(TABLE, 1000).assign(body_mass_g=lambda t: t["body_mass_g"] * 1.1),
    "grams as kilograms": sample(TABLE, 500).assign(body_mass_g=lambda t: t["body_mass_g"] / 1000),
    "one island": sample(TABLE[TABLE["island"] == "Biscoe"], 400),
    "an island more": sample(TABLE, 2000).assign(
        island=lambda t: np.where(np.arange(len(t)) % 4 == 0, "Dream", t["island"])
    ),
    "sex not recorded": sample(TABLE, 600).assign(
        sex=lambda t: t["sex"].where(np.arange(len(t)) % 2 == 0, None)
    ),
}


def reported(classifier: Classifier, table: Any) -> dict[str, Any]:
    rows = as_batch(classifier.features, table)
    found = report.report(classifier, count(classifier.reference, rows, classifier.predict(rows)))
    assert found is not None
    return found


def binned(entry: dict[str, Any], column: Any) -> Any:
    """A column's values by the names of their bins, by pandas alone."""
    if "categories" in entry:
        known = column.where(column.isin(entry["categories"]) | column.isna(), "other")
        return known.astype(object).where(column.notna(), "missing")
    cut = pd.cut(
        column, [-np.inf, *entry["edges"][:-1], np.nextafter(entry["edges"][-1], np.inf), np.inf], right=False
    )
    codes = cut.cat.codes.to_numpy()
    return pd.Series(np.where(codes == len(entry["edges"]), 0, codes), index=column.index)


def shares(entry: dict[str, Any], table: Any, name: str) -> tuple[Any, Any]:
    reference, now = (binned(entry, t[name]).value_counts(normalize=True) for t in (TABLE, table))
    return reference.align(now, fill_value=0.0)  # type: ignore[no-any-return]


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_jensen_shannon_distance_is_scipys(shift: str) -> None:
    for name, entry in reported(PENGUINS, SHIFTS[shift])["features"].items():
        p, q = shares(entry, SHIFTS[shift], name)
        assert entry["js"] == pytest.approx(jensenshannon(p, q, base=2), abs=1e-6), name


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_stability_index_is_as_it_is_defined(shift: str) -> None:
    """An empty bin counts as a share of 0.0001."""
    for name, entry in reported(PENGUINS, SHIFTS[shift])["features"].items():
        p, q = (side.where(side > 0, 0.0001) for side in shares(entry, SHIFTS[shift], name))
        assert entry["psi"] == pytest.approx(((q - p) * np.log(q / p)).sum(), abs=1e-6), name


@pytest.mark.parametrize(
    ("shift", "drifted"),
    [
        ("none", set()),
        ("heavier", {"body_mass_g"}),
        ("grams as kilograms", {"body_mass_g", "prediction", "winning probability"}),
        (
            "one island",
            {"island", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "prediction"},
        ),
        ("an island more", {"island"}),
        ("sex not recorded", {"sex"}),
    ],
)
def test_what_moved_is_named_and_nothing_else(shift: str, drifted: set[str]) -> None:
    found = reported(PENGUINS, SHIFTS[shift])
    assert set(found["drifted"]) == drifted
    assert found["verdict"] == ("drift" if drifted else "stable")


def test_what_lies_outside_of_the_training_data_is_counted() -> None:
    mass = reported(PENGUINS, SHIFTS["grams as kilograms"])["features"]["body_mass_g"]
    assert mass["out_of_range"] == pytest.approx(1 - mass["missing"], abs=1e-6)
    assert mass["verdict"] == "large"
    assert mass["alert"] is True
    sex = reported(PENGUINS, SHIFTS["sex not recorded"])["features"]["sex"]
    assert sex["missing"] == pytest.approx(SHIFTS["sex not recorded"]["sex"].isna().mean())


def test_of_few_rows_there_are_numbers_and_no_verdict() -> None:
    few, enough = (reported(PENGUINS, SHIFTS["one island"][:n]) for n in (199, 200))
    assert (few["rows"], few["verdict"], few["drifted"]) == (199, None, [])
    assert {(entry["verdict"], entry["alert"]) for entry in few["features"].values()} == {(None, None)}
    assert few["features"]["island"]["psi"] > 0.25
    assert enough["verdict"] == "drift"


def test_no_rows_at_all_are_no_drift() -> None:
    assert PENGUINS.reference is not None
    found = report.report(PENGUINS, none(PENGUINS.reference))
    assert found is not None
    assert (found["rows"], found["verdict"], found["drifted"]) == (0, None, [])


@pytest.mark.parametrize("rows", [200, 500, 5000])
@pytest.mark.parametrize("name", ["iris", "penguins", "sexes"])
def test_rows_of_the_training_data_raise_no_alarm(name: str, rows: int) -> None:
    """However few rows the reference has: above the thresholds of the field chance alone would be."""
    classifier, table = load((ROOT / f"model/{name}.json").read_bytes()), EXAMPLES[name]()[0]
    for seed in range(20):
        assert reported(classifier, sample(table, rows, seed))["verdict"] == "stable"


def test_samples_of_one_distribution_raise_no_alarm() -> None:
    """Reference and rows drawn apart, so that both have their noise."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    for _ in range(10):
        X = pd.DataFrame(rng.normal(size=(150, 5)), columns=list("abcde"))
        classifier = load(export(LogisticRegression().fit(X, X["a"] > 0), X))
        for _ in range(10):
            now = pd.DataFrame(rng.normal(size=(200, 5)), columns=list("abcde"))
            assert reported(classifier, now)["drifted"] == []


def test_merged_reports_are_the_report_of_all_rows() -> None:
    whole = SHIFTS["heavier"]
    parts = [reported(PENGUINS, whole[a:b]) for a, b in ((0, 100), (100, 101), (101, 1000))]
    assert report.merged(parts) == reported(PENGUINS, whole)


def test_a_model_without_reference_has_no_report() -> None:
    assert report.report(load(export(EXAMPLES["iris"]()[2])), np.zeros(0, np.int64)) is None


def test_a_multilabel_prediction_is_as_far_as_the_label_that_moved_most() -> None:
    from sklearn.neural_network import MLPClassifier

    X, _, _ = EXAMPLES["iris"]()
    labels = np.column_stack([X.iloc[:, 0] > 5.8, X.iloc[:, 1] > 3]).astype(int)
    classifier = load(export(MLPClassifier((8,), max_iter=5000, random_state=0).fit(X, labels), X))
    found = reported(classifier, sample(X[X.iloc[:, 0] > 5.8], 300))["predictions"][0]
    reference = np.array(found["reference"]) / 150
    now = np.array(found["observed"]) / 300
    each = [jensenshannon([1 - p, p], [1 - q, q], base=2) for p, q in zip(reference, now, strict=True)]
    assert found["js"] == pytest.approx(max(each), abs=1e-6)
    assert found["alert"] is True
    assert list(found["classes"].values()) == pytest.approx(now.tolist(), abs=1e-6)
