"""Every command of the operator's page is typed, in one bash in a clone, or marked as one that needs AWS."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rehearsal import ministack, page
from tests.rehearsal.adapter import write
from tests.rehearsal.ministack import Ministack
from tests.rehearsal.stack import ROOT, packaged

SMALL_RANGES = 'parameter_overrides = "SplitBytes=10485760 RangeBytes=5242880 '
ABOUT_LARGE_FILES = "### Watch, go on, stop"
LARGE_FILE = """
test -e large.csv || {
head -n 1 flowers.csv > large.csv
for i in {1..700}; do printf '5.1,3.5,1.4,0.2\\n%.0s' {1..1000}; done >> large.csv
thimble drop large.csv --to s3://$INBOX_BUCKET
}
"""
WORK_ENDS = """
while aws stepfunctions list-executions --state-machine-arn $ARN | grep -q RUNNING; do sleep 1; done
"""


@pytest.fixture
def clone() -> Iterator[tuple[Path, Ministack]]:
    """Of this repository, with the adapted package in it; files of 10 MB are large there."""
    with ministack.running() as cloud:
        folder = cloud.folder / "clone"
        for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        settings = folder / "samconfig.toml"
        settings.write_text(settings.read_text().replace('parameter_overrides = "', SMALL_RANGES))
        package = folder / ".aws-sam" / "package"
        package.mkdir(parents=True)
        write(packaged(), package, cloud.url)
        for stamp in ("built", "packaged"):
            (package.parent / stamp).touch()
        yield folder, cloud


def test_every_command_of_the_page_does_what_it_is_for(clone: tuple[Path, Ministack]) -> None:
    folder, cloud = clone
    lines = ["exec < <(yes)"]  # make deploy asks for it
    for block in page.typed():
        if block.heading == page.LAST:
            lines.append(WORK_ENDS)
        if block.heading == ABOUT_LARGE_FILES:
            lines.append(LARGE_FILE)
        for command in block.commands:
            lines += [f"echo {shlex.quote('$ ' + command)}", command]
    assert len(lines) > 30
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", "\n".join(lines)],
        cwd=folder,
        env=cloud.environment | {"PATH": f"{ministack.PYTHON.parent}:{cloud.environment['PATH']}", "CI": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0
