"""The folder of a job that many functions share.

It holds the plan, the model's document, and for each range the result, the rejections and the report, which
is written last.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import orjson

from thimble.files.jobs import Summary
from thimble.files.uploads import Upload
from thimble.split import ranges
from thimble.split.ranges import Range
from thimble.store import Folder, ObjectVersion, fits

AT_ONCE = 32  # small objects that are read in parallel
LONGEST_NAME = "999999-99999999999999.rejections"  # of a part: the range's index, the byte where it begins


@dataclass(frozen=True)
class Plan:
    identity: Summary  # of the job
    format: str
    head: int  # number of first bytes that are read to detect the format
    bounds: list[int]  # byte offsets: a range starts at each but the last, and stops at the next
    started: float  # by time.time()


@dataclass(frozen=True)
class Stored:
    """One version of an object in the folder; with an empty path, no object."""

    path: str = ""
    size: int = 0
    etag: str | None = None


NOTHING = Stored()


@dataclass(frozen=True)
class Report:
    """The outcome of a range; its offsets are in bytes of the input."""

    index: int
    round: int
    start: int  # where its first record begins
    stop: int  # its last record begins before this
    end: int | None  # where its last record ends; None if the file is to be refused
    counts: dict[str, Any]  # Tally.counts
    result: Stored = NOTHING
    rejected: Stored = NOTHING
    trail: str = ""  # Reader.trail, in hex
    error: str = ""  # why the file is to be refused
    error_line: int | None = None  # the line in the range, if the error names one

    def of(self, part: Range) -> bool:
        """Return whether this report is for the given range: in round 0, for any guess of its start."""
        return part.round == 0 or (self.start, self.stop) == (part.start, part.stop)


class PartsFolder(Folder):
    """The folder of one job; each object is named after its range."""

    @property
    def path(self) -> str:
        return self.key("").rstrip("/")

    @property
    def fits(self) -> bool:
        """Whether the keys of all parts are short enough for S3."""
        return fits(self.key(LONGEST_NAME))

    def dump(self, name: str, value: object) -> str:
        """Write a value as JSON; return the key."""
        return self.write(name, orjson.dumps(value))

    def upload(self, name: str) -> Upload:
        return Upload(self.store, self.key(name))

    def version(self, stored: Stored) -> ObjectVersion:
        return ObjectVersion(self.store, stored.path, stored.size, stored.etag)

    def plan(self) -> Plan | None:
        data = self.read("plan.json")
        return None if data is None else Plan(**orjson.loads(data))

    def report(self, index: int) -> Report | None:
        data = self.read(report_name(index))
        if data is None:
            return None
        fields = orjson.loads(data)
        for name in ("result", "rejected"):
            fields[name] = Stored(**fields[name])
        return Report(**fields)

    def reports(self, indices: Iterable[int]) -> dict[int, Report]:
        """Return the reports that exist, by the index of their range."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = pool.map(self.report, indices)
            return {report.index: report for report in found if report is not None}

    def missing(self, plan: Plan) -> list[Range]:
        """Return the ranges that have no report yet."""
        there = set(self.keys())
        return [
            part for part in ranges.planned(plan.bounds) if self.key(report_name(part.index)) not in there
        ]


def report_name(index: int) -> str:
    return f"{index:06d}.json"
