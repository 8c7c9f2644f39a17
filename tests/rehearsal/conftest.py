"""Two stacks: one in the open, and one where every right is asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rehearsal import ministack
from tests.rehearsal.stack import Stack


@pytest.fixture(scope="session")
def bare() -> Iterator[Stack]:
    """Just deployed, without a model."""
    with ministack.running() as cloud:
        stack = Stack(cloud)
        stack.deploy(SplitBytes="10485760", RangeBytes="5242880")
        yield stack


@pytest.fixture(scope="session")
def stack(bare: Stack) -> Stack:
    """With a model."""
    bare.publish()
    return bare
