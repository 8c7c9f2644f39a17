"""A file that many functions share: planned by one, classified range by range, assembled by one.

Whatever is tried again or done twice at once, the same comes out: a range's report is written after its
result, the summary after everything, and what was planned of another version of the input is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from thimble import (
    assembly,
    classifier,
    divided,
    document,
    events,
    pipeline,
    ranges,
    store,
    streams,
    telemetry,
)
from thimble.classifier import Classifier
from thimble.divided import Divided
from thimble.errors import InvalidFile, MalformedBody, Unavailable
from thimble.formats.records import Part
from thimble.jobs import Job, Options
from thimble.parts import Folder, Plan, Report, Stored
from thimble.pipeline import Pipeline
from thimble.ranges import Range
from thimble.streams import Late, LongRecord, Overwritten, Source, Tally

Answer = dict[str, Any]


@dataclass(frozen=True)
class Workflow:
    pipeline: Pipeline
    documents: Callable[[str, str], bytes]  # the model document for an input's key, by its digest
    parts_uri: str
    range_bytes: int
    _loaded: dict[str, Classifier] = field(default_factory=dict)

    def plan(self, bucket: str, key: str, deadline: float) -> Answer:
        answer = self.pipeline.settled(bucket, key, lambda job: self._plan(job, deadline))
        return answer or {"outcome": "gone"}

    def _plan(self, job: Job, deadline: float) -> Answer:
        if job.standing():
            return {"outcome": "done"}
        if not job.splittable:
            events.report(job.source.path, pipeline.run(job, deadline))
            return {"outcome": "done"}
        folder = self._folder(f"{job.source.path}/{job.digest}")
        try:
            plan = folder.plan() or self._planned(job, folder)
        except InvalidFile as error:
            events.report(job.source.path, job.conclude({"error": str(error)}, 0))
            return {"outcome": "done"}
        missing = folder.missing(plan) or ranges.planned(plan.bounds)[-1:]  # a map is over something
        return {
            "outcome": "split",
            "folder": folder.path,
            "manifest": self._manifest(folder, "ranges.json", missing),
            "ranges": len(plan.bounds) - 1,
        }

    def _planned(self, job: Job, folder: Folder) -> Plan:
        head = divided.head(job)
        parts = divided.opened(job, head)
        plan = Plan(job.identity, parts.form.name, head, parts.bounds(self.range_bytes), time.time())
        folder.put("model.json", self.documents(job.source.path, job.classifier.digest))
        folder.put("plan.json", plan)
        return plan

    def _manifest(self, folder: Folder, name: str, missing: list[Range]) -> Answer:
        items = [{"task": "classify", "folder": folder.path, **asdict(part)} for part in missing]
        return {"Bucket": urlsplit(self.parts_uri).netloc, "Key": folder.put(name, items)}

    def classify(self, path: str, part: Range, deadline: float) -> Answer:
        folder = self._at(path)
        plan, report = folder.plan(), folder.report(part.index)
        if plan is None or (report is not None and report.of(part)):
            return {}
        try:
            report = self._report(self._job(plan, folder), plan, folder, part, deadline)
        except Overwritten:
            return {}  # the assembly will see
        folder.put(f"{part.index:06d}.json", report)
        return {}

    def _report(self, job: Job, plan: Plan, folder: Folder, part: Range, deadline: float) -> Report:
        shared, tally = divided.opened(job, plan.head), job.tally()
        start = shared.begin(part)
        there = {**asdict(part), "start": start}
        try:
            parts = streams.in_time(shared.parts(start, part.stop), deadline)
            return Report(**there, **_classified(shared, parts, tally, folder, f"{part.index:06d}-{start}"))
        except InvalidFile as error:
            line = error.line if isinstance(error, LongRecord) else None
            return Report(**there, end=None, counts=tally.counts, error=str(error), error_line=line)

    def assemble(self, path: str, deadline: float) -> Answer:
        folder = self._at(path)
        plan = folder.plan()
        if plan is None:
            return {"outcome": "again"}
        job = self._job(plan, folder)
        try:
            if not job.standing():
                right, again = ranges.checked(plan.bounds, folder.reports(range(len(plan.bounds) - 1)))
                if again:
                    return self._repair(folder, f"repair-{again[0].round}.json", again)
                outcome = assembly.assembled(job, plan, folder, right, deadline)
                events.report(job.source.path, job.conclude(outcome, time.time() - plan.started))
        except Late:  # what is copied is not copied again
            return self._repair(folder, "nothing.json", ranges.planned(plan.bounds)[-1:])
        except (Overwritten, FileNotFoundError):
            folder.remove()
            return {"outcome": "again"}
        folder.remove()
        return {"outcome": "done"}

    def _repair(self, folder: Folder, name: str, again: list[Range]) -> Answer:
        return {"outcome": "repair", "manifest": self._manifest(folder, name, again)}

    def _job(self, plan: Plan, folder: Folder) -> Job:
        """Of the version, the model and the options that were planned."""
        given = plan.identity["input"]
        source = Source(
            self.pipeline.buckets(given["bucket"]),
            given["key"],
            given["bytes"],
            given["etag"],
            given["version"],
        )
        options = Options(**plan.identity["options"])
        return self.pipeline.job_of(given["bucket"], source, self._classifier(plan, folder), options)

    def _classifier(self, plan: Plan, folder: Folder) -> Classifier:
        digest = plan.identity["model"]["digest"]
        if digest not in self._loaded:
            found = folder.get("model.json")
            if found is None or document.digest(found) != digest:
                raise Unavailable(f"{folder.path}/model.json is not the planned model")
            self._loaded.clear()
            self._loaded[digest] = classifier.load(found)
        return self._loaded[digest]

    def _folder(self, name: str) -> Folder:
        parts, prefix = store.object_store(f"{self.parts_uri.rstrip('/')}/")
        return Folder(parts, f"{prefix.strip('/')}/{name}".lstrip("/"))

    def _at(self, path: str) -> Folder:
        return Folder(store.object_store(f"{self.parts_uri.rstrip('/')}/")[0], path)


def _classified(
    shared: Divided, parts: Iterator[Part], tally: Tally, folder: Folder, name: str
) -> dict[str, Any]:
    with (
        folder.upload(f"{name}.result") as result,
        folder.upload(f"{name}.rejections") as rejected,
    ):
        for piece in streams.pieces(shared.form, parts, rejected, tally):
            result.write(piece)
        tally.reconcile()
        return {
            "end": shared.end,
            "counts": tally.counts,
            "rejected": Stored(rejected.path, rejected.size, rejected.finish()),
            "result": Stored(result.path, result.size, result.finish()),
            "closing": shared.form.closing.hex(),
        }


def handler(workflow: Workflow) -> Callable[[Answer, Any], Answer]:
    """Step Functions' tasks, each an event that names it."""

    def handle(event: Answer, context: Any = None) -> Answer:
        until = events.deadline(context)
        try:
            match event:
                case {"task": "plan", "bucket": bucket, "key": key}:
                    return workflow.plan(bucket, key, until)
                case {"task": "classify", "folder": folder, "index": index, "start": start, "stop": stop}:
                    return workflow.classify(folder, Range(index, start, stop, event.get("round", 0)), until)
                case {"task": "assemble", "folder": folder}:
                    return workflow.assemble(folder, until)
            raise MalformedBody("the event is none of plan, classify and assemble")
        finally:
            if telemetry.metrics.metric_set:
                telemetry.flush()

    return handle
