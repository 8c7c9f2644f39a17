"""template.yaml keeps what the README promises of the stack: nothing lost, public or in a loop."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import files
from tests.cloudformation import TEMPLATE
from thimble_infra import apigateway, aws, figures, queue_mapping

ROOT = Path(__file__).parents[1]
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
FUNCTION_DEFAULTS: dict[str, Any] = TEMPLATE["Globals"]["Function"]


def of_type(kind: str) -> list[str]:
    return sorted(name for name, resource in RESOURCES.items() if resource["Type"] == kind)


def properties(name: str) -> dict[str, Any]:
    found: dict[str, Any] = RESOURCES[name]["Properties"]
    return found


def variables(function: str) -> dict[str, Any]:
    own = properties(function).get("Environment", {"Variables": {}})["Variables"]
    return {**FUNCTION_DEFAULTS["Environment"]["Variables"], **own}


def statements(role: str) -> list[dict[str, Any]]:
    return [s for policy in properties(role)["Policies"] for s in policy["PolicyDocument"]["Statement"]]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


FUNCTIONS = of_type("AWS::Serverless::Function")
BUCKETS = of_type("AWS::S3::Bucket")
ROLES = of_type("AWS::IAM::Role")
QUEUES = of_type("AWS::SQS::Queue")
WITHOUT_RESOURCES = {  # what a state machine needs in order to log; IAM knows no resources for these
    *("logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery"),
    *("logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies"),
    "logs:DescribeLogGroups",
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_handler_is_where_the_template_says(function: str) -> None:
    module, name = properties(function)["Handler"].split(".")
    tree = ast.parse((ROOT / "functions" / f"{module}.py").read_text())
    assigned = {ast.unparse(t) for node in tree.body if isinstance(node, ast.Assign) for t in node.targets}
    assert name in assigned


def test_all_functions_are_built_once_from_one_folder() -> None:
    assert FUNCTION_DEFAULTS["CodeUri"] == "functions"
    assert not [f for f in FUNCTIONS if {"CodeUri", "Runtime", "Architectures"} & properties(f).keys()]


def test_the_functions_get_every_setting_that_the_code_reads_and_no_other() -> None:
    source = (ROOT / "functions/thimble/settings.py").read_text()
    read = set(re.findall(r'"([A-Z][A-Z_]+)"', source))
    given = {name for function in FUNCTIONS for name in variables(function)}
    assert read <= given
    others = (
        "AWS_",
        "POWERTOOLS_",
        "OPENBLAS_",
        "MALLOC_",
        "POLARS_",
        "PUBLISHED_WITH",
    )  # AWS, libraries, SAM
    assert {name for name in given - read if not name.startswith(others)} == set()


@pytest.mark.parametrize("function", ["FilesFunction", "WorkflowFunction"])
def test_the_benchmark_classifies_files_in_the_functions_environment(function: str) -> None:
    assert files.ENVIRONMENT.items() <= variables(function).items()


def test_the_operators_page_names_every_output() -> None:
    page = (ROOT / "infra/README.md").read_text()
    assert [name for name in TEMPLATE["Outputs"] if f"`{name}`" not in page] == []


def test_sam_local_replaces_only_variables_that_the_template_has() -> None:
    """It drops others without a word."""
    replaced = json.loads((ROOT / "infra/sam-local.json").read_text())["Parameters"].keys()
    assert replaced <= {name for function in FUNCTIONS for name in variables(function)}


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_bucket_is_private_and_encrypted(bucket: str) -> None:
    assert set(properties(bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties(bucket)["BucketEncryption"]


def test_what_outlives_the_stack_is_not_in_the_way_of_a_first_deploy_that_is_tried_again() -> None:
    """A name that is fixed is taken for as long as anything has it."""
    policies = {name: found.get("DeletionPolicy", "Delete") for name, found in RESOURCES.items()}
    assert {name for name, policy in policies.items() if policy == "RetainExceptOnCreate"} == {*BUCKETS}
    assert {*policies.values()} == {"RetainExceptOnCreate", "Delete"}
    assert {RESOURCES[bucket]["UpdateReplacePolicy"] for bucket in BUCKETS} == {"Retain"}


@pytest.mark.parametrize("bucket", BUCKETS)
def test_half_an_upload_is_not_paid_for_for_ever(bucket: str) -> None:
    rules = properties(bucket)["LifecycleConfiguration"]["Rules"]
    assert [rule for rule in rules if "AbortIncompleteMultipartUpload" in rule]


@pytest.mark.parametrize(
    ("resource", "kind", "attribute"),
    [(name, "AWS::S3::BucketPolicy", "Bucket") for name in BUCKETS]
    + [(name, "AWS::SQS::QueuePolicy", "Queues") for name in QUEUES],
)
def test_a_bucket_or_queue_is_reached_over_tls_only(resource: str, kind: str, attribute: str) -> None:
    [policy] = [p for p in of_type(kind) if {"Ref": resource} in as_list(properties(p)[attribute])]
    denied = [s for s in properties(policy)["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
    assert [s["Condition"] for s in denied] == [{"Bool": {"aws:SecureTransport": "false"}}]
    assert denied[0]["Principal"] == "*"
    assert {"Fn::GetAtt": [resource, "Arn"]} in as_list(denied[0]["Resource"])


@pytest.mark.parametrize("bucket", ["ModelsBucket", "InboxBucket"])
def test_what_cannot_be_made_again_is_versioned(bucket: str) -> None:
    assert properties(bucket)["VersioningConfiguration"]["Status"] == "Enabled"


def test_no_function_can_write_where_files_are_announced() -> None:
    announcing = [
        bucket
        for bucket in BUCKETS
        if "QueueConfigurations" in properties(bucket).get("NotificationConfiguration", {})
    ]
    assert announcing == ["InboxBucket"]
    for statement in (s for role in ROLES for s in statements(role)):
        if "InboxBucket" in json.dumps(statement["Resource"]):
            assert set(as_list(statement["Action"])) <= {
                "s3:GetObject",
                "s3:GetObjectVersion",
                "s3:ListBucket",
            }


def test_the_queue_takes_announcements_of_the_inbox_alone() -> None:
    [allow] = [s for s in properties("QueuePolicy")["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    arn = allow["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
    assert arn.split(":::")[1] == properties("InboxBucket")["BucketName"]["Fn::Sub"]
    assert allow["Principal"] == {"Service": "s3.amazonaws.com"}
    assert allow["Action"] == "sqs:SendMessage"


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_is_encrypted_and_keeps_messages_for_two_weeks(queue: str) -> None:
    assert properties(queue)["SqsManagedSseEnabled"] is True
    assert properties(queue)["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_a_file_that_fails_is_tried_again_alone_and_then_kept() -> None:
    files, queue = properties("FilesFunction"), properties("Queue")
    source = files["Events"]["Dropped"]["Properties"]
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert queue["VisibilityTimeout"] >= 6 * files["Timeout"]
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["DeadLetters", "Arn"]}
    assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5


def test_the_local_stack_waits_and_tries_as_the_deployed_one() -> None:
    files, queue = properties("FilesFunction"), properties("Queue")
    assert files["Timeout"] == properties("WorkflowFunction")["Timeout"] == aws.FUNCTION_TIMEOUT
    assert files["Events"]["Dropped"]["Properties"]["BatchSize"] == queue_mapping.BATCH_SIZE
    assert queue["VisibilityTimeout"] == aws.VISIBILITY_TIMEOUT
    assert queue["RedrivePolicy"]["maxReceiveCount"] == aws.ATTEMPTS
    assert properties("ApiFunction")["Timeout"] == apigateway.FUNCTION_TIMEOUT


def test_every_function_has_a_role_and_a_log_of_its_own() -> None:
    roles = [json.dumps(properties(function)["Role"]) for function in FUNCTIONS]
    logs = [properties(function)["LoggingConfig"]["LogGroup"]["Ref"] for function in FUNCTIONS]
    assert len(set(roles)) == len(set(logs)) == len(FUNCTIONS)


def test_logs_do_not_pile_up_for_ever() -> None:
    groups = of_type("AWS::Logs::LogGroup")
    assert groups
    assert all("RetentionInDays" in properties(group) for group in groups)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_neither_wildcards_nor_managed_policies(role: str) -> None:
    assert "ManagedPolicyArns" not in properties(role)
    for statement in statements(role):
        actions = as_list(statement["Action"])
        assert not [action for action in actions if "*" in action]
        assert "*" not in as_list(statement["Resource"]) or set(actions) <= WITHOUT_RESOURCES


def routes() -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = properties("HttpApi")["DefinitionBody"]["paths"]
    return {
        f"{method} {path}": found
        for path, methods in paths.items()
        for method, found in methods.items()
        if method != "parameters"
    }


def test_every_path_reaches_the_function_and_no_cors_of_the_gateways_answers_for_it() -> None:
    integrations = [route["x-amazon-apigateway-integration"] for route in routes().values()]
    assert integrations == [integrations[0]] * len(integrations)
    assert integrations[0]["payloadFormatVersion"] == "2.0"
    assert "${ApiFunction.Arn}:live" in integrations[0]["uri"]["Fn::Sub"]
    assert routes()["x-amazon-apigateway-any-method $default"]["isDefaultRoute"] is True
    assert "CorsConfiguration" not in properties("HttpApi")


PAGE = {f"{method} {path}" for method in ("get", "head") for path in ("/", "/page/{file}")}


def test_strangers_reach_health_preflight_and_perhaps_the_page_alone() -> None:
    assert TEMPLATE["Parameters"]["Auth"]["Default"] == "IAM"
    opened = {route for route, found in routes().items() if "security" not in found}
    assert opened == {"get /health", "head /health", "options /", "options /{proxy+}"}
    others = {route: found["security"] for route, found in routes().items() if "security" in found}
    [[closed]] = [security for route, security in others.items() if route not in PAGE]
    assert closed["Fn::If"][:2] == ["ByIam", {"iam": []}]
    assert closed["Fn::If"][2]["Fn::If"] == ["ByJwt", {"jwt": []}, {"Ref": "AWS::NoValue"}]
    page = [{"Fn::If": ["PageIsOpen", {"Ref": "AWS::NoValue"}, closed]}]  # an empty list where it is open
    assert all(others[route] == page for route in PAGE)


def test_an_api_that_is_open_says_so() -> None:
    warning = TEMPLATE["Outputs"]["Warning"]
    assert warning["Condition"] == "ByNobody"
    assert TEMPLATE["Conditions"]["ByNobody"] == {"Fn::Equals": [{"Ref": "Auth"}, "NONE"]}


def test_a_flood_of_requests_is_throttled() -> None:
    assert properties("HttpApi")["DefaultRouteSettings"].keys() >= {
        "ThrottlingRateLimit",
        "ThrottlingBurstLimit",
    }


def test_a_new_version_takes_over_in_steps_and_an_alarm_brings_the_old_one_back() -> None:
    function = properties("ApiFunction")
    assert function["AutoPublishAlias"] == "live"
    assert function["DeploymentPreference"]["Alarms"] == [{"Ref": "VersionFails"}]  # see test_alarms.py
    assert not TEMPLATE["Parameters"]["Rollout"]["Default"].startswith("AllAtOnce")


def test_permission_to_call_the_api_is_the_gateways_alone() -> None:
    permission = properties("ApiMayCall")
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert "${HttpApi}" in permission["SourceArn"]["Fn::Sub"]


def test_logs_that_aws_delivers_are_where_it_may_deliver() -> None:
    delivered = {
        properties("HttpApi")["AccessLogSettings"]["DestinationArn"]["Fn::GetAtt"][0],
        *(
            destination["CloudWatchLogsLogGroup"]["LogGroupArn"]["Fn::GetAtt"][0]
            for destination in properties("StateMachine")["Logging"]["Destinations"]
        ),
    }
    of_functions = {properties(function)["LoggingConfig"]["LogGroup"]["Ref"] for function in FUNCTIONS}
    assert delivered == {*of_type("AWS::Logs::LogGroup")} - of_functions
    for group in delivered:
        assert properties(group)["LogGroupName"]["Fn::Sub"].startswith("/aws/vendedlogs/")


def test_a_split_file_leaves_the_account_s_other_functions_most_of_its_concurrency() -> None:
    default = int(TEMPLATE["Parameters"]["MapConcurrency"]["Default"])
    assert 100 <= default <= 500  # of an account's 1,000
    assert figures.ASSUMED["functions_at_a_time"] == default


def test_the_access_log_holds_no_bodies() -> None:
    fields = json.loads(properties("HttpApi")["AccessLogSettings"]["Format"])
    assert set(fields.values()) <= {
        "$context.requestId",
        "$context.requestTime",
        "$context.identity.sourceIp",
        "$context.httpMethod",
        "$context.path",
        "$context.status",
        "$context.responseLength",
        "$context.responseLatency",
        "$context.integrationErrorMessage",
    }


@pytest.mark.parametrize("parameter", TEMPLATE["Parameters"])
def test_the_stack_deploys_without_an_answer_to_any_parameter(parameter: str) -> None:
    assert "Default" in TEMPLATE["Parameters"][parameter]
    assert TEMPLATE["Parameters"][parameter]["Description"]


def test_what_no_execution_removed_goes_in_the_end() -> None:
    rules = properties("PartsBucket")["LifecycleConfiguration"]["Rules"]
    assert [rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule] == [
        {"Ref": "PartsDays"}
    ]


def test_the_state_machine_is_given_all_that_it_asks_for_and_logs_no_data() -> None:
    machine = properties("StateMachine")
    asked = set(re.findall(r"\$\{(\w+)\}", (ROOT / machine["DefinitionUri"]).read_text()))
    assert asked == machine["DefinitionSubstitutions"].keys()
    assert machine["Type"] == "STANDARD"  # the others cannot be redriven
    assert machine["Logging"]["IncludeExecutionData"] is False


def test_the_state_machine_may_start_its_own_ranges() -> None:
    name = properties("StateMachine")["Name"]["Fn::Sub"]
    [start] = [s for s in statements("StateMachineRole") if "states:StartExecution" in s["Action"]]
    assert start["Resource"]["Fn::Sub"].endswith(f":stateMachine:{name}")


def test_the_files_function_may_start_the_workflow_and_ask_after_it() -> None:
    given = {action: s["Resource"] for s in statements("FilesRole") for action in as_list(s["Action"])}
    assert given["states:StartExecution"] == {"Ref": "StateMachine"}
    assert ":execution:${StateMachine.Name}:*" in given["states:DescribeExecution"]["Fn::Sub"]
