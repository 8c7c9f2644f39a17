"""Each minute of traffic is reported once, in a bounded number of lines, off the path of its requests."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from thimble import telemetry
from thimble.drift.recent import AT_ONCE, HELD, LISTED, REPORTING, Watch
from thimble.drift.waiting import FEWEST
from thimble.inference.classifier import Classifier, load
from thimble.inference.predictions import Predictions
from thimble_model import export
from thimble_model.examples import EXAMPLES
from thimble_model.frames import as_batch

ROOT = Path(__file__).parent.parent
PENGUINS = load((ROOT / "model/penguins.json").read_bytes())
WIDTH = len(PENGUINS.features) + len(PENGUINS.heads[0].classes)
TABLE: Any = EXAMPLES["penguins"]()[0]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


Line = dict[str, Any]


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[Line]]:
    """The lines written since the last call."""

    def read() -> list[Line]:
        telemetry.flush()
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return read


def watched(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.get("message") == "watched"]


def predicted(lines: list[Line]) -> dict[str, int]:
    return {line["class"]: line["predicted"] for line in lines if line.get("message") == "predicted"}


def verdicts(lines: list[Line]) -> list[float]:
    """The metric that the alarm watches."""
    return [verdict for line in lines for verdict in line.get("Drifted", [])]


def ask(watch: Watch, classifier: Classifier, table: Any, at_once: int = 1) -> None:
    for start in range(0, len(table), at_once):
        rows = as_batch(classifier.features, table[start : start + at_once])
        watch.seen(classifier, rows, classifier.predict(rows))


def sample(rows: int) -> Any:
    return TABLE.sample(rows, replace=True, random_state=0)


def test_nothing_is_logged_before_the_minute_is_over(clock: Clock, logged: Any) -> None:
    watch = Watch(clock)
    ask(watch, PENGUINS, sample(50))
    assert logged() == []
    clock.now += 60
    ask(watch, PENGUINS, sample(1))
    lines = logged()
    [first] = watched(lines)
    assert first["rows"] == sum(predicted(lines).values()) == 51
    assert predicted(lines).keys() == {"Adelie", "Chinstrap", "Gentoo"}
    assert verdicts(lines) == []
    assert (first["model_name"], first["model_digest"]) == ("penguins", PENGUINS.digest)


def test_drift_is_judged_of_as_many_minutes_as_make_two_hundred_rows(clock: Clock, logged: Any) -> None:
    watch = Watch(clock)
    rows: list[Line] = []
    judged = []
    for _ in range(4):
        ask(watch, PENGUINS, sample(79))
        clock.now += 60
        ask(watch, PENGUINS, sample(1))
        lines = logged()
        rows += watched(lines)
        judged.append(verdicts(lines))
    assert [found["rows"] for found in rows] == [80, 80, 80, 80]
    assert [found.get("drift_rows") for found in rows] == [None, None, 240, None]
    assert "feature_psi" not in rows[0]
    assert judged == [[], [], [0.0], []]


def test_requests_one_by_one_and_at_once_are_counted_alike(clock: Clock, logged: Any) -> None:
    found = []
    for at_once in (1, 7, 300):
        watch = Watch(clock)
        ask(watch, PENGUINS, sample(300), at_once)
        watch.report()
        lines = logged()
        [line] = watched(lines)
        found.append((line | {"timestamp": None}, predicted(lines), verdicts(lines)))
    assert found[0] == found[1] == found[2]


def test_drift_is_told_by_the_worst_features_numbers_and_all_that_drifted(clock: Clock, logged: Any) -> None:
    watch = Watch(clock)
    ask(watch, PENGUINS, sample(400).assign(body_mass_g=4.0), at_once=100)
    watch.report()
    lines = logged()
    [line] = watched(lines)
    assert line["out_of_range_share"] == 1.0
    assert line["feature_psi"] > 0.25
    assert line["feature_js"] > 0.9
    assert "body_mass_g" in line["drifted"]
    assert verdicts(lines) == [1.0]


def test_a_quiet_model_is_forgotten(clock: Clock, logged: Any) -> None:
    watch = Watch(clock)
    ask(watch, PENGUINS, sample(3))
    watch.report()
    assert logged()
    watch.report()
    watch.report()
    assert logged() == []


def test_many_features_and_classes_are_a_bounded_number_of_lines(clock: Clock, logged: Any) -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 300)))
    classifier = load(export(LogisticRegression().fit(X.to_numpy(), np.arange(300) % 30), X.to_numpy()))
    watch = Watch(clock)
    ask(watch, classifier, X + 5, at_once=300)
    watch.report()
    lines = logged()
    assert len(predicted(lines)) <= LISTED + 1
    assert sum(predicted(lines).values()) == 300
    [line] = watched(lines)
    assert len(line["drifted"]) == LISTED < line["drifted_in_all"]
    assert max(len(json.dumps(line)) for line in lines) < 1000


def test_the_most_frequent_classes_have_lines_and_the_others_one_together(clock: Clock, logged: Any) -> None:
    X = np.eye(30)
    classifier = load(export(LogisticRegression(C=1e6).fit(np.vstack([X, X]), [*range(30)] * 2), X))
    watch = Watch(clock)
    times = np.arange(30)[::-1]  # the last class not once
    ask(watch, classifier, pd.DataFrame(np.repeat(X, times, axis=0)), at_once=500)
    watch.report()
    found = predicted(logged())
    assert found == {
        **{str(k): 29 - k for k in range(LISTED)},
        "others": sum(29 - k for k in range(LISTED, 30)),
    }


def test_a_class_of_any_letters_is_told_as_it_is(clock: Clock, logged: Any) -> None:
    """And is no metric's dimension, which would have to be ASCII."""
    X = np.repeat([[0.0], [1.0], [2.0]], 80, axis=0)
    towns = np.repeat(["Łódź", "東京", "São Paulo"], 80)
    classifier = load(export(LogisticRegression(C=1e6).fit(X, towns), X))
    watch = Watch(clock)
    ask(watch, classifier, pd.DataFrame(X), at_once=240)
    watch.report()
    lines = logged()
    assert predicted(lines) == {"Łódź": 80, "東京": 80, "São Paulo": 80}
    directives = [d for line in lines for d in line.get("_aws", {}).get("CloudWatchMetrics", [])]
    assert [d["Dimensions"] for d in directives] == [[["service"]]]


def test_memory_is_bounded_by_what_is_counted_early(clock: Clock, logged: Any) -> None:
    """Whether the rows come one by one or many at once, and whether there is room for many or for few."""
    rows = as_batch(PENGUINS.features, sample(5_000))
    found = PENGUINS.predict(rows)
    for held in (HELD, 0):
        watch = Watch(clock, held=held)
        for at_once in (1, 700, 5_000):
            for start in range(0, 5_000, at_once):
                stop = start + at_once
                watch.seen(PENGUINS, rows.take(slice(start, stop)), of(found, start, stop))
                assert watch._seen[PENGUINS.digest].waiting.room <= (AT_ONCE if held else FEWEST)
                assert watch._held <= max(held, FEWEST * WIDTH)
        watch.report()
        [line] = watched(logged())
        assert line["rows"] == 5_000 + 5_000 + 1_667


def of(predictions: Predictions, start: int, stop: int) -> Predictions:
    return predictions.take(slice(start, stop))


def test_several_models_are_reported_apart(clock: Clock, logged: Any) -> None:
    iris = load((ROOT / "model/iris.json").read_bytes())
    watch = Watch(clock)
    ask(watch, PENGUINS, sample(5))
    ask(watch, iris, EXAMPLES["iris"]()[0][:7])
    watch.report()
    assert {line["model_name"]: line["rows"] for line in watched(logged())} == {"penguins": 5, "iris": 7}


def test_of_a_model_without_reference_nothing_is_kept(clock: Clock, logged: Any) -> None:
    X, _, estimator = EXAMPLES["iris"]()
    watch = Watch(clock)
    ask(watch, load(export(estimator)), X)
    watch.report()
    assert logged() == []


def test_of_a_large_request_rows_are_counted_that_are_spread_evenly(clock: Clock, logged: Any) -> None:
    watch = Watch(clock)
    ask(watch, PENGUINS, sample(9_000), at_once=9_000)
    watch.report()
    lines = logged()
    [line] = watched(lines)
    assert line["rows"] == line["drift_rows"] == sum(predicted(lines).values()) == 1_800
    assert verdicts(lines) == [0.0]
    ask(watch, PENGUINS, sample(4_000), at_once=100)
    ask(watch, PENGUINS, sample(2_400), at_once=2_400)
    watch.report()
    [line] = watched(logged())
    assert line["rows"] == 4_000 + 1_200


def named(number: int) -> Classifier:
    return PENGUINS._replace(digest=f"{number:064x}")


def rows_of(lines: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Which model, and how many rows."""
    return [(int(line["model_digest"], 16), line["rows"]) for line in watched(lines)]


def test_of_models_without_bound_those_seen_first_are_reported_early(clock: Clock, logged: Any) -> None:
    watch = Watch(clock, watched=100 * WIDTH)
    for number in range(250):
        ask(watch, named(number), sample(2), at_once=2)
        assert len(watch._seen) <= 100
    assert rows_of(logged()) == [(number, 2) for number in range(150)]
    watch.report()
    assert rows_of(logged()) == [(number, 2) for number in range(150, 250)]


def test_no_request_reports_for_long(logged: Any) -> None:
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
        reported = rows_of(logged())
        assert 1 <= len(reported) <= 20
        found += reported
    assert found == [(number, 2) for number in range(100)]


def test_what_a_request_came_with_may_change_after_it(clock: Clock, logged: Any) -> None:
    watch = Watch(clock)
    rows = as_batch(PENGUINS.features, sample(300))
    found = PENGUINS.predict(rows)
    watch.seen(PENGUINS, rows, found)
    rows.numbers[...] = found.outputs[0].probabilities[...] = -1.0
    watch.report()
    assert verdicts(logged()) == [0.0]


def test_threads_lose_no_row(clock: Clock, logged: Any) -> None:
    watch = Watch(clock)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(16):
            pool.submit(ask, watch, PENGUINS, sample(300))
    watch.report()
    assert sum(rows for _, rows in rows_of(logged())) == 16 * 300
