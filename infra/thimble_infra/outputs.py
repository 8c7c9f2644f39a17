"""Write a command's outputs: check their places before any work, and replace files only when complete."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EISDIR, ENOENT
from pathlib import Path

from thimble.errors import InvalidInput

STANDARD_OUTPUT = "-"


def is_standard(path: Path | str) -> bool:
    return str(path) == STANDARD_OUTPUT


def check_files(*paths: Path | None) -> None:
    """Raise now if a file could not be written after all the work: an OSError or InvalidInput."""
    for path in paths:
        if path is None or is_standard(path):
            continue
        if path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
        require_regular(path)
        if not path.parent.is_dir():
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT), str(path))
        check_folder(path.resolve().parent)


def require_regular(path: Path) -> None:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InvalidInput(f"{path} is a device or a pipe, not a file: - is standard output")


def check_folder(folder: Path) -> None:
    """Raise InvalidInput unless a file can be created in a folder, or in its nearest existing parent."""
    while not folder.is_dir() and folder != folder.parent:
        if folder.exists():
            raise InvalidInput(f"{folder} is a file, and a folder is needed there: name another place")
        folder = folder.parent
    probe = _beside(folder / "probe")
    try:
        probe.open("xb").close()
        probe.unlink()
    except OSError as error:
        raise InvalidInput(
            f"nothing can be written in {folder} ({error.strerror}): name another place"
        ) from None


def write(path: Path, data: bytes) -> None:
    """Write all of the data or nothing; an earlier file stays until then."""
    if is_standard(path):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    with replacing(path) as beside:
        beside.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which replaces the other if all goes well."""
    place = path.resolve()  # replace a link's target, not the link
    beside = _beside(place)
    try:
        yield beside
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".thimble-{os.getpid()}.part")
