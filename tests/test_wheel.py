"""The wheel is run alone, in environments that hold what it requires and nothing else."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import thimble

ROOT = Path(__file__).parents[1]
SOURCES = {
    name: ROOT / folder / name
    for name, folder in {"thimble": "functions", "thimble_model": "model", "thimble_infra": "infra"}.items()
}
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore")
COMMAND = "from thimble_infra.command import main; main()"
EXPORT = """
import importlib.util, sys
from pathlib import Path
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from thimble import export, load
from thimble_model.check import check, facts

absent = ("pandas", "polars", "obstore", "boto3", "typer", "rich", "aws_lambda_powertools", "moto")
assert [name for name in absent if importlib.util.find_spec(name)] == []
X = np.arange(40.0).reshape(20, 2) % 7
estimator = LogisticRegression().fit(X, X[:, 0] > 3)
document = export(estimator, X, X[:, 0] > 3, name="alone")
Path("alone.json").write_bytes(document)
assert check(document, estimator).parity.holds
assert facts(check(document))
texts = [["a", 1], ["b", 2], ["c", 1]] * 5
export(make_pipeline(OneHotEncoder(), LogisticRegression()).fit(texts, [0, 1, 1] * 5), texts)
export(estimator)
print(load("alone.json").digest)
load(document).predict(X)
"""


def built(folder: Path) -> dict[str, Path]:
    """The wheel and the source archive, built without a network from a copy of this tree."""
    for name in BUILT_FROM:
        shutil.copyfile(ROOT / name, folder / name)  # another time, and perhaps another mode
    for name in ("functions", "model", "infra", "tests"):
        shutil.copytree(
            ROOT / name,
            folder / name,
            ignore=shutil.ignore_patterns("__pycache__"),
            copy_function=shutil.copy,
        )
    command = [sys.executable, "-m", "hatchling", "build", "-d", "dist"]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return {path.suffix: path for path in (folder / "dist").iterdir()}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return built(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def wheel(dist: dict[str, Path]) -> Path:
    return dist[".whl"]


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(wheel, tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def command_line(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(wheel, tmp_path_factory.mktemp("cli"), extra="cli")


def metadata(wheel: Path) -> Message:
    packed = zipfile.ZipFile(wheel)
    (name,) = [name for name in packed.namelist() if name.endswith(".dist-info/METADATA")]
    return BytesParser().parsebytes(packed.read(name))


def environment(wheel: Path, folder: Path, extra: str = "") -> Path:
    """The wheel, and links to the installed packages that it requires, directly or not."""
    zipfile.ZipFile(wheel).extractall(folder)
    waiting = [(Requirement(line), extra) for line in metadata(wheel).get_all("Requires-Dist", [])]
    linked = set()
    while waiting:
        requirement, asked = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in linked or (requirement.marker and not requirement.marker.evaluate({"extra": asked})):
            continue
        linked.add(name)
        link(name, folder)
        required = map(Requirement, distribution(name).requires or [])
        waiting += [(each, asked) for each in required for asked in ("", *requirement.extras)]
    return folder


def link(name: str, folder: Path) -> None:
    found = distribution(name)
    for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
        if not (folder / top).exists():
            (folder / top).symlink_to(Path(str(found.locate_file(top))))


def python(packages: list[Path], *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A Python that sees these packages alone: -S keeps all that is installed away."""
    return subprocess.run(
        [sys.executable, "-S", *arguments],
        env=alone(packages),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def alone(packages: list[Path]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    path = os.pathsep.join(map(str, packages))
    return own | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "100"}


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


def test_every_module_of_the_wheel_can_be_imported_from_it_alone(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    names = sorted(
        re.sub(r"\.__init__$", "", ".".join(path.relative_to(tmp_path).with_suffix("").parts))
        for path in tmp_path.rglob("*.py")
    )
    program = f"import importlib, json\nfor name in {names}: importlib.import_module(name)"
    packages = [tmp_path, Path(sysconfig.get_path("purelib"))]
    done = python(packages, "-c", program, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_same_files_give_the_same_wheel_and_source_archive(dist: dict[str, Path], tmp_path: Path) -> None:
    again = built(tmp_path)
    assert set(again) == {".whl", ".gz"}
    for kind, path in again.items():
        assert path.name == dist[kind].name
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(dist[kind].read_bytes()).digest()


def test_twine_finds_nothing_to_say(dist: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, dist.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2


def test_the_distribution_has_a_name_of_its_own_and_the_version_of_the_service(wheel: Path) -> None:
    told = metadata(wheel)
    assert (told["Name"], told["Version"]) == ("thimble-ml", thimble.__version__)


def test_installing_it_moves_no_package_to_another_version(wheel: Path) -> None:
    required = list(map(Requirement, metadata(wheel).get_all("Requires-Dist", [])))
    base = [each for each in required if each.marker is None]
    assert {each.name for each in base} == {"numpy", "orjson", "scikit-learn"}
    assert {clause.operator for each in required for clause in each.specifier} <= {">="}


def test_the_oldest_versions_that_are_admitted_are_those_that_are_tested() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = dict(re.findall(r"^([\w-]+)==([\d.]+)", (ROOT / "tests/sklearn-oldest.txt").read_text(), re.M))
    admitted = map(Requirement, [*pyproject["dependencies"], *pyproject["optional-dependencies"]["cli"]])
    lowest = {each.name: clause.version for each in admitted for clause in each.specifier}
    for name in ("numpy", "orjson", "scikit-learn", "pandas"):
        assert re.fullmatch(rf"{re.escape(lowest[name])}(\.0)*", pins[name]), name


def test_exporting_needs_numpy_orjson_and_scikit_learn_alone(base: Path, tmp_path: Path) -> None:
    done = python([base], "-c", EXPORT, cwd=tmp_path)
    digest = hashlib.sha256((tmp_path / "alone.json").read_bytes()).hexdigest()
    assert done.stdout == f"{digest}\n", done.stderr
    assert done.stderr.splitlines()[-1] == (
        "thimble_model.unsupported.Unsupported: pandas is needed, "
        "for the answer is a DataFrame: pip install pandas"
    )


def test_the_command_says_which_extra_it_needs(base: Path, tmp_path: Path) -> None:
    done = python([base], "-c", COMMAND, "--help", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "thimble: the command needs typer, which is not installed: pip install 'thimble-ml[cli]'\n"
    )


def test_the_command_line_needs_its_extra_alone(command_line: Path, tmp_path: Path) -> None:
    def thimble(*arguments: str) -> subprocess.CompletedProcess[str]:
        return python([command_line], "-c", COMMAND, *arguments, cwd=tmp_path)

    trained = thimble("train-iris", "--estimator", "iris.joblib", "--data", "iris.csv", "-o", "iris.json")
    assert trained.returncode == 0, trained.stderr
    exported = thimble("export", "iris.joblib", "--data", "iris.csv", "-o", "again.json")
    assert exported.returncode == 0, exported.stderr
    done = thimble("classify", "iris.csv", "-o", "answers.csv", "--model", "again.json")
    assert done.returncode == 0, done.stderr
    assert "150" in done.stdout
    ran = thimble("run")
    assert ran.returncode == 3
    assert "thimble serve MODEL.json" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.fixture
def serving(command_line: Path, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """`thimble serve` with nothing but the extra, at a port that is free."""
    shutil.copy(ROOT / "model" / "iris.json", tmp_path)
    with subprocess.Popen(
        [sys.executable, "-S", "-c", COMMAND, "serve", "iris.json", "--port", "0"],
        env=alone([command_line]),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_a_model_is_served_from_the_wheel(serving: "subprocess.Popen[str]") -> None:
    import urllib.request

    assert serving.stdout is not None
    lines = iter(serving.stdout.readline, "")
    url = next(line.split()[1] for line in lines if line.startswith("ready "))
    with urllib.request.urlopen(f"{url}/health") as answer:
        assert json.load(answer)["model"]["name"] == "iris"
    serving.send_signal(signal.SIGINT)
    _, told = serving.communicate(timeout=60)
    assert serving.returncode == 0
    assert [line.split()[1:4] for line in told.splitlines()] == [["GET", "/health", "200"]]
