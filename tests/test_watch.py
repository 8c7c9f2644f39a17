"""Each minute of traffic is reported once, in a bounded number of metrics, off the path of its requests."""

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from model import export
from model.frames import columns
from model.worked import EXAMPLES
from thimble.classifier import Classifier, Predictions, load
from thimble.watching.waiting import FEWEST
from thimble.watching.watch import AT_ONCE, CLASSES, HELD, REPORTING, Watch

ROOT = Path(__file__).parent.parent
PENGUINS = load((ROOT / "model/penguins.json").read_bytes())
WIDTH = len(PENGUINS.features) + len(PENGUINS.classes)
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


def test_memory_is_bounded_by_what_is_counted_early(clock: Clock, emitted: Any) -> None:
    """Whether the rows come one by one or many at once, and whether there is room for many or for few."""
    rows = columns(PENGUINS.features, sample(5_000))
    found = PENGUINS.predict(rows)
    for held in (HELD, 0):
        watch = Watch(clock, held=held)
        for at_once in (1, 700, 5_000):
            for start in range(0, 5_000, at_once):
                stop = start + at_once
                watch.seen(PENGUINS, [column[start:stop] for column in rows], of(found, start, stop))
                assert watch._seen[PENGUINS.digest].waiting.room <= (AT_ONCE if held else FEWEST)
                assert watch._held <= max(held, FEWEST * WIDTH)
        watch.report()
        assert values(emitted()[0])["WatchedRows"] == 5_000 + 5_000 + 1_667


def of(predictions: Predictions, start: int, stop: int) -> Predictions:
    return predictions._replace(
        probabilities=predictions.probabilities[:, start:stop],
        label_indices=predictions.label_indices[start:stop],
        label_mask=predictions.label_mask[:, start:stop],
    )


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
    ask(watch, PENGUINS, sample(4_000), at_once=100)
    ask(watch, PENGUINS, sample(2_400), at_once=2_400)
    watch.report()
    assert values(emitted()[0])["WatchedRows"] == 4_000 + 1_200


def named(number: int) -> Classifier:
    return PENGUINS._replace(digest=f"{number:064x}")


def rows_of(lines: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Which model, and how many rows."""
    return [(int(line["model_digest"], 16), line["rows"]) for line in lines if "rows" in line]


def test_of_models_without_bound_those_seen_first_are_reported_early(clock: Clock, emitted: Any) -> None:
    watch = Watch(clock, watched=100 * WIDTH)
    for number in range(250):
        ask(watch, named(number), sample(2), at_once=2)
        assert len(watch._seen) <= 100
    assert rows_of(emitted()) == [(number, 2) for number in range(150)]
    watch.report()
    assert rows_of(emitted()) == [(number, 2) for number in range(150, 250)]


def test_no_request_reports_for_long(emitted: Any) -> None:
    """What is due is reported by as many requests as it takes, each model once."""

    class Slow(Clock):
        def __call__(self) -> float:
            self.now += REPORTING / 20
            return self.now

    clock = Slow()
    watch = Watch(clock)
    for number in range(100):
        ask(watch, named(number), sample(2), at_once=2)
    clock.now += 60
    found: list[tuple[int, int]] = []
    while len(found) < 100:
        ask(watch, named(1000), sample(1))
        reported = rows_of(emitted())
        assert 1 <= len(reported) <= 20
        found += reported
    assert found == [(number, 2) for number in range(100)]


def test_what_a_request_came_with_may_change_after_it(clock: Clock, emitted: Any) -> None:
    watch = Watch(clock)
    rows = columns(PENGUINS.features, sample(300))
    found = PENGUINS.predict(rows)
    watch.seen(PENGUINS, rows, found)
    for values_ in (*(column for column in rows if isinstance(column, np.ndarray)), found.probabilities):
        values_[...] = -1.0
    watch.report()
    assert values(emitted()[0])["Drifted"] == 0


def test_threads_lose_no_row(clock: Clock, emitted: Any) -> None:
    watch = Watch(clock)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(16):
            pool.submit(ask, watch, PENGUINS, sample(300))
    watch.report()
    assert sum(rows for _, rows in rows_of(emitted())) == 16 * 300
