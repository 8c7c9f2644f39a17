"""Find the stack that a command speaks to: one that runs on this machine, or a deployed one by its name.

`thimble run` leaves a note in the user's state folder and keeps it locked. The lock ends with the process,
however that ends, so a note without a lock belongs to a stack that no longer runs.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from thimble.errors import InvalidInput, Unavailable
from thimble_infra import aws

RESOURCES = {
    "ModelsBucket": "models",
    "InboxBucket": "inbox",
    "ResultsBucket": "results",
    "PartsBucket": "parts",
    "Queue": "queue",
    "DeadLetters": "dead_letters",
}


@dataclass(frozen=True)
class Note:
    """A running local stack, as it describes itself."""

    pid: int
    url: str
    s3_url: str
    log: str = ""  # the functions' log file; empty if the log is on the terminal

    @property
    def s3_port(self) -> int:
        return int(self.s3_url.rpartition(":")[2])


@dataclass(frozen=True)
class Stack:
    name: str  # a deployed stack's name; empty for the local one
    models: str = aws.MODELS  # this and the next three are buckets
    inbox: str = aws.INBOX
    results: str = aws.RESULTS
    parts: str = aws.PARTS
    queue: str = ""  # a URL
    dead_letters: str = ""  # a URL
    url: str = ""  # the HTTP API's


class Registry(NamedTuple):
    """The place where models are published, and the command-line option that names it."""

    uri: str
    option: str
    endpoint_url: str | None


def notes_folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "thimble" / "stacks"


@contextmanager
def noted(note: Note) -> Iterator[None]:
    """Leave the note as long as the context lasts; if it cannot be written, go on without."""
    try:
        notes_folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        path = notes_folder() / f"{note.pid}.json"
        file = path.open("w")
    except OSError:
        yield
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump(asdict(note), file)
        file.write("\n")
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def running() -> list[Note]:
    """Return the notes of all running local stacks; remove the notes of others."""
    found = []
    for path in sorted(notes_folder().glob("*.json")):
        with suppress(OSError), path.open() as file:
            if _is_locked(file):
                found.append(_read(file))
            else:
                path.unlink(missing_ok=True)
    return [note for note in found if note is not None]


def _is_locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _read(file: IO[str]) -> Note | None:
    try:
        return Note(**json.load(file))
    except (ValueError, TypeError):  # half written, or from another version of Thimble
        return None


def local() -> Note:
    """Return the local stack at S3_PORT, or the only one that runs. Raises Unavailable if there is none."""
    notes = running()
    if port := os.environ.get("S3_PORT"):
        return _at(port, notes)
    if len(notes) == 1:
        return notes[0]
    if notes:
        ports = " or ".join(f"S3_PORT={note.s3_port}" for note in notes)
        raise Unavailable(f"{len(notes)} local stacks are running: say which one by {ports}")
    raise Unavailable(
        "no local stack is running: start one with `thimble run`, or name a deployed one by --stack NAME"
    )


def _at(port: str, notes: list[Note]) -> Note:
    if not port.isdecimal():
        raise InvalidInput(f"S3_PORT is {port!r}: it has to be a port's number")
    if found := next((note for note in notes if note.s3_port == int(port)), None):
        return found
    try:
        socket.create_connection(("127.0.0.1", int(port)), timeout=5).close()
    except (OSError, OverflowError):
        raise Unavailable(
            f"no local stack answers on port {port}: start one with `thimble run`, "
            "unset S3_PORT to find one that runs, or name a deployed one by --stack NAME"
        ) from None
    return Note(0, "", f"http://127.0.0.1:{port}")


def find(name: str | None) -> Stack:
    return deployed(name) if name else Stack("")


def registry(at: str | None, stack: str | None, endpoint_url: str | None) -> Registry:
    """Return the registry at a URI, or else a stack's."""
    if at:
        return Registry(at, f" --at {at}", endpoint_url)
    return Registry(f"s3://{find(stack).models}", f" --stack {stack}" if stack else "", endpoint_url)


def deployed(name: str) -> Stack:
    """Return a deployed stack as CloudFormation describes it. Raises InvalidInput if it is not Thimble's."""
    import boto3

    from thimble_infra.aws_answers import sentences

    with sentences(f"the stack {name}"):
        client = boto3.client("cloudformation", region_name=region())
        outputs = client.describe_stacks(StackName=name)["Stacks"][0].get("Outputs", [])
        pages = client.get_paginator("list_stack_resources").paginate(StackName=name)
        resources = [one for page in pages for one in page["StackResourceSummaries"]]
    found: dict[str, Any] = {
        RESOURCES[one["LogicalResourceId"]]: one.get("PhysicalResourceId", "")
        for one in resources
        if one["LogicalResourceId"] in RESOURCES
    }
    if missing := set(RESOURCES.values()) - found.keys():
        raise InvalidInput(f"the stack {name} is none of Thimble's: it has no {', '.join(sorted(missing))}")
    url = next((output["OutputValue"] for output in outputs if output["OutputKey"] == "Url"), "")
    return Stack(name, **found, url=url)


def region() -> str:
    import boto3

    return boto3.Session().region_name or aws.REGION
