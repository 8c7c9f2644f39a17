"""What the functions that share a file hand to each other: a folder with the plan, the model's document, and
of each range its result, its rejections and, written last, its report.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import obstore
import orjson
from obstore.store import ObjectStore

from thimble.files.jobs import fits
from thimble.files.uploads import Upload
from thimble.split import ranges
from thimble.split.ranges import Range

AT_ONCE = 32  # small objects
LONGEST_NAME = "/999999-99999999999999.rejections"  # of a part: its range, and the byte where it begins


@dataclass(frozen=True)
class Plan:
    identity: dict[str, Any]  # the job's
    format: str
    head: int  # bytes that tell the format
    bounds: list[int]
    started: float  # time.time()


@dataclass(frozen=True)
class Stored:
    """One version of an object, to be read; or nothing."""

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
    counts: dict[str, Any]
    result: Stored = NOTHING
    rejected: Stored = NOTHING
    closing: str = ""  # hex
    error: str = ""
    error_line: int | None = None  # if the error names one

    def of(self, part: Range) -> bool:
        """Whether this is what the range is to become."""
        return part.round == 0 or (self.start, self.stop) == (part.start, part.stop)


@dataclass(frozen=True)
class Folder:
    store: ObjectStore
    path: str

    @property
    def fits(self) -> bool:
        """Whether S3 takes the keys of all parts."""
        return fits(self.path + LONGEST_NAME)

    def put(self, name: str, data: Any) -> str:
        """Bytes, or what becomes JSON; the path."""
        path = f"{self.path}/{name}"
        obstore.put(self.store, path, data if isinstance(data, bytes) else orjson.dumps(data))
        return path

    def get(self, name: str) -> bytes | None:
        try:
            return bytes(obstore.get(self.store, f"{self.path}/{name}").bytes())
        except FileNotFoundError:
            return None

    def upload(self, name: str) -> Upload:
        return Upload(self.store, f"{self.path}/{name}")

    def plan(self) -> Plan | None:
        data = self.get("plan.json")
        return None if data is None else Plan(**orjson.loads(data))

    def report(self, index: int) -> Report | None:
        data = self.get(f"{index:06d}.json")
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
        there = {meta["path"] for meta in self.listed()}
        return [r for r in ranges.planned(plan.bounds) if f"{self.path}/{r.index:06d}.json" not in there]

    def listed(self) -> list[Any]:
        return list(obstore.list(self.store, f"{self.path}/").collect())

    def remove(self) -> None:
        if paths := [meta["path"] for meta in self.listed()]:
            obstore.delete(self.store, paths)
