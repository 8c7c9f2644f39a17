"""The commands of the operator's page, in the order in which somebody can type them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "infra" / "README.md"
LAST = "### Take it all away"
PART = re.compile(
    r"^(#+ [^\n]*)$|((?:^<!-- needs AWS -->\n)?^```console\n.*?^```$)", re.MULTILINE | re.DOTALL
)
REACHES_A_STACK = re.compile(r"\baws \w|\bmake deploy|\bsam d|\$[(]?(URL|output|resource|\w+_BUCKET)\b")


@dataclass(frozen=True)
class Block:
    heading: str
    text: str

    @property
    def is_for_a_stack(self) -> bool:
        return bool(REACHES_A_STACK.search(self.text))

    @property
    def needs_aws(self) -> bool:
        return self.text.startswith("<!-- needs AWS -->")

    @property
    def commands(self) -> list[str]:
        """A line that begins with > goes on with the one before."""
        typed = re.findall(r"^\$ (.*(?:\n> .*)*)", self.text, re.MULTILINE)
        return [command.replace("\n> ", "\n") for command in typed]


def blocks() -> Iterator[Block]:
    heading = ""
    for title, text in PART.findall(PAGE.read_text()):
        heading = title or heading
        if text:
            yield Block(heading, text)


def typed() -> list[Block]:
    """What needs a stack, and not AWS; what takes it away comes last."""
    found = [block for block in blocks() if block.is_for_a_stack and not block.needs_aws]
    return sorted(found, key=lambda block: block.heading == LAST)
