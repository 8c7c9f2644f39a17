"""What `make build` does after sam: bytecode, fewer bytes, always the same ones."""

import marshal
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from types import CodeType

import orjson
import pytest
from samcli.yamlhelper import yaml_parse

from thimble.errors import ThimbleError
from thimble_infra.build import ROOT, build, digest, drop_symbols, finish, hold_to, lambda_python, size

PYTHON = Path(sys.executable)
CACHED = f"__pycache__/module.{sys.implementation.cache_tag}.pyc"


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    """A small package as sam leaves it."""
    return make_artefact(tmp_path / "here")


def make_artefact(folder: Path) -> Path:
    for name in (
        "package/module.py",
        "package/tests/test_module.py",
        "package/module.pyi",
        "package/table.csv",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("pass\n")
    return folder


def test_bytecode_is_loaded_without_a_look_at_the_source(artefact: Path) -> None:
    finish(artefact, "/var/task", PYTHON)
    (artefact / "package/module.py").write_text("raise SystemExit('compiled again')\n")
    subprocess.run([sys.executable, "-c", "import package.module"], cwd=artefact, check=True)


def test_tracebacks_name_paths_of_lambda_not_of_the_builder(artefact: Path) -> None:
    finish(artefact, "/var/task", PYTHON)
    code = marshal.loads((artefact / "package" / CACHED).read_bytes()[16:])
    assert isinstance(code, CodeType)
    assert code.co_filename == "/var/task/package/module.py"


def test_what_is_never_read_is_left_out(artefact: Path) -> None:
    finish(artefact, "/var/task", PYTHON)
    files = {str(path.relative_to(artefact)) for path in artefact.rglob("*") if path.is_file()}
    assert files == {"package/module.py", f"package/{CACHED}", "package/table.csv"}


def test_numpy_does_not_document_itself(artefact: Path) -> None:
    documentation = artefact / "numpy/_core/_add_newdocs_scalars.py"
    documentation.parent.mkdir(parents=True)
    documentation.write_text("raise SystemExit('documented')\n")
    finish(artefact, "/var/task", PYTHON)
    subprocess.run(
        [sys.executable, "-c", "import numpy._core._add_newdocs_scalars"], cwd=artefact, check=True
    )


def test_the_same_source_gives_the_same_bytes_times_and_permissions(artefact: Path, tmp_path: Path) -> None:
    later = make_artefact(tmp_path / "elsewhere")
    os.utime(later / "package/module.py", (1, 1))
    (later / "package/module.py").chmod(0o600)
    for folder in (artefact, later):
        finish(folder, "/var/task", PYTHON)
    assert digest(artefact) == digest(later)
    for path in artefact.rglob("*"):
        here, there = path.stat(), (later / path.relative_to(artefact)).stat()
        assert (here.st_mtime, stat.filemode(here.st_mode)) == (there.st_mtime, stat.filemode(there.st_mode))


@pytest.mark.skipif(sys.platform != "linux", reason="the libraries here are not ELF")
def test_a_library_without_its_symbols_is_smaller_and_loads(tmp_path: Path) -> None:
    package = tmp_path / "orjson"
    shutil.copytree(Path(orjson.__file__).parent, package)
    before = size(package)
    for library in package.glob("*.so"):
        drop_symbols(library)
    assert size(package) < before
    program = "import orjson; print(orjson.__file__, orjson.dumps([1.5]))"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == [str(package / "__init__.py"), "b'[1.5]'"], done.stderr


def test_a_file_that_is_no_library_keeps_its_bytes(tmp_path: Path) -> None:
    script = tmp_path / "libm.so"
    script.write_text("/* GNU ld script */ GROUP ( /lib/libm.so.6 )")
    drop_symbols(script)
    assert script.read_text().startswith("/* GNU ld script */")


def test_without_the_functions_python_a_sentence_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    with pytest.raises(ThimbleError, match=r"python3\.13"):
        lambda_python()


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_a_stack_has_no_other_processors_than_it_was_built_for(architecture: str, tmp_path: Path) -> None:
    template = shutil.copyfile(ROOT / "template.yaml", tmp_path / "template.yaml")
    hold_to(architecture, template)
    parameters = yaml_parse(template.read_text())["Parameters"]
    assert parameters["Architecture"]["Default"] == architecture
    assert parameters["Architecture"]["AllowedValues"] == [architecture]
    del parameters["Architecture"]
    assert parameters == {
        name: parameter
        for name, parameter in yaml_parse((ROOT / "template.yaml").read_text())["Parameters"].items()
        if name != "Architecture"
    }


def test_other_processors_are_refused_with_a_sentence() -> None:
    with pytest.raises(ThimbleError, match="ARCHITECTURE is riscv, not x86_64 or arm64"):
        build("riscv")
