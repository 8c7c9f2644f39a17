"""One deployed stack for all tests that only use it."""

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
