"""A version on trial: its share of the rows, the same rows every time, and answers that say who gave them."""

import base64
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from thimble import telemetry
from thimble.errors import InvalidModel
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.features import Feature
from thimble.registry import canary
from thimble.registry.lookup import OneModel
from thimble.registry.pointer import Trial
from thimble.registry.published import Serving
from thimble.settings import from_environment
from thimble.web import gateway, routes

MODEL = Path(__file__).parents[1] / "model"
IRIS: dict[str, Any] = json.loads((MODEL / "iris.json").read_bytes())
PENGUINS: dict[str, Any] = json.loads((MODEL / "penguins.json").read_bytes())
NUMBERS = [Feature(name, "number", missing=True) for name in "abcd"]
MIXED = [
    Feature("number", "number", True),
    Feature("text", "text", True),
    Feature("not read", "unused", True),
]
VERSIONS = ["0123456789abcdef" * 4, "f" * 64, "0" * 64]


def another(document: dict[str, Any], shift: float = 0.0) -> Classifier:
    """A version that answers a little differently, and has no examples to hold it to account."""
    changed = {key: value for key, value in document.items() if key != "examples"}
    if shift:
        last = [b + shift * i for i, b in enumerate(changed["intercepts"][-1])]
        changed["intercepts"] = [*changed["intercepts"][:-1], last]
    return load(orjson.dumps(changed))


CURRENT, CANDIDATE = another(IRIS), another(IRIS, 0.5)


def chosen(features: Sequence[Feature], columns: Any, percent: float, version: str) -> NDArray[np.bool_]:
    return canary.chosen(features, Batch.of(features, columns), percent, version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("percent", [0.0, 0.5, 1.0, 10.0, 50.0, 99.0, 100.0])
@pytest.mark.parametrize("kind", ["spread", "close together", "few values"])
def test_a_share_of_the_rows_goes_to_the_candidate(version: str, percent: float, kind: str) -> None:
    n, rng = 40_000, np.random.default_rng(0)
    X: Any = {
        "spread": rng.normal(size=(4, n)),
        "close together": 1 + np.arange(4 * n).reshape(4, n) * 2.0**-52,
        "few values": rng.permutation(20**4)[:n] // 20 ** np.arange(4)[:, np.newaxis] % 20 / 1.0,
    }[kind]
    p = percent / 100
    found = chosen(NUMBERS, X, percent, version).sum()
    assert abs(found - n * p) <= 5 * math.sqrt(n * p * (1 - p))  # one in two million, were it by chance


def test_a_row_meets_the_same_version_alone_and_in_any_company() -> None:
    X = np.random.default_rng(1).normal(size=(4, 500))
    together = chosen(NUMBERS, X, 30, VERSIONS[0])
    alone = [chosen(NUMBERS, X[:, [i]], 30, VERSIONS[0])[0] for i in range(500)]
    backwards = chosen(NUMBERS, X[:, ::-1], 30, VERSIONS[0])[::-1]
    as_columns = chosen(NUMBERS, list(X), 30, VERSIONS[0])
    assert alone == together.tolist() == backwards.tolist() == as_columns.tolist()


def test_a_larger_share_keeps_the_rows_of_a_smaller_one() -> None:
    X = np.random.default_rng(2).normal(size=(4, 5000))
    few, many = (chosen(NUMBERS, X, percent, VERSIONS[0]) for percent in (10, 25))
    assert (many[few]).all()


def test_another_version_on_trial_takes_other_rows() -> None:
    X = np.random.default_rng(3).normal(size=(4, 5000))
    one, other = (chosen(NUMBERS, X, 10, version) for version in VERSIONS[:2])
    assert (one & other).sum() < 100  # 50 by chance


def test_the_order_of_the_values_is_part_of_the_row() -> None:
    X = np.random.default_rng(4).normal(size=(4, 5000))
    swapped = X[[1, 0, 2, 3]]
    same = chosen(NUMBERS, X, 50, VERSIONS[0]) == chosen(NUMBERS, swapped, 50, VERSIONS[0])
    assert 2200 < same.sum() < 2800


def test_what_is_equal_to_the_model_is_equal_here() -> None:
    """-0.0 and 0.0, one NaN and another; and what the model ignores does not matter."""
    negative_nan = np.copysign(np.nan, -1)
    one: list[Any] = [np.array([0.0, np.nan]), ["a", None], ["x", 1]]
    other: list[Any] = [np.array([-0.0, negative_nan]), ("a", None), [None, {"y": []}]]
    for percent in range(0, 100, 5):
        answers = [chosen(MIXED, columns, percent, VERSIONS[0]).tolist() for columns in (one, other)]
        assert answers[0] == answers[1]


def test_texts_are_told_apart_and_spread() -> None:
    texts = [f"text {i}" for i in range(20_000)]
    columns = [np.zeros(20_000), texts, [None] * 20_000]
    found = chosen(MIXED, columns, 10, VERSIONS[0])
    assert abs(found.sum() - 2000) < 5 * math.sqrt(20_000 * 0.09)
    assert (
        found.tolist()
        == chosen(MIXED, [columns[0], np.array(texts, object), texts], 10, VERSIONS[0]).tolist()
    )


@pytest.mark.parametrize("percent", [0, 30, 100])
def test_every_row_gets_the_bits_of_the_version_that_answers_it(percent: float) -> None:
    batch = Batch.of(CURRENT.features, np.random.default_rng(5).uniform(0, 7, (4, 700)))
    found = canary.predict(CURRENT, CANDIDATE, batch, percent)
    whole = {model.digest: model.predict(batch) for model in (CURRENT, CANDIDATE)}
    for row, version in enumerate(found.versions):
        assert (
            found.outputs[0].probabilities[:, row] == whole[version].outputs[0].probabilities[:, row]
        ).all()
        assert found.outputs[0].labels[row] == whole[version].outputs[0].labels[row]
    expected = [{CURRENT.digest}, set(whole), {CANDIDATE.digest}][(percent > 0) + (percent == 100)]
    assert set(found.versions) == expected


def test_rejected_rows_keep_their_places() -> None:
    X = np.random.default_rng(6).uniform(0, 7, (4, 200))
    X[:, ::7] = 1e308
    batch = Batch.of(CURRENT.features, X)
    found = canary.predict(CURRENT, CANDIDATE, batch, 50)
    assert set(found.rejected) == set(range(0, 200, 7))
    answered = np.arange(200) % 7 > 0
    assert found.take(answered).versions == tuple(np.array(found.versions)[answered].tolist())


def test_a_pipeline_of_texts_and_missing_values_can_be_tried() -> None:
    current, candidate = another(PENGUINS), another(PENGUINS, 0.5)
    rows = [[*row[:-2], 3000.0 + k, row[-1]] for k, row in enumerate(PENGUINS["examples"]["rows"] * 20)]
    batch = Batch.of(current.features, [*zip(*rows, strict=True)])
    found = canary.predict(current, candidate, batch, 50)
    assert set(found.versions) == {current.digest, candidate.digest}
    whole = {model.digest: model.predict(batch) for model in (current, candidate)}
    for row, version in enumerate(found.versions):
        assert (
            found.outputs[0].probabilities[:, row] == whole[version].outputs[0].probabilities[:, row]
        ).all()


def test_disagreements_are_rows_with_another_label_or_answered_by_one_alone() -> None:
    X = np.random.default_rng(7).uniform(0, 7, (4, 300))
    batch = Batch.of(CURRENT.features, X)
    one, other = CURRENT.predict(batch), CANDIDATE.predict(batch)
    differ = int((one.outputs[0].labels != other.outputs[0].labels).sum())
    assert differ > 0
    assert canary.disagreements(one, other) == differ
    assert canary.disagreements(one, one) == 0
    rejecting = one._replace(rejected={3: "too large"})
    assert canary.disagreements(one, rejecting) == 1
    assert canary.disagreements(rejecting, rejecting) == 0


# Through the door.


class OnTrial(OneModel):
    """A current version with another beside it."""

    def __init__(self, trial: Trial, candidate: Classifier) -> None:
        self.trial, self.candidate = trial, candidate

    def get(self, name: str = "", version: str = "") -> Classifier:
        return CURRENT

    def serving(self, name: str = "", version: str = "") -> Serving:
        return Serving(CURRENT) if version else Serving(CURRENT, self.candidate, self.trial)


def door(trial: Trial, candidate: Classifier = CANDIDATE) -> Any:
    handle = gateway.handler(routes.app(OnTrial(trial, candidate), from_environment({})))

    def call(path: str, value: Any, **query: str) -> Any:
        context = {"http": {"method": "POST", "path": path}, "requestId": "id", "stage": "$default"}
        body = base64.b64encode(orjson.dumps(value)).decode()
        event = {
            "rawPath": path,
            "headers": {},
            "body": body,
            "isBase64Encoded": True,
            "requestContext": context,
        }
        answer = handle(event | {"queryStringParameters": query}, None)
        assert answer["statusCode"] == 200, answer
        return orjson.loads(answer["body"])

    return call


ROWS = np.random.default_rng(8).uniform(0, 7, (200, 4)).round(1).tolist()


def test_the_answer_says_which_version_gave_it_and_the_same_by_every_protocol() -> None:
    call = door(Trial(CANDIDATE.digest, 30))
    body = call("/classify", {"instances": ROWS})
    versions = [row["version"] for row in body["predictions"]]
    assert set(versions) == {CURRENT.digest, CANDIDATE.digest}
    assert body["model"]["digest"] == CURRENT.digest

    names = IRIS["feature_names_in"]
    objects = [dict(reversed(list(zip(names, row, strict=True)))) for row in ROWS]
    assert call("/classify", {"instances": objects}) == body
    assert call("/v1/models/iris:predict", {"instances": ROWS})["predictions"] == body["predictions"]

    tensor = {"name": "input", "datatype": "FP64", "shape": [200, 4], "data": ROWS}
    answered = call("/v2/models/iris/infer", {"inputs": [tensor]})
    others = [row for row, version in enumerate(versions) if version == CANDIDATE.digest]
    assert answered["model_version"] == CURRENT.digest
    assert answered["parameters"] == {
        "canary_version": CANDIDATE.digest,
        "canary_rows": ",".join(map(str, others)),
    }

    for row, version in zip(ROWS[:40], versions, strict=False):  # alone, the envelope says it too
        alone = call("/classify", {"instance": row})
        assert (alone["model"]["digest"], alone["predictions"][0]["version"]) == (version, version)


def test_a_version_that_is_asked_for_is_on_no_trial() -> None:
    body = door(Trial(CANDIDATE.digest, 100))("/classify", {"instances": ROWS}, version=CURRENT.digest)
    assert body["model"]["digest"] == CURRENT.digest
    assert "version" not in body["predictions"][0]


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What requests' lines in the log say beside what they always do."""
    notes: dict[str, float] = {}
    note = telemetry.note

    def noting(**values: float) -> None:
        notes.update(values)
        note(**values)

    monkeypatch.setattr(telemetry, "note", noting)
    return notes


def test_the_shadow_answers_nothing_and_its_disagreements_are_counted(noted: dict[str, float]) -> None:
    plain = door(Trial(CANDIDATE.digest, 0))("/classify", {"instances": ROWS})
    shadowed = door(Trial(CANDIDATE.digest, shadow=True))("/classify", {"instances": ROWS})
    assert [row | {"version": CURRENT.digest} for row in shadowed["predictions"]] == plain["predictions"]
    batch = Batch.of(CURRENT.features, np.array(ROWS).T)
    one, other = CURRENT.predict(batch), CANDIDATE.predict(batch)
    differ = (one.outputs[0].labels != other.outputs[0].labels).sum()
    assert (noted["shadow_rows"], noted["shadow_disagreements"]) == (200, differ)
    assert differ > 0


def test_a_shadow_that_fails_harms_no_answer(noted: dict[str, float]) -> None:
    broken = load((MODEL / "penguins.json").read_bytes())  # takes other rows: its predict raises
    body = door(Trial(broken.digest, shadow=True), broken)("/classify", {"instances": ROWS})
    assert len(body["predictions"]) == 200
    assert noted["shadow_failed"] == 1


def test_a_csv_answer_has_the_version_as_its_last_column() -> None:
    handle = gateway.handler(
        routes.app(OnTrial(Trial(CANDIDATE.digest, 30), CANDIDATE), from_environment({}))
    )
    context = {"http": {"method": "POST", "path": "/classify"}, "requestId": "id", "stage": "$default"}
    headers = {"content-type": "application/json", "accept": "text/csv"}
    body = json.dumps({"instances": ROWS})
    event = {"rawPath": "/classify", "headers": headers, "body": body, "requestContext": context}
    header, *lines = handle(event, None)["body"].splitlines()
    assert header.endswith(",version")
    assert {line.rpartition(",")[2] for line in lines} == {CURRENT.digest, CANDIDATE.digest}


def test_both_versions_are_asked_for_what_a_request_asks_beside_labels() -> None:
    call = door(Trial(CANDIDATE.digest, 30))
    plain, found = (
        call("/classify", {"instances": ROWS}, **query)["predictions"]
        for query in ({}, {"abstain_below": "0.9"})
    )
    versions = {(answer["version"], answer["label"] is None) for answer in found}
    assert len(versions) == 4  # each gave labels, and withheld some
    for before, answer in zip(plain, found, strict=True):
        withheld = before["probability"] < 0.9
        assert answer["label"] == (None if withheld else before["label"])
        assert (answer["abstained"] is not None) == withheld
        assert answer["version"] == before["version"]


def test_versions_of_which_only_one_may_withhold_a_label_are_not_tried_together() -> None:
    withholding = another(IRIS | {"abstain_below": 0.5})
    with pytest.raises(InvalidModel, match="may answer without a label"):
        canary.check_alike(CURRENT, withholding)
    canary.check_alike(another(IRIS | {"abstain_below": 0.0}), withholding)
