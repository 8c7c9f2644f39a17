"""infra/workflow.asl.json, executed by moto's interpreter: each of its calls reaches the deployed handler."""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from cfnlint import api as cfnlint

from thimble.files.pipeline import Pipeline
from thimble.inference.classifier import load
from thimble_infra import aws
from thimble_infra.environments import Answer, answer
from thimble_infra.invocation import Context

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_stepfunctions.client import SFNClient

ROOT = Path(__file__).parents[1]
IRIS = (ROOT / "model" / "iris.json").read_bytes()
HEADER = b"id,sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"
ROWS = b"".join(
    b"%d,5.1,3.5,1.4,0.%d\n" % (i, i % 10) if i % 7 else b"%d,5.1,oh,1,2\n" % i for i in range(100)
)
DEFINITION = json.loads(aws.DEFINITION.read_text())
KEY = "iris/a b.csv"

Event = dict[str, Any]


def tasks(states: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in states.items():
        if state["Type"] == "Task":
            yield name, state
        if "ItemProcessor" in state:
            yield from tasks(state["ItemProcessor"]["States"])


TASKS = dict(tasks(DEFINITION["States"]))


def test_cfn_lint_finds_nothing_in_the_definition() -> None:
    """It reads a definition that stands in a template, but not a file that a template names."""
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": "arn:aws:iam::123456789012:role/x",
            "Definition": json.loads(aws.definition()),
        },
    }
    assert cfnlint.lint(json.dumps({"Resources": {"Machine": machine}})) == []


@pytest.mark.parametrize("name", TASKS)
def test_a_task_has_a_time_limit_and_is_tried_again_ever_later(name: str) -> None:
    task = TASKS[name]
    assert (
        task["TimeoutSeconds"] > aws.FUNCTION_TIMEOUT
    )  # the function is to say itself that its time is over
    throttled, other = task["Retry"]
    assert (throttled["ErrorEquals"], other["ErrorEquals"]) == (
        ["Lambda.TooManyRequestsException"],
        ["States.ALL"],
    )
    for retry in (throttled, other):
        assert (retry["BackoffRate"], retry["JitterStrategy"]) == (2, "FULL")
        assert retry["MaxAttempts"] >= 5
        assert retry["MaxDelaySeconds"]


@pytest.mark.parametrize("name", DEFINITION["States"])
def test_what_fails_for_good_stays_redrivable(name: str) -> None:
    state = DEFINITION["States"][name]
    assert "Catch" not in state
    assert state["Type"] != "Fail"


def test_no_range_may_be_missing_and_none_adds_to_what_is_handed_on() -> None:
    """256 KB is all that one state hands to the next."""
    ranges = DEFINITION["States"]["Classify"]
    assert not [name for name in ranges if name.startswith("Tolerated")]  # none is the default
    assert ranges["ResultPath"] is None
    assert TASKS["ClassifyRange"]["ResultSelector"] == {}


class Workflow:
    """The state machine in moto, and a record of what it called; `before` may fail a call or act on it."""

    def __init__(self, s3: "S3Client", states: "SFNClient", handler: Callable[..., Any]) -> None:
        self.s3, self.states, self._handler = s3, states, handler
        self.calls: list[Event] = []
        self.before: Callable[[Event], None] = lambda event: None
        self._lock = threading.Lock()

    def call(self, event: Event) -> Answer:
        with self._lock:
            self.calls.append(event)
        return answer(self._checked, event, Context("thimble-workflow", aws.FUNCTION_TIMEOUT))

    def _checked(self, event: Event, context: Context) -> Any:
        self.before(event)
        return self._handler(event, context)

    def put(self, data: bytes, key: str = KEY) -> None:
        self.s3.put_object(Bucket=aws.INBOX, Key=key, Body=data)

    def execute(self, name: str = "execution") -> Event:
        started = self.states.start_execution(
            stateMachineArn=aws.workflow_arn(),
            name=name,
            input=json.dumps({"bucket": aws.INBOX, "key": KEY}),
        )
        return self.ended(started["executionArn"])

    def ended(self, arn: str) -> Event:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found: Any = self.states.describe_execution(executionArn=arn)
            if found["status"] != "RUNNING":
                return dict(found)
            time.sleep(0.05)
        raise AssertionError(f"the execution does not end: {self.calls[-12:]}")

    def ranges(self) -> Counter[int]:
        """How often each range was asked for."""
        return Counter(call["index"] for call in self.calls if call["task"] == "classify")

    def results(self, key: str = KEY) -> list[bytes]:
        names = ("result.csv", "rejections.jsonl")
        return [self.s3.get_object(Bucket=aws.RESULTS, Key=f"{key}/{name}")["Body"].read() for name in names]

    def summary(self) -> Event:
        found: Event = json.loads(
            self.s3.get_object(Bucket=aws.RESULTS, Key=f"{KEY}/summary.json")["Body"].read()
        )
        return found

    def single(self, data: bytes) -> list[bytes]:
        """What one function makes of it."""
        self.put(data, "single.csv")
        Pipeline(lambda key: load(IRIS), f"s3://{aws.RESULTS}").classify(aws.INBOX, "single.csv")
        return self.results("single.csv")

    def parts(self) -> int:
        return self.s3.list_objects_v2(Bucket=aws.PARTS)["KeyCount"]


def entry(name: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A module of functions/ as Lambda loads it, with the environment as it is now."""
    spec = spec_from_file_location(f"entry_{name}", ROOT / "functions" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, f"entry_{name}", module)
    spec.loader.exec_module(module)
    handler: Callable[..., Any] = module.handler
    return handler


@pytest.fixture
def workflow(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Workflow:
    import boto3
    from moto.core.config import default_user_config
    from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl

    from thimble_infra import step_functions

    # What `install` replaces in this process is put back; a retry does not wait.
    for owner, name in (
        (step_functions._lambdas, "invoke"),
        (step_functions._tasks, "boto_client_for"),
        (step_functions._manifests, "boto_client_for"),
        (step_functions._workers, "_eval_job"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    for name in ("lambda", "stepfunctions"):
        monkeypatch.setitem(default_user_config, name, default_user_config[name])  # type: ignore[literal-required]
    monkeypatch.setattr(retrier_decl, "time", SimpleNamespace(sleep=lambda seconds: None))
    port = s3_server.rpartition(":")[2]
    own = {
        "RANGE_BYTES": "500",
        "SPLIT_BYTES": "1000",
        "MOTO_PORT": port,
        "MODELS_URI": "",
        "MODEL_URI": f"s3://{aws.MODELS}/model.json",
    }
    for name, value in {**aws.environment(s3_server), **own}.items():
        monkeypatch.setenv(name, value)
    s3 = boto3.client("s3")
    found = Workflow(s3, boto3.client("stepfunctions"), entry("workflow", monkeypatch))
    step_functions.install(int(port), found.call)
    aws.create_resources(s3_server)
    s3.put_object(Bucket=aws.MODELS, Key="model.json", Body=IRIS)
    return found


@pytest.fixture
def files(workflow: Workflow, monkeypatch: pytest.MonkeyPatch, load_event: Any) -> Callable[[], Any]:
    """The files function is told of the file."""
    handler = entry("files", monkeypatch)
    event = load_event("s3_put")
    [record] = event["Records"]
    record["s3"]["bucket"]["name"] = aws.INBOX
    record["s3"]["object"] = {"key": KEY.replace(" ", "+")}
    return lambda: handler(event, Context("thimble-files", aws.FUNCTION_TIMEOUT))


def executions(workflow: Workflow) -> list[str]:
    found = workflow.states.list_executions(stateMachineArn=aws.workflow_arn())["executions"]
    return sorted(execution["executionArn"] for execution in found)


def test_a_large_file_becomes_what_one_function_makes_of_it(
    workflow: Workflow, files: Callable[[], Any]
) -> None:
    workflow.put(HEADER + ROWS)
    files()
    [execution] = executions(workflow)
    assert workflow.ended(execution)["status"] == "SUCCEEDED"
    assert workflow.results() == workflow.single(HEADER + ROWS)
    assert workflow.summary()["rows"] == 100
    count = len(workflow.ranges())
    assert count > 3
    assert [call["task"] for call in workflow.calls] == ["plan"] + ["classify"] * count + ["assemble"]
    assert workflow.parts() == 0
    files()  # the same event again
    assert executions(workflow) == [execution]


def test_the_map_works_on_several_ranges_at_a_time(workflow: Workflow) -> None:
    barrier = threading.Barrier(2)

    def meet(event: Event) -> None:
        if event["task"] == "classify" and event["index"] in (0, 1):
            barrier.wait(timeout=20)

    workflow.put(HEADER + ROWS)
    workflow.before = meet
    if aws.cores() == 1:
        pytest.skip("as many as there are cores")
    assert workflow.execute()["status"] == "SUCCEEDED"


def test_a_range_that_fails_twice_is_tried_again_alone(workflow: Workflow) -> None:
    def fail(event: Event) -> None:
        if event.get("index") == 2 and workflow.ranges()[2] <= 2:
            raise ConnectionError("S3 is away")

    workflow.put(HEADER + ROWS)
    workflow.before = fail
    assert workflow.execute()["status"] == "SUCCEEDED"
    assert workflow.ranges() == {index: 3 if index == 2 else 1 for index in workflow.ranges()}
    assert workflow.results() == workflow.single(HEADER + ROWS)


def test_a_failed_execution_is_started_again_and_repeats_only_what_is_missing(
    workflow: Workflow, files: Callable[[], Any]
) -> None:
    def fail(event: Event) -> None:
        if event.get("index") == 3:
            raise MemoryError

    workflow.put(HEADER + ROWS)
    workflow.before = fail
    files()
    [first] = executions(workflow)
    failed = workflow.ended(first)
    assert (failed["status"], failed["error"]) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    done = {index for index in workflow.ranges() if index != 3}
    time.sleep(0.5)  # the range that was in work beside it ends too

    workflow.calls.clear()
    workflow.before = lambda event: None
    files()
    second = executions(workflow)[1]
    assert second == f"{first}-2"
    assert workflow.ended(second)["status"] == "SUCCEEDED"
    assert done
    assert not done & workflow.ranges().keys()
    assert workflow.ranges()[3] == 1
    assert workflow.results() == workflow.single(HEADER + ROWS)


def test_a_newline_in_quotes_takes_a_round_of_repair(workflow: Workflow) -> None:
    note = b'"' + b"like,5.1,3.5,1.4,0.2\n" * 60 + b'",5.1,3.5,1.4,0.2\n'  # lines as of records
    data = HEADER + ROWS[:400] + note + ROWS[400:]
    workflow.put(data)
    execution = workflow.execute()
    assert execution["status"] == "SUCCEEDED"
    assert [call["task"] for call in workflow.calls].count("assemble") > 1
    assert 0 < sum(workflow.ranges().values()) - len(workflow.ranges()) < len(workflow.ranges())
    assert workflow.results() == workflow.single(data)


def test_a_file_that_is_overwritten_meanwhile_is_planned_anew(workflow: Workflow) -> None:
    newer = HEADER + ROWS.replace(b"5.1", b"6.3")

    def overwrite(event: Event) -> None:
        if event.get("index") == 2 and workflow.ranges()[2] == 1:
            workflow.put(newer)

    workflow.put(HEADER + ROWS)
    workflow.before = overwrite
    assert workflow.execute()["status"] == "SUCCEEDED"
    assert [call["task"] for call in workflow.calls].count("plan") == 2
    assert workflow.results() == workflow.single(newer)


@pytest.mark.parametrize("data", [b"", b"a,b\n" + b"1,2\n" * 500])
def test_a_file_that_is_refused_ends_the_execution_well(workflow: Workflow, data: bytes) -> None:
    workflow.put(data)
    assert workflow.execute()["status"] == "SUCCEEDED"
    assert workflow.summary()["error"]
    assert [call["task"] for call in workflow.calls] == ["plan"]


def test_a_file_that_is_gone_is_no_failure(workflow: Workflow) -> None:
    assert workflow.execute()["status"] == "SUCCEEDED"
