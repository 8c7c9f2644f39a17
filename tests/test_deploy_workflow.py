""".github/workflows: a moved tag of an action changes nothing, and one job alone may assume a role."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse

import thimble
from tests.cloudformation import PARAMETERS

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
DEPLOY: dict[str, Any] = yaml_parse((ROOT / ".github/workflows/deploy.yml").read_text())
RELEASE: dict[Any, Any] = yaml_parse((ROOT / ".github/workflows/release.yml").read_text())
ROLE: dict[str, Any] = yaml_parse((ROOT / "infra/deploy-role.yaml").read_text())["Resources"]["Role"]
ROLLOUTS: list[str] = PARAMETERS["Rollout"]["AllowedValues"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_an_action_is_pinned_by_its_commit_and_says_its_version(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used
    assert [line for line in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_one_version_of_an_action_is_one_commit_everywhere() -> None:
    used = {line for path in WORKFLOWS for line in re.findall(r"uses: (.*)", path.read_text())}
    assert len(used) == len({line.partition("@")[0] for line in used})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_has_the_rights_that_it_says_and_no_others(path: Path) -> None:
    workflow = yaml_parse(path.read_text())
    assert workflow["permissions"] == {}
    rights = {"deploy": {"contents": "read", "id-token": "write"}, "publish": {"id-token": "write"}}
    for name, job in workflow["jobs"].items():
        assert job["permissions"] == rights.get(name, {"contents": "read"})


def test_a_release_is_what_was_built_from_a_tag_of_its_version() -> None:
    assert RELEASE[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 reads `on` so
    build, publish = RELEASE["jobs"]["build"], RELEASE["jobs"]["publish"]
    [check] = [step["run"] for step in build["steps"] if "GITHUB_REF_NAME" in step.get("run", "")]
    tag = {"GITHUB_REF_NAME": f"v{thimble.__version__}", "PATH": os.environ["PATH"]}
    assert f"thimble_ml-{thimble.__version__}-py3-none-any.whl" in substituted(check.splitlines()[0], tag)
    assert publish["needs"] == "build"
    assert publish["environment"] == "pypi"
    assert [step["uses"].partition("@")[0] for step in publish["steps"]] == [
        "actions/download-artifact",
        "pypa/gh-action-pypi-publish",
    ]


def substituted(line: str, environment: dict[str, str]) -> str:
    """As the shell reads the arguments of a line."""
    command = ["sh", "-c", line.replace("test -f", "echo")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_job_that_deploys_may_run_as_long_as_the_slowest_rollout() -> None:
    job = DEPLOY["jobs"]["deploy"]
    [assuming] = [step for step in job["steps"] if "configure-aws-credentials" in step.get("uses", "")]
    session = assuming["with"]["role-duration-seconds"]
    assert max(map(minutes, ROLLOUTS)) == 100
    assert job["timeout-minutes"] >= max(map(minutes, ROLLOUTS)) + 30
    assert 60 * job["timeout-minutes"] <= session <= ROLE["Properties"]["MaxSessionDuration"]


def minutes(rollout: str) -> int:
    """Of CodeDeploy's own names: Canary10Percent5Minutes, Linear10PercentEvery10Minutes, AllAtOnce."""
    if rollout == "AllAtOnce":
        return 0
    found = re.fullmatch(r"(Canary|Linear)(\d+)Percent(?:Every)?(\d+)Minutes?", rollout)
    assert found
    steps = 100 // int(found[2]) if found[1] == "Linear" else 1
    return steps * int(found[3])
