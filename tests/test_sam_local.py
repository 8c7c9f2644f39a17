"""`sam local`, as the README has it: the built functions in Lambda's container image, S3 on the host.

A container does not see the host's loopback, so S3 listens on Docker's bridge here too.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from thimble_infra.build import ROOT

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

IMAGE = "public.ecr.aws/lambda/python:3.13-x86_64"
SAM = Path(sys.executable).with_name("sam")
Invoke = Callable[[str, str], Any]


@pytest.mark.parametrize("event", ["classify", "classify_base64"])
def test_sam_local_invoke_answers_a_request(invoke: Invoke, event: str) -> None:
    answer = invoke("ApiFunction", event)
    assert answer["statusCode"] == 200
    assert [p["label"] for p in json.loads(answer["body"])["predictions"]] == ["setosa", "virginica"]


@pytest.mark.parametrize("event", ["s3_put", "sqs_s3_put"])
def test_sam_local_invoke_classifies_a_file(invoke: Invoke, s3: "S3Client", event: str) -> None:
    rows = b"sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n5.1,3.5,1.4,0.2\n"
    s3.put_object(Bucket="thimble-inbox", Key="iris/iris.csv", Body=rows)
    invoke("FilesFunction", event)
    result = s3.get_object(Bucket="thimble-results", Key="iris/iris.csv/result.csv")["Body"].read()
    assert result.splitlines()[1].startswith(b"5.1,3.5,1.4,0.2,setosa,")


def test_sam_local_start_api_answers_a_clients_real_calls(start_api: str) -> None:
    """In text: SAM's emulator decodes every body of an HTTP API as UTF-8, which API Gateway does not."""
    assert ask(start_api, "/health")["status"] == "ok"
    rows = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
    json_answer = ask(
        start_api, "/classify", json.dumps(rows).encode(), **{"content-type": "application/json"}
    )
    assert [p["label"] for p in json_answer["predictions"]] == ["setosa"]
    refused = json.dumps({"instances": [[1]]}).encode()
    with pytest.raises(HTTPError, match="422"):
        ask(start_api, "/classify", refused, **{"content-type": "application/json"})


def ask(url: str, path: str, body: bytes | None = None, **headers: str) -> Any:
    with urlopen(Request(url + path, body, headers), timeout=120) as answer:
        return json.load(answer)


@pytest.fixture(scope="session")
def docker() -> None:
    """Skips where no Docker engine answers, unless REQUIRE_DOCKER says that one has to."""
    try:
        subprocess.run(["docker", "info"], capture_output=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        if os.environ.get("REQUIRE_DOCKER"):
            raise
        pytest.skip("no Docker engine answers, and sam local needs one")


@pytest.fixture
def s3_for_containers(docker: None, s3_server: str) -> Iterator[str]:
    """What `s3_server` holds, at an address that containers reach."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address=_bridge(), port=0, verbose=False)
    server.start()
    yield f"http://host.docker.internal:{server.get_host_and_port()[1]}"
    server.stop()


@pytest.fixture
def options(s3_for_containers: str, s3: "S3Client", built: Path, tmp_path: Path) -> list[str]:
    """What every `sam local` command takes: where S3 is, and the image that is here already."""
    s3.put_object(Bucket="thimble-models", Key="model.json", Body=(ROOT / "model/iris.json").read_bytes())
    variables = json.loads((ROOT / "infra/sam-local.json").read_text())
    variables["Parameters"]["AWS_ENDPOINT_URL_S3"] = s3_for_containers
    variables["Parameters"]["MODEL_URI"] = "s3://thimble-models/model.json"
    (tmp_path / "variables.json").write_text(json.dumps(variables))
    here = ["--skip-pull-image"] if _succeeds("docker", "image", "inspect", IMAGE) else []
    return ["--env-vars", str(tmp_path / "variables.json"), *here]


@pytest.fixture
def start_api(options: list[str]) -> Iterator[str]:
    """`sam local start-api` on a free port, once it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [SAM, "local", "start-api", "--port", str(port), *options],
        cwd=ROOT,
        env=os.environ | {"SAM_CLI_TELEMETRY": "0"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if "Running on" in line:
            break
    else:
        pytest.fail("".join(said))
    drain = Thread(target=said.extend, args=[process.stderr], daemon=True)
    drain.start()
    yield f"http://127.0.0.1:{port}"
    os.killpg(process.pid, signal.SIGINT)
    process.wait(60)
    drain.join(10)
    process.stderr.close()
    print("".join(said))  # for the report of a failure


@pytest.fixture
def invoke(options: list[str]) -> Invoke:
    """`invoke("ApiFunction", "classify")` hands tests/events/classify.json to a function in its container."""

    def invoke_function(name: str, event: str) -> Any:
        done = subprocess.run(
            [SAM, "local", "invoke", name, "--event", f"tests/events/{event}.json", *options],
            cwd=ROOT,
            env=os.environ | {"SAM_CLI_TELEMETRY": "0"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert "errorType" not in answer, done.stderr
        return answer

    return invoke_function


def _bridge() -> str:
    """The host's address on Docker's bridge; Docker Desktop leads containers to the host's loopback."""
    if sys.platform != "linux":
        return "127.0.0.1"
    subnet = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}"]
    answer = subprocess.run(subnet, capture_output=True, text=True, check=True).stdout
    return str(next(ip_network(answer.strip()).hosts()))


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0
