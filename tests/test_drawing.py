"""A report of drift as it is drawn: nothing of it is lost, and its words are the report's."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from tests.test_drift import PENGUINS, SHIFTS, TABLE, reported
from thimble.drift import report
from thimble.drift.drawing import WORDS, drawing
from thimble_infra.cli import app


def everything(found: dict[str, Any]) -> list[dict[str, Any]]:
    outputs = [entry for output in found["outputs"] for entry in (output, output["winning"])]
    return [*found["features"], *outputs]


@pytest.mark.parametrize("shift", SHIFTS)
def test_every_row_stands_in_one_bin_of_each_feature(shift: str) -> None:
    drawn = drawing(reported(PENGUINS, SHIFTS[shift]))
    for entry in everything(drawn):
        assert sum(one["training"] for one in entry["bins"]) == drawn["training_rows"] == len(TABLE)
        assert sum(one["now"] for one in entry["bins"]) == drawn["rows"] == len(SHIFTS[shift])


@pytest.mark.parametrize("shift", SHIFTS)
def test_bins_hold_what_pandas_counts(shift: str) -> None:
    for entry in drawing(reported(PENGUINS, SHIFTS[shift]))["features"]:
        column = SHIFTS[shift][entry["name"]]
        *_, last = entry["bins"] if entry["bins"][-1]["kind"] != "above" else entry["bins"][:-1]
        for one in entry["bins"]:
            kind = one["kind"]
            if kind == "missing":
                inside = column.isna()
            elif kind == "category":
                inside = column == one["text"]
            elif kind == "other":
                inside = column.notna() & ~column.isin([b.get("text") for b in entry["bins"]])
            elif kind == "range":
                inside = (column >= one["low"]) & (column < one["high"])
                inside |= (column == one["high"]) & (one is last)
            else:
                ends = [b for b in entry["bins"] if b["kind"] == "range"]
                inside = column < ends[0]["low"] if kind == "below" else column > ends[-1]["high"]
            assert one["now"] == int(inside.sum()), one


@pytest.mark.parametrize("shift", SHIFTS)
def test_what_has_moved_is_what_the_report_names(shift: str) -> None:
    found = reported(PENGUINS, SHIFTS[shift])
    drawn = drawing(found)
    named = [entry["name"] for entry in drawn["features"] if entry["word"] != "steady"]
    assert named == [name for name in found["drifted"] if name in found["features"]]
    assert (drawn["word"] == "steady") == (found["drifted"] == [])
    for entry in drawn["features"]:
        assert (entry["word"] == "much moved") <= (entry["psi"] >= report.PSI_LARGE)
    assert drawn["word"] == max((entry["word"] for entry in everything(drawn)), key=WORDS.index)


def test_of_few_rows_there_are_bins_and_no_word() -> None:
    drawn = drawing(reported(PENGUINS, TABLE.head(report.FEWEST_ROWS - 1)))
    assert {entry["word"] for entry in everything(drawn)} == {drawn["word"]} == {None}
    assert drawn["features"][0]["bins"][0]["now"] > 0


def test_bins_outside_are_drawn_only_where_something_lies_there() -> None:
    moved = TABLE.assign(body_mass_g=TABLE["body_mass_g"] * 10)
    [plain], [far] = (
        [entry for entry in drawing(reported(PENGUINS, table))["features"] if entry["name"] == "body_mass_g"]
        for table in (TABLE, moved)
    )
    assert [one["kind"] for one in plain["bins"]] == ["missing", *["range"] * 10]
    assert far["bins"][-1] == {"kind": "above", "training": 0, "now": 342}


def test_thimble_drift_says_it_in_json(tmp_path: Path) -> None:
    rows = pd.concat([TABLE] * 2)
    summary = {
        "model": {"name": "penguins", "digest": PENGUINS.digest},
        "rejections": 0,
        "drift": reported(PENGUINS, rows),
    }
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    ended = CliRunner().invoke(app, ["drift", str(tmp_path), "--json"])
    [told] = json.loads(ended.output)
    assert told["drawing"] == json.loads(json.dumps(drawing(reported(PENGUINS, rows))))
