"""The main job on real input: the iris rows through both doors of the running stack, beside scikit-learn."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_iris

from tests.examples import EXAMPLES

ROWS: list[list[float]] = load_iris().data.tolist()
BROKEN = {
    7: "5.0,3.4,1.5",
    50: "5.0,3.3,1.4,x",
    99: ",2.8,4.1,1.3",
    120: "6.0,2.2,5.0,1.5,9",
    150: "5.9,inf,5.1,1.8",
}

Answers = list[tuple[str, list[float]]]  # a label and the probabilities, row by row


def over_http(stack: Any, rows: list[list[float]]) -> Answers:
    return [(p["label"], list(p["probabilities"].values())) for p in stack.classify(rows)]


def dropped(stack: Any, path: Path, text: str) -> tuple[Answers, list[dict[str, Any]]]:
    """The answers to a file, and its rejections."""
    path.write_text(text)
    folder = stack.drop(path)
    found = csv.DictReader(io.StringIO((folder / "result.csv").read_text()))
    answers = [
        (row["label"], [float(row[f"p_{name}"]) for name in load_iris().target_names]) for row in found
    ]
    rejected = folder / "rejections.jsonl"
    return answers, list(map(json.loads, rejected.read_text().splitlines() if rejected.exists() else []))


def file(lines: list[str]) -> str:
    return "\n".join([",".join(load_iris().feature_names), *lines, ""])


@pytest.fixture(scope="module")
def together(local_stack: Any) -> Answers:
    return over_http(local_stack, ROWS)


def probabilities(answers: Answers) -> NDArray[np.float64]:
    return np.array([p for _, p in answers])


def test_the_answers_are_scikit_learns(together: Answers) -> None:
    X, _, estimator = EXAMPLES["iris"]()
    np.testing.assert_allclose(probabilities(together), estimator.predict_proba(X), rtol=0, atol=1e-12)
    assert [label for label, _ in together] == estimator.predict(X).tolist()


def test_one_by_one_they_are_the_same_bits(local_stack: Any, together: Answers) -> None:
    assert [over_http(local_stack, [row])[0] for row in ROWS] == together


def test_a_dropped_file_has_the_same_bits(local_stack: Any, together: Answers, tmp_path: Path) -> None:
    text = file([",".join(map(repr, row)) for row in ROWS])
    assert dropped(local_stack, tmp_path / "iris.csv", text) == (together, [])


def test_broken_lines_cost_themselves_alone(local_stack: Any, together: Answers, tmp_path: Path) -> None:
    lines = [BROKEN.get(i, ",".join(map(repr, row))) for i, row in enumerate(ROWS, start=1)]
    answers, rejections = dropped(local_stack, tmp_path / "broken.csv", file(lines))
    assert answers == [answer for i, answer in enumerate(together, start=1) if i not in BROKEN]
    assert {r["line"]: r["record"] for r in rejections} == {i + 1: text for i, text in BROKEN.items()}
    assert all(r["reason"] for r in rejections)
