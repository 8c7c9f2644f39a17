"""Who may do what, read by iam-simulate and not by moto; the state machine, read by asl-validator.

What the functions need is what they ask for in the rehearsal. What AWS's own services need with our roles
stands here, as nothing on this machine asks for it.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloudformation import resolved, transformed
from tests.test_rehearsal import DUTIES, FUNCTIONS, Deployed, deployed  # noqa: F401
from thimble_infra.build import ROOT

MODULES = ROOT / ".venv/node/node_modules"
ACCOUNT, REGION = "123456789012", "us-east-1"
TEMPLATE = transformed()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
Call = tuple[str, str]  # an action on a resource
Request = tuple[str, Call, dict[str, str]]  # who, what, in which circumstances
TLS = {"aws:SecureTransport": "true"}
PLAIN = {"aws:SecureTransport": "false"}
LOG_DELIVERY = (
    *("CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery", "ListLogDeliveries"),
    *("PutResourcePolicy", "DescribeResourcePolicies", "DescribeLogGroups"),
)
ASSUMED_BY = {
    **dict.fromkeys(FUNCTIONS.values(), "lambda"),
    "StateMachineRole": "states",
    "RetrainRole": "events",
}


def judged(simulations: list[Any], definitions: list[Any]) -> dict[str, Any]:
    done = subprocess.run(
        ["node", Path(__file__).with_name("judge.cjs")],
        input=json.dumps({"simulations": simulations, "definitions": definitions}).encode(),
        env={**os.environ, "NODE_PATH": str(MODULES)},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def of_type(kind: str) -> list[str]:
    return [name for name, found in RESOURCES.items() if found["Type"] == kind]


def arns(stack: Deployed) -> dict[str, str]:
    """What Arn is of each resource that a policy names."""
    here = f"{REGION}:{ACCOUNT}"
    known = stack.resources
    return {
        **{name: f"arn:aws:s3:::{known[name]}" for name in of_type("AWS::S3::Bucket")},
        **{
            name: f"arn:aws:sqs:{here}:{known[name].rpartition('/')[2]}"
            for name in of_type("AWS::SQS::Queue")
        },
        **{name: f"arn:aws:lambda:{here}:function:{known[name]}" for name in FUNCTIONS},
        **{role: role_arn(role) for role in ASSUMED_BY},
        **{name: f"arn:aws:logs:{here}:log-group:{known[name]}:*" for name in of_type("AWS::Logs::LogGroup")},
        "Retrain": f"arn:aws:events:{here}:event-bus/thimble-retrain",
        "StateMachine": f"arn:aws:states:{here}:stateMachine:thimble-workflow",
    }


def properties(name: str, stack: Deployed) -> Any:
    """A resource's properties, the ARNs of others filled in."""
    text = json.dumps(resolved(name, TEMPLATE))
    for other, arn in arns(stack).items():
        text = text.replace(json.dumps({"Fn::GetAtt": [other, "Arn"]}), json.dumps(arn))
        text = text.replace(f"${{{other}.Arn}}", arn).replace(f"${{{other}.Name}}", arn.rpartition(":")[2])
        text = text.replace(json.dumps({"Ref": other}), json.dumps(arn))
    assert "Fn::" not in text
    assert "${" not in text
    return json.loads(text)


def resource_policy(resource: str, stack: Deployed) -> Any:
    """The policy of the bucket or queue that a resource is, or is in."""
    bare = resource.partition("/")[0]
    for kind, attached in (("AWS::S3::BucketPolicy", "Bucket"), ("AWS::SQS::QueuePolicy", "Queues")):
        for name in of_type(kind):
            found = properties(name, stack)
            if bare in found[attached]:
                return found["PolicyDocument"]
    return None


def simulation(request: Request, policies: list[Any], resource_policy: Any) -> dict[str, Any]:
    who, (action, resource), circumstances = request
    return {
        "request": {
            "principal": who,
            "action": action,
            "resource": {"resource": resource, "accountId": ACCOUNT},
            "contextVariables": circumstances,
        },
        "identityPolicies": [{"name": str(i), "policy": policy} for i, policy in enumerate(policies)],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
        "resourcePolicy": resource_policy,
    }


def allowed(requests: list[Request], stack: Deployed, **of_roles: list[Any]) -> list[Request]:
    """The requests that are let through; a principal that is a role of the stack has that role's policies."""
    policies = of_roles | {role: role_policies(role, stack) for role in ASSUMED_BY}
    attached = {resource: resource_policy(resource, stack) for _, (_, resource), _ in requests}
    simulations = [
        simulation(request, policies.get(request[0].rpartition("/")[2], []), attached[request[1][1]])
        for request in requests
    ]
    decisions = judged(simulations, [])["decisions"]
    return [request for request, found in zip(requests, decisions, strict=True) if found == "Allowed"]


def role_policies(role: str, stack: Deployed) -> list[Any]:
    return [policy["PolicyDocument"] for policy in properties(role, stack)["Policies"]]


def role_arn(role: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{role}"


def any_of(action: str, resource: str) -> Call:
    """A call without what differs from one to the next: keys, names of executions, log streams."""
    if action.startswith("logs:"):
        return action, f"{resource}:log-stream:stream"
    return action, re.sub(
        r"(:execution:[^:]*):.*", r"\1:one", re.sub(r"(:s3:::[^/]*)/.*", r"\1/a key", resource)
    )


@pytest.fixture(scope="module")
def needed(deployed: Deployed) -> dict[str, set[Call]]:  # noqa: F811
    """What each role has to be let do."""
    found: dict[str, set[Call]] = {role: set() for role in FUNCTIONS.values()}
    for function, role in FUNCTIONS.items():
        for duty in DUTIES[function]:
            deployed.forget()
            duty(deployed)
            found[role] |= {any_of(*call) for call in deployed.asked}
    known = arns(deployed)
    execution = known["StateMachine"].replace(":stateMachine:", ":execution:")
    found["StateMachineRole"] = {
        ("lambda:InvokeFunction", known["WorkflowFunction"]),
        ("s3:GetObject", f"{known['PartsBucket']}/a key"),
        ("states:StartExecution", known["StateMachine"]),
        ("states:DescribeExecution", f"{execution}:one"),
        ("states:StopExecution", f"{execution}:one"),
        ("states:RedriveExecution", f"{execution}/Classify:one"),
        *((f"logs:{action}", "*") for action in LOG_DELIVERY),
    }
    found["RetrainRole"] = {("events:PutEvents", known["Retrain"])}
    return found


def test_each_role_may_do_what_it_needs_and_nothing_that_another_needs(
    deployed: Deployed,  # noqa: F811
    needed: dict[str, set[Call]],
) -> None:
    """Each action on each bucket too, as the nearest that is not needed."""
    calls = set().union(*needed.values())
    actions = {action for action, resource in calls if resource.startswith("arn:aws:s3:")}
    buckets = [arns(deployed)[name] for name in of_type("AWS::S3::Bucket")]
    calls |= {
        (action, bucket if action == "s3:ListBucket" else f"{bucket}/a key")
        for action in actions
        for bucket in buckets
    }
    requests: list[Request] = [(role_arn(role), call, TLS) for role in needed for call in sorted(calls)]
    found = {(who, call) for who, call, _ in allowed(requests, deployed)}
    assert found == {(role_arn(role), call) for role, own in needed.items() for call in own}


def test_no_role_may_do_the_same_to_another_stack(
    deployed: Deployed,  # noqa: F811
    needed: dict[str, set[Call]],
) -> None:
    requests: list[Request] = [
        (role_arn(role), (action, re.sub("thimble", "another", resource, flags=re.IGNORECASE)), TLS)
        for role, calls in needed.items()
        for action, resource in calls
        if resource != "*"
    ]
    assert all("another" in resource for _, (_, resource), _ in requests)
    assert allowed(requests, deployed) == []


def test_nobody_reaches_a_bucket_or_a_queue_over_plain_http(deployed: Deployed) -> None:  # noqa: F811
    known = arns(deployed)
    calls: list[Call] = [
        *(("s3:ListBucket", known[name]) for name in of_type("AWS::S3::Bucket")),
        *(
            (action, f"{known[name]}/a key")
            for action in ("s3:GetObject", "s3:PutObject")
            for name in of_type("AWS::S3::Bucket")
        ),
        *(
            (action, known[name])
            for action in ("sqs:SendMessage", "sqs:ReceiveMessage")
            for name in of_type("AWS::SQS::Queue")
        ),
    ]
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    requests: list[Request] = [(role_arn("Admin"), call, how) for how in (TLS, PLAIN) for call in calls]
    assert allowed(requests, deployed, Admin=[everything]) == requests[: len(calls)]


def announcements(stack: Deployed) -> Iterator[Request]:
    """By the inbox; then by whom the queue does not know, each different in one thing."""
    known, service = arns(stack), "s3.amazonaws.com"
    send = "sqs:SendMessage"
    of_inbox = {**TLS, "aws:SourceArn": known["InboxBucket"], "aws:SourceAccount": ACCOUNT}
    yield service, (send, known["Queue"]), of_inbox
    yield service, (send, known["DeadLetters"]), of_inbox
    yield service, ("sqs:ReceiveMessage", known["Queue"]), of_inbox
    yield service, (send, known["Queue"]), of_inbox | PLAIN
    yield service, (send, known["Queue"]), of_inbox | {"aws:SourceArn": known["ResultsBucket"]}
    yield service, (send, known["Queue"]), of_inbox | {"aws:SourceAccount": "999999999999"}
    yield service, (send, known["Queue"]), TLS
    yield "sns.amazonaws.com", (send, known["Queue"]), of_inbox
    yield "arn:aws:iam::999999999999:role/Stranger", (send, known["Queue"]), of_inbox
    for role in ASSUMED_BY:
        yield role_arn(role), (send, known["Queue"]), TLS


def test_the_inbox_may_announce_to_the_queue_and_nobody_else_may(deployed: Deployed) -> None:  # noqa: F811
    requests = list(announcements(deployed))
    assert allowed(requests, deployed) == requests[:1]


def test_each_role_is_taken_by_its_own_service_alone(deployed: Deployed) -> None:  # noqa: F811
    asked: list[tuple[str, str]] = [
        (role, service) for role in ASSUMED_BY for service in sorted({*ASSUMED_BY.values(), "ec2"})
    ]
    simulations = [
        simulation(
            (f"{service}.amazonaws.com", ("sts:AssumeRole", role_arn(role)), {"aws:SourceAccount": ACCOUNT}),
            [],
            properties(role, deployed)["AssumeRolePolicyDocument"],
        )
        for role, service in asked
    ]
    decisions = judged(simulations, [])["decisions"]
    assert {pair for pair, found in zip(asked, decisions, strict=True) if found == "Allowed"} == {
        *ASSUMED_BY.items()
    }


def definition(stack: Deployed) -> str:
    text = (ROOT / "infra/workflow.asl.json").read_text()
    substitutions: dict[str, str] = properties("StateMachine", stack)["DefinitionSubstitutions"]
    for name, value in substitutions.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def test_the_state_machine_is_valid_and_a_misspelt_word_is_found(deployed: Deployed) -> None:  # noqa: F811
    text = definition(deployed)
    assert "${" not in text
    spoilt = [
        text.replace(f'"{word}":', f'"{word}x":', 1) for word in ("End", "Next", "StartAt", "States", "Type")
    ]
    valid, *faults = judged([], [json.loads(each) for each in [text, *spoilt]])["faults"]
    assert valid == []
    assert all(faults)


def test_uploads_reach_what_was_uploaded_and_nothing_beside_it(deployed: Deployed) -> None:  # noqa: F811
    """A form or a link may do no more than its signer."""
    known, key = arns(deployed), "iris/uploads/owner/token/a.csv"
    inbox, results = known["InboxBucket"], known["ResultsBucket"]
    wanted: list[Call] = [
        ("s3:PutObject", f"{inbox}/{key}"),
        ("s3:GetObject", f"{inbox}/{key}"),
        ("s3:GetObject", f"{results}/{key}/result.csv"),
        ("s3:ListBucket", inbox),
        ("s3:ListBucket", results),
    ]
    others: list[Call] = [
        ("s3:PutObject", f"{inbox}/iris/a.csv"),
        ("s3:PutObject", f"{inbox}/uploads/a.csv"),
        ("s3:PutObject", f"{results}/{key}/result.csv"),
        ("s3:PutObject", f"{known['ModelsBucket']}/{key}"),
        ("s3:GetObject", f"{inbox}/iris/a.csv"),
        ("s3:GetObject", f"{results}/iris/a.csv/result.csv"),
        ("s3:GetObject", f"{known['PartsBucket']}/{key}"),
        ("s3:DeleteObject", f"{inbox}/{key}"),
        ("s3:GetObjectVersion", f"{inbox}/{key}"),
        ("s3:ListBucket", known["PartsBucket"]),
    ]
    requests: list[Request] = [(role_arn("Signer"), call, TLS) for call in wanted + others]
    policy = properties("UploadsPolicy", deployed)["PolicyDocument"]
    assert allowed(requests, deployed, Signer=[policy]) == requests[: len(wanted)]
