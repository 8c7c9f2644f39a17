"""What an operator may not say to the stack, and the sentence that refuses it before anything is made."""

import re
import string
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cloudformation import PARAMETERS, TEMPLATE, broken, refused
from thimble.errors import InvalidInput
from thimble.registry import pointer
from thimble.settings import from_environment
from thimble.tables.dialect import Given
from thimble_infra.build import ROOT

RANGE = re.compile(r"must be a whole number (?:of \w+ )?from (\d+)(?: \(.*?\))? to (\d+)")
WHOLE = {
    name: (int(found[1]), int(found[2]))
    for name, parameter in PARAMETERS.items()
    if (found := RANGE.fullmatch(parameter.get("ConstraintDescription", "")))
}
MARKS = [*string.printable, "tab", "none", "", "ab", "é"]


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_says_what_it_has_to_be_and_its_default_is_that(name: str) -> None:
    parameter = PARAMETERS[name]
    assert parameter["Type"] == "String"  # a Number has no pattern, and takes fractions
    assert parameter.keys() & {"AllowedPattern", "AllowedValues"}
    assert parameter["ConstraintDescription"].startswith("must be ")
    assert refused(name, str(parameter["Default"])) is None
    assert refused(name, "no such value \n") == f"Parameter '{name}' {parameter['ConstraintDescription']}"


@pytest.mark.parametrize("name", WHOLE)
@given(data=st.data())
@settings(max_examples=50)
def test_a_whole_number_is_taken_within_the_bounds_that_are_said(name: str, data: Any) -> None:
    least, most = WHOLE[name]
    number = data.draw(
        st.integers(-1, 2 * most + 1)
        | st.sampled_from([least - 1, least, most, most + 1])
        | st.integers(0, 20_000)
    )
    assert (refused(name, str(number)) is None) == (least <= number <= most)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize(
    "form", ["{}.0", "{}.5", "+{}", "-{}", " {}", "{} ", "0{}", "{}e1", "{}_0", "0x{}", "{}٣"]
)
def test_a_whole_number_is_taken_in_one_form(name: str, form: str) -> None:
    assert refused(name, form.format(PARAMETERS[name]["Default"])) is not None


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("UploadBytes", "UPLOAD_BYTES"),
        ("MaxRows", "MAX_ROWS"),
        ("RangeBytes", "RANGE_BYTES"),
        ("SplitBytes", "SPLIT_BYTES"),
    ],
)
def test_a_number_that_the_stack_takes_the_functions_take(name: str, variable: str) -> None:
    for number in WHOLE[name]:
        from_environment({variable: str(number)})


@given(st.from_regex(PARAMETERS["MaxRejectedShare"]["AllowedPattern"], fullmatch=True))
@settings(max_examples=50)
def test_a_share_that_the_stack_takes_the_functions_take(share: str) -> None:
    from_environment({"MAX_REJECTED_SHARE": share})


@given(st.text(max_size=110) | st.from_regex(pointer.NAME, fullmatch=True))
def test_the_name_of_a_model_is_what_the_registry_takes_for_one(name: str) -> None:
    assert (refused("ModelName", name) is None) == bool(pointer.NAME.fullmatch(name))


@given(st.text("0123456789abcdefgA-", max_size=70) | st.from_regex(pointer.VERSION, fullmatch=True))
def test_a_version_is_what_the_registry_takes_for_one(version: str) -> None:
    assert (refused("ModelVersion", version) is None) == (
        not version or bool(pointer.VERSION.fullmatch(version))
    )


@pytest.mark.parametrize("delimiter", MARKS)
def test_a_delimiter_and_a_quote_are_taken_where_the_functions_can_read_by_them(delimiter: str) -> None:
    for quote in MARKS:
        taken = not (
            refused("Delimiter", delimiter)
            or refused("Quote", quote)
            or broken(Delimiter=delimiter, Quote=quote)
        )
        assert taken == (
            readable(delimiter, quote) and "\t" not in (delimiter, quote)
        )  # which is spelled tab


def readable(delimiter: str, quote: str) -> bool:
    try:
        Given(delimiter, quote)
    except InvalidInput:
        return False
    return True


WORKS = {
    "ModelName": ["iris", "penguins.2_b-c"],
    "ModelVersion": ["", "0a1b2c", "f" * 64],
    "MaxRejectedShare": ["0", "0.05", ".5", "1", "1.0"],
    "Threshold": ["", "0", "0.3", "-1.25", "1"],
    "AbstainBelow": ["", "0", "0.8", "-1.25", "1"],
    "Explain": ["", "all", "1", "9999"],
    "Coverage": ["", "0.95", ".9"],
    "ByClass": ["true", "false"],
    "WhatIf": ["true", "false"],
    "JwtIssuer": ["", "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3", "https://a.eu.auth0.com/"],
    "JwtAudience": ["", "thimble", "https://api.example.com,6f1a", "api://default"],
    "DomainName": ["", "example.com", "a-b.models.example.co.uk", "xn--bcher-kva.example", "a.xn--p1ai"],
    "CertificateArn": [
        "",
        "arn:aws:acm:eu-west-1:123456789012:certificate/1a-2b",
        "arn:aws-cn:acm:cn-north-1:123456789012:certificate/1",
    ],
    "HostedZoneId": ["", "Z1D633PJN98FT9"],
    "PermissionsBoundary": ["thimble-boundary"],
    "KmsKeyArn": [
        "",
        "arn:aws:kms:us-east-1:123456789012:key/mrk-0f",
        "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1-2",
    ],
    "AlertEmail": ["", "on.call+thimble@example.com"],
    "CorsAllowOrigin": [
        "",
        "*",
        "https://app.example.com",
        "http://localhost:3000",
        "https://a_b.s3-website.example",
    ],
}
FAILS = {
    "ModelName": ["", "iris/2", "..", "-iris", "a" * 101, "модель"],
    "ModelVersion": ["latest", "0a1b2", "sha256:" + "f" * 64, "F" * 64],
    "MaxRejectedShare": ["-0.1", "1.01", "5", "5 %", "nan", ""],
    "Threshold": ["a half", "nan", "inf", "1e3", ".5", "0,5"],
    "AbstainBelow": ["a half", "nan", "inf", "1e3", ".5", "0,5"],
    "Explain": ["0", "some", "-1", "true"],
    "Coverage": ["1", "95", "a half", "0,95"],
    "ByClass": ["", "yes", "TRUE"],
    "WhatIf": ["", "yes", "TRUE"],
    "JwtIssuer": [
        "http://issuer.example.com",
        "issuer.example.com",
        "https://",
        "https://a.b/?x=1",
        "https://a b",
    ],
    "JwtAudience": ["a, b", "a,", ",a", "a,,b", " "],
    "DomainName": [
        "https://example.com",
        "example.com/",
        "example",
        "Example.com",
        "*.example.com",
        "-a.example.com",
        "a..b",
        "10.0.0.1",
        "a" * 64 + ".com",
    ],
    "CertificateArn": [
        "1a-2b",
        "arn:aws:iam::123456789012:server-certificate/a",
        "arn:aws:acm:us-east-1:1:certificate/a",
    ],
    "HostedZoneId": ["/hostedzone/Z1D633PJN98FT9", "example.com", "z1d633"],
    "PermissionsBoundary": ["arn:aws:iam::123456789012:policy/thimble-boundary", "two words"],
    "KmsKeyArn": [
        "alias/mine",
        "arn:aws:kms:us-east-1:123456789012:alias/mine",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
    ],
    "AlertEmail": ["nobody", "a@b", "a b@example.com", "a@example.com,b@example.com"],
    "CorsAllowOrigin": [
        "example.com",
        "https://example.com/",
        "https://example.com/app",
        "https://Example.com",
        "https://a.example, https://b.example",
        "null",
        "https://*.example.com",
    ],
    "Header": ["yes"],
    "Decimal": [","],
    "UnknownFolder": ["", "Default", "iris"],
    "Auth": ["iam", "COGNITO"],
    "Page": ["open", "true", ""],
    "Uploads": ["enabled", "true", ""],
    "Rollout": ["Canary"],
    "SnapStart": ["true"],
    "Architecture": ["x86", "aarch64", ""],
    "LogLevel": ["info"],
    "LogRetentionDays": ["10", "30.0", "0"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WORKS for value in WORKS[name]])
def test_what_works_is_taken(name: str, value: str) -> None:
    assert refused(name, value) is None


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in FAILS for value in FAILS[name]])
def test_what_cannot_work_is_refused(name: str, value: str) -> None:
    assert refused(name, value) is not None


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_what_samconfig_chooses_is_taken(stage: str) -> None:
    chosen = tomllib.loads((ROOT / "samconfig.toml").read_text())[stage]["deploy"]["parameters"]
    pairs = dict(pair.split("=", 1) for pair in chosen["parameter_overrides"].split())
    assert [refused(name, value) for name, value in pairs.items()] == [None] * len(pairs)
    assert broken(**pairs) == []


def test_every_parameter_is_tried() -> None:
    assert {*FAILS, *WHOLE, "Delimiter", "Quote"} == PARAMETERS.keys()


ISSUER, AUDIENCE = {"JwtIssuer": "https://issuer.example.com"}, {"JwtAudience": "thimble"}
DOMAIN, CERTIFICATE = (
    {"DomainName": "models.example.com"},
    {"CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1"},
)
ZONE = {"HostedZoneId": "Z1D633PJN98FT9"}
ALONE = [
    ({"Auth": "JWT", **AUDIENCE}, "Auth=JWT needs JwtIssuer"),
    ({"Auth": "JWT", **ISSUER}, "Auth=JWT needs JwtAudience"),
    (ISSUER, "JwtIssuer is for Auth=JWT alone"),
    ({"Auth": "NONE", **AUDIENCE}, "JwtAudience is for Auth=JWT alone"),
    ({"Auth": "NONE", "Uploads": "Enabled"}, "Uploads=Enabled needs Auth=IAM or Auth=JWT"),
    (DOMAIN, "DomainName needs CertificateArn"),
    ({**DOMAIN, **ZONE}, "DomainName needs CertificateArn"),
    (CERTIFICATE, "CertificateArn is of a DomainName"),
    (ZONE, "HostedZoneId gets the record of a DomainName"),
    (
        {"SnapStart": "PublishedVersions", "ProvisionedConcurrency": "1"},
        "SnapStart or ProvisionedConcurrency, not both",
    ),
    ({"Delimiter": "|", "Quote": "|"}, "Delimiter and Quote are the same character"),
    ({"Quote": ","}, "Quote is a comma, a semicolon or a tab"),
]
TOGETHER: list[dict[str, str]] = [
    {},
    {"Auth": "JWT", **ISSUER, **AUDIENCE},
    {"Uploads": "Enabled"},
    {"Auth": "JWT", "Uploads": "Enabled", **ISSUER, **AUDIENCE},
    {**DOMAIN, **CERTIFICATE},
    {**DOMAIN, **CERTIFICATE, **ZONE},
    {"SnapStart": "PublishedVersions"},
    {"ProvisionedConcurrency": "1"},
    {"Delimiter": "|", "Quote": ","},
    {"Quote": "none"},
]


@pytest.mark.parametrize(("chosen", "sentence"), ALONE)
def test_parameters_that_only_work_together_are_refused_alone(chosen: dict[str, str], sentence: str) -> None:
    [said] = broken(**chosen)
    assert sentence in said


@pytest.mark.parametrize("chosen", TOGETHER)
def test_parameters_that_work_together_are_taken(chosen: dict[str, str]) -> None:
    assert broken(**chosen) == []


def test_every_rule_says_a_sentence_that_some_combination_gets() -> None:
    sentences = {a["AssertDescription"] for rule in TEMPLATE["Rules"].values() for a in rule["Assertions"]}
    assert {said for chosen, _ in ALONE for said in broken(**chosen)} == sentences
    named = [{name for name in PARAMETERS if name in sentence} for sentence in sentences]
    assert all(len(names) >= 2 for names in named)
