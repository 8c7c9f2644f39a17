"""What CloudFormation does with template.yaml before it makes anything, with parameters of one's own.

The nested stack's resources stand here among the others, as if template.yaml had made them itself.

It refuses values by the parameters' constraints and by the rules, and applies both transforms. SAM's is SAM's
own; of AWS::LanguageExtensions, Fn::ToJsonString alone is applied here, as AWS promises no more.
"""

import json
import re
from functools import cache
from typing import Any

import pytest
from samcli.lib.cfn_language_extensions.api import process_template
from samcli.lib.cfn_language_extensions.models import PseudoParameterValues
from samcli.yamlhelper import yaml_parse
from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform

from thimble_infra.build import ROOT

NESTED = "AWS::CloudFormation::Stack"


def read(path: str) -> dict[str, Any]:
    return json.loads(json.dumps(yaml_parse((ROOT / path).read_text())))  # type: ignore[no-any-return]


def flat(template: dict[str, Any]) -> dict[str, Any]:
    """A template with the resources of its nested stacks in the place of these."""
    resources: dict[str, Any] = {}
    for name, resource in template["Resources"].items():
        found = inside(resource["Properties"]) if resource["Type"] == NESTED else {name: resource}
        assert not resources.keys() & found.keys()
        resources |= found
    return {**template, "Resources": resources}


def inside(stack: dict[str, Any]) -> dict[str, Any]:
    """The resources of a nested stack, as the one around it would write them."""
    passed: dict[str, Any] = stack["Parameters"]
    nested = read(stack["TemplateURL"])
    assert passed.keys() == nested["Parameters"].keys()
    names = {f"${{{name}}}": as_text(value) for name, value in passed.items()}

    def replaced(found: dict[str, Any]) -> Any:
        if found.keys() == {"Ref"}:
            return passed.get(found["Ref"], found)
        if found.keys() == {"Fn::Sub"}:
            text = re.sub(r"\$\{\w+\}", lambda match: names.get(match[0], match[0]), found["Fn::Sub"])
            return {"Fn::Sub": text}
        return found

    resources: dict[str, Any] = json.loads(json.dumps(nested["Resources"]), object_hook=replaced)
    return resources


def as_text(value: dict[str, Any]) -> str:
    """A reference or an attribute as Fn::Sub names it."""
    [(function, target)] = value.items()
    return f"${{{target}}}" if function == "Ref" else f"${{{'.'.join(target)}}}"


ITSELF = read("template.yaml")
TEMPLATE = flat(ITSELF)
PARAMETERS: dict[str, dict[str, Any]] = TEMPLATE["Parameters"]
UPLOADED = "s3://artefacts/"  # where `sam deploy` puts the local files
LOCAL_FILES = ("CodeUri", "ContentUri", "DefinitionUri")
STACK = PseudoParameterValues(
    region="us-east-1",
    account_id="123456789012",
    stack_name="thimble",
    stack_id="arn:aws:cloudformation:us-east-1:123456789012:stack/thimble/1",
    partition="aws",
    url_suffix="amazonaws.com",
)


def values(**given: str) -> dict[str, str]:
    """Every parameter's value: the given one, or its default."""
    assert given.keys() <= PARAMETERS.keys()
    return {name: given.get(name, str(found["Default"])) for name, found in PARAMETERS.items()}


def refused(name: str, value: str) -> str | None:
    """What is said of a value that a parameter's own constraints exclude."""
    found = PARAMETERS[name]
    allowed = value in found.get("AllowedValues", [value])
    matches = re.fullmatch(found.get("AllowedPattern", r"[\s\S]*"), value)
    if allowed and matches and len(value) <= found.get("MaxLength", 4096):
        return None
    return f"Parameter '{name}' {found.get('ConstraintDescription')}"


def broken(**given: str) -> list[str]:
    """The sentences of the rules that parameters break."""
    known = values(**given)
    return [
        assertion["AssertDescription"]
        for rule in TEMPLATE["Rules"].values()
        if holds(rule["RuleCondition"], known)
        for assertion in rule["Assertions"]
        if not holds(assertion["Assert"], known)
    ]


def holds(expression: dict[str, Any], known: dict[str, str]) -> bool:
    """Whether a condition, or what a rule asserts, is true: in the functions that rules may use."""
    [(function, arguments)] = expression.items()
    if function == "Condition":
        return holds(TEMPLATE["Conditions"][arguments], known)
    if function == "Fn::Equals":
        return text(arguments[0], known) == text(arguments[1], known)
    if function == "Fn::Contains":
        return text(arguments[1], known) in arguments[0]
    results = [holds(argument, known) for argument in arguments]
    return {"Fn::And": all(results), "Fn::Or": any(results), "Fn::Not": not all(results)}[function]


def text(value: Any, known: dict[str, str]) -> str:
    return known[value["Ref"]] if isinstance(value, dict) else str(value)


def transformed(**given: str) -> dict[str, Any]:
    """The template as CloudFormation goes on with it: after both transforms, the values as defaults."""
    assert not broken(**given)
    return json.loads(_transformed(json.dumps(uploaded()), tuple(sorted(given.items()))))  # type: ignore[no-any-return]


def uploaded(code: str = "functions") -> dict[str, Any]:
    """The template as `sam deploy` sends it: its local files are in a bucket."""
    template: dict[str, Any] = json.loads(json.dumps(TEMPLATE))
    template["Globals"]["Function"]["CodeUri"] = UPLOADED + code
    for resource in template["Resources"].values():
        found = resource["Properties"]
        found.update({name: UPLOADED + found[name] for name in LOCAL_FILES if name in found})
    return template


@cache
def _transformed(template: str, given: tuple[tuple[str, str], ...]) -> str:
    known = values(**dict(given))
    extended = json.loads(template, object_hook=lambda found: with_strings(found, known))
    for name, value in known.items():
        extended["Parameters"][name]["Default"] = value
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", STACK.region)
        return json.dumps(transform(extended, known, ManagedPolicyLoader(None)))


def with_strings(found: dict[str, Any], known: dict[str, str]) -> Any:
    """AWS::LanguageExtensions: Fn::ToJsonString becomes a string, parameters in it their values."""
    if found.keys() != {"Fn::ToJsonString"}:
        return found
    inside = json.dumps(found["Fn::ToJsonString"])
    resolved = json.loads(inside, object_hook=lambda each: known[each["Ref"]] if "Ref" in each else each)
    return json.dumps(resolved, separators=(",", ":"))


def resolved(name: str, template: dict[str, Any]) -> Any:
    """A resource's properties as its service gets them: parameters, conditions and functions resolved."""
    parts = {**template, "Resources": {name: template["Resources"][name]}, "Outputs": {}}
    known = {key: found["Default"] for key, found in template["Parameters"].items()}
    result = process_template(parts, known, STACK)["Resources"].get(name)
    return result and result["Properties"]


if __name__ == "__main__":
    print(json.dumps(transformed(), indent=1))
