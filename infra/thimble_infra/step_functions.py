"""Set up moto's Step Functions to execute a state machine for real, and correct where it differs from AWS.

Its calls of Lambda go to our function. A map fails if an item fails in the end; moto would go on without the
item. A boto3 client is made once, by one thread at a time, not for every state of every item. Recursion may
go as deep as a map has items, because moto walks through them recursively.
"""

import json
import logging
import os
import sys
from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import Any

from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.core.config import default_user_config
from moto.stepfunctions.parser.api import HistoryEventType, MapRunFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.item_reader.eval import resource_eval_s3
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.itemprocessor import (
    distributed_item_processor_worker as processor,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.utils.boto_client import boto_client_for

from thimble_infra.environments import Answer

ITEMS = 30_000  # far more than a map has

_lambdas: Any = LambdaSimpleBackend
_tasks: Any = lambda_eval_utils
_manifests: Any = resource_eval_s3
_workers: Any = processor.DistributedItemProcessorWorker
_moto_job = _workers._eval_job


def install(port: int, call: Callable[[Any], Answer]) -> None:
    """Set this up in this process, whose moto server listens at `port`."""
    os.environ["MOTO_PORT"] = str(port)  # moto's interpreter is a client of its own server
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    default_user_config["lambda"] = {"use_docker": False}
    sys.setrecursionlimit(max(ITEMS, sys.getrecursionlimit()))
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)  # pages for each error
    _lambdas.invoke = _invoker(call)
    _tasks.boto_client_for = _manifests.boto_client_for = _shared_clients()
    _workers._eval_job = _job


def _invoker(call: Callable[[Any], Answer]) -> Callable[..., bytes]:
    def invoke(_: Any, name: str, qualifier: str | None, body: str, asked: Any, answered: Any) -> bytes:
        answer = call(json.loads(body))
        if answer.failed:
            answered["x-amz-function-error"] = "Unhandled"
        return json.dumps(answer.value).encode()

    return invoke


def _shared_clients() -> Callable[..., Any]:
    known, lock = cache(boto_client_for), Lock()

    def client(service: str, region: str, state_credentials: Any = None) -> Any:
        with lock:
            return known(service=service, region=region)

    return client


def _job(worker: Any, env: Any, job: Any) -> None:
    _moto_job(worker, env, job)
    if job.job_output is None:  # an item that failed or timed out
        job.job_output = FailureEventException(_too_many_failed(env))


def _too_many_failed(env: Any) -> FailureEvent:
    kind = StatesErrorNameType.StatesExceedToleratedFailureThreshold
    details: Any = {
        "mapRunFailedEventDetails": MapRunFailedEventDetails(
            error=kind.to_name(), cause="The specified tolerated failure threshold was exceeded"
        )
    }
    return FailureEvent(
        env=env,
        error_name=StatesErrorName(typ=kind),
        event_type=HistoryEventType.MapRunFailed,
        event_details=details,
    )
