"""The folder of a job that many functions share: the plan, the model's document, and of each range the
result, the rejections and, written last, the report.
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

AT_ONCE = 32  # small objects
LONGEST_NAME = "999999-99999999999999.rejections"  # of a part: its range, and the byte where it begins


@dataclass(frozen=True)
class Plan:
    identity: Summary  # the job's
    format: str
    head: int  # bytes that tell the format
    bounds: list[int]
    started: float  # time.time()


@dataclass(frozen=True)
class Stored:
    """One version of an object in the folder; or nothing."""

    path: str = ""
    size: int = 0
    etag: str | None = None


NOTHING = Stored()


@dataclass(frozen=True)
class Report:
    """What became of a range."""

    index: int
    round: int
    start: int  # of its first record
    stop: int  # before which its last record begins
    end: int | None  # of its last record; none if the file is to be refused
    counts: dict[str, Any]  # Tally.counts
    result: Stored = NOTHING
    rejected: Stored = NOTHING
    trail: str = ""  # hex
    error: str = ""
    error_line: int | None = None  # if the error names one

    def of(self, part: Range) -> bool:
        """Whether this is what the range is to become."""
        return part.round == 0 or (self.start, self.stop) == (part.start, part.stop)


class PartsFolder(Folder):
    """The folder of one job. A part is named after its range."""

    @property
    def path(self) -> str:
        return self.key("").rstrip("/")

    @property
    def fits(self) -> bool:
        """Whether S3 takes the keys of all parts."""
        return fits(self.key(LONGEST_NAME))

    def dump(self, name: str, value: object) -> str:
        """Write a value as JSON; the key."""
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
        """Those that are there."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = pool.map(self.report, indices)
            return {report.index: report for report in found if report is not None}

    def missing(self, plan: Plan) -> list[Range]:
        """The ranges without a report."""
        there = set(self.keys())
        return [
            part for part in ranges.planned(plan.bounds) if self.key(report_name(part.index)) not in there
        ]


def report_name(index: int) -> str:
    return f"{index:06d}.json"
