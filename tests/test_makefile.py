"""A first `make` in a clone: what it says where Python does not fit, and what it leaves behind."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FITTING = """#!/bin/sh
case "$*" in
  *--version*) echo Python 3.13.0 ;;
  "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
esac
"""
OLDER = '#!/bin/sh\ncase "$*" in *--version*) echo Python 3.9.18 ;; *) exit 1 ;; esac\n'
HALF = """#!/bin/sh
case "$*" in "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python; exit 1 ;; esac
"""
BROKEN = "#!/bin/sh\nexit 1\n"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("functions", "infra/layer", "infra"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "requirements.txt").touch()
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def make(clone: Path, python: Path | str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--no-print-directory", ".venv/run", f"PYTHON={python}"]
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)


def test_an_older_python_gets_a_sentence_and_leaves_nothing_behind(clone: Path) -> None:
    done = make(clone, program(clone / "python3", OLDER))
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stdout
    assert "Python 3.9.18" in done.stdout
    assert "PYTHON=python3.13" in done.stdout
    assert not (clone / ".venv").exists()


def test_a_python_that_is_not_there_gets_the_sentence_too(clone: Path) -> None:
    done = make(clone, "python3.999")
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stdout


def test_an_environment_that_was_half_made_is_removed(clone: Path) -> None:
    """As on a Debian without python3-venv."""
    done = make(clone, program(clone / "python3", HALF))
    assert done.returncode != 0
    assert "python3-venv" in done.stdout
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("left", ["broken", "dangling", "without a python"])
def test_what_a_failed_try_left_does_not_stop_the_next(left: str, clone: Path) -> None:
    python = clone / ".venv" / "bin" / "python"
    if left == "broken":
        program(python, BROKEN)
    elif left == "dangling":
        python.parent.mkdir(parents=True)
        python.symlink_to(clone / "gone")
    else:
        python.parent.mkdir(parents=True)
    done = make(clone, program(clone / "python3", FITTING))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (clone / ".venv" / "run").exists()
