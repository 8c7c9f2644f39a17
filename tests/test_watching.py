"""The dashboard and the alarms look at what the code writes: metrics by name and dimensions, fields too."""

import io
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import obstore
import orjson
import pytest
from obstore.store import MemoryStore

from tests.cloudformation import TEMPLATE
from tests.examples import EXAMPLES
from thimble import settings, telemetry
from thimble.drift import recent
from thimble.errors import Unavailable
from thimble.files import events
from thimble.files.pipeline import Pipeline, SplitPolicy
from thimble.inference.classifier import load
from thimble.inference.document import digest
from thimble.registry import canary, pointer
from thimble.registry.cache import Cache
from thimble.registry.lookup import Models, OneModel
from thimble.registry.pointer import Pointer, Trial
from thimble.registry.published import Registry
from thimble.store import Folder
from thimble.web import gateway, routes

ROOT = Path(__file__).parents[1]
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
ALARMS = sorted(name for name, found in RESOURCES.items() if found["Type"] == "AWS::CloudWatch::Alarm")

Metric = tuple[str, str, frozenset[str]]  # namespace, name, dimensions


def dashboard() -> list[dict[str, Any]]:
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets: list[dict[str, Any]] = json.loads(body)["widgets"]
    return widgets


def shown() -> Iterator[Metric]:
    """Every metric of the dashboard; in a row of metrics, a dot repeats the one before."""
    for widget in dashboard():
        for metric in widget["properties"].get("metrics", []):
            if isinstance(metric[0], dict):
                namespace, *dimensions = re.findall(r"{([^}]*)}", metric[0]["expression"])[0].split(",")
                name = re.findall(r'MetricName="(\w+)"', metric[0]["expression"])[0]
                yield namespace, name, frozenset(dimensions)
            else:
                namespace, name, *pairs = [part for part in metric if isinstance(part, str)]
                yield namespace, name, frozenset(pairs[0::2])


def alarm_metrics() -> Iterator[dict[str, Any]]:
    for alarm in ALARMS:
        properties = RESOURCES[alarm]["Properties"]
        if "MetricName" in properties:
            yield properties
        yield from (m["MetricStat"]["Metric"] for m in properties.get("Metrics", []) if "MetricStat" in m)


def alarmed() -> Iterator[Metric]:
    for metric in alarm_metrics():
        dimensions = frozenset(dimension["Name"] for dimension in metric["Dimensions"])
        yield metric["Namespace"], metric["MetricName"], dimensions


IRIS = (ROOT / "model/iris.json").read_bytes()
ROWS = json.dumps({"instances": EXAMPLES["iris"]()[0].sample(250, replace=True).to_numpy().tolist()})


def call(models: Models, body: str) -> None:
    handle = gateway.handler(routes.app(models, settings.from_environment({})))
    request = {"http": {"method": "POST", "path": "/classify"}, "requestId": "id", "stage": "$default"}
    event = {"version": "2.0", "rawPath": "/classify", "headers": {}, "body": body, "requestContext": request}
    handle(event, None)


UNLIKE = json.dumps({"instances": [[50.0, 30.0, 10.0, 20.0]] * 250})


def requests() -> None:
    """Answered, unlike the training data, refused, and failing."""

    def away(uri: str) -> bytes:
        raise Unavailable(f"{uri} is away")

    call(OneModel("s3://models/model.json", lambda uri: IRIS), ROWS)
    call(OneModel("s3://models/model.json", lambda uri: IRIS), UNLIKE)
    call(OneModel("s3://models/model.json", lambda uri: IRIS), "{}")
    call(OneModel("s3://models/model.json", away), ROWS)


OTHER = orjson.dumps({**json.loads(IRIS), "training": {}})


def published(current: bytes, trial: Trial | None) -> None:
    folder = Folder(f"memory:///{uuid4()}/models")
    for data in (IRIS, OTHER, b"{}"):
        folder.put(pointer.document("iris", digest(data)), data)
    folder.put(pointer.current("iris"), pointer.dump(Pointer(digest(current), trial=trial)), None)
    call(Registry(folder, default="iris", refresh=0.0, cache=Cache(2**28)), ROWS)


def versions() -> None:
    """A canary, a version in the shadow, one there that fails, and one that is refused."""
    published(IRIS, Trial(digest(OTHER), 50.0))
    published(IRIS, Trial(digest(OTHER), shadow=True))
    with pytest.MonkeyPatch.context() as patched:
        patched.delattr(canary, "disagreements")
        published(IRIS, Trial(digest(OTHER), shadow=True))
    published(b"{}", None)


def files() -> None:
    """Classified, refused, handed over, and failing, as S3 announces them."""
    table = EXAMPLES["iris"]()[0].sample(250, replace=True)
    table.iloc[0, 0] = None
    inbox, results = MemoryStore(), f"memory:///{uuid4()}"
    obstore.put(inbox, "good.csv", table.to_csv(index=False).encode())
    obstore.put(inbox, "bad.csv", b"")

    def buckets(name: str) -> Any:
        if name == "away":
            raise Unavailable("the bucket is away")
        return inbox

    pipeline = Pipeline(lambda key: load(IRIS), results, buckets=buckets)
    splitting = replace(pipeline, splitting=SplitPolicy(0, lambda job: "an execution"))
    for work, bucket, key in (
        (pipeline, "inbox", "good.csv"),
        (pipeline, "inbox", "bad.csv"),
        (pipeline, "away", "good.csv"),
        (splitting, "inbox", "good.csv"),
    ):
        file: dict[str, Any] = {
            "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 1, "eTag": ""}}
        }
        file |= {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}
        message = {"eventSource": "aws:sqs", "messageId": "1", "body": json.dumps({"Records": [file]})}
        handle = events.handler(replace(work, results_uri=f"memory:///{uuid4()}").classify, postpone=at_once)
        handle({"Records": [message]}, None)


def at_once(message: Any) -> None:
    """No queue is told of a message that failed."""


Line = dict[str, Any]


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    """What requests and files write, every kind of them once."""
    logged = io.StringIO()
    [handler] = telemetry.logger.handlers
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(logged):
        patched.setattr(recent, "MINUTE", 0.0)
        patched.setattr(handler, "stream", logged)
        for traffic in (requests, versions, files):
            traffic()
    return [json.loads(line) for line in logged.getvalue().splitlines()]


@pytest.fixture(scope="module")
def emitted(lines: list[Line]) -> set[Metric]:
    """What is written in the embedded metric format."""
    found = set()
    for line in lines:
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            [dimensions] = directive["Dimensions"]
            assert set(dimensions) <= line.keys()
            for metric in directive["Metrics"]:
                assert metric["Name"] in line
                found.add((directive["Namespace"], metric["Name"], frozenset(dimensions)))
    return found


def test_the_dashboard_and_the_alarms_look_at_what_is_emitted(emitted: set[Metric]) -> None:
    looked_at = {metric for metric in {*shown(), *alarmed()} if metric[0] == "Thimble"}
    assert looked_at - emitted == set()


def test_nothing_is_emitted_that_the_dashboard_does_not_show_and_no_alarm_watches(
    emitted: set[Metric],
) -> None:
    """A metric costs by the month: what no alarm needs is a field of a line, which a query finds."""
    assert emitted
    assert emitted - set(shown()) == set()
    assert emitted - set(alarmed()) == set()


def queries() -> Iterator[tuple[str, list[str]]]:
    """Each log widget's title, and its query's commands."""
    for widget in dashboard():
        if widget["type"] == "log":
            yield widget["properties"]["title"], widget["properties"]["query"].split(" | ")


def kept(condition: str, line: Line) -> bool:
    """Whether Logs Insights' filter keeps a line; of the conditions that our queries have."""
    for pattern, test in (
        (r"ispresent\((\w+)\)", lambda field: line.get(field) is not None),
        (r"message = '([^']*)'", lambda text: line.get("message") == text),
        (r"message in \[(.*)\]", lambda texts: f"'{line.get('message')}'" in texts.split(", ")),
        (r"message like /\^(.*)/", lambda text: str(line.get("message")).startswith(text)),
        (r"(\w+) > 0", lambda field: line.get(field, 0) > 0),
    ):
        if found := re.fullmatch(pattern, condition):
            return bool(test(found[1]))
    raise ValueError(f"{condition} is none of the conditions that this test knows")


def fields(commands: list[str]) -> set[str]:
    """What a query takes of the lines that it keeps."""
    [stats] = [command for command in commands if command.startswith("stats ")]
    aggregates, _, by = stats.partition(" by ")
    taken = set(re.findall(r"(?:sum|max|latest)\((@?\w+)", aggregates))
    groups = set() if by.startswith("bin(") else set(by.split(", "))
    return {field for field in taken | groups if not field.startswith("@")}


@pytest.mark.parametrize(("title", "commands"), list(queries()))
def test_a_query_of_the_dashboard_finds_what_it_names(
    title: str, commands: list[str], lines: list[Line]
) -> None:
    [condition] = [command.removeprefix("filter ") for command in commands if command.startswith("filter ")]
    found = [line for line in lines if any(kept(part, line) for part in condition.split(" or "))]
    assert found
    assert fields(commands) - {field for line in found for field in line} == set()


def test_what_is_watched_is_shown(lines: list[Line]) -> None:
    """And what is counted of a version on trial."""
    written = {field for line in lines if line.get("message") in ("watched", "predicted") for field in line}
    written |= {field for line in lines for field in line if field.startswith(("canary_", "shadow_"))}
    asked = {field for _, commands in queries() for field in fields(commands)}
    assert written - asked <= {"level", "message", "timestamp", "service"}


def test_a_log_widget_reads_the_stacks_own_groups() -> None:
    groups = {name for name, found in RESOURCES.items() if found["Type"] == "AWS::Logs::LogGroup"}
    for _, commands in queries():
        sources = [command for command in commands if command.startswith("SOURCE ")]
        assert {source[len("SOURCE '${") : -len("}'")] for source in sources} <= groups
        assert commands[: len(sources)] == sources


AWS_METRICS = {
    "AWS/ApiGateway": ({"Count", "4xx", "5xx", "Latency", "IntegrationLatency"}, [{"ApiId"}]),
    "AWS/Lambda": (
        {"Errors", "Throttles", "Duration", "Invocations"},
        [{"FunctionName"}, {"FunctionName", "Resource", "ExecutedVersion"}],
    ),
    "AWS/SQS": ({"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"}, [{"QueueName"}]),
    "AWS/States": (
        {"ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"},
        [{"StateMachineArn"}],
    ),
}


def test_metrics_of_aws_have_the_names_that_aws_documents() -> None:
    for namespace, name, dimensions in {*shown(), *alarmed()}:
        if namespace != "Thimble":
            names, expected = AWS_METRICS[namespace]
            assert name in names
            assert dimensions in expected


def test_the_metrics_are_of_this_stack() -> None:
    """A dimension of theirs is the service, which is the stack's name in every function."""
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert set(re.findall(r'"service","([^"]*)"', body)) == {"${AWS::StackName}"}
    of_ours = [metric for metric in alarm_metrics() if metric["Namespace"] == "Thimble"]
    assert of_ours
    for metric in of_ours:
        assert {"Name": "service", "Value": {"Ref": "AWS::StackName"}} in metric["Dimensions"]


def test_what_the_dashboard_refers_to_is_in_the_stack() -> None:
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    for name in re.findall(r"\$\{([^}]*)\}", body):
        assert name.startswith("AWS::") or name.split(".")[0] in RESOURCES


def test_widgets_lie_side_by_side() -> None:
    cells = [
        (x, y)
        for widget in dashboard()
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23


def test_drift_and_new_training_data_put_an_event_on_the_bus_for_training() -> None:
    drift, data = (RESOURCES[rule]["Properties"] for rule in ("RetrainOnDrift", "RetrainOnData"))
    assert drift["EventPattern"]["resources"] == [{"Fn::GetAtt": ["Drift", "Arn"]}]
    assert data["EventPattern"]["detail"]["bucket"] == {"name": [{"Ref": "ModelsBucket"}]}
    models = RESOURCES["ModelsBucket"]["Properties"]["NotificationConfiguration"]
    assert models["EventBridgeConfiguration"]["EventBridgeEnabled"] is True
    for rule in (drift, data):
        assert [target["Arn"] for target in rule["Targets"]] == [{"Fn::GetAtt": ["Retrain", "Arn"]}]
