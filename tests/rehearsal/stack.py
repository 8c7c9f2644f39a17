"""The packaged template deployed into a ministack by `sam deploy`, and what a user does with it."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from samcli.yamlhelper import yaml_parse

from tests.rehearsal.adapter import Template, write
from tests.rehearsal.ministack import REGION, Ministack

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / ".aws-sam" / "package"
LOCAL_FILES = ("CodeUri", "ContentUri", "DefinitionUri", "TemplateURL")
THE_ROOT = Credentials("test", "test")
PATIENCE = 180  # seconds, of what happens by itself
T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any


@dataclass(frozen=True)
class Stack:
    cloud: Ministack
    name: str = "thimble"

    def deploy(self, change: Callable[[Template], object] = lambda _: None, /, **parameters: str) -> str:
        """What `sam deploy` says of the package, changed; raises CalledProcessError where it fails."""
        template = packaged()
        change(template)
        path = write(template, self.cloud.folder, self.cloud.url)
        overrides = [f"{name}={value}" for name, value in parameters.items()]
        return self.run(
            *("sam", "deploy", "--template-file", str(path), "--stack-name", self.name),
            *("--config-file", str(ROOT / "samconfig.toml"), "--config-env", "prod"),
            *("--no-confirm-changeset", "--no-fail-on-empty-changeset"),
            *(["--parameter-overrides", *overrides] if overrides else []),
        )

    def run(self, *command: str) -> str:
        """What a command of the project's environment prints."""
        done = subprocess.run(
            [Path(sys.executable).with_name(command[0]), *command[1:]],
            cwd=self.cloud.folder,
            env=self.cloud.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        print(done.stdout)
        done.check_returncode()
        return done.stdout

    def client(self, service: str, url: str = "", caller: Credentials = THE_ROOT) -> Any:
        make: Any = boto3.client  # of any service
        return make(
            service,
            endpoint_url=url or self.cloud.url,
            verify=self.cloud.environment.get("AWS_CA_BUNDLE"),
            region_name=REGION,
            aws_access_key_id=caller.access_key,
            aws_secret_access_key=caller.secret_key,
        )

    def named(self, resource: str) -> str:
        """The physical id of a resource."""
        found = self.client("cloudformation").describe_stack_resource(
            StackName=self.name, LogicalResourceId=resource
        )
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    @property
    def described(self) -> dict[str, Any]:
        [stack] = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return dict(stack)

    def output(self, name: str) -> str:
        return {found["OutputKey"]: str(found["OutputValue"]) for found in self.described["Outputs"]}[name]

    def events(self, resource: str) -> list[str]:
        """What became of a resource in all deployments, the newest first."""
        events = self.client("cloudformation").describe_stack_events(StackName=self.name)["StackEvents"]
        return [event["ResourceStatus"] for event in events if event["LogicalResourceId"] == resource]

    @property
    def version(self) -> str:
        """Of the API's function, behind its alias."""
        found = self.client("lambda").get_alias(FunctionName=self.named("ApiFunction"), Name="live")
        return str(found["FunctionVersion"])

    def ask(self, path: str, body: Any = None, caller: Credentials | None = THE_ROOT) -> Answer:
        """What the API says to a request, signed unless its caller is None."""
        url, data = f"{self.cloud.url}{path}", None if body is None else json.dumps(body).encode()
        request = AWSRequest("GET" if data is None else "POST", url, data=data)
        request.headers["content-type"] = "application/json"
        request.headers["host"] = f"{self.named('HttpApi')}.execute-api.localhost:{self.cloud.port}"
        if caller is not None:
            SigV4Auth(caller, "execute-api", REGION).add_auth(request)
        trust = ssl.create_default_context(cafile=self.cloud.environment.get("SSL_CERT_FILE"))
        try:
            sent = Request(url, data, dict(request.headers.items()))
            with urlopen(sent, timeout=60, context=trust) as answer:
                return Answer(answer.status, json.load(answer))
        except HTTPError as error:
            return Answer(error.code, json.load(error))

    def publish(self) -> None:
        bucket = self.named("ModelsBucket")
        self.run("thimble", "publish", str(ROOT / "model/iris.json"), "--to", f"s3://{bucket}")

    def drop(self, key: str, content: bytes) -> None:
        self.client("s3").put_object(Bucket=self.named("InboxBucket"), Key=key, Body=content)

    def summary(self, key: str) -> dict[str, Any]:
        """Of a file that was dropped, once it is there."""
        results, s3 = self.named("ResultsBucket"), self.client("s3")

        def found() -> dict[str, Any] | None:
            try:
                return dict(json.load(s3.get_object(Bucket=results, Key=f"{key}/summary.json")["Body"]))
            except s3.exceptions.NoSuchKey:
                return None

        return eventually(found)

    def ended_executions(self) -> list[str]:
        """The states of the state machine's executions, once none is running: the last task writes the
        summary, and the execution ends after it."""
        machine, steps = self.named("StateMachine"), self.client("stepfunctions")

        def ended() -> list[str] | None:
            found = steps.list_executions(stateMachineArn=machine)["executions"]
            states = [execution["status"] for execution in found]
            return None if "RUNNING" in states else states

        return eventually(ended)


def packaged() -> Template:
    """The template as `make package` leaves it, with its files by absolute paths."""
    text = (PACKAGE / "template.yaml").read_text()
    template: Template = json.loads(json.dumps(yaml_parse(text)))
    for properties in parts(template):
        for name in LOCAL_FILES:
            if isinstance(properties.get(name), str):
                properties[name] = os.path.abspath(PACKAGE / properties[name])
    return template


def parts(template: Template) -> Iterator[dict[str, Any]]:
    yield template["Globals"]["Function"]
    for resource in template["Resources"].values():
        yield resource.get("Properties", {})


def eventually(look: Callable[[], T | None]) -> T:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.2)
    raise TimeoutError(f"not within {PATIENCE} seconds")
