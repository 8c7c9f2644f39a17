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
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier

from tests.examples import EXAMPLES
from thimble import telemetry
from thimble.drift.counting import count
from thimble.drift.recent import AT_ONCE, FEWEST, HELD, REPORTING, Recent, Watched
from thimble.drift.report import LISTED
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.reference import Counts
from thimble.registry.cache import weight
from thimble.tables.rows import alone
from thimble.web.service import log_minute
from thimble_model import export
from thimble_model.frames import as_batch, json_rows

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


@pytest.fixture
def recent(clock: Clock) -> Recent:
    return Recent(log_minute, clock)


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


def ask(recent: Recent, classifier: Classifier, table: Any, at_once: int = 1) -> None:
    for start in range(0, len(table), at_once):
        rows = as_batch(classifier.features, table[start : start + at_once])
        recent.add(classifier, rows, classifier.predict(rows))


def sample(rows: int) -> Any:
    return TABLE.sample(rows, replace=True, random_state=0)


def test_nothing_is_logged_before_the_minute_is_over(recent: Recent, clock: Clock, logged: Any) -> None:
    ask(recent, PENGUINS, sample(50))
    assert logged() == []
    clock.now += 60
    ask(recent, PENGUINS, sample(1))
    lines = logged()
    [first] = watched(lines)
    assert first["rows"] == sum(predicted(lines).values()) == 51
    assert predicted(lines).keys() == {"Adelie", "Chinstrap", "Gentoo"}
    assert verdicts(lines) == []
    assert (first["model_name"], first["model_digest"]) == ("penguins", PENGUINS.digest)


def test_drift_is_judged_of_as_many_minutes_as_make_two_hundred_rows(
    recent: Recent, clock: Clock, logged: Any
) -> None:
    rows: list[Line] = []
    judged = []
    for _ in range(4):
        ask(recent, PENGUINS, sample(79))
        clock.now += 60
        ask(recent, PENGUINS, sample(1))
        lines = logged()
        rows += watched(lines)
        judged.append(verdicts(lines))
    assert [found["rows"] for found in rows] == [80, 80, 80, 80]
    assert [found.get("drift_rows") for found in rows] == [None, None, 240, None]
    assert "feature_psi" not in rows[0]
    assert judged == [[], [], [0.0], []]


X = EXAMPLES["iris"]()[0].to_numpy()


def several_outputs() -> Classifier:
    y = np.stack([X[:, 0] > 5.8, X[:, 1] > 3], axis=1)
    return load(export(MultiOutputClassifier(LogisticRegression()).fit(X, y), X, y))


def multilabel() -> Classifier:
    y = (X[:, :3] > X[:, :3].mean(axis=0)).astype(int)
    return load(export(MLPClassifier((4,), max_iter=5, random_state=0).fit(X, y), X, y))


def penguins() -> Batch:
    """With texts that are missing, or none of the categories."""
    rows = as_batch(PENGUINS.features, TABLE[:150])
    rows.texts[5][100:] = [*[None, "", "of no category"] * 16, None, "male"]
    return rows


IRIS_ROWS = Batch(np.ascontiguousarray(X.T), {})
KINDS: dict[str, Callable[[], tuple[Classifier, Batch]]] = {
    "iris": lambda: (load((ROOT / "model/iris.json").read_bytes()), IRIS_ROWS),
    "penguins": lambda: (PENGUINS, penguins()),
    "several outputs": lambda: (several_outputs(), IRIS_ROWS),
    "multilabel": lambda: (multilabel(), IRIS_ROWS),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_requests_one_by_one_and_at_once_are_counted_alike(kind: str) -> None:
    classifier, rows = KINDS[kind]()
    expected = count(classifier.reference, rows, classifier.predict(rows)).tolist()
    minutes = []

    def emit(model: Watched, window: Counts, minute: Counts) -> bool:
        minutes.append(minute.tolist())
        return True

    recent = Recent(emit)
    for at_once in (1, 7, 150):
        for start in range(0, 150, at_once):
            part = rows.take(slice(start, start + at_once))
            recent.add(classifier, part, classifier.predict(part))
        recent.report()
    assert minutes == [expected] * 3


@pytest.mark.parametrize("name", ["iris", "penguins"])
def test_rows_that_are_answered_alone_are_counted_alike(recent: Recent, name: str) -> None:
    classifier, table = load((ROOT / f"model/{name}.json").read_bytes()), EXAMPLES[name]()[0]
    for row in json_rows(classifier.features, table):
        values = alone(classifier.schema, [row])
        assert values is not None
        found = classifier.predict_alone(values)
        assert found is not None
        recent.add_alone(classifier, values, found)
    rows = as_batch(classifier.features, table)
    [(model, counts)] = recent.seen()
    assert counts.tolist() == count(classifier.reference, rows, classifier.predict(rows)).tolist()
    assert model.requests == recent.requests == recent.rows == len(table)


def test_drift_is_told_by_the_worst_features_numbers_and_all_that_drifted(
    recent: Recent, logged: Any
) -> None:
    ask(recent, PENGUINS, sample(400).assign(body_mass_g=4.0), at_once=100)
    recent.report()
    lines = logged()
    [line] = watched(lines)
    assert line["out_of_range_share"] == 1.0
    assert line["feature_psi"] > 0.25
    assert line["feature_js"] > 0.9
    assert "body_mass_g" in line["drifted"]
    assert verdicts(lines) == [1.0]


def test_a_quiet_model_is_forgotten(recent: Recent, logged: Any) -> None:
    ask(recent, PENGUINS, sample(3))
    recent.report()
    assert logged()
    recent.report()
    recent.report()
    assert logged() == []


def test_many_features_and_classes_are_a_bounded_number_of_lines(recent: Recent, logged: Any) -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 300)))
    classifier = load(export(LogisticRegression().fit(X.to_numpy(), np.arange(300) % 30), X.to_numpy()))
    ask(recent, classifier, X + 5, at_once=300)
    recent.report()
    lines = logged()
    assert len(predicted(lines)) <= LISTED + 1
    assert sum(predicted(lines).values()) == 300
    [line] = watched(lines)
    assert len(line["drifted"]) == LISTED < line["drifted_in_all"]
    assert max(len(json.dumps(line)) for line in lines) < 1000


def test_the_most_frequent_classes_have_lines_and_the_others_one_together(
    recent: Recent, logged: Any
) -> None:
    X = np.eye(30)
    classifier = load(export(LogisticRegression(C=1e6).fit(np.vstack([X, X]), [*range(30)] * 2), X))
    times = np.arange(30)[::-1]  # the last class not once
    ask(recent, classifier, pd.DataFrame(np.repeat(X, times, axis=0)), at_once=500)
    recent.report()
    found = predicted(logged())
    assert found == {
        **{str(k): 29 - k for k in range(LISTED)},
        "others": sum(29 - k for k in range(LISTED, 30)),
    }


def test_a_class_of_any_letters_is_told_as_it_is(recent: Recent, logged: Any) -> None:
    """And is no metric's dimension, which would have to be ASCII."""
    X = np.repeat([[0.0], [1.0], [2.0]], 80, axis=0)
    towns = np.repeat(["Łódź", "東京", "São Paulo"], 80)
    classifier = load(export(LogisticRegression(C=1e6).fit(X, towns), X))
    ask(recent, classifier, pd.DataFrame(X), at_once=240)
    recent.report()
    lines = logged()
    assert predicted(lines) == {"Łódź": 80, "東京": 80, "São Paulo": 80}
    directives = [d for line in lines for d in line.get("_aws", {}).get("CloudWatchMetrics", [])]
    assert [d["Dimensions"] for d in directives] == [[["service"]]]


def test_memory_is_bounded_by_what_is_counted_early(clock: Clock, logged: Any) -> None:
    """Whether the rows come one by one or many at once, and whether there is room for many or for few."""
    rows = as_batch(PENGUINS.features, sample(5_000))
    found = PENGUINS.predict(rows)
    for held, most in ((HELD, AT_ONCE), (0, FEWEST)):
        recent = Recent(log_minute, clock, held=held)
        recent.add(PENGUINS, rows.take(slice(1)), found.take(slice(1)))
        empty = weight(recent)
        for at_once in (1, 700, 5_000):
            for start in range(0, 5_000, at_once):
                some = slice(start, start + at_once)
                recent.add(PENGUINS, rows.take(some), found.take(some))
            assert weight(recent) - empty <= 8 * most * (WIDTH + 2) + 1000  # a label and places; counts
        recent.report()
        [line] = watched(logged())
        assert line["rows"] == 1 + 5_000 + 5_000 + 1_667


def test_several_models_are_reported_apart(recent: Recent, logged: Any) -> None:
    iris = load((ROOT / "model/iris.json").read_bytes())
    ask(recent, PENGUINS, sample(5))
    ask(recent, iris, EXAMPLES["iris"]()[0][:7])
    recent.report()
    assert {line["model_name"]: line["rows"] for line in watched(logged())} == {"penguins": 5, "iris": 7}


def test_of_a_model_without_reference_nothing_is_kept(recent: Recent, logged: Any) -> None:
    X, _, estimator = EXAMPLES["iris"]()
    ask(recent, load(export(estimator)), X)
    recent.report()
    assert logged() == []


def test_of_a_large_request_rows_are_counted_that_are_spread_evenly(recent: Recent, logged: Any) -> None:
    ask(recent, PENGUINS, sample(9_000), at_once=9_000)
    recent.report()
    lines = logged()
    [line] = watched(lines)
    assert line["rows"] == line["drift_rows"] == sum(predicted(lines).values()) == 1_800
    assert verdicts(lines) == [0.0]
    ask(recent, PENGUINS, sample(4_000), at_once=100)
    ask(recent, PENGUINS, sample(2_400), at_once=2_400)
    recent.report()
    [line] = watched(logged())
    assert line["rows"] == 4_000 + 1_200


def named(number: int) -> Classifier:
    return PENGUINS._replace(digest=f"{number:064x}")


def rows_of(lines: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Which model, and how many rows."""
    return [(int(line["model_digest"], 16), line["rows"]) for line in watched(lines)]


def test_of_models_without_bound_those_seen_first_are_reported_early(
    recent: Recent, clock: Clock, logged: Any
) -> None:
    recent = Recent(log_minute, clock, watched=100 * WIDTH)
    for number in range(250):
        ask(recent, named(number), sample(2), at_once=2)
    assert rows_of(logged()) == [(number, 2) for number in range(150)]
    recent.report()
    assert rows_of(logged()) == [(number, 2) for number in range(150, 250)]


def test_no_request_reports_for_long(logged: Any) -> None:
    """What is due is reported by as many requests as it takes, each model once."""

    class Slow(Clock):
        def __call__(self) -> float:
            self.now += REPORTING / 20
            return self.now

    clock = Slow()
    recent = Recent(log_minute, clock)
    for number in range(100):
        ask(recent, named(number), sample(2), at_once=2)
    clock.now += 60
    found: list[tuple[int, int]] = []
    while len(found) < 100:
        ask(recent, named(1000), sample(1))
        reported = rows_of(logged())
        assert 1 <= len(reported) <= 20
        found += reported
    assert found == [(number, 2) for number in range(100)]


def test_what_a_request_came_with_may_change_after_it(recent: Recent, logged: Any) -> None:
    rows = as_batch(PENGUINS.features, sample(300))
    found = PENGUINS.predict(rows)
    recent.add(PENGUINS, rows, found)
    rows.numbers[...] = found.outputs[0].probabilities[...] = -1.0
    recent.report()
    assert verdicts(logged()) == [0.0]


def test_threads_lose_no_row(recent: Recent, logged: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in range(16):
            pool.submit(ask, recent, PENGUINS, sample(300))
    recent.report()
    assert sum(rows for _, rows in rows_of(logged())) == 16 * 300
