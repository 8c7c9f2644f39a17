"""The pages are true: links, commands, variables and errors exist, and the README's sessions run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from thimble.web.app import STATUS
from thimble_infra.cli import app

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted(
    [README, *(ROOT / folder / "README.md" for folder in ("functions", "model", "infra", "tests"))]
)
TEXTS = {path: path.read_text() for path in PAGES}
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS: list[str] = get_command(app).list_commands(None)  # type: ignore[attr-defined]
TARGETS = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def test_the_readme_is_a_front_door() -> None:
    assert len(TEXTS[README].splitlines()) <= 170


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda path: path.parent.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S))
    for link in links:
        target, _, anchor = link.partition("#")
        if target.startswith("https://"):
            continue
        page = (path.parent / target).resolve() if target else path
        assert page.exists(), link
        if anchor:
            assert anchor in anchors(page.read_text()), link


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_pages_name_every_command_and_no_other() -> None:
    text = "\n".join(TEXTS.values())
    assert [name for name in COMMANDS if f"thimble {name}" not in text] == []
    assert [name for name in TARGETS if f"make {name}" not in text and name != "help"] == []
    said = re.sub(r" #.*", "", "\n".join(re.findall(r"`[^`\n]+`", text) + CONSOLE.findall(text)))
    assert set(re.findall(r"(?<![\w/.-])thimble ([a-z][a-z-]+)", said)) <= set(COMMANDS)
    assert set(re.findall(r"(?<![\w/.-])make ([a-z][a-z-]+)", said)) <= set(TARGETS)


def test_the_pages_name_every_environment_variable() -> None:
    settings = (ROOT / "functions" / "thimble" / "settings.py").read_text()
    functions = TEXTS[ROOT / "functions" / "README.md"]
    variables = set(re.findall(r'"([A-Z][A-Z_]+)"', settings))
    assert len(variables) > 5
    assert [name for name in sorted(variables) if f"`{name}`" not in functions] == []
    text = "\n".join(TEXTS.values())
    assert [name for name in ("PORT", "S3_PORT", "S3_HOST", "MODEL") if f"`{name}`" not in text] == []


def test_the_functions_page_names_every_error_and_its_status() -> None:
    page = TEXTS[ROOT / "functions" / "README.md"]
    for kind, status in STATUS.items():
        if kind.__module__ == "thimble.errors":
            assert re.search(rf"`{kind.__name__}`.*\b{status}\b", page), kind


def test_the_session_of_the_readme_gives_what_it_shows(local_stack: Any, tmp_path: Path) -> None:
    """Typed as written, in a folder with the models beside it; only the port and the seconds differ."""
    shutil.copytree(ROOT / "model", tmp_path / "model", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    environment = at_home(local_stack)

    def type_(command: str) -> str:
        typed = ["bash", "-c", command.replace("http://127.0.0.1:8000", local_stack.url)]
        done = subprocess.run(
            typed, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    part = TEXTS[README].partition("## Try it")[2].partition("\n## ")[0]
    for command, shown in typed_and_shown("".join(CONSOLE.findall(part))):
        assert timeless(type_(command)) == timeless(shown), command
    [alone] = re.findall(r"^`(thimble classify [^`]+)`", part, flags=re.MULTILINE)
    type_(alone)
    dropped = tmp_path / "answers" / "flowers.csv" / "result.csv"
    assert (tmp_path / "answers.csv").read_bytes() == dropped.read_bytes()


def test_the_examples_of_why_and_how_sure_give_what_they_show(local_stack: Any, tmp_path: Path) -> None:
    """Typed as written; `...` stands for what is left out, and last digits are the processor's."""
    page = TEXTS[ROOT / "functions" / "README.md"]
    part = page.partition("### Why this answer, and how sure\n")[2].partition("\n### ")[0]
    for command, shown in typed_and_shown("".join(CONSOLE.findall(part))):
        typed = command.replace("http://127.0.0.1:8000", local_stack.url)
        done = subprocess.run(
            ["bash", "-c", typed],
            cwd=tmp_path,
            env=at_home(local_stack),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        pieces = [re.escape(rounded(piece)) for piece in shown.rstrip().split("...")]
        assert re.fullmatch(".*".join(pieces), rounded(done.stdout.rstrip())), (done.stdout, done.stderr)


def rounded(text: str) -> str:
    """With ten significant digits of each number."""
    return re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.10g}", text)


HOURS = TEXTS[ROOT / "infra" / "README.md"].partition("### The first hour")[2].partition("\n## ")[0]
PEOPLE = ("scientist", "developer", "engineer", "operator")


@pytest.mark.parametrize("person", PEOPLE)
def test_the_first_hour_of_each_person_works_as_it_is_written(
    local_stack: Any, tmp_path: Path, person: str
) -> None:
    hour = CONSOLE.findall(HOURS)[PEOPLE.index(person)]
    commands = re.findall(r"^\$ (.+)$", hour, re.MULTILINE)
    assert len(commands) >= 5
    script = "\n".join(["set -e", *commands]).replace("http://127.0.0.1:8000", local_stack.url)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=at_home(local_stack),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stdout


def at_home(local_stack: Any) -> dict[str, str]:
    """The environment of somebody who types at the local stack."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"
    return environment | {"PATH": path, "S3_PORT": local_stack.s3_url.rpartition(":")[2]}


def typed_and_shown(console: str) -> list[tuple[str, str]]:
    """The commands of a console, each with what is shown below it; a here-document belongs to its command."""
    found = re.findall(
        r"^\$ ((?:[^\n]*<<(\w+)\n.*?^\2$)|[^\n]*)\n((?:(?!\$ )[^\n]*\n)*)", console, re.M | re.S
    )
    commands = [
        (command, shown) for command, _, shown in found if command.split()[0] not in ("make", "source")
    ]
    assert len(commands) >= 4
    return commands


def timeless(output: str) -> str:
    """Without the seconds that something took, and the blanks before them."""
    return re.sub(r"(?m) +(seconds|[\d.]+)$", "", output).rstrip()
