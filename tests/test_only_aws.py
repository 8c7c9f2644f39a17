"""The list of what only AWS can confirm, beside what the rehearsal changes or cannot see."""

import re

from tests.rehearsal.adapter import CHANGES, UNSEEN
from thimble_infra.build import ROOT


def test_what_the_rehearsal_does_not_show_is_what_the_list_names() -> None:
    not_shown = [change.name for change in CHANGES] + list(UNSEEN)
    assert sorted(names(claims())) == sorted(not_shown)


def test_every_change_has_a_reason() -> None:
    assert all(change.reason for change in CHANGES)
    assert all(UNSEEN.values())


def claims() -> list[str]:
    """The first cells of the table under the heading."""
    section = (ROOT / "infra" / "README.md").read_text().partition("## What only AWS can confirm")[2]
    return [
        line.split(" | ")[0].removeprefix("| ") for line in section.splitlines() if line.startswith("| ")
    ][1:]


def names(cells: list[str]) -> list[str]:
    """What stands in italics before a claim."""
    return [name for cell in cells for name in re.findall(r"\*([^*]+)\*", cell.partition(":")[0])]
