"""The same over TLS, where each right is asked for: what a role may is enough, what it may not is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.rehearsal import ministack
from tests.rehearsal.adapter import Template
from tests.rehearsal.stack import Stack, eventually

ROWS = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
HEADER = "id,sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"
TAKEN_AWAY = {"ApiRole": "ReadModels", "FilesRole": "WriteResults"}
RANGES = {"SplitBytes": "10485760", "RangeBytes": "5242880"}


@dataclass(frozen=True)
class Enforced(Stack):
    plain: str = ""  # the address that takes plain HTTP

    def failures(self) -> list[str]:
        """What the files function says of files that it will try again."""
        found = self.client("logs").filter_log_events(logGroupName=f"/thimble/{self.name}/files")["events"]
        return [event["message"] for event in found if "failed and will come again" in event["message"]]

    def user(self, action: str, resource: str) -> Credentials:
        """Keys of a new user with one right."""
        iam = self.client("iam")
        name = f"user-{len(iam.list_users()['Users'])}"
        statement = {"Effect": "Allow", "Action": action, "Resource": resource}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="one", PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


@pytest.fixture(scope="module")
def crippled() -> Iterator[Enforced]:
    """With a model, and roles that each lack a right."""
    with ministack.enforcing() as (cloud, plain):
        stack = Enforced(cloud, plain=plain)
        stack.deploy(take_away, **RANGES)
        stack.publish()
        yield stack


def take_away(template: Template) -> None:
    template["Resources"]["FilesFunction"]["Properties"]["Environment"]["Variables"]["RETRY_SECONDS"] = "8"
    for role, name in TAKEN_AWAY.items():
        [policy] = template["Resources"][role]["Properties"]["Policies"]
        statements = policy["PolicyDocument"]["Statement"]
        statements.remove(next(statement for statement in statements if statement["Sid"] == name))


@pytest.fixture(scope="module")
def stack(crippled: Enforced) -> Enforced:
    """As it is packaged."""
    crippled.deploy(**RANGES)
    return crippled


def test_a_role_without_its_right_fails_and_goes_on_once_it_has_it(crippled: Enforced) -> None:
    assert crippled.ask("/classify", ROWS).status == 503
    crippled.drop("early.csv", (HEADER + "1,5.1,3.5,1.4,0.2\n").encode())
    assert eventually(crippled.failures)
    crippled.deploy(**RANGES)
    assert crippled.ask("/classify", ROWS).status == 200
    assert crippled.summary("early.csv")["predictions"] == 1


def test_nobody_calls_the_api_but_who_may(stack: Enforced) -> None:
    invited = stack.user("execute-api:Invoke", stack.output("Callers"))
    uninvited = stack.user(
        "execute-api:Invoke", stack.output("Callers").replace(stack.named("HttpApi"), "other")
    )
    forger = Credentials(invited.access_key, "wrong")
    answers = [stack.ask("/classify", ROWS, caller).status for caller in (invited, uninvited, forger, None)]
    assert answers == [200, 403, 403, 403]


def test_a_file_of_several_ranges_is_classified_with_the_functions_own_roles(stack: Enforced) -> None:
    rows = "".join(f"{i},5.1,3.5,{i % 7}.4,0.2\n" for i in range(600_000))
    stack.drop("large.csv", (HEADER + rows).encode())
    assert stack.summary("large.csv")["predictions"] == 600_000


@pytest.mark.parametrize("bucket", ["ModelsBucket", "InboxBucket", "ResultsBucket", "PartsBucket"])
def test_plain_http_is_refused_by_the_buckets(stack: Enforced, bucket: str) -> None:
    """Of whom is allowed everything: no policy holds for the account's root here."""
    everybody, name = stack.user("*", "*"), stack.named(bucket)
    assert "KeyCount" in stack.client("s3", caller=everybody).list_objects_v2(Bucket=name)
    with pytest.raises(ClientError, match="AccessDenied"):
        stack.client("s3", stack.plain, everybody).list_objects_v2(Bucket=name)


@pytest.mark.parametrize("queue", ["Queue", "DeadLetters"])
def test_plain_http_is_refused_by_the_queues(stack: Enforced, queue: str) -> None:
    everybody, name = stack.user("*", "*"), stack.named(queue).rpartition("/")[2]
    assert name in stack.client("sqs", caller=everybody).get_queue_url(QueueName=name)["QueueUrl"]
    with pytest.raises(ClientError, match="AccessDenied"):
        stack.client("sqs", stack.plain, everybody).get_queue_url(QueueName=name)
