"""Change the packaged template where ministack imitates AWS otherwise, or not at all.

What is changed, and what ministack takes without looking, is not shown by the rehearsal. Each has a name, by
which the list "What only AWS can confirm" in infra/README.md knows it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_dump, yaml_parse

Template = dict[str, Any]
FUNCTION = "AWS::Serverless::Function"
NO_VALUE = {"Ref": "AWS::NoValue"}


@dataclass(frozen=True)
class Change:
    name: str
    reason: str
    apply: Callable[[Template, str], None]


def write(template: Template, folder: Path, endpoint: str) -> Path:
    """Write a template and its nested ones into a folder, changed for the ministack at `endpoint`."""
    for change in CHANGES:
        change.apply(template, endpoint)
    for name, stack in of_type(template, "AWS::CloudFormation::Stack"):
        nested: Template = yaml_parse(Path(stack["TemplateURL"]).read_text())
        one_metric_an_alarm(nested, endpoint)
        stack["TemplateURL"] = f"{name}.yaml"
        (folder / f"{name}.yaml").write_text(yaml_dump(nested))
    (folder / "template.yaml").write_text(yaml_dump(template))
    return folder / "template.yaml"


def of_type(template: Template, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and properties of each resource of a type."""
    for name, resource in list(template["Resources"].items()):
        if resource["Type"] == kind:
            yield name, resource.setdefault("Properties", {})


def use_local_s3(template: Template, endpoint: str) -> None:
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    variables["AWS_ENDPOINT_URL_S3"] = endpoint
    variables["AWS_ALLOW_HTTP"] = "true" if endpoint.startswith("http:") else "false"


def use_local_api(template: Template, endpoint: str) -> None:
    scheme, _, host = endpoint.partition("://")
    told = json.dumps(template["Outputs"]).replace(
        "https://${HttpApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}",
        f"{scheme}://${{HttpApi}}.execute-api.{host}",
    )
    template["Outputs"] = json.loads(told)


def deploy_at_once(template: Template, endpoint: str) -> None:
    for _, function in of_type(template, FUNCTION):
        function.pop("DeploymentPreference", None)


def one_metric_an_alarm(template: Template, endpoint: str) -> None:
    for _, alarm in of_type(template, "AWS::CloudWatch::Alarm"):
        if metrics := alarm.pop("Metrics", None):
            stat = next(metric["MetricStat"] for metric in metrics if "MetricStat" in metric)
            alarm.update(stat["Metric"], Statistic=stat["Stat"], Period=stat["Period"])


def literal_concurrency(template: Template, endpoint: str) -> None:
    for _, function in of_type(template, FUNCTION):
        for event in function.get("Events", {}).values():
            scaling: dict[str, Any] = event["Properties"]["ScalingConfig"]
            parameter = scaling["MaximumConcurrency"]["Ref"]
            scaling["MaximumConcurrency"] = int(template["Parameters"][parameter]["Default"])


def routes_for_body(template: Template, endpoint: str) -> None:
    for name, api in of_type(template, "AWS::Serverless::HttpApi"):
        body = api["DefinitionBody"]
        resources = template["Resources"]
        resources[name] = {
            "Type": "AWS::ApiGatewayV2::Api",
            "Properties": {"Name": body["info"]["title"], "ProtocolType": "HTTP"},
        }
        kept = ("DefaultRouteSettings", "AccessLogSettings")
        settings: dict[str, Any] = {key: api[key] for key in kept if key in api}
        resources[f"{name}ApiGatewayDefaultStage"] = {
            "Type": "AWS::ApiGatewayV2::Stage",
            "Properties": {
                "ApiId": {"Ref": name},
                "StageName": "$default",
                "AutoDeploy": True,
                **settings,
            },
        }
        for path, operations in body["paths"].items():
            for method, operation in operations.items():
                if "x-amazon-apigateway-integration" not in operation:
                    continue
                route(template, name, path, method, operation)


def route(template: Template, api: str, path: str, method: str, operation: dict[str, Any]) -> None:
    verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
    key = "$default" if path == "$default" else f"{verb} {path}"
    name = api + "".join(c for c in key.title() if c.isalnum())
    wanted = operation["x-amazon-apigateway-integration"]
    template["Resources"][f"{name}Integration"] = {
        "Type": "AWS::ApiGatewayV2::Integration",
        "Properties": {
            "ApiId": {"Ref": api},
            "IntegrationType": "AWS_PROXY",
            "IntegrationUri": wanted["uri"],
            "PayloadFormatVersion": wanted["payloadFormatVersion"],
        },
    }
    template["Resources"][f"{name}Route"] = {
        "Type": "AWS::ApiGatewayV2::Route",
        "Properties": {
            "ApiId": {"Ref": api},
            "RouteKey": key,
            "Target": {"Fn::Sub": f"integrations/${{{name}Integration}}"},
            "AuthorizationType": authorization(operation.get("security", [])),
        },
    }


def authorization(security: Any) -> Any:
    if isinstance(security, list):
        return authorization(security[0]) if security else "NONE"
    if security == NO_VALUE:
        return "NONE"
    if "Fn::If" in security:
        condition, then, otherwise = security["Fn::If"]
        return {"Fn::If": [condition, authorization(then), authorization(otherwise)]}
    [scheme] = security
    return {"iam": "AWS_IAM", "jwt": "JWT"}[scheme]


CHANGES = (
    Change("S3's address", "functions would call the public one", use_local_s3),
    Change("API's address", "the outputs would name the public one", use_local_api),
    Change("rollout", "ministack has no CodeDeploy", deploy_at_once),
    Change("metric math", "its alarms know one metric each", one_metric_an_alarm),
    Change(
        "concurrency",
        "it compares MaximumConcurrency, as a parameter gives it, with a number",
        literal_concurrency,
    ),
    Change("routes", "it does not read an HTTP API's OpenAPI body", routes_for_body),
)

# What ministack takes without looking, and why nothing here shows it.
UNSEEN = {
    "health": "/health is ministack's own, at the API's address too",
    "throttling": "the API's limits are stored, and no request is refused for them",
    "metrics": "no metric comes of a log line, a request or an error, so no alarm has data",
    "dashboard": "its body is stored",
    "access log": "nothing is written to it",
    "log delivery": "logs arrive whatever the roles say",
    "workflow role": "an execution calls and reads as it likes",
    "canary": "an alias may name the weights of two versions; only CodeDeploy sets them",
}
