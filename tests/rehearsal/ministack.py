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

PYTHON = Path(__file__).parents[2] / ".venv/rehearsal/bin/python"
PATIENCE = 120  # seconds, of a start
REGION = "us-east-1"


@dataclass(frozen=True)
class Ministack:
    port: int
    url: str
    folder: Path
    process: int

    @property
    def environment(self) -> dict[str, str]:
        """What sends an AWS client of the account's root there and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
        }

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


@contextmanager
def running(**settings: str) -> Iterator[Ministack]:
    """Nothing of this process's environment reaches it: variables of AWS and of certificates break it."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as name, open(f"{name}/log", "wb") as log:
        process = subprocess.Popen(
            [PYTHON, "-m", "hypercorn", "ministack.app:app", "--bind", f"127.0.0.1:{port}"],
            cwd=name,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": name,
                "TMPDIR": name,
                "GATEWAY_PORT": str(port),
                "BIND_HOST": "127.0.0.1",
                "MINISTACK_HOST": "localhost",
                "IOT_MTLS_ENABLED": "0",
                "SFTP_ENABLED": "0",
                "LOG_LEVEL": "INFO",
                **settings,
            },
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            wait_for(port, process)
            yield Ministack(port, f"http://localhost:{port}", Path(name), process.pid)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
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
