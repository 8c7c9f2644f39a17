"""Find the files that a command is asked for, by one rule for all commands.

A folder keeps its name. Its files are left out if their names begin with a dot or say no format, and this is
reported. This module also checks that results do not overwrite inputs.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from thimble.errors import InvalidInput
from thimble.tables import formats
from thimble.tables.formats import EXTENSIONS, HEAD_BYTES

STANDARD_INPUT = "-"
STANDARD = "stdin"  # the standard input's name as a file
SHOWN = 5  # names of what was left out


class File(NamedTuple):
    root: Path
    below: str  # the path below the root
    name: str  # the same, after the name of the folder that was asked for

    @property
    def path(self) -> Path:
        return self.root / self.below


@dataclass
class Found:
    files: list[File] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)  # the names of files that are left out

    def add(self, path: Path) -> None:
        """Add a file, or all files of a folder. Raises InvalidInput if there is neither."""
        if path.is_file():
            path.open("rb").close()  # fail before any work if it cannot be read
            self.files.append(File(path.parent, path.name, path.name))
        elif path.is_dir():
            below = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
            refuse_results(str(path), below)
            for name in below:
                self._add_below(path, name)
        elif path.exists():
            raise InvalidInput(f"{path} is a device or a pipe, not a file: - is standard input")
        else:
            raise InvalidInput(f"there is no file {path}")

    def _add_below(self, root: Path, below: str) -> None:
        name = f"{root.resolve().name}/{below}"
        if readable(below):
            self.files.append(File(root, below, name))
        else:
            self.skipped.append(name)


def below(paths: Sequence[Path]) -> Found:
    """Return all files at and below the paths. Raises InvalidInput if there are none."""
    found = Found()
    for path in paths:
        found.add(path)
    if not found.files:
        left = f" ({left_out(found.skipped)})" if found.skipped else ""
        raise InvalidInput(f"there is no file in {', '.join(map(str, paths))}{left}")
    return found


@contextmanager
def standard_input() -> Iterator[Path]:
    """Yield standard input as a file, whose name says the format of its first bytes.

    Raises InvalidInput if they have no known format.
    """
    from thimble_model.sheets import extension_of  # imported here because it needs pandas

    with tempfile.TemporaryDirectory(prefix="thimble-") as folder:
        unnamed = Path(folder, STANDARD)
        with unnamed.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        with unnamed.open("rb") as file:
            extension = extension_of(file.read(HEAD_BYTES))
        if not extension:
            raise InvalidInput("standard input is no table: send CSV, JSON, JSON Lines or Parquet")
        yield unnamed.rename(unnamed.with_suffix(extension))


@contextmanager
def named(files: Sequence[str]) -> Iterator[list[str]]:
    """Yield the names, with a temporary file's in place of - for standard input."""
    if STANDARD_INPUT not in files:
        yield list(files)
        return
    with standard_input() as path:
        yield [str(path) if file == STANDARD_INPUT else file for file in files]


def refuse_results(place: str, names: Sequence[str]) -> None:
    """Raise InvalidInput for a folder of results, whose files are already classified."""
    known = set(names)
    folders = {name.rpartition("/")[0] for name in names if name.rpartition("/")[2].startswith("result.")}
    for name in names:
        folder, _, last = name.rpartition("/")
        beside = name.removesuffix(".summary.json")
        if (last == "summary.json" and folder in folders) or (beside != name and beside in known):
            raise InvalidInput(
                f"{place} holds results ({name}), which are classified already: "
                "name the folder that the files came from"
            )


def readable(below: str) -> bool:
    """Return whether to classify a file found in a folder: its path is not hidden, its name says a format."""
    hidden = any(part.startswith(".") for part in below.split("/"))
    return not hidden and formats.named(below).format in EXTENSIONS.values()


def left_out(names: Sequence[str]) -> str:
    files = "1 file" if len(names) == 1 else f"{len(names):,} files"
    more = f", and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    which = ", ".join(names[:SHOWN])
    return f"skipped {files}, hidden or with a name that says no format: {which}{more}"


class Placed(NamedTuple):
    """The places of an input and of its results."""

    source: str
    results: Sequence[str]


def check_places(placed: Sequence[Placed], folders: Sequence[str]) -> None:
    """Raise InvalidInput if a result would overwrite an input or another result, or lie in an input folder.

    In an input folder, the result would be an input the next time.
    """
    inputs = {
        identity: one.source for one in placed for identity in (_identity(one.source), _real(one.source))
    }
    taken: dict[object, Placed] = {}
    for one in placed:
        for result in one.results:
            if source := next((inputs[path] for path in _lineage(result) if path in inputs), None):
                raise InvalidInput(
                    f"{result} would take the place of {source}, which is read: name another place"
                )
            if (other := taken.setdefault(_identity(result), one)) is not one:
                raise InvalidInput(f"{other.source} and {one.source} would both be {result}")
            if folder := next((folder for folder in folders if _lies_in(result, folder)), None):
                raise InvalidInput(
                    f"{result} would lie in {folder}, which is read, and be an input itself the next time: "
                    "name another place"
                )


def _identity(path: str) -> object:
    """Return a value that is the same for the same file, whatever path leads to it."""
    try:
        found = Path(path).stat()
    except OSError:  # not there yet, or in a bucket
        return _real(path)
    return found.st_dev, found.st_ino


def _real(path: str) -> str:
    return path if path.startswith("s3://") else str(Path(path).resolve())


def _lineage(path: str) -> Iterator[object]:
    """Yield a file, and the paths that would have to be folders for it."""
    yield _identity(path)
    if not path.startswith("s3://"):
        yield from map(str, Path(path).resolve().parents)


def _lies_in(path: str, folder: str) -> bool:
    if path.startswith("s3://") or folder.startswith("s3://"):
        return path.startswith(folder)
    return Path(path).resolve().is_relative_to(Path(folder).resolve())
