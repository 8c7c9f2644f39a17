"""The wheel is run alone, beside other people's packages and without this tree: all of it is in there."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from email.parser import BytesParser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {
    name: ROOT / folder / name
    for name, folder in {"thimble": "functions", "thimble_model": "model", "thimble_infra": "infra"}.items()
}
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
COMMAND = """
import json, sys
from thimble_infra.cli import app
app(standalone_mode=False)
files = [module.__file__ for name, module in sys.modules.items()
         if name.split(".")[0] in ("thimble", "thimble_model", "thimble_infra") and module.__file__]
json.dump(files, sys.stderr)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network from a copy, so that this tree keeps no traces of it."""
    clone, built = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    for name in ("functions", "model", "infra", "tests"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    subprocess.run([sys.executable, "-c", BUILD, built], cwd=clone, capture_output=True, check=True)
    (found,) = built.iterdir()
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    folder = wheel.parent / "installed"
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def alone(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python that sees the wheel and other people's packages: -S keeps the editable install's hook away."""
    path = os.pathsep.join([str(installed), sysconfig.get_path("purelib")])
    return subprocess.run(
        [sys.executable, "-S", "-c", *arguments],
        env=os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=installed.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_holds_every_module_and_what_they_read(wheel: Path) -> None:
    ours = {
        f"{name}/{path.relative_to(folder).as_posix()}"
        for name, folder in SOURCES.items()
        for path in folder.rglob("*")
        if path.suffix in (".py", ".json", ".html") and "__pycache__" not in path.parts
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert len(ours) > 100
    assert ours <= packed, sorted(ours - packed)
    assert {name.split("/")[0] for name in packed} == set(SOURCES)


def test_every_module_of_the_wheel_can_be_imported_from_it_alone(installed: Path) -> None:
    names = sorted(
        re.sub(r"\.__init__$", "", ".".join(path.relative_to(installed).with_suffix("").parts))
        for path in installed.rglob("*.py")
    )
    done = alone(installed, f"import importlib, json\nfor name in {names}: importlib.import_module(name)")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_runs_from_the_wheel_and_declares_what_it_imports(installed: Path, wheel: Path) -> None:
    done = alone(installed, COMMAND, "check", str(ROOT / "model" / "iris.json"))
    assert "3 rows, reproduced" in done.stdout, done.stderr
    files = [Path(name) for name in json.loads(done.stderr)]
    assert {path.relative_to(installed).parts[0] for path in files} == set(SOURCES)
    provided = packages_distributions()
    imported = {canonical(provided[root][0]) for path in files for root in imports(path) if root in provided}
    assert {"typer", "rich", "numpy", "scikit-learn"} <= imported
    assert imported - {"thimble"} <= set(required(wheel))


def imports(path: Path) -> Iterator[str]:
    """The packages that a module imports at once, for type checking's sake and inside functions left out."""
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def required(wheel: Path) -> Iterator[str]:
    """What comes with the wheel, without any extra."""
    packed = zipfile.ZipFile(wheel)
    (name,) = [name for name in packed.namelist() if name.endswith(".dist-info/METADATA")]
    for line in BytesParser().parsebytes(packed.read(name)).get_all("Requires-Dist", []):
        if "extra ==" not in line:
            yield canonical(re.split(r"[^\w.-]", line)[0])


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
