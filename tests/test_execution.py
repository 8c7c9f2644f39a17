"""A large file starts one execution of the state machine, however often it is announced."""

import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from thimble.files import events
from thimble.files.jobs import Job
from thimble.files.pipeline import Pipeline, SplitPolicy
from thimble.inference.classifier import load
from thimble.split import execution
from thimble_infra.invocation import Context

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_stepfunctions.client import SFNClient

IRIS = load((Path(__file__).parents[1] / "model" / "iris.json").read_bytes())
ROWS = b"5.1,3.5,1.4,0.2\n" * 20


@pytest.fixture
def states(s3_server: str) -> "SFNClient":
    execution._client.cache_clear()
    return boto3.client("stepfunctions")


@pytest.fixture
def workflow(states: "SFNClient") -> str:
    definition = json.dumps(
        {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 9, "End": True}}}
    )
    role = "arn:aws:iam::123456789012:role/any"
    return states.create_state_machine(name="workflow", definition=definition, roleArn=role)[
        "stateMachineArn"
    ]


@pytest.fixture
def pipeline(s3: "S3Client", workflow: str) -> Pipeline:
    s3.put_object(Bucket="thimble-inbox", Key="a b.csv", Body=ROWS)
    splitting = SplitPolicy(100, lambda job: execution.start(workflow, job))
    return Pipeline(lambda key: IRIS, "s3://thimble-results", splitting=splitting)


def executions(states: "SFNClient", workflow: str) -> list[Any]:
    return states.list_executions(stateMachineArn=workflow)["executions"]


def test_a_large_file_is_handed_over_once(states: "SFNClient", workflow: str, pipeline: Pipeline) -> None:
    first = pipeline.classify("thimble-inbox", "a b.csv")
    assert first is not None
    assert pipeline.classify("thimble-inbox", "a b.csv") == first
    (execution,) = executions(states, workflow)
    assert execution["name"] == first["workflow"] == pipeline.job("thimble-inbox", "a b.csv").digest
    given = states.describe_execution(executionArn=execution["executionArn"])["input"]
    assert json.loads(given) == {"bucket": "thimble-inbox", "key": "a b.csv"}


def test_another_version_is_another_execution(
    s3: "S3Client", states: "SFNClient", workflow: str, pipeline: Pipeline
) -> None:
    pipeline.classify("thimble-inbox", "a b.csv")
    s3.put_object(Bucket="thimble-inbox", Key="a b.csv", Body=ROWS * 2)
    pipeline.classify("thimble-inbox", "a b.csv")
    assert len(executions(states, workflow)) == 2


def test_what_ended_without_a_summary_is_started_anew(
    states: "SFNClient", workflow: str, pipeline: Pipeline
) -> None:
    for attempt in ("", "-2", "-3"):
        handed = pipeline.classify("thimble-inbox", "a b.csv")
        assert handed is not None
        assert handed["workflow"] == pipeline.job("thimble-inbox", "a b.csv").digest + attempt
        arn = next(e["executionArn"] for e in executions(states, workflow) if e["name"] == handed["workflow"])
        states.stop_execution(executionArn=arn)


def test_a_large_file_that_is_done_starts_nothing(
    states: "SFNClient", workflow: str, pipeline: Pipeline
) -> None:
    done = replace(pipeline, splitting=None).classify("thimble-inbox", "a b.csv")
    assert pipeline.classify("thimble-inbox", "a b.csv") == done
    assert executions(states, workflow) == []


@pytest.mark.parametrize("key", ["a.json", "a.csv.gz", "small.csv"])
def test_what_is_small_or_cannot_be_split_is_done_here(
    key: str, s3: "S3Client", states: "SFNClient", workflow: str, pipeline: Pipeline
) -> None:
    s3.put_object(
        Bucket="thimble-inbox", Key=key, Body=b"5.1,3.5,1.4,0.2\n" * (1 if key == "small.csv" else 20)
    )
    summary = pipeline.classify("thimble-inbox", key)
    assert summary is not None
    assert "workflow" not in summary
    assert executions(states, workflow) == []


def test_a_handler_has_until_lambda_ends_it() -> None:
    assert events.deadline(None) == math.inf
    assert 880 < events.deadline(Context("files", 900)) - time.monotonic() < 890


def test_a_file_that_does_not_finish_in_time_is_handed_over(
    states: "SFNClient", workflow: str, pipeline: Pipeline
) -> None:
    started: list[Job] = []

    def start(job: Job) -> str:
        started.append(job)
        return "name"

    small = replace(pipeline, splitting=SplitPolicy(1 << 20, start))
    handed = small.classify("thimble-inbox", "a b.csv", deadline=time.monotonic() - 1)
    assert handed is not None
    assert handed["workflow"] == "name"
    assert len(started) == 1


@pytest.mark.parametrize("key", ["a b.csv", "a.json"])
def test_a_file_that_nobody_finishes_in_time_is_refused(key: str, s3: "S3Client", pipeline: Pipeline) -> None:
    rows = json.dumps([dict.fromkeys(IRIS.feature_names or (), 1.5)]).encode()
    s3.put_object(Bucket="thimble-inbox", Key="a.json", Body=rows)
    alone = replace(pipeline, splitting=None)
    summary = alone.classify("thimble-inbox", key, deadline=time.monotonic() - 1)
    assert summary is not None
    assert "takes longer than the 0 s that one function has: send smaller files" in summary["error"]
    assert ("many functions can share" in summary["error"]) == (key == "a.json")
    assert "result" not in summary
    assert alone.classify("thimble-inbox", key) == summary
    found = s3.list_objects_v2(Bucket="thimble-results")["Contents"]
    assert [item["Key"] for item in found] == [f"{key}/summary.json"]
