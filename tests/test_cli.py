"""The command line as its reader meets it."""

import re
import subprocess
import sys

import pytest
import typer

from infra.cli import app

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def thimble(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", "from infra.cli import app; app()", *arguments], capture_output=True, text=True
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    help_ = thimble(command, "--help")
    assert help_.returncode == 0
    assert re.search(rf"^ *thimble {command} ?", help_.stdout, re.MULTILINE), "no example"
    assert "\x1b" not in help_.stdout


def test_help_costs_nothing_that_a_command_needs() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, infra.cli; print(*sys.modules)"], capture_output=True, text=True
    )
    assert not {"sklearn", "boto3", "moto", "polars", "numpy", "obstore"} & set(loaded.stdout.split())


def test_an_error_of_ours_is_one_sentence_and_exit_code_1() -> None:
    dropped = thimble("drop", "no-such-file.csv")
    assert (dropped.returncode, dropped.stdout) == (1, "")
    assert dropped.stderr == "thimble: no-such-file.csv does not exist.\n"


def test_a_wrong_option_is_a_usage_error() -> None:
    dropped = thimble("drop", "--no-such-option")
    assert dropped.returncode == 2
    assert "No such option" in dropped.stderr
