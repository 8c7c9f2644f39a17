"""`make build`: run sam build, add the bytecode that sam leaves out, and remove what Lambda never reads.

/var/task is read-only, so a module without bytecode would be compiled again at every cold start. The bytecode
is unchecked: the interpreter does not even look at the source. The same commit builds the same bytes, because
paths in the bytecode are Lambda's, and times and permissions are fixed.
"""

import hashlib
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from thimble.errors import ThimbleError

ROOT = Path(__file__).parents[2]
BUILT = ROOT / ".aws-sam" / "build"
MOUNTS = {
    "ApiFunction": "/var/task",
    "FilesFunction": "/var/task",
    "WorkflowFunction": "/var/task",
    "FilesLayer": "/opt",
}
NEVER_READ = (
    *("README.md", "__pycache__", "tests", "*.pyi", "*.pxd", "*.a", "sboms"),
    # Parts of libraries that our code does not import; the functions are tested without them.
    "aws_lambda_powertools/event_handler",
    *(
        f"aws_lambda_powertools/utilities/{name}"
        for name in (
            *("auth_alpha", "batch", "circuit_breaker", "data_classes", "data_masking", "feature_flags"),
            *("idempotency", "kafka", "parameters", "parser", "streaming", "validation"),
        )
    ),
    *(f"numpy/{name}" for name in ("f2py", "fft", "polynomial", "random", "testing", "_pyinstaller")),
    *(f"numpy/_core/{name}" for name in ("include", "lib", "_simd.*.so", "*_tests.*.so", "*_test.*.so")),
    "polars/testing",
)
# Docstrings for numpy's C functions. Attaching them one by one takes a tenth of numpy's import time.
DOCUMENTATION = "numpy/_core/_add_newdocs*.py"
ELF_64_LITTLE = b"\x7fELF\x02\x01"
# The wheels that Lambda's glibc can load. sam asks pip for fewer: not for glibc 2.24, as obstore's for arm64.
ARM_WHEELS = " ".join(f"manylinux_2_{minor}_aarch64" for minor in (17, 24, 28, 34)) + " manylinux2014_aarch64"
ARCHITECTURES: dict[str, dict[str, str]] = {
    "x86_64": {},
    "arm64": {"PIP_ONLY_BINARY": ":all:", "PIP_PLATFORM": ARM_WHEELS},
}
LIMIT = 250 * 2**20  # Lambda's limit for a function and its layers, unpacked
MOMENT = 315_619_200  # 1980-01-02, the first day that zip can write in every time zone


def main() -> None:
    try:
        build(*sys.argv[1:])
    except ThimbleError as error:
        sys.exit(f"make build: {error}")


def build(architecture: str = "x86_64") -> None:
    """Build what is deployed into .aws-sam/build, and print the sizes."""
    if architecture not in ARCHITECTURES:
        raise ThimbleError(f"ARCHITECTURE is {architecture}, not {' or '.join(ARCHITECTURES)}")
    python = lambda_python()
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    sam = [str(Path(sys.executable).with_name("sam")), "build"]
    sam += ["--parameter-overrides", f"Architecture={architecture}"]
    environment = os.environ | ARCHITECTURES[architecture] | {"PATH": path, "SAM_CLI_TELEMETRY": "0"}
    built = subprocess.run(sam, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=False)
    if built.returncode:
        raise ThimbleError("sam build failed; what it said is above")
    for name, mount in MOUNTS.items():
        finish(BUILT / name, mount, python)
        print(f"{name:14} {size(BUILT / name) / 2**20:6.1f} MiB  sha256:{digest(BUILT / name)}")
    hold_to(architecture, BUILT / "template.yaml")
    _check_limit(size(BUILT / "FilesFunction") + size(BUILT / "FilesLayer"))


def hold_to(architecture: str, template: Path) -> None:
    """Restrict the template's Architecture to the processors that it was built for."""
    from samcli.yamlhelper import yaml_dump, yaml_parse

    found: dict[str, Any] = yaml_parse(template.read_text())
    found["Parameters"]["Architecture"] |= {"Default": architecture, "AllowedValues": [architecture]}
    template.write_text(yaml_dump(found))


def lambda_python() -> Path:
    """Return the interpreter of the functions' version: python3.13 on PATH, or else pyenv's newest.

    Raises ThimbleError if there is none.
    """
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    of_pyenv = sorted(versions.glob("3.13.*/bin/python3.13"), key=lambda path: path.stat().st_mtime)
    for candidate in [shutil.which("python3.13"), *reversed(of_pyenv)]:
        if candidate and (found := _executable(candidate)):
            return found
    raise ThimbleError(
        "no python3.13, the functions' version, on PATH; your package manager or `uv python install` has it"
    )


def finish(artefact: Path, mount: str, python: Path) -> None:
    """Turn sam's artefact into the deployed one, which Lambda mounts at `mount`."""
    for path in [path for pattern in NEVER_READ for path in artefact.rglob(pattern)]:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    for documentation in artefact.rglob(DOCUMENTATION):
        documentation.write_text("")
    for library in artefact.rglob("*.so*"):
        drop_symbols(library)
    paths = ["-s", str(artefact), "-p", mount]
    kind = ["--invalidation-mode", "unchecked-hash"]
    subprocess.run([python, "-m", "compileall", "-q", "-f", *paths, *kind, artefact], check=True)
    for path in (artefact, *artefact.rglob("*")):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        os.utime(path, (MOMENT, MOMENT))


def drop_symbols(library: Path) -> None:
    """Cut an ELF library down to the parts that its program headers name; the loader reads nothing else.

    Section headers and symbol tables are a fifth of polars, and 40 of Lambda's 250 MB.
    """
    data = library.read_bytes()
    if not data.startswith(ELF_64_LITTLE):
        return
    (headers,) = struct.unpack_from("<Q", data, 32)  # e_phoff
    length, count = struct.unpack_from("<HH", data, 54)  # e_phentsize, e_phnum
    segments = [struct.unpack_from("<8xQ16xQ", data, headers + i * length) for i in range(count)]
    end = max(headers + count * length, *(offset + filesz for offset, filesz in segments))
    no_sections = data[:40] + bytes(8) + data[48:60] + bytes(4)  # e_shoff, e_shnum, e_shstrndx
    library.write_bytes(no_sections + data[64:end])


def size(artefact: Path) -> int:
    """Return the artefact's unpacked size in bytes."""
    return sum(path.stat().st_size for path in _files(artefact))


def digest(artefact: Path) -> str:
    """Return the SHA-256 over the names and bytes of all files."""
    whole = hashlib.sha256()
    for path in _files(artefact):
        whole.update(f"{path.relative_to(artefact)}\0{path.stat().st_size}\0".encode())
        whole.update(path.read_bytes())
    return whole.hexdigest()


def _files(artefact: Path) -> Iterable[Path]:
    return sorted(path for path in artefact.rglob("*") if path.is_file())


def _executable(candidate: str | Path) -> Path | None:
    """Return the interpreter behind a name that may be a pyenv shim; None if the shim leads nowhere."""
    ask = [candidate, "-c", "import sys; print(sys.executable)"]
    answer = subprocess.run(ask, capture_output=True, text=True, check=False)
    return Path(answer.stdout.strip()) if answer.returncode == 0 else None


def _check_limit(unpacked: int) -> None:
    if unpacked > LIMIT:
        raise ThimbleError(f"FilesFunction and its layer are {unpacked:,} bytes; Lambda takes {LIMIT:,}")
    print(f"{'together':14} {unpacked / 2**20:6.1f} MiB, {1 - unpacked / LIMIT:.1%} under Lambda's limit")


if __name__ == "__main__":
    main()
