"""The stack as CloudFormation makes it of template.yaml, for parameters of every kind."""

import json
import re
from collections.abc import Iterator
from itertools import combinations, product
from random import Random
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from openapi_spec_validator import OpenAPIV30SpecValidator
from samcli.lib.cfn_language_extensions.api import process_template

from tests.cloudformation import PARAMETERS, STACK, holds, resolved, transformed, uploaded, values

Choice = dict[str, str]
TOKENS = {"JwtIssuer": "https://issuer.example.com/pool/", "JwtAudience": "thimble,another"}
DOMAIN = {
    "DomainName": "models.example.com",
    "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/3f0e1c2b-1111-2222-3333-444455556666",
}
# What one may choose beside the defaults; of a group, one at a time.
CHOICES: list[list[Choice]] = [
    [{"ModelName": "penguins.2_b"}],
    [{"ModelVersion": "0123456789abcdef"}],
    [{"ModelRefreshSeconds": "0"}],
    [{"Architecture": "arm64"}],
    [{"ApiMemory": "256"}, {"ApiMemory": "10240"}],
    [{"FilesMemory": "512"}, {"FilesMemory": "10240"}],
    [{"FilesConcurrency": "2"}, {"FilesConcurrency": "1000"}],
    [{"MaxRows": "1"}],
    [{"MaxRejectedShare": "0.25"}],
    [{"UnknownFolder": "default"}],
    [{"Delimiter": "tab", "Quote": "none"}, {"Delimiter": ";", "Quote": "'"}],
    [{"Header": "present"}, {"Header": "absent"}],
    [{"Decimal": "comma"}, {"Decimal": "point"}],
    [{"Threshold": "0.25"}],
    [{"AbstainBelow": "0.8"}],
    [{"Explain": "all"}, {"Explain": "3"}],
    [{"Coverage": "0.95", "ByClass": "true"}],
    [{"WhatIf": "true"}],
    [{"SplitBytes": "10000000"}],
    [{"RangeBytes": "999999999"}],
    [{"MapConcurrency": "1"}, {"MapConcurrency": "10000"}],
    [{"PartsDays": "1"}],
    [
        {"Auth": "JWT", **TOKENS},
        {"Auth": "NONE"},
        {"Uploads": "Enabled"},
        {"Uploads": "Enabled", "Auth": "JWT", **TOKENS},
    ],
    [{"Page": "Closed"}],
    [{"UploadBytes": "1000000"}],
    [{"ThrottleRate": "1"}],
    [{"ThrottleBurst": "1"}],
    [{"Rollout": "AllAtOnce"}, {"Rollout": "Linear10PercentEvery1Minute"}],
    [{"SnapStart": "PublishedVersions"}, {"ProvisionedConcurrency": "5"}],
    [DOMAIN, {**DOMAIN, "HostedZoneId": "Z0123456789ABCDEFGHIJ"}],
    [{"KmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/3f0e1c2b-1111-2222-3333-444455556666"}],
    [{"PermissionsBoundary": "thimble-boundary"}],
    [{"AlertEmail": "operator@example.com"}],
    [{"CorsAllowOrigin": "*"}, {"CorsAllowOrigin": "https://app.example.com"}],
    [{"LogLevel": "DEBUG"}],
    [{"LogRetentionDays": "1"}, {"LogRetentionDays": "3653"}],
]
SINGLE = [choice for group in CHOICES for choice in group]


def named(choice: Choice) -> str:
    return ",".join(f"{name}={value}" for name, value in choice.items()) or "defaults"


def whole(chosen: tuple[int, ...]) -> Choice:
    """The parameters of one choice a group; of none where that is beyond its end."""
    found = [group[i] for group, i in zip(CHOICES, chosen, strict=True) if i < len(group)]
    return {name: value for choice in found for name, value in choice.items()}


def each_choice_once() -> Iterator[Choice]:
    for i in range(max(map(len, CHOICES)) + 1):
        yield whole(tuple((i + at) % (len(group) + 1) for at, group in enumerate(CHOICES)))


def each_pair_of_choices() -> Iterator[Choice]:
    """Few combinations in which any two choices of two groups meet."""
    chance = Random(0)
    left = {
        ((a, i), (b, j))
        for (a, one), (b, other) in combinations(enumerate(CHOICES), 2)
        for i, j in product(range(len(one) + 1), range(len(other) + 1))
    }
    while left:
        tried = [tuple(chance.randint(0, len(group)) for group in CHOICES) for _ in range(30)]
        best = max(tried, key=lambda chosen: len(left.intersection(combinations(enumerate(chosen), 2))))
        left.difference_update(combinations(enumerate(best), 2))
        yield whole(best)


def test_every_parameter_is_chosen_other_than_by_default() -> None:
    assert {name for choice in SINGLE for name in choice} == PARAMETERS.keys()
    assert not [choice for choice in SINGLE if choice.items() <= values().items()]


def test_the_api_s_body_is_complete_openapi_whatever_is_chosen() -> None:
    bodies = {
        json.dumps(resolved("HttpApi", transformed(**choice))["Body"]) for choice in each_pair_of_choices()
    }
    assert len(bodies) == 5  # of IAM and JWT with the page open and closed; of NONE it is open in any case
    for body in map(json.loads, bodies):
        assert [error.message for error in OpenAPIV30SpecValidator(body).iter_errors()] == []
        [default] = [path for path in body["paths"] if "$default" in path]
        assert body["paths"][default]["x-amazon-apigateway-any-method"][
            "responses"
        ]  # which the validator passes by


@pytest.mark.parametrize("choice", list(each_choice_once()), ids=lambda choice: f"{len(choice)} chosen")
def test_the_transformed_template_has_nothing_to_warn_of(choice: Choice) -> None:
    """W2001, of parameters that nothing uses: SAM writes some values in their place. `make check` has it."""
    found = lint(json.dumps(transformed(**choice)), config=ManualArgs(ignore_checks=["W2001"]))
    assert [f"{match.rule.id} {match.message} at {match.path}" for match in found] == []


def version(template: dict[str, Any]) -> str:
    resources: dict[str, Any] = template["Resources"]
    [name] = [name for name, found in resources.items() if found["Type"] == "AWS::Lambda::Version"]
    return name


def configuration(template: dict[str, Any]) -> dict[str, Any]:
    """What a version keeps of the function."""
    found: dict[str, Any] = resolved("ApiFunction", template)
    del found["Environment"]["Variables"]["PUBLISHED_WITH"]
    return found


@pytest.mark.parametrize("choice", SINGLE, ids=named)
def test_a_version_is_published_when_a_parameter_changes_the_function_and_only_then(choice: Choice) -> None:
    """Lambda refuses another version of a function that has not changed."""
    before, after = transformed(), transformed(**choice)
    assert (version(before) == version(after)) == (configuration(before) == configuration(after))


def test_memory_model_and_snapshots_reach_the_alias() -> None:
    choices: list[Choice] = [
        {"Architecture": "arm64"},
        {"ApiMemory": "512"},
        {"ModelName": "penguins"},
        {"ModelVersion": "012345"},
        {"ModelRefreshSeconds": "10"},
        {"SnapStart": "PublishedVersions"},
        {"MaxRows": "5"},
        {"CorsAllowOrigin": "*"},
        {"LogLevel": "DEBUG"},
    ]
    published = {version(transformed(**choice)) for choice in ({}, *choices)}
    assert len(published) == 1 + len(choices)


def test_functions_and_layer_have_the_processors_that_are_chosen() -> None:
    resources = transformed()["Resources"].values()
    kept = {
        "AWS::Lambda::Function": "Architectures",
        "AWS::Lambda::LayerVersion": "CompatibleArchitectures",
    }
    for kind, name in kept.items():
        found = [resource["Properties"][name] for resource in resources if resource["Type"] == kind]
        assert found
        assert all(each == [{"Ref": "Architecture"}] for each in found)


def test_another_package_is_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = version(transformed())
    monkeypatch.setattr("tests.cloudformation.uploaded", lambda: uploaded("another.zip"))
    assert version(transformed()) != before


@pytest.mark.parametrize("choice", [{}, {"ModelName": "a", "CorsAllowOrigin": "https://b.example"}])
def test_another_implementation_of_the_extensions_says_the_same(choice: Choice) -> None:
    theirs = process_template(uploaded(), values(**choice), STACK)["Resources"]["ApiFunction"]["Properties"]
    ours = resolved("ApiFunction", transformed(**choice))
    assert (
        theirs["Environment"]["Variables"]["PUBLISHED_WITH"]
        == (ours["Environment"]["Variables"]["PUBLISHED_WITH"])
    )


def test_the_longest_values_fit_into_the_4_kb_that_lambda_has_for_variables() -> None:
    longest = {
        "ModelName": "m" * 100,
        "ModelVersion": "a" * 64,
        "ModelRefreshSeconds": "99999",
        "MaxRows": "9999999",
        "CorsAllowOrigin": "https://" + "o" * 247,
        "LogLevel": "WARNING",
        "SnapStart": "PublishedVersions",
    }
    variables = resolved("ApiFunction", transformed(**longest))["Environment"]["Variables"]
    assert (
        sum(len(name) + len(value) for name, value in variables.items()) < 3000
    )  # names of buckets come to it


def test_a_domain_leads_to_the_api_and_the_outputs_name_it() -> None:
    assert output("Url").endswith(".execute-api.us-east-1.amazonaws.com")
    assert output("Url", **DOMAIN) == "https://models.example.com"
    assert output("Classify", **DOMAIN).endswith(" https://models.example.com/classify")
    template = transformed(**DOMAIN)
    assert resolved("Domain", template)["DomainName"] == "models.example.com"
    leads = resolved("DomainLeadsToApi", template)
    assert template["Resources"][leads["ApiId"]["Ref"]]["Type"] == "AWS::ApiGatewayV2::Api"
    assert template["Resources"][leads["Stage"]["Ref"]]["Type"] == "AWS::ApiGatewayV2::Stage"


def test_a_domain_gets_its_record_or_the_outputs_say_where_to_point_it() -> None:
    own = {"Domain", "DomainLeadsToApi", "DomainRecord", "PointDomainAt"}
    assert own & made() == set()
    assert own & made(**DOMAIN) == own - {"DomainRecord"}
    assert own & made(**DOMAIN, HostedZoneId="Z0123456789ABCDEFGHIJ") == own - {"PointDomainAt"}


def output(name: str, **given: str) -> str:
    """An output's value, with the names of resources for what only AWS gives them."""
    found = process_template(transformed(**given), values(**given), STACK)
    return str(found["Outputs"][name]["Value"])


def made(**given: str) -> set[str]:
    """The resources and outputs whose conditions hold."""
    template = transformed(**given)
    sections = {**template["Resources"], **template["Outputs"]}
    return {
        name
        for name, found in sections.items()
        if "Condition" not in found or holds({"Condition": found["Condition"]}, values(**given))
    }


@pytest.mark.parametrize("choice", [{}, {"Auth": "JWT", **TOKENS}], ids=named)
def test_the_page_is_open_or_takes_what_the_rest_takes(choice: Choice) -> None:
    for page in ("Open", "Closed"):
        paths = resolved("HttpApi", transformed(**choice, Page=page))["Body"]["paths"]
        [default] = [found for path, found in paths.items() if "$default" in path]
        wanted = default["x-amazon-apigateway-any-method"]["security"]
        assert len(wanted) == 1
        for path, method in product(("/", "/page/{file}"), ("get", "head")):
            assert paths[path][method]["security"] == ([] if page == "Open" else wanted)


def test_uploads_are_off_unless_they_are_chosen() -> None:
    off, on = transformed(), transformed(Uploads="Enabled", UploadBytes="1000", **DOMAIN)
    variables = [resolved("ApiFunction", one)["Environment"]["Variables"] for one in (off, on)]
    assert [one["INBOX_URI"] for one in variables] == ["", f"s3://{bucket(on)}"]
    assert [bool(one["RESULTS_URI"]) for one in variables] == [False, True]
    assert [one["UPLOAD_BYTES"] for one in variables] == ["5368709120", "1000"]
    assert "CorsConfiguration" not in resolved("InboxBucket", off)
    assert off["Resources"]["UploadsPolicy"]["Condition"] == "TakesUploads"


def test_the_inbox_takes_forms_from_the_api_s_own_pages_alone() -> None:
    for choice in ({}, DOMAIN):
        found = resolved("InboxBucket", transformed(Uploads="Enabled", **choice))
        [rule] = found["CorsConfiguration"]["CorsRules"]
        assert rule["AllowedMethods"] == ["POST"]
        api, *own = rule["AllowedOrigins"]
        assert re.fullmatch(r"https://\S+\.execute-api\.\S+\.amazonaws\.com", str(api))
        assert own == ["https://models.example.com"] * bool(choice)


def bucket(template: dict[str, Any]) -> str:
    """Under this name the function knows the inbox, without a reference."""
    name: str = resolved("InboxBucket", template)["BucketName"]
    return name
