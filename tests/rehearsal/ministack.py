"""A ministack of its own: an imitation of AWS on a loopback port, gone with its files when it is left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.rehearsal import certificates

PYTHON = Path(__file__).parents[2] / ".venv/rehearsal/bin/python"
PATIENCE = 120  # seconds, of a start
REGION = "us-east-1"


@dataclass(frozen=True)
class Ministack:
    """Its address, its folder, and the environment that sends an AWS client there and nowhere else."""

    url: str
    folder: Path
    environment: dict[str, str]

    @property
    def port(self) -> str:
        return self.url.rpartition(":")[2]

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


@contextmanager
def running() -> Iterator[Ministack]:
    """Plain HTTP, and no role is asked for its rights."""
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as name:
        folder, port = Path(name), free_port()
        with served(folder, port, ["--bind", f"127.0.0.1:{port}"], {}):
            url = f"http://localhost:{port}"
            yield Ministack(url, folder, client_environment(url, folder) | {"AWS_ALLOW_HTTP": "true"})


@contextmanager
def enforcing() -> Iterator[tuple[Ministack, str]]:
    """TLS, and every request needs a signature and its right; and an address that takes plain HTTP."""
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as name:
        folder, port, plain = Path(name), free_port(), free_port()
        certificates.write(folder)
        server = [str(folder / "server.pem"), str(folder / "server.key")]
        trust = {"SSL_CERT_FILE": str(folder / "authority.pem")}
        listen = [
            *("--bind", f"127.0.0.1:{port}", "--insecure-bind", f"127.0.0.1:{plain}"),
            *("--certfile", server[0], "--keyfile", server[1]),
        ]
        own = {"USE_SSL": "1", "MINISTACK_SSL_CERT": server[0], "MINISTACK_SSL_KEY": server[1]}
        with served(folder, port, listen, {"AUTH": "true", **own, **trust}):
            url = f"https://localhost:{port}"
            environment = client_environment(url, folder) | trust
            environment["AWS_CA_BUNDLE"] = trust["SSL_CERT_FILE"]
            yield Ministack(url, folder, environment), f"http://localhost:{plain}"


def client_environment(url: str, folder: Path) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",  # the account's root
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
    }


@contextmanager
def served(folder: Path, port: int, listen: list[str], settings: dict[str, str]) -> Iterator[None]:
    """Nothing of this process's environment gets there: variables of AWS and of certificates break it."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "localhost",
        "IOT_MTLS_ENABLED": "0",  # or it listens on all interfaces
        "SFTP_ENABLED": "0",
    }
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [PYTHON, "-m", "hypercorn", "ministack.app:app", *listen],
            cwd=folder,
            env=environment | settings,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            wait_for(port, process)
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # the functions with it
            process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise TimeoutError(f"no ministack on port {port}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
