"""What an instance has seen is all that it answered, however it was asked."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.door import IRIS, NAMES, PENGUINS, ROW, get, post, served
from tests.test_canary import CANDIDATE, CURRENT, OnTrial
from tests.test_recent import Clock, ask, sample
from tests.test_rejected_report import MULTILABEL, PENGUIN
from thimble.drift.counting import count
from thimble.drift.recent import ROWS, SMALLEST, Emit, Recent, Watched
from thimble.inference.classifier import load
from thimble.inference.reference import Counts
from thimble.registry.pointer import Trial
from thimble.settings import from_environment
from thimble.web import routes
from thimble.web.service import log_minute
from thimble_model.frames import as_batch

MODEL = load(PENGUINS)
PLAIN = load(json.dumps({k: v for k, v in json.loads(IRIS).items() if k != "reference"}).encode())


def seen(app: Any, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(get(f"/seen{query}", app).body)
    return found


def test_nothing_was_seen_before_the_first_request() -> None:
    found = seen(served())
    assert (found["since"], found["requests"], found["rows"], found["models"]) == (None, 0, 0, [])
    assert "one instance of the function" in found["view"]


def test_requests_rows_and_classes_are_counted_by_every_protocol() -> None:
    app = served(PENGUINS)
    row = list(PENGUIN.values())
    post("/classify", {"instances": [row, row]}, app)
    post("/v1/models/penguins:predict", {"instances": [row]}, app)
    post("/invocations", {"instances": [row]}, app)
    post("/classify?rejected=report", {"instances": [row, [1]]}, app)
    post("/classify", {"instances": [[1]]}, app)  # which is refused
    found = seen(app)
    [model] = found["models"]
    assert (found["requests"], found["rows"]) == (model["requests"], model["rows"]) == (4, 5)
    assert [each["rows"] for each in model["classes"]] == [5, 0, 0]
    assert sum(one["now"] for one in model["drift"]["features"][0]["bins"]) == 5
    assert found["since"].endswith("Z")


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.sets(st.integers(0, 11)))
def test_what_is_seen_is_the_count_of_all_rows(sizes: list[int], minutes: set[int]) -> None:
    """However they are split into requests, and whenever a minute is over or somebody looks."""
    clock = Clock()
    recent, table = Recent(lambda *_: True, clock), sample(sum(sizes))
    at = 0
    for k, size in enumerate(sizes):
        ask(recent, MODEL, table[at : at + size], size)
        at += size
        if k in minutes:
            clock.now += 61
            recent.seen()
    rows = as_batch(MODEL.features, table)
    [(model, counts)] = recent.seen()
    np.testing.assert_array_equal(counts, count(MODEL.reference, rows, MODEL.predict(rows)))
    assert model.requests == recent.requests == len(sizes)


def keeping(lines: list[Any]) -> Emit:
    def emit(model: Watched, window: Counts, minute: Counts) -> bool:
        lines.append((window.tolist(), minute.tolist()))
        return False

    return emit


def test_to_look_changes_no_verdict() -> None:
    said: list[list[Any]] = [[], []]
    for looking, lines in enumerate(said):
        clock = Clock()
        recent = Recent(keeping(lines), clock)
        for _ in range(5):
            ask(recent, MODEL, sample(30), 7)
            if looking:
                recent.seen()
            clock.now += 61
        recent.report()
    assert said[0] == said[1]
    assert len(said[0]) >= 5


def test_a_request_of_more_rows_than_are_counted_is_seen_with_those_that_are() -> None:
    recent = Recent(log_minute, Clock())
    ask(recent, MODEL, sample(ROWS + 2), ROWS + 2)
    [(_, counts)] = recent.seen()
    assert (counts[0], recent.rows) == ((ROWS + 2) // 2, ROWS + 2)


@pytest.mark.parametrize(
    "document", [json.dumps(json.loads(IRIS) | {"reference": None}).encode(), MULTILABEL]
)
def test_a_model_that_does_not_know_its_training_data_has_classes_and_no_drift(document: bytes) -> None:
    app = served(document)
    rows: list[Any] = [[2.0], [-2.0], [3.0]] if document is MULTILABEL else [ROW, ROW, [6.3, 3.3, 6.0, 2.5]]
    post("/classify", {"instances": rows}, app)
    post("/classify", {"instances": rows[:1]}, app)
    [model] = seen(app)["models"]
    assert (model["requests"], model["rows"], model["drift"]) == (2, 4, None)
    assert [each["rows"] for each in model["classes"] if each["rows"]] == [3, 1]


def test_one_model_alone_is_told_where_it_is_asked_for() -> None:
    app = routes.app(OnTrial(Trial(CANDIDATE.digest, shadow=True), CANDIDATE), from_environment({}))
    post("/classify", {"instance": ROW}, app)
    assert [model["digest"] for model in seen(app, "?model=iris")["models"]] == [CURRENT.digest]
    assert seen(app, "?version=" + "0" * 12)["requests"] == 1
    assert get("/seen?model=nothing", served()).status == 404


def test_the_last_one_asked_is_first_and_the_longest_forgotten_is_dropped() -> None:
    clock = Clock()
    models = [MODEL, PLAIN, load(IRIS)]
    room = sum(SMALLEST + len(one.features) + len(one.heads[0].classes) for one in models[:2])
    recent = Recent(log_minute, clock, watched=room)
    for one in models:
        ask(recent, one, sample(1) if one is MODEL else pd.DataFrame([ROW], columns=NAMES))
        clock.now += 200
        recent.report()
        recent.report()
    assert [model.digest for model, _ in recent.seen()] == [models[2].digest, models[1].digest]
    assert recent.requests == 3


def test_what_is_seen_is_not_kept_by_anybody_between() -> None:
    assert get("/seen").headers["cache-control"] == "no-store"
