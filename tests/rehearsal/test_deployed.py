"""What was deployed does its work, is changed, and survives a change that fails."""

from subprocess import CalledProcessError

import pytest

from tests.rehearsal.adapter import Template
from tests.rehearsal.stack import Stack

ROW = [5.1, 3.5, 1.4, 0.2]
HEADER = "id,sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"


def test_the_api_says_503_until_a_model_is_published_and_then_answers(bare: Stack) -> None:
    assert bare.ask("/classify", {"instances": [ROW]}).status == 503
    bare.publish()
    answer = bare.ask("/classify", {"instances": [ROW]})
    assert answer.status == 200
    assert answer.body["predictions"][0]["label"] == "setosa"


def test_a_dropped_file_is_classified(stack: Stack) -> None:
    stack.drop("small.csv", (HEADER + "1,5.1,3.5,1.4,0.2\n").encode())
    assert stack.summary("small.csv")["predictions"] == 1


def test_a_file_of_several_ranges_is_classified_by_the_state_machine(stack: Stack) -> None:
    rows = "".join(f"{i},5.1,3.5,{i % 7}.4,0.2\n" for i in range(600_000))
    stack.drop("large.csv", (HEADER + rows).encode())
    assert stack.summary("large.csv")["predictions"] == 600_000
    assert stack.ended_executions() == ["SUCCEEDED"]


def test_a_changed_parameter_reaches_the_alias(stack: Stack) -> None:
    before = stack.version
    stack.deploy(MaxRows="1")
    assert stack.version != before
    assert stack.ask("/classify", {"instances": [ROW]}).status == 200
    assert stack.ask("/classify", {"instances": [ROW, ROW]}).status == 413


def test_a_change_that_fails_is_rolled_back_and_the_stack_goes_on(stack: Stack) -> None:
    stack.deploy(MaxRows="2")
    before, moved = stack.version, len(stack.events("ApiFunctionAliaslive"))
    with pytest.raises(CalledProcessError):
        stack.deploy(break_it, MaxRows="1")
    assert stack.described["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert len(stack.events("ApiFunctionAliaslive")) > moved + 1
    assert stack.version == before
    assert stack.ask("/classify", {"instances": [ROW, ROW]}).status == 200


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
