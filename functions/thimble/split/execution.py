"""Start the state machine once for each job: the execution is named after the job.

boto3 is imported when the first execution is started.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import orjson

from thimble.files.jobs import Job

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.client import SFNClient

ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


def start(workflow_arn: str, job: Job) -> str:
    """Return the name of the job's execution, a running or a new one.

    Step Functions takes no name again for 90 days. After an execution that ended without a summary, the next
    name has a number: -2, -3, ...
    """
    attempt, name = 1, job.digest
    while not _started(workflow_arn, name, {"bucket": job.bucket, "key": job.source.path}):
        attempt += 1
        name = f"{job.digest}-{attempt}"
    return name


def _started(workflow_arn: str, name: str, event: dict[str, str]) -> bool:
    """Start an execution, unless it is running; return False if one of that name has ended."""
    client = _client()
    try:
        client.start_execution(stateMachineArn=workflow_arn, name=name, input=orjson.dumps(event).decode())
    except client.exceptions.ExecutionAlreadyExists:
        arn = f"{workflow_arn.replace(':stateMachine:', ':execution:', 1)}:{name}"
        return client.describe_execution(executionArn=arn)["status"] not in ENDED
    return True


@cache
def _client() -> SFNClient:
    import boto3

    return boto3.client("stepfunctions")
