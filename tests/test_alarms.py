"""What turns an alarm on and off, evaluated as CloudWatch evaluates it, over what the code emits."""

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.cloudformation import TEMPLATE, transformed
from thimble import errors, settings, telemetry
from thimble.files import events
from thimble.inference.document import digest
from thimble.registry import pointer
from thimble.registry.cache import Cache
from thimble.registry.lookup import Models, OneModel
from thimble.registry.pointer import Pointer
from thimble.registry.published import Registry
from thimble.store import Folder
from thimble.web import gateway, routes

ROOT = Path(__file__).parents[1]
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
ALARMS: dict[str, dict[str, Any]] = {
    name: found["Properties"]
    for name, found in RESOURCES.items()
    if found["Type"] == "AWS::CloudWatch::Alarm"
}
GUARDS = [found["Ref"] for found in RESOURCES["ApiFunction"]["Properties"]["DeploymentPreference"]["Alarms"]]
IRIS = (ROOT / "model/iris.json").read_bytes()
ROW = json.dumps({"instances": [[5.1, 3.5, 1.4, 0.2]]})

Metric = tuple[str, str, frozenset[tuple[str, str]]]  # namespace, name, dimensions
Data = Mapping[Metric, float]

RESOLVED = {
    '{"Ref": "AWS::StackName"}': telemetry.SERVICE,
    '{"Fn::GetAtt": ["ApiFunction", "Version.Version"]}': telemetry.VERSION,
    '{"Fn::GetAtt": ["ApiFunction.Version", "Version"]}': telemetry.VERSION,
}


def metric(properties: dict[str, Any]) -> Metric:
    dimensions = [(found["Name"], json.dumps(found["Value"])) for found in properties["Dimensions"]]
    resolved = frozenset((name, RESOLVED.get(value, value)) for name, value in dimensions)
    return properties["Namespace"], properties["MetricName"], resolved


def metrics(alarm: str) -> dict[str, Metric]:
    """By their names in the expression."""
    properties = ALARMS[alarm]
    if "MetricName" in properties:
        return {"one": metric(properties)}
    return {m["Id"]: metric(m["MetricStat"]["Metric"]) for m in properties["Metrics"] if "MetricStat" in m}


def expression(alarm: str) -> str:
    found = [m["Expression"] for m in ALARMS[alarm].get("Metrics", []) if "Expression" in m]
    return str(found[0]) if found else "one"


def value(alarm: str, data: Data) -> float | None:
    """Of a period; None where a term is absent, which makes the whole sum absent."""
    present = {name: data.get(metric) for name, metric in metrics(alarm).items()}
    total = 0.0
    for term in expression(alarm).split(" + "):
        filled = re.fullmatch(r"FILL\((\w+), 0\)", term)
        found = present[filled[1] if filled else term]
        if found is None and not filled:
            return None
        total += found or 0.0
    return total


def breaching(alarm: str, data: Data) -> bool:
    properties = ALARMS[alarm]
    assert properties["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert properties["TreatMissingData"] == "notBreaching"
    found = value(alarm, data)
    return found is not None and found >= properties["Threshold"]


def states(alarm: str, periods: Sequence[Data]) -> list[bool]:
    """Whether the alarm is on, after each period."""
    properties = ALARMS[alarm]
    n = properties["EvaluationPeriods"]
    m = properties.get("DatapointsToAlarm", n)
    found = [breaching(alarm, data) for data in periods]
    return [sum(found[max(0, k + 1 - n) : k + 1]) >= m for k in range(len(found))]


@pytest.mark.parametrize("alarm", ALARMS)
def test_an_alarm_tells_the_topic(alarm: str) -> None:
    assert ALARMS[alarm]["AlarmActions"] == [{"Ref": "Alerts"}]
    assert ALARMS[alarm].get("OKActions", [{"Ref": "Alerts"}]) == [{"Ref": "Alerts"}]
    assert ALARMS[alarm]["AlarmDescription"]


@pytest.mark.parametrize("alarm", ["AnswersFail", "FilesGivenUp", "FilesWait", "ModelRefused", "Drift"])
def test_what_lasts_says_when_it_is_over(alarm: str) -> None:
    assert "OKActions" in ALARMS[alarm]


@pytest.mark.parametrize(("alarm", "only"), [(alarm, name) for alarm in ALARMS for name in metrics(alarm)])
def test_an_alarm_goes_on_by_one_of_its_metrics_when_all_others_are_idle(alarm: str, only: str) -> None:
    threshold = float(ALARMS[alarm]["Threshold"])
    assert breaching(alarm, {metrics(alarm)[only]: threshold})
    assert not breaching(alarm, {})


@pytest.mark.parametrize("alarm", [alarm for alarm in ALARMS if "Metrics" in ALARMS[alarm]])
def test_metric_math_fills_every_metric_and_gives_one_series(alarm: str) -> None:
    assert sorted(re.findall(r"FILL\((\w+), 0\)", expression(alarm))) == sorted(metrics(alarm))
    returned = [m["Id"] for m in ALARMS[alarm]["Metrics"] if m.get("ReturnData", True)]
    assert returned == [m["Id"] for m in ALARMS[alarm]["Metrics"] if "Expression" in m]
    assert len({m["MetricStat"]["Period"] for m in ALARMS[alarm]["Metrics"] if "MetricStat" in m}) == 1


@pytest.mark.parametrize("alarm", ALARMS)
def test_cloudwatch_takes_an_alarms_periods(alarm: str) -> None:
    """A day of periods at most, of an hour or more a week."""
    periods = [found["MetricStat"] for found in ALARMS[alarm].get("Metrics", []) if "MetricStat" in found]
    [period] = {found["Period"] for found in periods or [ALARMS[alarm]]}
    assert period % 60 == 0
    assert period * ALARMS[alarm]["EvaluationPeriods"] <= (7 if period >= 3600 else 1) * 86_400
    assert ALARMS[alarm].get("DatapointsToAlarm", 1) <= ALARMS[alarm]["EvaluationPeriods"]


Answer = Callable[[Models], tuple[int, Data]]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the functions' logger writes, apart from the metrics."""
    stream = io.StringIO()
    [handler] = telemetry.logger.handlers
    monkeypatch.setattr(handler, "stream", stream)
    return stream


def emitted(lines: str) -> dict[Metric, float]:
    """The sums of what is written in the embedded metric format."""
    found: dict[Metric, float] = {}
    for line in map(json.loads, lines.splitlines()):
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            [dimensions] = directive["Dimensions"]
            of = frozenset((name, line[name]) for name in dimensions)
            for named in directive["Metrics"]:
                key = directive["Namespace"], named["Name"], of
                found[key] = found.get(key, 0.0) + sum(line[named["Name"]])
    return found


@pytest.fixture
def answered(capsys: pytest.CaptureFixture[str], written: io.StringIO) -> Answer:
    """The status of a request to /classify and of one to /health, and the metrics of both."""

    def answer(models: Models) -> tuple[int, Data]:
        handle = gateway.handler(routes.app(models, settings.from_environment({})))
        statuses = set()
        for method, path in (("POST", "/classify"), ("GET", "/health")):
            context = {"http": {"method": method, "path": path}, "requestId": "id", "stage": "$default"}
            event = {"rawPath": path, "headers": {}, "body": ROW, "requestContext": context}
            statuses.add(handle(event, None)["statusCode"])
        [status] = statuses
        data = emitted(capsys.readouterr().out)
        if status >= 500:
            data[metrics("AnswersFail")["one"]] = 10.0  # the gateway counts them whatever their reason
        return status, data

    return answer


def registry(default: str = "iris", pin: str = "", current: bytes | None = None) -> Registry:
    folder = Folder(f"memory:///{uuid4()}/models")
    if current is not None:
        folder.put(pointer.document("iris", digest(current)), current)
        folder.put(pointer.current("iris"), pointer.dump(Pointer(digest(current))), None)
    return Registry(folder, default=default, pin=pin, refresh=0.0, cache=Cache(2**28))


def failing(error: Exception) -> OneModel:
    def read(uri: str) -> bytes:
        raise error

    return OneModel("s3://models/model.json", read)


NO_MODEL = {
    "nothing is published": {},
    "a version is wanted and nothing is published": {"pin": "a" * 12},
    "a whole digest is wanted and nothing is published": {"pin": "a" * 64},
    "no default is named": {"default": ""},
}


@pytest.mark.parametrize("case", NO_MODEL)
def test_before_a_model_is_published_health_says_503_and_no_deployment_is_stopped(
    case: str, answered: Answer
) -> None:
    status, data = answered(registry(**NO_MODEL[case]))  # type: ignore[arg-type]
    assert status == 503
    assert [guard for guard in GUARDS if breaching(guard, data)] == []
    assert breaching("AnswersFail", data)  # it tells somebody


def test_a_model_that_answers_turns_no_alarm_on(answered: Answer) -> None:
    status, data = answered(registry(current=IRIS))
    assert status == 200
    assert [alarm for alarm in ALARMS if breaching(alarm, data)] == []


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (lambda: failing(RuntimeError("a bug")), 500),
        (lambda: failing(errors.Unavailable("the role may not read the bucket")), 503),
        (lambda: registry(current=b"{}"), 503),  # this version takes none of what is published
        (lambda: registry(current=IRIS, pin="123456"), 503),  # nor is there a model of that version
        (lambda: registry(current=IRIS, pin="a" * 64), 503),
    ],
)
def test_a_version_that_fails_is_stopped_on_its_way(
    models: Callable[[], Models], expected: int, answered: Answer
) -> None:
    status, data = answered(models())
    assert status == expected
    assert any(breaching(guard, data) for guard in GUARDS)


def test_a_version_that_crashes_is_stopped_on_its_way() -> None:
    """Lambda counts a crash or a timeout of a version behind an alias by these dimensions."""
    [crashes] = [found for found in metrics("VersionFails").values() if found[0] == "AWS/Lambda"]
    assert {name for name, _ in crashes[2]} == {"FunctionName", "Resource", "ExecutedVersion"}
    assert breaching("VersionFails", {crashes: 1.0})


def test_a_caller_that_is_wrong_stops_no_deployment(
    capsys: pytest.CaptureFixture[str], written: io.StringIO
) -> None:
    handle = gateway.handler(routes.app(registry(current=IRIS), settings.from_environment({})))
    for path, body in (
        ("/classify", "{}"),
        ("/classify", "["),
        ("/nowhere", ROW),
        ("/v2/models/x/infer", ROW),
    ):
        context = {"http": {"method": "POST", "path": path}, "requestId": "id", "stage": "$default"}
        event = {"rawPath": path, "headers": {}, "body": body, "requestContext": context}
        assert 400 <= handle(event, None)["statusCode"] < 500
    assert emitted(capsys.readouterr().out) == {}


@pytest.fixture
def resources() -> dict[str, Any]:
    """The template's resources as CloudFormation gets them."""
    found: dict[str, Any] = transformed()["Resources"]
    return found


def test_a_new_version_begins_with_an_alarm_of_its_own_that_was_never_on(resources: dict[str, Any]) -> None:
    """By name: CloudFormation makes another one, and what the former version did is not in it. All its
    metrics are of the version that the alias moves to."""
    moved_to = resources["ApiFunctionAliaslive"]["Properties"]["FunctionVersion"]
    version = moved_to["Fn::GetAtt"][0]
    assert resources[version]["Type"] == "AWS::Lambda::Version"
    guarding = resources["ApiFunctionDeploymentGroup"]["Properties"]["AlarmConfiguration"]["Alarms"]
    assert guarding
    for guard in guarding:
        properties = resources[guard["Name"]["Ref"]]["Properties"]
        assert f"${{{version}.Version}}" in properties["AlarmName"]["Fn::Sub"]
        for found in properties["Metrics"]:
            if "MetricStat" in found:
                dimensions = found["MetricStat"]["Metric"]["Dimensions"]
                assert moved_to in [dimension["Value"] for dimension in dimensions]


def test_a_deployment_does_not_wait_for_itself(resources: dict[str, Any]) -> None:
    """What a guard refers to is made before the alias moves: neither the alias nor the deployment's group."""

    needed = set(GUARDS)
    looked_at: set[str] = set()
    while to_look_at := needed - looked_at:
        text = json.dumps([resources[name] for name in to_look_at])
        looked_at |= to_look_at
        needed |= {name for name in resources if re.search(rf'"{name}"|\${{{name}[.}}]', text)}
    assert needed > set(GUARDS)
    assert not needed & {"ApiFunctionAliaslive", "ApiFunctionDeploymentGroup", "HttpApi"}


def test_files_that_are_refused_and_files_that_fail_turn_different_alarms_on(
    capsys: pytest.CaptureFixture[str], written: io.StringIO
) -> None:
    def classify(bucket: str, key: str, deadline: float) -> dict[str, Any]:
        if key == "ours.csv":
            raise errors.Unavailable("the store is away")
        return {"input": {"etag": "abc"}, "error": "the file is empty"}

    expected = {"senders.csv": ["FilesRefused"], "ours.csv": ["FilesFail"]}
    for key, alarms in expected.items():
        file = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}
        announced = {"Records": [file | {"s3": {"bucket": {"name": "inbox"}, "object": {"key": key}}}]}
        message = {"eventSource": "aws:sqs", "messageId": "1", "body": json.dumps(announced)}
        events.handler(classify, lambda message: None)({"Records": [message]}, None)
        data = emitted(capsys.readouterr().out)
        assert [alarm for alarm in ALARMS if breaching(alarm, data)] == alarms


def hours(*verdicts: tuple[int, float]) -> list[Data]:
    """Three weeks of hours, in some of which there was a verdict; the average of an hour's."""
    drifted, by_hour = metrics("Drift")["one"], dict(verdicts)
    return [{drifted: by_hour[hour]} if hour in by_hour else {} for hour in range(WEEKS * 168)]


WEEKS = 3


def changes(periods: Sequence[Data]) -> list[int]:
    """The hours at which somebody is told of drift, and that it is over."""
    on = states("Drift", periods)
    return [hour for hour, (before, now) in enumerate(pairwise([False, *on])) if before != now]


def test_one_verdict_now_and_then_is_no_alarm() -> None:
    assert changes(hours(*((hour, 1.0) for hour in range(5, WEEKS * 168, 73)))) == []


def test_an_hour_in_which_few_of_many_verdicts_say_drift_does_not_count() -> None:
    assert changes(hours(*((hour, 0.2) for hour in range(WEEKS * 168)))) == []


def test_drift_that_stays_is_told_after_three_hours_and_once() -> None:
    assert changes(hours(*((hour, 1.0) for hour in range(10, WEEKS * 168)))) == [12]


@pytest.mark.parametrize("days", [range(7), range(5)])  # every night, and of working days
def test_drift_of_a_nightly_file_is_told_after_the_third_night_and_stays_on_between(days: range) -> None:
    """Though a night's file comes some hours sooner or later than the one before."""
    nights = [(24 * (7 * week + day) + 2 + 5 * (day % 2), 1.0) for week in range(WEEKS) for day in days]
    assert changes(hours(*nights)) == [2 + 48]


def test_drift_that_was_mended_is_over_within_six_days() -> None:
    began, ended = changes(hours(*((hour, 1.0 if hour < 100 else 0.0) for hour in range(10, WEEKS * 168))))
    assert began == 12
    assert ended <= 100 + 144
