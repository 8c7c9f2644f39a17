"""Read and write the blocks that commands generate in pages: the lines between two comments with a name."""

from collections.abc import Sequence
from pathlib import Path


def write(page: Path, name: str, lines: Sequence[str]) -> None:
    before, _, after = _parts(page, name)
    page.write_text("\n".join([before + _begin(name), "", *lines, "", _end(name) + after]))


def read(page: Path, name: str) -> list[str]:
    return _parts(page, name)[1].strip("\n").split("\n")


def _parts(page: Path, name: str) -> tuple[str, str, str]:
    before, begin, rest = page.read_text().partition(_begin(name))
    inside, end, after = rest.partition(_end(name))
    if not (begin and end):
        raise ValueError(f"{page.name} has no {_begin(name)} with {_end(name)} after it")
    return before, inside, after


def _begin(name: str) -> str:
    return f"<!-- {name} -->"


def _end(name: str) -> str:
    return f"<!-- end of {name} -->"
