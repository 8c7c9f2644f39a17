"""infra/deploy-role.yaml: the role by which GitHub deploys may do what the stack needs, and hardly more.

What CloudFormation needs for a type of resource is what the type's own schema says, as cfn-lint has it.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cfnlint
import pytest
from samcli.yamlhelper import yaml_parse

from tests.cloudformation import ITSELF, NESTED, transformed
from tests.cloudformation import TEMPLATE as STACK

ROOT = Path(__file__).parents[1]
TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "infra/deploy-role.yaml").read_text())
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
SERVICES_NOT_USED = {
    *("ec2", "elasticfilesystem", "firehose", "s3files", "s3tables"),
    "kms",  # a bucket names a key, and needs no right to it
}
# Of resources and properties that the stack does not have; a stack that gets one gets its right here.
NOT_USED = {
    *("codedeploy:RegisterOnPremisesInstance", "iam:DeleteRolePermissionsBoundary"),
    *("events:PutPermission", "events:RemovePermission"),
    *(f"iam:{verb}{kind}Policy" for verb in ("Delete", "Get", "Put") for kind in ("Group", "User")),
    *(f"lambda:{verb}FunctionCodeSigningConfig" for verb in ("Delete", "Put")),
    *(f"lambda:{verb}FunctionConcurrency" for verb in ("Delete", "Put")),
    *("lambda:AssociateRuntimeAlias", "lambda:GetCodeSigningConfig", "lambda:PassCapacityProvider"),
    *("lambda:PutFunctionRecursionConfig", "lambda:PutFunctionScalingConfig"),
    "lambda:PutRuntimeManagementConfig",
    *("logs:AssociateKmsKey", "logs:DisassociateKmsKey", "logs:DeleteDataProtectionPolicy"),
    *("logs:PutDataProtectionPolicy", "logs:DeleteIndexPolicy", "logs:PutIndexPolicy"),
    *("logs:DeleteResourcePolicy", "logs:PutBearerTokenAuthentication"),
    *("logs:PutLogGroupDeletionProtection", "sns:PutDataProtectionPolicy"),
    *("s3:DeleteObject", "s3:PutObjectAcl", "s3:REST.PUT.OBJECT", "s3:PutBucketAbac", "s3:PutBucketAcl"),
    *("route53:ListHostedZones", "apigateway:TagResource", "apigateway:UntagResource"),
    "s3:DeleteBucketCors",  # as the schema calls it; to IAM it is s3:PutBucketCORS
}
UNUSED_OF_BUCKETS = re.compile(
    r"s3:(Create|Delete|Put|Update)(Bucket|Object)?"
    r"(Accelerate|Analytics|BucketMetadata|Encryption$|IntelligentTiering|Inventory|Lifecycle$|Logging|"
    r"Metadata|Metrics|ObjectLock|Replication|Website).*"
)
# Beside what resources need: the SAM CLI's own calls, and what is not a resource's.
OF_THE_DEPLOYMENT = {
    *("cloudformation:CreateChangeSet", "cloudformation:DescribeChangeSet"),
    *("cloudformation:DescribeStackEvents", "cloudformation:DescribeStacks"),
    *("cloudformation:ExecuteChangeSet", "cloudformation:GetTemplateSummary"),
    *("cloudformation:ListStackResources", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"),
    *("s3:GetBucketLocation", "s3:GetBucketPolicy", "iam:CreateServiceLinkedRole", "lambda:ListTags"),
    # of the nested stack, whose schema is none of a resource
    *(f"cloudformation:{verb}Stack" for verb in ("Create", "Delete", "Update")),
    # of API Gateway's access log, whose schema does not say so
    *(f"logs:{verb}LogDelivery" for verb in ("Create", "Delete", "Get", "Update")),
    *("logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies"),
}
OF_A_NESTED_STACK = ("CreateStack", "DeleteStack", "DescribeStacks", "UpdateStack")
OF_A_DOMAIN = {"AWS::ApiGatewayV2::DomainName", "AWS::ApiGatewayV2::ApiMapping", "AWS::Route53::RecordSet"}


@cache
def types_of_the_stack() -> frozenset[str]:
    """Of the transformed template, and of a domain of its own."""
    return frozenset({r["Type"] for r in transformed()["Resources"].values()} | OF_A_DOMAIN)


@cache
def permissions_by_type() -> dict[str, frozenset[str]]:
    found = {}
    for path in (Path(cfnlint.__file__).parent / "data/schemas/resources").glob("*.json"):
        schema = json.loads(path.read_bytes())
        handlers = schema.get("handlers", {})
        found[schema["typeName"]] = frozenset(
            action
            for verb in ("create", "read", "update", "delete")
            for action in handlers.get(verb, {}).get("permissions", [])
        )
    return found


def needed(kind: str) -> set[str]:
    found = {action.replace("s3:getObject", "s3:GetObject") for action in permissions_by_type()[kind]}
    return {
        action
        for action in found
        if action.partition(":")[0] not in SERVICES_NOT_USED
        and action not in NOT_USED
        and not UNUSED_OF_BUCKETS.fullmatch(action)
    }


def statements(*policies: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for policy in policies:
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def actions(found: Iterator[dict[str, Any]]) -> set[str]:
    return {action for statement in found for action in as_list(statement["Action"])}


ROLE = RESOURCES["Role"]["Properties"]
USES = RESOURCES["WhatFunctionsUse"]["Properties"]
POLICIES = (*ROLE["Policies"], USES)
BOUNDARY = RESOURCES["Boundary"]["Properties"]
GIVEN = actions(statements(*POLICIES))


@pytest.mark.parametrize("kind", sorted(types_of_the_stack()))
def test_the_role_may_make_change_and_remove_every_resource_of_the_stack(kind: str) -> None:
    assert needed(kind)
    assert needed(kind) - GIVEN == set()


def test_the_role_may_nothing_that_the_stack_does_not_need() -> None:
    wanted = {action for kind in types_of_the_stack() for action in needed(kind)}
    assert GIVEN - wanted - OF_THE_DEPLOYMENT == set()
    assert OF_THE_DEPLOYMENT <= GIVEN


def test_the_role_may_make_change_and_remove_the_nested_stack() -> None:
    nested = [name for name, found in ITSELF["Resources"].items() if found["Type"] == NESTED]
    found = {statement["Sid"]: statement for statement in statements(*POLICIES)}
    assert [found[name]["Resource"]["Fn::Sub"].split(":stack/")[1] for name in nested] == [
        f"${{StackName}}-{name}-*/*" for name in nested
    ]
    for name in nested:
        assert {f"cloudformation:{verb}" for verb in OF_A_NESTED_STACK} == {*found[name]["Action"]}


def test_the_role_may_make_the_dashboard_by_its_name() -> None:
    name = STACK["Resources"]["Dashboard"]["Properties"]["DashboardName"]["Fn::Sub"]
    allowed = [as_list(found["Resource"]) for found in statements(USES) if found["Sid"] == "Watching"]
    ends = [resource["Fn::Sub"].rpartition(":dashboard/")[2] for resource in allowed[0]]
    assert name.replace("AWS::StackName", "StackName") in ends


def test_what_is_said_not_to_be_used_is_named_by_some_resource() -> None:
    """A name that no schema has any more, or that is misspelt, is to go."""
    named = {action for kind in types_of_the_stack() for action in permissions_by_type()[kind]}
    assert named >= NOT_USED
    assert {action.partition(":")[0] for action in named} >= SERVICES_NOT_USED


def test_no_action_is_a_wildcard() -> None:
    assert not [action for action in GIVEN | actions(statements(BOUNDARY)) if "*" in action]


def test_everything_that_has_a_name_begins_with_the_stacks() -> None:
    """What has none is listed here, with the reason in the template."""
    nameless = {
        *("Transform", "ReadTemplate", "Archives", "Layer", "Mapping", "SeeMapping", "HowRolloutsGo"),
        *("StopRollouts", "Api", "ApisOwnRole", "LogDelivery", "SeeAlarms", "Domain", "DomainChanges"),
    }
    found = {statement["Sid"]: statement for statement in statements(*POLICIES)}
    for sid in found.keys() - nameless:
        for resource in as_list(found[sid]["Resource"]):
            assert (
                "${StackName}" in resource["Fn::Sub"] or "aws-sam-cli-managed-default" in resource["Fn::Sub"]
            )
    everywhere = {sid for sid, statement in found.items() if statement["Resource"] == "*"}
    assert everywhere == {"ReadTemplate", "Mapping", "StopRollouts", "LogDelivery"}
    assert nameless <= found.keys()


def test_the_role_trusts_one_environment_of_one_repository() -> None:
    [trust] = ROLE["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert trust["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": {
                "Fn::Sub": "repo:${Repository}:environment:${Environment}"
            },
        }
    }


@pytest.mark.parametrize(
    ("repository", "taken"),
    [
        ("octo-org/octo.repo_1", True),
        ("octo-org@123456/octo-repo@456789", True),
        ("octo-org", False),
        ("octo-org/*", False),
        ("octo-org/repo:environment:dev", False),
        ("octo-org/re?po", False),
        ("", False),
    ],
)
def test_a_repository_is_named_as_githubs_tokens_name_it(repository: str, taken: bool) -> None:
    assert bool(re.search(TEMPLATE["Parameters"]["Repository"]["AllowedPattern"], repository)) is taken


def test_a_role_is_handed_to_the_services_that_the_stack_uses_and_no_other() -> None:
    [passing] = [s for s in statements(*POLICIES) if s["Action"] == "iam:PassRole"]
    passed = passing["Condition"]["StringEquals"]["iam:PassedToService"]
    trusted = {
        s["Principal"]["Service"]
        for resource in STACK["Resources"].values()
        if resource["Type"] == "AWS::IAM::Role"
        for s in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    }
    assert set(passed) == trusted | {"codedeploy.amazonaws.com"}


def test_rights_are_given_within_the_boundary_only() -> None:
    giving = {"iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"}
    bounded = {"StringEquals": {"iam:PermissionsBoundary": {"Ref": "Boundary"}}}
    awss_own = {"ArnEquals": {"iam:PolicyARN": {"Fn::Sub": RollOutPolicy}}}
    for statement in statements(*POLICIES):
        given = giving & set(as_list(statement["Action"]))
        if statement["Sid"] == "MakeRoleOfRollouts":
            assert given == {"iam:CreateRole"}
            assert statement["Resource"]["Fn::Sub"].endswith(":role/${StackName}-CodeDeployServiceRole-*")
        elif given:
            assert statement["Condition"] in (bounded, awss_own), statement["Sid"]
    assert "iam:DeleteRolePermissionsBoundary" not in GIVEN


RollOutPolicy = "arn:${AWS::Partition}:iam::aws:policy/service-role/AWSCodeDeployRoleForLambda"


def roles_of_the_stack() -> list[str]:
    return [name for name, r in STACK["Resources"].items() if r["Type"] == "AWS::IAM::Role"]


@pytest.mark.parametrize("role", roles_of_the_stack())
def test_every_role_of_the_stack_has_the_boundary_and_fits_in_it(role: str) -> None:
    properties = STACK["Resources"][role]["Properties"]
    assert properties["PermissionsBoundary"]["Fn::If"][0] == "Bounded"
    assert actions(statements(*properties["Policies"])) <= actions(statements(BOUNDARY))


def test_whoever_deploys_cannot_change_the_boundary_or_who_deploys() -> None:
    assert not {action for action in actions(statements(BOUNDARY)) if action.split(":")[0] in ("iam", "sts")}
    assert not [action for action in GIVEN if action.startswith("iam:") and "PolicyVersion" in action]
    assert not ROLE["RoleName"]["Fn::Sub"].startswith("${StackName}")


def test_policies_are_within_what_iam_takes() -> None:
    """Characters without blanks: 10,240 of a role's own, 6,144 of a managed one; with the longest names."""

    def length(*policies: dict[str, Any]) -> int:
        text = json.dumps([policy["PolicyDocument"] for policy in policies], separators=(",", ":"))
        text = re.sub(r'{"Fn::Sub":("[^"]*")}', r"\1", text)
        longest = {"StackName": "s" * 27, "AWS::Partition": "aws-us-gov", "AWS::Region": "ap-southeast-99"}
        for name, value in longest.items():
            text = text.replace(f"${{{name}}}", value)
        return len(text.replace("${AWS::AccountId}", "1" * 12))

    assert length(*ROLE["Policies"]) <= 10_240
    assert max(length(USES), length(BOUNDARY)) <= 6_144
