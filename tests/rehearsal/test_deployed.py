"""What was deployed does its work, is changed, and survives a change that fails."""

import json
from collections.abc import Iterator
from subprocess import CalledProcessError

import pytest

from tests.rehearsal.adapter import Template
from tests.rehearsal.stack import Stack

ROWS = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
HEADER = "id,sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"


@pytest.fixture(scope="module")
def stack(bare: Stack) -> Iterator[Stack]:
    """With a model."""
    bare.publish()
    yield bare


def test_the_api_says_503_until_a_model_is_published_and_then_answers(bare: Stack) -> None:
    assert bare.ask("/classify", ROWS).status == 503
    bare.publish()
    answer = bare.ask("/classify", ROWS)
    assert answer.status == 200
    assert answer.body["predictions"][0]["label"] == "setosa"


def test_a_dropped_file_is_classified(stack: Stack) -> None:
    summary = stack.drop("small.csv", (HEADER + "1,5.1,3.5,1.4,0.2\n").encode())
    assert summary["predictions"] == 1


def test_a_file_of_several_ranges_is_classified_by_the_state_machine(stack: Stack) -> None:
    rows = "".join(f"{i},5.1,3.5,{i % 7}.4,0.2\n" for i in range(600_000))
    summary = stack.drop("large.csv", (HEADER + rows).encode())
    assert summary["predictions"] == 600_000
    executions = stack.client("stepfunctions").list_executions(stateMachineArn=stack.named("StateMachine"))
    assert [execution["status"] for execution in executions["executions"]] == ["SUCCEEDED"]


def test_a_changed_parameter_reaches_the_alias_and_a_change_that_fails_leaves_it(stack: Stack) -> None:
    before = alias(stack)
    stack.deploy(MaxRows="1")
    changed = alias(stack)
    assert changed != before
    assert stack.ask("/classify", {"instances": ROWS["instances"] * 2}).status == 413

    with pytest.raises(CalledProcessError):
        stack.deploy(change=break_it, MaxRows="3")
    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert alias(stack) == changed
    assert stack.ask("/classify", ROWS).status == 200
    assert stack.ask("/classify", {"instances": ROWS["instances"] * 2}).status == 413


def break_it(template: Template) -> None:
    """Add what cannot be made, after all that the change is about."""
    template["Resources"]["Broken"] = {
        "Type": "AWS::IAM::Policy",
        "DependsOn": ["ApiFunctionAliaslive", "ApiMayCall"],
        "Properties": {
            "PolicyName": "broken",
            "Roles": ["nobody"],
            "PolicyDocument": {"Version": "2012-10-17", "Statement": []},
        },
    }


def alias(stack: Stack) -> str:
    function = stack.named("ApiFunction")
    return str(stack.client("lambda").get_alias(FunctionName=function, Name="live")["FunctionVersion"])
