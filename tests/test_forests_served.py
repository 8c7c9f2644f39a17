"""A forest is a model as any other: the same bits through every door, beside and after a network."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from typer.testing import CliRunner

from tests.door import IRIS, MODELS, NAMES, post, served, told
from tests.test_canary import OnTrial
from tests.test_workflow import Bench
from thimble.inference.classifier import load
from thimble.registry.pointer import Trial
from thimble.settings import from_environment
from thimble.web import routes
from thimble_infra.cli import app as command_line
from thimble_model import export

X, Y = load_iris(return_X_y=True, as_frame=True)
LABELS = load_iris().target_names
FORESTS = {
    "a forest": RandomForestClassifier(5, random_state=0),
    "boosting": HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5),
}
ROWS: list[list[float]] = np.random.default_rng(0).uniform(0, 8, (120, 4)).tolist()
Answers = list[tuple[str, list[float]]]


@pytest.fixture(scope="module", params=FORESTS)
def document(request: pytest.FixtureRequest) -> bytes:
    return export(FORESTS[request.param].fit(X, LABELS[Y]), X, name="forest")


def classified(document: bytes, rows: Any = ROWS) -> Answers:
    found = told(post("/classify", {"instances": rows}, served(document)))["predictions"]
    return [(row["label"], [row["probabilities"][name] for name in LABELS]) for row in found]


def inferred(document: bytes) -> Answers:
    tensor = {"name": "x", "datatype": "FP64", "shape": [len(ROWS), 4], "data": ROWS}
    labels, likely = told(post("/v2/models/default/infer", {"inputs": [tensor]}, served(document)))["outputs"]
    return list(zip(labels["data"], np.reshape(likely["data"], likely["shape"]).tolist(), strict=True))


def as_csv() -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([NAMES, *ROWS])
    return text.getvalue().encode()


def as_json_lines() -> bytes:
    return b"\n".join(orjson.dumps(dict(zip(NAMES, row, strict=True))) for row in ROWS)


def as_parquet() -> bytes:
    file = io.BytesIO()
    pl.DataFrame(ROWS, schema=NAMES, orient="row").write_parquet(file, row_group_size=30)
    return file.getvalue()


def read_csv(data: bytes) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


def read_json_lines(data: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in data.splitlines()]


def read_parquet(data: bytes) -> list[dict[str, Any]]:
    return pl.read_parquet(data).to_dicts()


FILES = {
    "rows.csv": (as_csv, read_csv),
    "rows.jsonl": (as_json_lines, read_json_lines),
    "rows.parquet": (as_parquet, read_parquet),
}


def test_a_forest_gives_the_same_bits_by_each_protocol_and_one_by_one(document: bytes) -> None:
    together = classified(document)
    assert inferred(document) == together
    assert [classified(document, [row])[0] for row in ROWS[:20]] == together[:20]


@pytest.mark.parametrize("key", FILES)
def test_a_forest_gives_the_same_bits_in_a_file_whole_and_in_ranges(key: str, document: bytes) -> None:
    write, read = FILES[key]
    bench = Bench(500, document)
    bench.check(write(), key)  # whole and in ranges, the same bytes
    assert bench.calls > 2
    rows = read(bench.outcome(key)[0] or b"")
    found = [(row["label"], [float(row[f"p_{name}"]) for name in LABELS]) for row in rows]
    assert found == classified(document)


def test_a_forest_on_trial_beside_a_network_answers_its_share_of_the_rows(document: bytes) -> None:
    forest = load(document)
    app = routes.app(OnTrial(Trial(forest.digest, 40), forest), from_environment({}))
    rows = told(post("/classify", {"instances": ROWS}, app))["predictions"]
    mine, networks = classified(document), classified(orjson.dumps(_without_examples()))
    by_forest = [row["version"] == forest.digest for row in rows]
    assert 20 < sum(by_forest) < 80
    for row, chosen, one, other in zip(rows, by_forest, mine, networks, strict=True):
        assert (row["label"], list(row["probabilities"].values())) == (one if chosen else other)


def _without_examples() -> dict[str, Any]:
    return {key: value for key, value in json.loads(IRIS).items() if key != "examples"}


def test_diff_tells_how_far_a_forest_and_a_network_agree(document: bytes, tmp_path: Path) -> None:
    (tmp_path / "forest.json").write_bytes(document)
    (tmp_path / "rows.csv").write_bytes(as_csv())
    network = str(MODELS / "iris.json")
    command = ["diff", network, str(tmp_path / "forest.json"), "--data", str(tmp_path / "rows.csv"), "--json"]
    ended = CliRunner().invoke(command_line, command)
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert (found["features"]["only_in_first"], found["features"]["only_in_second"]) == ([], [])
    alike = sum(one[0] == other[0] for one, other in zip(classified(document), classified(IRIS), strict=True))
    assert (found["agreements"][-1]["rows"], found["agreements"][-1]["same_labels"]) == (len(ROWS), alike)
