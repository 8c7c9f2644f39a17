"""The command line as its reader meets it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from thimble_infra.cli import app

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def thimble(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    help_ = thimble(command, "--help")
    assert help_.exit_code == 0
    assert re.search(rf"^ *thimble {command} ?", help_.stdout, re.MULTILINE), "no example"
    assert "\x1b" not in help_.stdout
    assert re.findall(r"<\w.*?>", help_.stdout) == [], "a type of Python's in place of a word"


def test_help_costs_nothing_that_a_command_needs() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, thimble_infra.cli; print(*sys.modules)"],
        capture_output=True,
        text=True,
    )
    assert not {"sklearn", "boto3", "moto", "polars", "numpy", "obstore"} & set(loaded.stdout.split())


def test_an_error_of_ours_is_one_sentence_and_exit_code_1() -> None:
    checked = thimble("check", "no-such-file.csv")
    assert (checked.exit_code, checked.stdout) == (1, "")
    assert checked.stderr == "thimble: there is no file no-such-file.csv\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check", "none.json"], "there is no file none.json"),
        (["check", "folder"], "folder is a folder"),
        (["check", "plain", "--estimator", "plain", "--data", "none.csv"], "there is no file none.csv"),
        (["export", "none.joblib"], "there is no file none.joblib"),
        (["export", "plain", "--data", "none.csv"], "there is no file none.csv"),
        (["export", "plain", "-o", "none/model.json"], "there is no folder none"),
        (["export", "plain", "-o", "folder"], "folder is a folder"),
        (["train-iris", "-o", "none/model.json"], "there is no folder none"),
        (["diff", "none.json", "plain"], "there is no file none.json"),
    ],
)
def test_a_file_that_is_not_there_is_a_sentence_before_any_work_or_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "plain").write_text("plain")
    ended = CliRunner().invoke(app, arguments)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (1, "", f"thimble: {sentence}\n")


def test_the_list_of_commands_has_whole_sentences() -> None:
    listed = thimble("--help").stdout.partition("Commands:")[2].partition("Exit codes:")[0].splitlines()
    assert len([line for line in listed if line.strip()]) == len(COMMANDS)
    assert not [line for line in listed if "..." in line]


def test_what_looks_for_the_local_stack_says_how_to_find_it() -> None:
    for command in COMMANDS:
        help_ = thimble(command, "--help").stdout
        assert "--endpoint-url" not in help_ or "S3_PORT" in help_


def test_a_wrong_option_is_a_usage_error() -> None:
    dropped = thimble("drop", "--no-such-option")
    assert dropped.exit_code == 2
    assert "No such option" in dropped.stderr


@pytest.mark.parametrize(
    "option", ["--delimiter=ab", "--quote=ab", "--header=maybe", "--max-rejected-share=2"]
)
def test_an_option_that_cannot_be_is_a_usage_error(option: str) -> None:
    ended = thimble("classify", "rows.csv", "-o", "answers.csv", "-m", "model.json", option)
    assert (ended.exit_code, "Invalid value" in ended.stderr) == (2, True)


def test_a_name_under_which_nothing_could_be_published_is_refused_before_any_work() -> None:
    ended = thimble("export", "none.joblib", "--name", "a b/c")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "'a b/c' is no name for a model" in ended.stderr


def started(*arguments: str, **keys: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "thimble_infra.command", *arguments]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, **keys)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("arguments", [["--help"], ["export", "--help"]])
def test_help_that_has_no_room_is_a_sentence(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = started(*arguments, stdout=full)
    assert ended.returncode == 3
    assert ended.stderr.splitlines() == [
        "thimble: there is no room to write in, or none that may be written (No space left on device)"
    ]


def test_ctrl_c_while_it_is_still_being_imported_ends_it_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import signal; signal.raise_signal(signal.SIGINT)")
    ended = started("--help", env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert (ended.returncode, ended.stderr) == (130, "")


def test_products_keep_to_one_thread() -> None:
    """Small products wait for each other on several: a file took three times as long."""
    code = (
        "from typer.testing import CliRunner; from thimble_infra.cli import app; "
        "assert CliRunner().invoke(app, ['check', 'model/iris.json']).exit_code == 0; "
        "from threadpoolctl import threadpool_info; "
        "print({found['num_threads'] for found in threadpool_info() if found['user_api'] == 'blas'})"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS")}
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert found.stdout == "{1}\n"
