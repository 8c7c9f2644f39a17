"""The packaged template deployed into a ministack by `sam deploy`, and what a user does with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from samcli.yamlhelper import yaml_dump, yaml_parse

from tests.rehearsal.adapter import Template, adapt
from tests.rehearsal.ministack import REGION, Ministack

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / ".aws-sam" / "package"
LOCAL_FILES = ("CodeUri", "ContentUri", "DefinitionUri")
PATIENCE = 180  # seconds, of what happens by itself
T = TypeVar("T")


def packaged() -> Template:
    """The template as `make package` leaves it, with its files by absolute paths."""
    text = (PACKAGE / "template.yaml").read_text()
    template: Template = json.loads(json.dumps(yaml_parse(text)))
    for part in (template["Globals"]["Function"], *resource_properties(template)):
        for name in LOCAL_FILES:
            if isinstance(part.get(name), str):
                part[name] = os.path.abspath(PACKAGE / part[name])
    return template


def resource_properties(template: Template) -> list[dict[str, Any]]:
    return [resource.get("Properties", {}) for resource in template["Resources"].values()]


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any


@dataclass(frozen=True)
class Stack:
    cloud: Ministack
    name: str = "thimble"

    def deploy(self, *, change: Callable[[Template], object] = lambda _: None, **parameters: str) -> str:
        """What `sam deploy` says; raises CalledProcessError where it fails."""
        template = adapt(packaged(), self.cloud.url)
        change(template)
        path = self.cloud.folder / "template.yaml"
        path.write_text(yaml_dump(template))
        command = [
            *("sam", "deploy", "--template-file", str(path), "--stack-name", self.name, "--resolve-s3"),
            *("--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar"),
            *(["--parameter-overrides"] if parameters else []),
            *(f"{name}={value}" for name, value in parameters.items()),
        ]
        return self.run(*command)

    def run(self, *command: str) -> str:
        """Both streams of a command of the project's environment."""
        done = subprocess.run(
            [Path(sys.executable).with_name(command[0]), *command[1:]],
            cwd=self.cloud.folder,
            env=self.cloud.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            print(done.stdout)
        done.check_returncode()
        return done.stdout

    def client(self, service: str) -> Any:
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.cloud.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def named(self, logical: str) -> str:
        """The physical id of a resource."""
        resources = self.client("cloudformation").describe_stack_resources(StackName=self.name)
        for resource in resources["StackResources"]:
            if resource["LogicalResourceId"] == logical:
                return str(resource["PhysicalResourceId"])
        raise LookupError(logical)

    @property
    def status(self) -> str:
        [stack] = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return str(stack["StackStatus"])

    def ask(self, path: str, body: Any = None, *, signed: bool = True) -> Answer:
        """What the API says to a request, signed by the account's root or by nobody."""
        data = None if body is None else json.dumps(body)
        request = AWSRequest("GET" if data is None else "POST", f"{self.cloud.url}{path}", data=data)
        request.headers["content-type"] = "application/json"
        request.headers["host"] = f"{self.named('HttpApi')}.execute-api.localhost:{self.cloud.port}"
        if signed:
            SigV4Auth(Credentials("test", "test"), "execute-api", REGION).add_auth(request)
        headers = dict(request.headers.items())
        try:
            with urlopen(Request(request.url, data and data.encode(), headers), timeout=60) as answer:
                return Answer(answer.status, json.load(answer))
        except HTTPError as error:
            return Answer(error.code, json.load(error))

    def publish(self, document: str = "iris") -> None:
        bucket = self.named("ModelsBucket")
        self.run("thimble", "publish", str(ROOT / f"model/{document}.json"), "--to", f"s3://{bucket}")

    def drop(self, key: str, content: bytes) -> dict[str, Any]:
        """The summary of a file that was put into the inbox."""
        self.client("s3").put_object(Bucket=self.named("InboxBucket"), Key=key, Body=content)
        results, s3 = self.named("ResultsBucket"), self.client("s3")

        def summary() -> dict[str, Any] | None:
            try:
                found = s3.get_object(Bucket=results, Key=f"{key}/summary.json")
            except s3.exceptions.NoSuchKey:
                return None
            return dict(json.load(found["Body"]))

        return eventually(summary)


def eventually(look: Callable[[], T | None]) -> T:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.2)
    raise TimeoutError(f"not within {PATIENCE} seconds")
