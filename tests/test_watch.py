"""Each minute of traffic is reported once, in a bounded number of metrics, off the path of its requests."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from model import export
from model.frames import columns
from model.worked import EXAMPLES
from thimble.classifier import Classifier, load
from thimble.watching.watch import CLASSES, HELD, MODELS, Watch

ROOT = Path(__file__).parent.parent
PENGUINS = load((ROOT / "model/penguins.json").read_bytes())
TABLE: Any = EXAMPLES["penguins"]()[0]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def emitted(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """The metrics written since the last call: every line of the embedded metric format."""

    def read() -> list[dict[str, Any]]:
        lines = capsys.readouterr().out.splitlines()
        return [line for line in map(json.loads, lines) if "_aws" in line]

    return read


def ask(watch: Watch, classifier: Classifier, table: Any, at_once: int = 1) -> None:
    for start in range(0, len(table), at_once):
        rows = columns(classifier.features, table[start : start + at_once])
        watch.seen(classifier, rows, classifier.predict(rows))


def values(line: dict[str, Any]) -> dict[str, float]:
    names = [metric["Name"] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    return {name: line[name][0] for name in names}


def sample(rows: int) -> Any:
    return TABLE.sample(rows, replace=True, random_state=0)


def test_nothing_is_emitted_before_the_minute_is_over(clock: Clock, emitted: Any) -> None:
    watch = Watch(clock)
    ask(watch, PENGUINS, sample(50))
    assert emitted() == []
    clock.now += 60
    ask(watch, PENGUINS, sample(1))
    first, *classes = emitted()
    assert values(first)["WatchedRows"] == 51
    assert sum(values(line)["Predicted"] for line in classes) == 51
    assert {line["class"] for line in classes} == {"Adelie", "Chinstrap", "Gentoo"}
    assert (first["model_name"], first["model_digest"]) == ("penguins", PENGUINS.digest)


def test_drift_is_judged_of_as_many_minutes_as_make_two_hundred_rows(clock: Clock, emitted: Any) -> None:
    watch = Watch(clock)
    rows = []
    for _ in range(4):
        ask(watch, PENGUINS, sample(79))
        clock.now += 60
        ask(watch, PENGUINS, sample(1))
        rows.append(values(emitted()[0]))
    assert [found["WatchedRows"] for found in rows] == [80, 80, 80, 80]
    assert [found.get("DriftRows") for found in rows] == [None, None, 240, None]
    assert "FeaturePsi" not in rows[0]
    assert rows[2]["Drifted"] == 0


def test_requests_one_by_one_and_at_once_are_counted_alike(clock: Clock, emitted: Any) -> None:
    found = []
    for at_once in (1, 7, 300):
        watch = Watch(clock)
        ask(watch, PENGUINS, sample(300), at_once)
        watch.report()
        found.append([values(line) for line in emitted()])
    assert found[0] == found[1] == found[2]


def test_drift_names_the_worst_feature_by_its_numbers_alone(clock: Clock, emitted: Any) -> None:
    watch = Watch(clock)
    ask(watch, PENGUINS, sample(400).assign(body_mass_g=4.0), at_once=100)
    watch.report()
    line = emitted()[0]
    assert values(line)["OutOfRangeShare"] == 1.0
    assert values(line)["FeaturePsi"] > 0.25
    assert values(line)["FeatureJs"] > 0.9
    assert "body_mass_g" in line["drifted"]


def test_a_quiet_model_is_forgotten(clock: Clock, emitted: Any) -> None:
    watch = Watch(clock)
    ask(watch, PENGUINS, sample(3))
    watch.report()
    assert emitted()
    watch.report()
    watch.report()
    assert emitted() == []


def test_many_features_and_classes_are_a_bounded_number_of_metrics(clock: Clock, emitted: Any) -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 300)))
    classifier = load(export(LogisticRegression().fit(X.to_numpy(), np.arange(300) % 30), X.to_numpy()))
    watch = Watch(clock)
    ask(watch, classifier, X, at_once=300)
    watch.report()
    lines = emitted()
    assert sum(len(values(line)) for line in lines) <= 10 + CLASSES + 1
    assert sum(values(line).get("Predicted", 0) for line in lines) == 300
    assert [line["class"] for line in lines[1:]][-1] == "others"


def test_memory_is_bounded_by_what_is_counted_early(clock: Clock) -> None:
    watch = Watch(clock)
    rows = columns(PENGUINS.features, sample(10_000))
    for _ in range(5):
        watch.seen(PENGUINS, rows, PENGUINS.predict(rows))
        assert watch._held <= HELD


def test_several_models_are_reported_apart(clock: Clock, emitted: Any) -> None:
    iris = load((ROOT / "model/iris.json").read_bytes())
    watch = Watch(clock)
    ask(watch, PENGUINS, sample(5))
    ask(watch, iris, EXAMPLES["iris"]()[0][:7])
    watch.report()
    assert Counter(
        {line["model_name"]: int(values(line)["WatchedRows"]) for line in emitted() if "rows" in line}
    ) == {"penguins": 5, "iris": 7}


def test_of_a_model_without_reference_nothing_is_kept(clock: Clock, emitted: Any) -> None:
    X, _, estimator = EXAMPLES["iris"]()
    watch = Watch(clock)
    ask(watch, load(export(estimator)), X)
    watch.report()
    assert emitted() == []


def test_of_a_large_request_rows_are_counted_that_are_spread_evenly(clock: Clock, emitted: Any) -> None:
    watch = Watch(clock)
    ask(watch, PENGUINS, sample(9_000), at_once=9_000)
    watch.report()
    first, *classes = [values(line) for line in emitted()]
    assert first["WatchedRows"] == first["DriftRows"] == 1_800
    assert first["Drifted"] == 0
    assert sum(line["Predicted"] for line in classes) == 1_800


def test_a_thousand_models_are_not_kept(clock: Clock, emitted: Any) -> None:
    watch = Watch(clock)
    for number in range(250):
        ask(watch, PENGUINS._replace(digest=f"{number:064x}"), sample(2), at_once=2)
        assert len(watch._seen) <= MODELS
    watch.report()
    assert sum(values(line).get("WatchedRows", 0) for line in emitted()) == 500
