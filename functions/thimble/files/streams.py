"""Count the answered parts of a file, or of a range of it, and write them until the deadline."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar

import numpy as np

from thimble.errors import Late, ThimbleError
from thimble.inference.reference import Counts
from thimble.tables.blocks import NONE, Part, Result

T = TypeVar("T")


class Writable(Protocol):
    def write(self, data: bytes, /) -> int: ...


class Tally:
    """The counts of a file's records."""

    def __init__(self, n_classes: int, observed: Counts = NONE) -> None:
        self.records = self.lines = self.predictions = self.rejections = self.blank = 0
        self.abstained = 0
        self.classes = np.zeros(n_classes, np.int64)
        self.observed = observed  # counts for drift

    def add(self, part: Part) -> None:
        answered = part.answered
        self.records += part.records
        self.lines += part.lines
        self.predictions += answered.predictions
        self.rejections += answered.rejections
        self.blank += answered.blank
        self.abstained += answered.abstained
        self.classes += answered.classes
        self.observed = self.observed + answered.observed

    @property
    def counts(self) -> dict[str, Any]:
        """The counts as JSON values, for `include`."""
        return {**vars(self), "classes": self.classes.tolist(), "observed": self.observed.tolist()}

    def include(self, counts: dict[str, Any]) -> None:
        """Add the counts of another tally."""
        self.classes += np.array(counts["classes"])
        self.observed = self.observed + np.array(counts["observed"], np.int64)
        for name in counts.keys() - {"classes", "observed"}:
            setattr(self, name, getattr(self, name) + counts[name])

    @property
    def rows(self) -> int:
        return self.predictions + self.rejections

    def reconcile(self) -> None:
        """Raise ThimbleError unless every record is a prediction, a rejection or a blank line."""
        if self.records != self.predictions + self.rejections + self.blank:
            raise ThimbleError(
                f"of {self.records} records, {self.predictions} were answered, {self.rejections} rejected "
                f"and {self.blank} blank: one was lost"
            )


def until_deadline(things: Iterable[T], deadline: float) -> Iterator[T]:
    """Yield the things one by one; raise Late once time.monotonic() is past the deadline."""
    for thing in things:
        check_time(deadline)
        yield thing


def check_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise Late("the time that a function has is over")


def result_pieces(result: Result, parts: Iterable[Part], rejected: Writable, tally: Tally) -> Iterator[bytes]:
    """Yield the pieces of the result between its opening and its closing; count the parts and write their
    rejections meanwhile.
    """
    joint = b""
    for part in parts:
        tally.add(part)
        rejected.write(part.answered.rejected)
        if part.answered.result:
            yield joint + part.answered.result
            joint = result.joint
