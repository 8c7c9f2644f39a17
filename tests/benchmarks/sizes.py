"""What is uploaded, and what is unpacked at a cold start, beside Lambda's limit and the usual packages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import lambdas, service
from tests.benchmarks.report import AtMost, Case, Contender, Figure
from thimble_infra import packaging
from thimble_infra.build import BUILT, LIMIT, ROOT, size

ARCHIVE = 25e6  # bytes of the API's


def cases(folder: Path) -> Iterator[Case]:
    subprocess.run(["make", "--no-print-directory", "build"], cwd=ROOT, check=True, stdout=sys.stderr)
    archive = packaging.archive(BUILT / "ApiFunction", folder / "api.zip").stat().st_size
    yield _case(
        "size: the API's archive",
        archive,
        [_sized("25 MB, which it means to stay below", ARCHIVE, AtMost(1))],
    )
    packages = [
        _sized(usual.called, size(lambdas.packages(usual.packages, bytecode=False)))
        for usual in service.USUAL
    ]
    yield _case("size: the API's function, unpacked", size(BUILT / "ApiFunction"), packages)
    files = size(BUILT / "FilesFunction") + size(BUILT / "FilesLayer")
    yield _case("size: the files' function and layer", files, [_sized("Lambda's limit", LIMIT, AtMost(0.8))])


def _case(name: str, ours: float, rivals: list[Contender]) -> Case:
    return Case(name, _sized("Thimble", ours), rivals, pairs=1)


def _sized(name: str, amount: float, goal: AtMost | None = None) -> Contender:
    return Contender(name, lambda: Figure(amount, f"{amount / 2**20:.1f} MiB"), goal)
