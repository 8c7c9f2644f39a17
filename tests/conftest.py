"""What every test may ask for: an S3 (and SQS) of its own, AWS's events as files, the built functions."""

import fcntl
import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest
from hypothesis import settings
from obstore.store import MemoryStore

from thimble import store
from thimble.errors import ThimbleError
from thimble_infra.build import BUILT, ROOT, lambda_python

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

MEMORY = MemoryStore()  # what memory:// names
store.OPENERS["memory"] = lambda host, path: (MEMORY, path)
collect_ignore = ["clients", "page", "policies", "rehearsal"]  # need more than .venv: make test-clients, ...
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as deployed; threads that spin slow each other down
settings.register_profile("usual", max_examples=100, deadline=None, derandomize=True)  # the same each time
settings.register_profile("wide", max_examples=500, deadline=None)  # of `make test-wide`
settings.load_profile("usual")
EVENTS = Path(__file__).parent / "events"
THIMBLE = (sys.executable, "-c", "from thimble_infra.cli import app; app()")
BUCKETS = ("thimble-models", "thimble-inbox", "thimble-results", "thimble-parts")


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Local stacks of the tests leave their notes here; whoever runs the tests may run a stack too."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    """The address of one moto server on a free loopback port; tests take `s3_server`, which empties it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def aws_environment(moto_server: str) -> dict[str, str]:
    """What sends an AWS client to moto and nowhere else; child processes are given it."""
    return {
        "AWS_ENDPOINT_URL": moto_server,
        "AWS_ENDPOINT_URL_S3": moto_server,
        "AWS_ENDPOINT_URL_SQS": moto_server,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture
def s3_server(moto_server: str, aws_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty AWS (S3, SQS, ...), to which the environment sends obstore and boto3."""
    with urlopen(Request(f"{moto_server}/moto-api/reset", method="POST")):
        pass
    for name, value in aws_environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return moto_server


@pytest.fixture
def s3(s3_server: str) -> "S3Client":
    """A client of `s3_server` with the buckets made."""
    import boto3

    client = boto3.client("s3")
    for bucket in BUCKETS:
        client.create_bucket(Bucket=bucket)
    return client


@pytest.fixture
def entry(s3: "S3Client", monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Callable[..., Any]]:
    """`entry("files")` is functions/files.py as Lambda loads it, with the environment as it is then: the iris
    model, results and parts in S3."""
    document = (ROOT / "model" / "iris.json").read_bytes()
    s3.put_object(Bucket="thimble-models", Key="model.json", Body=document)
    monkeypatch.setenv("MODEL_URI", "s3://thimble-models/model.json")
    monkeypatch.setenv("RESULTS_URI", "s3://thimble-results")
    monkeypatch.setenv("PARTS_URI", "s3://thimble-parts")
    return lambda name: runpy.run_path(str(ROOT / "functions" / f"{name}.py"))["handler"]


@dataclass(frozen=True)
class LocalStack:
    """`thimble run` on free ports: its process, all lines of its banner, and where it listens."""

    process: "subprocess.Popen[str]"
    banner: tuple[str, ...]
    url: str
    s3_url: str

    def classify(self, instances: list[Any]) -> list[dict[str, Any]]:
        """The predictions over HTTP."""
        body = json.dumps({"instances": instances}).encode()
        request = Request(f"{self.url}/classify", body, {"content-type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            predictions: list[dict[str, Any]] = json.load(answer)["predictions"]
        return predictions

    def drop(self, path: Path) -> Path:
        """The folder of what a file became by `thimble drop`."""
        output = path.parent / "answers"
        command = ("drop", str(path), "-o", str(output), "--endpoint-url", self.s3_url)
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        done = subprocess.run([*THIMBLE, *command], env=own, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return output / path.name


@contextmanager
def running_stack(*arguments: str) -> Iterator[LocalStack]:
    process = subprocess.Popen(
        [*THIMBLE, "run", "--port", "0", "--s3-port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        banner = []
        for line in process.stdout:
            banner.append(line.rstrip("\n"))
            if line.startswith("ready "):
                break
        else:
            pytest.fail(process.stderr.read())
        _, url, _, s3_url = banner[-1].split()
        try:
            yield LocalStack(process, tuple(banner), url, s3_url)
        finally:
            process.send_signal(signal.SIGINT)


@pytest.fixture(scope="session")
def local_stack() -> Iterator[LocalStack]:
    """One local stack for all tests that only use it."""
    with running_stack() as stack:
        yield stack


@pytest.fixture(scope="session")
def start_local_stack() -> Callable[..., AbstractContextManager[LocalStack]]:
    """For a test that ends its stack, or starts it in its own way."""
    return running_stack


@pytest.fixture
def load_event() -> Callable[..., dict[str, Any]]:
    """`load_event("health")` is tests/events/health.json; keyword arguments replace top-level keys."""

    def load(name: str, **replaced: Any) -> dict[str, Any]:
        event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_bytes())
        return event | replaced

    return load


@pytest.fixture(scope="session")
def built() -> Path:
    """.aws-sam/build, up to date: what is deployed. Skips where the functions' Python is not to be had."""
    try:
        lambda_python()
    except ThimbleError as error:
        pytest.skip(str(error))
    with alone():
        subprocess.run(["make", "--no-print-directory", "build"], cwd=ROOT, check=True)
    return BUILT


@contextmanager
def alone() -> Iterator[None]:
    """Work on what all the workers of a run share: the build, and what is kept beside it."""
    BUILT.parent.mkdir(exist_ok=True)
    with open(BUILT.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def runtime_client(built: Path) -> Path:
    """A folder with awslambdaric for the functions' Python, kept beside the build."""
    folder = built.parent / f"awslambdaric-{version('awslambdaric')}"
    with alone():
        if not folder.exists():
            fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
            package = f"awslambdaric=={version('awslambdaric')}"
            install = ["-m", "pip", "install", "--quiet", "--target", str(fresh), package]
            subprocess.run([lambda_python(), *install], check=True)
            fresh.replace(folder)
    return folder
