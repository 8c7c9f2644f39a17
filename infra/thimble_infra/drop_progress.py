"""Read from the parts bucket how far the state machine is with a file that was split.

A plan names its upload and the number of ranges; each range that is done has left a report beside it. If the
bucket may not be read, or holds nothing, no progress is shown.
"""

import json
import re
from dataclasses import dataclass, field

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from thimble_infra.arrivals import Arrival

REPORT = re.compile(r"(?P<folder>.+)/\d{6,}\.json")


@dataclass
class Parts:
    """The parts bucket, from a prefix on."""

    store: ObjectStore
    prefix: str = ""
    _ranges: dict[str, tuple[Arrival, int]] = field(default_factory=dict)  # folder: the input, ranges
    _closed: bool = False

    def progress(self, key: str, arrival: Arrival) -> tuple[int, int] | None:
        """Return how many ranges of an upload are done, and how many there are; None if that is unknown."""
        try:
            return None if self._closed else self._progress(f"{self.prefix}/{key}".lstrip("/"), arrival)
        except (BaseError, OSError):
            self._closed = True
            return None

    def _progress(self, path: str, arrival: Arrival) -> tuple[int, int] | None:
        paths = [item["path"] for item in obstore.list(self.store, f"{path}/").collect()]
        for folder in (found.removesuffix("/plan.json") for found in paths if found.endswith("/plan.json")):
            plan = self._plan(folder)
            if plan and plan[0].is_same(arrival):
                reports = filter(None, map(REPORT.fullmatch, paths))
                return sum(report["folder"] == folder for report in reports), plan[1]
        return None

    def _plan(self, folder: str) -> tuple[Arrival, int] | None:
        if folder not in self._ranges:
            try:
                plan = json.loads(bytes(obstore.get(self.store, f"{folder}/plan.json").bytes()))
            except FileNotFoundError:
                return None  # done and removed since it was listed
            self._ranges[folder] = Arrival.described(plan["identity"]["input"]), len(plan["bounds"]) - 1
        return self._ranges[folder]
