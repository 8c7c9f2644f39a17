"""The HTTPS door beside the same service around scikit-learn and boto3: cold and warm.

Whole processes on this machine, the model read from a local S3: not Lambda, but the same code on both sides.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import joblib
from moto.server import ThreadedMotoServer

from tests.benchmarks.report import Case, Contender, Figure

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EVENT = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/classify",
    "rawQueryString": "",
    "headers": {"content-type": "application/json"},
    "requestContext": {
        "http": {"method": "POST", "path": "/classify"},
        "requestId": "id",
        "stage": "$default",
    },
    "body": json.dumps({"instances": [[5.1, 3.5, 1.4, 0.2]]}),
    "isBase64Encoded": False,
}


class Service:
    """A service in processes of its own: `MODULE.handler` with its model at MODEL_URI."""

    def __init__(self, module: str, folder: Path, model_uri: str, endpoint: str, event: Path) -> None:
        self._command = [sys.executable, str(HERE / "answer.py"), module, str(event)]
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(folder),
            "MODEL_URI": model_uri,
            "AWS_ENDPOINT_URL_S3": endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "OPENBLAS_NUM_THREADS": "1",
        }

    def _answer(self, times: int) -> list[float]:
        done = subprocess.run(
            [*self._command, str(times)], env=self._environment, capture_output=True, check=True, timeout=120
        )
        microseconds: list[float] = json.loads(done.stderr.decode().splitlines()[-1])
        return microseconds

    def cold(self) -> Figure:
        """A whole process, from its start to its first answer."""
        start = time.perf_counter()
        self._answer(0)
        seconds = time.perf_counter() - start
        return Figure(1 / seconds, f"{seconds * 1000:.0f} ms")

    def warm(self) -> Figure:
        """The median request, event in to response out, log line and metrics included."""
        microseconds = statistics.median(self._answer(1000))
        return Figure(1 / microseconds, f"{microseconds:.0f} us")


def cases(folder: Path) -> Iterator[Case]:
    event = folder / "event.json"
    event.write_text(json.dumps(EVENT))
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        _publish(endpoint)
        ours = Service("api", ROOT / "functions", "s3://bench/iris.json", endpoint, event)
        rival = Service("sklearn_service", HERE, "s3://bench/iris.joblib", endpoint, event)
        ours.cold()  # once each for the disk's sake
        rival.cold()
        yield _case("cold: process start to first answer", ours.cold, rival.cold)
        yield _case("warm: one row, event to response", ours.warm, rival.warm)
    finally:
        server.stop()


def _case(name: str, ours: Callable[[], Figure], rival: Callable[[], Figure]) -> Case:
    return Case(name, Contender("Thimble", ours), [Contender("scikit-learn, boto3, Powertools", rival)])


def _publish(endpoint: str) -> None:
    from model import worked

    _, _, iris = worked.iris()
    estimator = io.BytesIO()
    joblib.dump(iris, estimator)
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
    )
    s3.create_bucket(Bucket="bench")
    s3.put_object(Bucket="bench", Key="iris.json", Body=(ROOT / "model" / "iris.json").read_bytes())
    s3.put_object(Bucket="bench", Key="iris.joblib", Body=estimator.getvalue())
