"""The stack deployed without an account: transformed by SAM's translator, made by moto's CloudFormation.

Then every function does its whole job there with the role that the template gives it. moto enforces policies
by its own reading of resources, so a guard stands before it that enforces them by AWS's: each request is an
action on a resource, by a role, and moto's evaluator of policies says whether it may. Each action and each
resource of each statement is then taken away, and something has to break.

To add a function: its role in FUNCTIONS, and what it does in DUTIES.
"""

from __future__ import annotations

import ast
import gzip
import io
import json
import logging
import re
import runpy
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from urllib.request import Request, urlopen

import polars as pl
import pytest

from tests.cloudformation import TEMPLATE, transformed
from thimble.errors import Late, Unavailable
from thimble.files import copies, events, multipart, uploads
from thimble.inference.document import digest
from thimble.registry import pointer
from thimble.split import execution
from thimble_infra import queue_mapping
from thimble_infra.build import ROOT
from thimble_infra.invocation import Context

pytestmark = pytest.mark.wide
STACK, ACCOUNT, REGION = "thimble", "123456789012", "us-east-1"
ADMINISTRATOR = "ADMINISTRATOR"  # whose requests the guard lets through
IRIS = ROOT / "model" / "iris.json"
HEADER = "id,sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"
ROWS = HEADER + "".join(f"{i},5.1,3.5,{i % 7}.4,0.2\n" for i in range(300))

NO_ALIAS = '{"Ref": "ApiFunctionAliaslive"}', '{"Ref": "ApiFunction"}'  # moto's CloudFormation has none

LEFT_OUT = {"AWS::Events::Rule"}  # moto gives no ARN of an alarm to write into it

# What moto's CloudFormation does not make: only AWS can say whether these are right.
NOT_MADE = {
    "AWS::CloudWatch::Alarm",  # of several metrics
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::Lambda::Alias",
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Stage",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::QueuePolicy",
}
FUNCTIONS = {"ApiFunction": "ApiRole", "FilesFunction": "FilesRole", "WorkflowFunction": "WorkflowRole"}
# Roles of AWS's own services, whose imitations in moto ask for no permission: only AWS can say.
NOT_ENFORCED = {"StateMachineRole", "RetrainRole"}


class Guard(BaseHTTPRequestHandler):
    """Lets through what the signing role may do, and says 403 to the rest, as AWS does."""

    protocol_version = "HTTP/1.1"

    def serve(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        role = self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
        if role != ADMINISTRATOR:
            for action, resource in requested(self.command, self.path, self.headers, body):
                if not server.allows(role, action, resource):
                    return self.refuse()
        upstream = HTTPConnection(server.upstream)
        upstream.request(self.command, self.path, body, dict(self.headers))
        response = upstream.getresponse()
        content = response.read()
        upstream.close()
        bucket = f"arn:aws:s3:::{urlsplit(self.path).path.split('/')[1]}"
        missing = response.status == 404 and self.command in ("GET", "HEAD")
        if missing and role != ADMINISTRATOR and not server.allows(role, "s3:ListBucket", bucket):
            return self.refuse()
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        known = response.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", known or str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return None

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = serve  # noqa: N815

    def refuse(self) -> None:
        xml = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        content = b'{"__type": "AccessDeniedException"}' if "X-Amz-Target" in self.headers else xml
        self.send_response_only(403)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def requested(method: str, target: str, headers: Any, body: bytes) -> Iterator[tuple[str, str]]:
    """The actions that AWS asks permission for, and on what."""
    if "X-Amz-Target" in headers:
        service, _, action = headers["X-Amz-Target"].rpartition(".")
        yield JSON_SERVICES[service](action, json.loads(body))
        return
    parts = urlsplit(target)
    _, bucket, *key = parts.path.split("/", 2)
    query = parse_qs(parts.query, keep_blank_values=True)
    arn = f"arn:aws:s3:::{bucket}" + (f"/{unquote(key[0])}" if key and key[0] else "")
    if source := headers.get("x-amz-copy-source"):
        yield "s3:GetObject", f"arn:aws:s3:::{unquote(source).lstrip('/')}"
    if "delete" in query:
        for name in re.findall(rb"<Key>(.*?)</Key>", body):
            yield "s3:DeleteObject", f"{arn}/{name.decode()}"
    elif "/" not in arn:
        yield "s3:ListBucket", arn
    elif method == "GET" and "uploadId" in query:
        yield "s3:ListMultipartUploadParts", arn
    elif method == "DELETE":
        yield "s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject", arn
    else:
        yield "s3:GetObject" if method in ("GET", "HEAD") else "s3:PutObject", arn


JSON_SERVICES: dict[str, Callable[[str, dict[str, Any]], tuple[str, str]]] = {
    "AmazonSQS": lambda action, asked: (
        f"sqs:{action}",
        f"arn:aws:sqs:{REGION}:{ACCOUNT}:{asked['QueueUrl'].rpartition('/')[2]}",
    ),
    "AWSStepFunctions": lambda action, asked: (
        f"states:{action}",
        asked.get("stateMachineArn") or asked["executionArn"],
    ),
    "Logs_20140328": lambda action, asked: (
        f"logs:{action}",
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{asked['logGroupName']}",
    ),
}


@dataclass
class Deployed:
    """The stack in moto, and its functions at work with their roles."""

    url: str  # of the guard
    resources: dict[str, str]  # physical names by logical ones
    outputs: dict[str, str]
    policies: dict[str, list[dict[str, Any]]]  # statements by role
    monkeypatch: pytest.MonkeyPatch = field(default_factory=pytest.MonkeyPatch)
    asked: set[tuple[str, str]] = field(default_factory=set)
    denied: list[tuple[str, str, str]] = field(default_factory=list)
    needs: dict[str, dict[Duty, set[tuple[str, str]]]] = field(default_factory=dict)

    def client(self, service: str, role: str = ADMINISTRATOR) -> Any:
        import boto3

        keys = {"aws_access_key_id": role, "aws_secret_access_key": "secret"}
        make: Any = boto3.client
        return make(service, REGION, endpoint_url=self.url, **keys)

    def allows(self, role: str, action: str, resource: str) -> bool:
        from moto.iam.access_control import IAMPolicy, PermissionResult

        self.asked.add((action, resource))
        policy = {"policy_document": json.dumps({"Statement": self.policies[role]})}
        allowed = IAMPolicy(policy).is_action_permitted(action, resource) is PermissionResult.PERMITTED
        if not allowed:
            self.denied.append((role, action, resource))
        return bool(allowed)

    @property
    def queue(self) -> str:
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.resources['Queue'].rpartition('/')[2]}"

    def bucket(self, name: str) -> str:
        return f"{STACK}-{name}-{ACCOUNT}-{REGION}"

    def call(self, function: str, event: Any, **variables: str) -> Any:
        """A cold start, with the environment that the function was created with."""
        found = self.client("lambda").get_function_configuration(FunctionName=self.resources[function])
        environment = {
            **found["Environment"]["Variables"],
            **{f"AWS_ENDPOINT_URL_{service}": self.url for service in ("S3", "SFN", "SQS")},
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": FUNCTIONS[function],
            "AWS_SECRET_ACCESS_KEY": "secret",
            **variables,
        }
        module, _, name = found["Handler"].partition(".")
        with self.monkeypatch.context() as patch:
            for variable, value in environment.items():
                patch.setenv(variable, str(value))
            patch.setattr("boto3.DEFAULT_SESSION", None)  # it keeps the credentials of another role
            handler = runpy.run_path(str(ROOT / "functions" / f"{module}.py"))[name]
            return handler(event, Context(function, 60.0))

    def drop(self, key: str, data: str) -> None:
        self.client("s3").put_object(Bucket=self.bucket("inbox"), Key=key, Body=data.encode())

    def result(self, key: str) -> bytes:
        found: bytes = self.client("s3").get_object(Bucket=self.bucket("results"), Key=key)["Body"].read()
        return found

    def poll(self, **variables: str) -> list[Any]:
        """As Lambda's event source mapping, in the function's name: takes messages, hands them over one by
        one and deletes those that did not fail. What the function answered."""
        sqs, url = self.client("sqs", "FilesRole"), self.resources["Queue"]
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        answers: list[Any] = []
        while messages := sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["All"]).get(
            "Messages"
        ):
            for message in messages:
                [record] = queue_mapping.event([message])["Records"]
                record["eventSourceARN"] = self.queue
                answers.append(self.call("FilesFunction", {"Records": [record]}, **variables))
                if not answers[-1]["batchItemFailures"]:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return answers

    def log(self, function: str, lines: str) -> None:
        """As Lambda, in the function's name."""
        logs, group = self.client("logs", FUNCTIONS[function]), f"/thimble/{STACK}/{lines}"
        logs.create_log_stream(logGroupName=group, logStreamName="stream")
        event = {"timestamp": 1_700_000_000_000, "message": "{}"}
        logs.put_log_events(logGroupName=group, logStreamName="stream", logEvents=[event])

    def forget(self) -> None:
        """The stack as new."""
        s3 = self.client("s3")
        for name in ("models", "inbox", "results", "parts"):
            listed = s3.list_object_versions(Bucket=self.bucket(name))
            for item in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
                s3.delete_object(Bucket=self.bucket(name), Key=item["Key"], VersionId=item["VersionId"])
        sqs, queue = self.client("sqs"), {"QueueUrl": self.resources["Queue"]}
        while messages := sqs.receive_message(**queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                sqs.delete_message(**queue, ReceiptHandle=message["ReceiptHandle"])
        for group in ("api", "files", "workflow"):
            with suppress(Exception):
                self.client("logs").delete_log_stream(
                    logGroupName=f"/thimble/{STACK}/{group}", logStreamName="stream"
                )
        for name in ("results", "parts"):
            for upload in s3.list_multipart_uploads(Bucket=self.bucket(name)).get("Uploads", []):
                s3.abort_multipart_upload(
                    Bucket=self.bucket(name), Key=upload["Key"], UploadId=upload["UploadId"]
                )
        self.denied.clear()
        self.asked.clear()

    def needing(self, function: str, action: str, resource: str) -> Iterator[Duty]:
        """The duties in which a function asks for an action on a resource."""
        if function not in self.needs:
            self.needs[function] = {}
            for duty in DUTIES[function]:
                self.forget()
                duty(self)
                self.needs[function][duty] = set(self.asked)
        for duty, asked in self.needs[function].items():
            if any(known == action and matches(resource, on) for known, on in asked):
                self.forget()
                yield duty


@pytest.fixture(scope="module")
def deployed(moto_server: str, aws_environment: dict[str, str]) -> Iterator[Deployed]:
    """The stack made once; `stack` gives it out as new."""
    for path, data in (("reset", {}), ("config", {"lambda": {"use_docker": False}})):
        request = Request(f"{moto_server}/moto-api/{path}", json.dumps(data).encode(), method="POST")
        urlopen(request).close()
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Guard)
    server.daemon_threads = True
    server.upstream = urlsplit(moto_server).netloc
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    found = Deployed(f"http://127.0.0.1:{server.server_port}", {}, {}, {})
    server.allows = found.allows
    with found.monkeypatch.context() as patch:
        for name, value in aws_environment.items():
            patch.setenv(name, value)
        # moto would hand messages to a function of its own; `poll` takes them.
        patch.setattr("moto.awslambda.models.LambdaBackend.send_sqs_batch", lambda *about: False)
        execution._client.cache_clear()
        events._client.cache_clear()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of each kind that moto does not make
            create(found)
        yield found
        execution._client.cache_clear()
        events._client.cache_clear()
    server.shutdown()
    server.server_close()
    thread.join()


def create(stack: Deployed) -> None:
    s3, formation, iam = (stack.client(service) for service in ("s3", "cloudformation", "iam"))
    s3.create_bucket(Bucket="artefacts")
    for path in ("functions", "infra/layer", "infra/workflow.asl.json"):
        file = ROOT / path
        s3.put_object(
            Bucket="artefacts", Key=path, Body=file.read_bytes() if file.is_file() else empty_archive()
        )
    template = transformed()
    for name in [name for name, found in template["Resources"].items() if found["Type"] in LEFT_OUT]:
        del template["Resources"][name]
    body = json.dumps(template).replace(*NO_ALIAS)
    formation.create_stack(StackName=STACK, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
    for found in formation.describe_stack_resources(StackName=STACK)["StackResources"]:
        if "LogicalResourceId" in found:
            stack.resources[found["LogicalResourceId"]] = found.get("PhysicalResourceId", "")
    [described] = formation.describe_stacks(StackName=STACK)["Stacks"]
    stack.outputs.update({output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]})
    for role in roles():
        stack.policies[role] = []
        for name in iam.list_role_policies(RoleName=stack.resources[role])["PolicyNames"]:
            policy = iam.get_role_policy(RoleName=stack.resources[role], PolicyName=name)["PolicyDocument"]
            policy = ast.literal_eval(policy) if isinstance(policy, str) else policy
            stack.policies[role] += policy["Statement"]
    announce(stack)


def announce(stack: Deployed) -> None:
    """What the inbox says of itself in the template; moto's CloudFormation leaves it out."""
    configured = TEMPLATE["Resources"]["InboxBucket"]["Properties"]["NotificationConfiguration"]
    [wanted] = configured["QueueConfigurations"]
    assert wanted["Queue"] == {"Fn::GetAtt": ["Queue", "Arn"]}
    stack.client("s3").put_bucket_notification_configuration(
        Bucket=stack.bucket("inbox"),
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": stack.queue, "Events": [wanted["Event"]]}]
        },
    )


def empty_archive() -> bytes:
    """The functions run from the clone."""
    archive = io.BytesIO()
    zipfile.ZipFile(archive, "w").close()
    return archive.getvalue()


def roles() -> list[str]:
    return [name for name, found in TEMPLATE["Resources"].items() if found["Type"] == "AWS::IAM::Role"]


@pytest.fixture
def stack(deployed: Deployed) -> Iterator[Deployed]:
    deployed.forget()
    yield deployed
    deployed.monkeypatch.undo()


def publish(stack: Deployed) -> None:
    """The iris model under the default's name."""
    name = TEMPLATE["Parameters"]["ModelName"]["Default"]
    data = IRIS.read_bytes()
    for path, body in (
        (pointer.document(name, digest(data)), data),
        (pointer.current(name), pointer.dump(pointer.Pointer(digest(data)))),
    ):
        stack.client("s3").put_object(Bucket=stack.bucket("models"), Key=f"models/{path}", Body=body)


def event(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / f"tests/events/{name}.json").read_bytes())
    return found


# What each function is there for. A duty that cannot be done raises.


def answers_a_request(stack: Deployed) -> None:
    publish(stack)
    answer = stack.call("ApiFunction", event("classify"))
    assert answer["statusCode"] == 200
    assert [p["label"] for p in json.loads(answer["body"])["predictions"]] == ["setosa", "virginica"]


def lists_models(stack: Deployed) -> None:
    publish(stack)
    found = event("health") | {"rawPath": "/v2/models"}
    answer = stack.call("ApiFunction", found)
    assert answer["statusCode"] == 200


def writes_its_log(function: str, group: str) -> Duty:
    def write(stack: Deployed) -> None:
        stack.log(function, group)

    return write


def classifies_a_file(stack: Deployed) -> None:
    publish(stack)
    stack.drop("a b.csv", ROWS)
    assert stack.poll() == [{"batchItemFailures": []}]
    assert stack.result("a b.csv/result.csv").count(b"\n") == 301
    stack.drop("a b.csv", ROWS)  # a duplicate
    assert stack.poll() == [{"batchItemFailures": []}]
    assert stack.poll() == []


def has_the_input_copied(stack: Deployed) -> None:
    publish(stack)
    file = io.BytesIO()  # of some ten kilobytes
    pl.read_csv(ROWS.encode()).write_parquet(file, compression="uncompressed")
    stack.client("s3").put_object(Bucket=stack.bucket("inbox"), Key="flowers.parquet", Body=file.getvalue())
    with small_parts():
        assert stack.poll() == [{"batchItemFailures": []}]
    assert stack.result("flowers.parquet/result.parquet").startswith(file.getvalue()[:8192])


def replaces_what_is_refused(stack: Deployed) -> None:
    publish(stack)
    stack.drop("flowers.csv", ROWS)
    stack.poll()
    stack.drop("flowers.csv", "\x00no table")
    assert stack.poll() == [{"batchItemFailures": []}]
    assert "error" in json.loads(stack.result("flowers.csv/summary.json"))
    listed = stack.client("s3").list_objects_v2(Bucket=stack.bucket("results"))
    assert [item["Key"] for item in listed["Contents"]] == ["flowers.csv/summary.json"]


def leaves_no_half_upload(stack: Deployed) -> None:
    publish(stack)
    stack.drop("flowers.csv", ROWS + "bad,x,,1\n")
    with small_parts():
        assert stack.poll(MAX_REJECTED_SHARE="0.001") == [{"batchItemFailures": []}]
    assert "error" in json.loads(stack.result("flowers.csv/summary.json"))
    assert "Uploads" not in stack.client("s3").list_multipart_uploads(Bucket=stack.bucket("results"))


def passes_over_a_file_that_is_gone(stack: Deployed) -> None:
    publish(stack)
    stack.drop("flowers.csv", ROWS)
    stack.client("s3").delete_object(Bucket=stack.bucket("inbox"), Key="flowers.csv")
    assert stack.poll() == [{"batchItemFailures": []}]


def hands_a_large_file_over(stack: Deployed) -> None:
    publish(stack)
    stack.drop("flowers.csv", ROWS)
    bucket, key = {"name": stack.bucket("inbox")}, {"key": "flowers.csv"}
    announced = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": bucket, "object": key},
    }
    machines, machine = stack.client("stepfunctions"), stack.resources["StateMachine"]
    for _ in range(2):  # the second time, an execution of that name has ended
        assert stack.call("FilesFunction", {"Records": [announced]}, SPLIT_BYTES="100") == {}
        for found in machines.list_executions(stateMachineArn=machine)["executions"]:
            machines.stop_execution(executionArn=found["executionArn"])
    assert len(machines.list_executions(stateMachineArn=machine)["executions"]) >= 2


def shares_a_file(stack: Deployed) -> None:
    publish(stack)
    stack.drop("flowers.csv", ROWS)
    planned = plan(stack, "flowers.csv", RANGE_BYTES="2000")
    assert planned["outcome"] == "split"
    manifest = stack.client("s3").get_object(**planned["manifest"])["Body"].read()
    with small_parts():
        for item in json.loads(manifest):
            assert stack.call("WorkflowFunction", item) == {}
        assemble = {"task": "assemble", "folder": planned["folder"]}
        assert stack.call("WorkflowFunction", assemble) == {"outcome": "done"}
    assert stack.result("flowers.csv/result.csv").count(b"\n") == 301
    left = stack.client("s3").list_objects_v2(Bucket=stack.bucket("parts"))
    assert "Contents" not in left
    assert plan(stack, "flowers.csv") == {"outcome": "done"}


def shares_no_file_that_is_gone(stack: Deployed) -> None:
    publish(stack)
    assert plan(stack, "flowers.csv") == {"outcome": "gone"}


def plan(stack: Deployed, key: str, **variables: str) -> Any:
    event = {"task": "plan", "bucket": stack.bucket("inbox"), "key": key}
    return stack.call("WorkflowFunction", event, **variables)


def resumes_a_join(stack: Deployed) -> None:
    publish(stack)
    stack.drop("flowers.csv", ROWS)
    planned = plan(stack, "flowers.csv", RANGE_BYTES="2000")
    for item in json.loads(stack.client("s3").get_object(**planned["manifest"])["Body"].read()):
        stack.call("WorkflowFunction", item)
    assemble = {"task": "assemble", "folder": planned["folder"]}
    with small_parts():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(multipart.Copying, "_part", no_time)
            assert stack.call("WorkflowFunction", assemble)["outcome"] == "repair"
        assert stack.call("WorkflowFunction", assemble) == {"outcome": "done"}
    assert stack.result("flowers.csv/result.csv").count(b"\n") == 301


def no_time(*about: Any) -> None:
    raise Late("no time")


def removes_what_an_earlier_version_left(stack: Deployed) -> None:
    shares_a_file(stack)
    stack.drop("flowers.csv", "\x00no table")
    assert plan(stack, "flowers.csv") == {"outcome": "done"}
    listed = stack.client("s3").list_objects_v2(Bucket=stack.bucket("results"))
    assert [item["Key"] for item in listed["Contents"]] == ["flowers.csv/summary.json"]


def gives_up_a_file_that_cannot_be_shared(stack: Deployed) -> None:
    publish(stack)
    packed = gzip.compress((ROWS + "bad,x,,1\n").encode())
    stack.client("s3").put_object(Bucket=stack.bucket("inbox"), Key="flowers.csv.gz", Body=packed)
    with small_parts(500):
        assert plan(stack, "flowers.csv.gz", MAX_REJECTED_SHARE="0.001") == {"outcome": "done"}
    assert "Uploads" not in stack.client("s3").list_multipart_uploads(Bucket=stack.bucket("results"))


def gives_up_a_range(stack: Deployed) -> None:
    publish(stack)
    stack.drop("flowers.csv", ROWS * 500 + "x" * (2 << 20))  # a record that is too long, after two blocks
    planned = plan(stack, "flowers.csv")
    [item] = json.loads(stack.client("s3").get_object(**planned["manifest"])["Body"].read())
    with small_parts(1 << 20), pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.cpu_count", lambda: 1)  # blocks in work at a time
        patch.setattr("thimble.tables.blocks.BLOCK_BYTES", 1 << 20)
        assert stack.call("WorkflowFunction", item) == {}
    assert "Uploads" not in stack.client("s3").list_multipart_uploads(Bucket=stack.bucket("parts"))


def says_that_there_is_no_model(stack: Deployed) -> None:
    stack.drop("flowers.csv", ROWS)
    with pytest.raises(Unavailable, match="no model"):
        plan(stack, "flowers.csv")


def lets_a_file_without_a_model_come_again_soon(stack: Deployed) -> None:
    stack.drop("flowers.csv", ROWS)
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    logging.getLogger("thimble").addHandler(handler)
    [answer] = stack.poll()
    logging.getLogger("thimble").removeHandler(handler)
    assert len(answer["batchItemFailures"]) == 1
    assert "no model" in lines.getvalue()
    assert "only after its queue's visibility timeout" not in lines.getvalue()


@contextmanager
def small_parts(size: int = 4096) -> Iterator[None]:
    """Uploads in parts of a few kilobytes, where S3 asks for 5 MiB."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
        patch.setattr(uploads, "PART_BYTES", size)
        patch.setattr(multipart, "LEAST", size)
        patch.setattr(copies, "LEAST", size)
        yield


Duty = Callable[[Deployed], None]
DUTIES: dict[str, tuple[Duty, ...]] = {
    "ApiFunction": (answers_a_request, lists_models, writes_its_log("ApiFunction", "api")),
    "FilesFunction": (
        *(classifies_a_file, has_the_input_copied, replaces_what_is_refused, leaves_no_half_upload),
        *(
            passes_over_a_file_that_is_gone,
            hands_a_large_file_over,
            lets_a_file_without_a_model_come_again_soon,
        ),
        writes_its_log("FilesFunction", "files"),
    ),
    "WorkflowFunction": (
        *(shares_a_file, shares_no_file_that_is_gone, resumes_a_join, says_that_there_is_no_model),
        *(removes_what_an_earlier_version_left, gives_up_a_file_that_cannot_be_shared, gives_up_a_range),
        writes_its_log("WorkflowFunction", "workflow"),
    ),
}


def test_what_moto_does_not_make_is_known(deployed: Deployed) -> None:
    wanted = {
        name: found
        for name, found in transformed()["Resources"].items()
        if found.get("Condition") is None  # which none is by default
    }
    assert {wanted[name]["Type"] for name in wanted.keys() - deployed.resources.keys()} == NOT_MADE | LEFT_OUT


def test_every_function_and_every_role_is_rehearsed() -> None:
    functions = {
        name for name, found in TEMPLATE["Resources"].items() if found["Type"] == "AWS::Serverless::Function"
    }
    assert functions == FUNCTIONS.keys() == DUTIES.keys()
    assert {*roles()} == {*FUNCTIONS.values()} | NOT_ENFORCED


@pytest.mark.parametrize(
    ("function", "duty"), [(name, duty) for name, duties in DUTIES.items() for duty in duties]
)
def test_a_function_does_its_whole_job_with_its_own_role(stack: Deployed, function: str, duty: Duty) -> None:
    duty(stack)
    assert stack.denied == []


def allowances() -> Iterator[tuple[str, str, str, int]]:
    """Each action on each resource that a function's role allows."""
    for function, role in FUNCTIONS.items():
        for policy in TEMPLATE["Resources"][role]["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                for action in as_list(statement["Action"]):
                    for i in range(len(as_list(statement["Resource"]))):
                        yield function, statement["Sid"], action, i


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize(("function", "sid", "action", "i"), list(allowances()))
def test_nothing_is_allowed_that_no_duty_needs(
    stack: Deployed, function: str, sid: str, action: str, i: int
) -> None:
    role = FUNCTIONS[function]
    [statement] = [found for found in stack.policies[role] if found["Sid"] == sid]
    duties = stack.needing(function, action, as_list(statement["Resource"])[i])
    for duty in duties:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(stack.policies, role, list(without(stack.policies[role], sid, action, i)))
            try:
                duty(stack)
            except Exception:
                assert [(by, what) for by, what, _ in stack.denied if (by, what) == (role, action)]
                return
    pytest.fail(f"{role} does its whole job without {action} of {sid}")


def matches(pattern: str, resource: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), resource) is not None


def without(statements: list[dict[str, Any]], sid: str, action: str, i: int) -> Iterator[dict[str, Any]]:
    for statement in statements:
        if statement["Sid"] != sid:
            yield statement
            continue
        resources = as_list(statement["Resource"])
        for each in as_list(statement["Action"]):
            left = resources[:i] + resources[i + 1 :] if each == action else resources
            if left:
                yield {**statement, "Action": each, "Resource": left}
