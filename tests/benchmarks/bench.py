"""`make bench`: Thimble and the usual way side by side, alternating; medians, and the median of the ratios.

Whole processes on this machine, the model read from a local S3: not Lambda, but the same code on both sides.
"""

import io
import json
import logging
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import joblib
from moto.server import ThreadedMotoServer
from rich.console import Console
from rich.table import Table

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


@dataclass
class Case:
    """Two things timed in turn: seconds of ours and of the rival, pair by pair."""

    name: str
    unit: str
    ours: Callable[[], float]
    rival: Callable[[], float]
    pairs: int
    figures: list[tuple[float, float]] = field(default_factory=list)

    def run(self) -> None:
        self.ours()  # a warm-up of each
        self.rival()
        self.figures = [(self.ours(), self.rival()) for _ in range(self.pairs)]

    def row(self) -> tuple[str, ...]:
        ours, rival = (statistics.median(side) for side in zip(*self.figures, strict=True))
        ratio = statistics.median(a / b for a, b in self.figures)
        return (
            self.name,
            f"{ours:.4g} {self.unit}",
            f"{rival:.4g} {self.unit}",
            f"{ratio:.3f}",
            str(self.pairs),
        )


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

    def cold(self) -> float:
        """Milliseconds of a whole process, from its start to its first answer."""
        start = time.perf_counter()
        self._answer(0)
        return (time.perf_counter() - start) * 1000

    def warm(self) -> float:
        """The median microseconds of a request, event in to response out, log line and metrics included."""
        return statistics.median(self._answer(1000))


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    console = Console()
    table = Table(
        "case", "Thimble", "scikit-learn + boto3", "ratio", "pairs", title="Thimble beside the usual way"
    )
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        with tempfile.TemporaryDirectory() as folder:
            event = Path(folder) / "event.json"
            event.write_text(json.dumps(EVENT))
            for case in cases(endpoint, event):
                case.run()
                table.add_row(*case.row())
    finally:
        server.stop()
    console.print(table)
    console.print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors")


def cases(endpoint: str, event: Path) -> list[Case]:
    publish(endpoint)
    ours = Service("api", ROOT / "functions", "s3://bench/iris.json", endpoint, event)
    rival = Service("sklearn_service", HERE, "s3://bench/iris.joblib", endpoint, event)
    return [
        Case("cold: process start to first answer", "ms", ours.cold, rival.cold, pairs=15),
        Case("warm: one row, event to response", "us", ours.warm, rival.warm, pairs=5),
    ]


def publish(endpoint: str) -> None:
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


if __name__ == "__main__":
    main()
