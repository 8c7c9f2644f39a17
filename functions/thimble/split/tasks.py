"""The tasks of the state machine: plan a large file, classify its ranges, assemble the result.

A task may run again, or twice at once, with the same outcome. A range's report is written after its result,
and the summary after everything else. The plan of another version of the input is not touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from thimble import store, telemetry
from thimble.errors import InvalidFile, Late, MalformedBody, Overwritten, Unavailable
from thimble.files import events
from thimble.files.events import Context
from thimble.files.jobs import Job, Summary
from thimble.files.options import FileOptions
from thimble.files.pipeline import Pipeline
from thimble.inference import document
from thimble.inference.classifier import Classifier
from thimble.registry import published
from thimble.split import assemble, range_task, ranges
from thimble.split.plan import PartsFolder, Plan, Report, report_name
from thimble.split.ranges import Range
from thimble.store import ObjectVersion
from thimble.tables.blocks import HEAD_BYTES, LOOK_BYTES, Reader

Answer = dict[str, Any]


@dataclass(frozen=True)
class Workflow:
    pipeline: Pipeline
    documents: Callable[[str, str], bytes]  # returns a model document by an input's key and the digest
    parts_uri: str
    range_bytes: int
    _loaded: dict[tuple[str, str], Classifier] = field(default_factory=dict)

    def plan(self, bucket: str, key: str, deadline: float) -> Answer:
        """Plan a file. The outcome is "split", with a manifest of the missing ranges, or "done", or "gone" if
        there is no such file.
        """
        answer = self.pipeline.retry_overwritten(bucket, key, lambda job: self._plan(job, deadline))
        return answer or {"outcome": "gone"}

    def classify(self, path: str, part: Range, deadline: float) -> Answer:
        """Classify a range and write its report, unless there is one already; return an empty answer."""
        folder = self._at(path)
        plan, report = folder.plan(), folder.report(part.index)
        if plan is None or (report is not None and report.of(part)):
            return {}
        try:
            report = range_task.classify(self._job(plan, folder), plan, folder, part, deadline)
        except Overwritten:
            return {}  # assemble finds out
        folder.dump(report_name(part.index), report)
        return {}

    def assemble(self, path: str, deadline: float) -> Answer:
        """Assemble the result. The outcome is "done", or "repair" with a manifest of ranges, or "again" if
        another version has to be planned.
        """
        folder = self._at(path)
        plan = folder.plan()
        if plan is None:
            return {"outcome": "again"}
        try:
            job = self._job(plan, folder)
            if not job.finished_summary():
                right, wrong = ranges.checked(plan.bounds, folder.reports(range(len(plan.bounds) - 1)))
                if wrong:
                    job.check_unchanged()  # the ranges of an overwritten input would be missing for ever
                    return self._repair(folder, f"repair-{wrong[0].round}.json", wrong)
                self._conclude(job, _outcome(job, plan, folder, right, deadline), plan.started)
        except Late:  # the next assemble continues the join
            return self._repair(folder, "nothing.json", ranges.planned(plan.bounds)[-1:])
        except Overwritten:  # of the input, or of a part
            folder.remove()
            return {"outcome": "again"}
        folder.remove()
        return {"outcome": "done"}

    def _plan(self, job: Job, deadline: float) -> Answer:
        folder, started = self._folder(job), time.time()
        if job.finished_summary():
            folder.remove()  # left by an assemble task that was killed
            return {"outcome": "done"}
        if not job.splittable:
            events.report(job.source.path, self.pipeline.classify_job(job, deadline))
            return {"outcome": "done"}
        try:
            plan = folder.plan() or self._planned(job, folder, started)
        except InvalidFile as error:
            self._conclude(job, {"error": str(error)}, started)
            return {"outcome": "done"}
        missing = folder.missing(plan) or ranges.planned(plan.bounds)[-1:]  # a map state needs an item
        return {
            "outcome": "split",
            "folder": folder.path,
            "manifest": self._manifest(folder, "ranges.json", missing),
            "ranges": len(plan.bounds) - 1,
        }

    def _planned(self, job: Job, folder: PartsFolder, started: float) -> Plan:
        job.check_keys()
        plan = planned(job, self.range_bytes, started)
        folder.write("model.json", self.documents(job.source.path, job.classifier.digest))
        folder.dump("plan.json", plan)
        return plan

    def _repair(self, folder: PartsFolder, name: str, parts: list[Range]) -> Answer:
        return {"outcome": "repair", "manifest": self._manifest(folder, name, parts)}

    def _manifest(self, folder: PartsFolder, name: str, parts: list[Range]) -> Answer:
        items = [{"task": "classify", "folder": folder.path, **asdict(part)} for part in parts]
        return {"Bucket": urlsplit(self.parts_uri).netloc, "Key": folder.dump(name, items)}

    def _conclude(self, job: Job, outcome: Summary, started: float) -> None:
        events.report(job.source.path, job.write_summary(outcome, time.time() - started))

    def _job(self, plan: Plan, folder: PartsFolder) -> Job:
        """Return the planned job. Raises Overwritten if this version of Thimble would plan other results."""
        given = plan.identity["input"]
        bucket, inbox = given["bucket"], self.pipeline.buckets(given["bucket"])
        source = ObjectVersion(
            inbox, given["key"], given["bytes"], given["etag"], given["version"], given.get("metadata", {})
        )
        options = FileOptions.of(**plan.identity["options"])
        job = self.pipeline.job_of(bucket, source, self._classifier(plan, folder), options)
        if job.identity != plan.identity:
            raise Overwritten(f"{source.path} was planned by another program")
        return job

    def _classifier(self, plan: Plan, folder: PartsFolder) -> Classifier:
        """Return the planned model, loaded from the document in the folder and cached for the next range.

        Raises Unavailable if the document is not there or is another.
        """
        name, digest = plan.identity["model"]["name"], plan.identity["model"]["digest"]
        if (name, digest) not in self._loaded:
            data = folder.read("model.json")
            if data is None or document.digest(data) != digest:
                raise Unavailable(f"{folder.path}/model.json is not the planned model")
            self._loaded.clear()
            self._loaded[name, digest] = published.load_as(data, name)
        return self._loaded[name, digest]

    def _folder(self, job: Job) -> PartsFolder:
        prefix = store.object_store(f"{self.parts_uri.rstrip('/')}/")[1].strip("/")
        for name in (f"{job.source.path}/{job.digest}", job.digest):
            folder = self._at(f"{prefix}/{name}".lstrip("/"))
            if folder.fits:
                break
        return folder

    def _at(self, path: str) -> PartsFolder:
        """Return the folder at a path in the parts bucket."""
        return PartsFolder(path, lambda path: (store.object_store(f"{self.parts_uri.rstrip('/')}/")[0], path))


def planned(job: Job, range_bytes: int, started: float) -> Plan:
    """Plan an input's ranges. Raises InvalidFile if its first bytes do not tell the format."""
    head, reader = _opened(job)
    return Plan(job.identity, reader.name, head, reader.bounds(range_bytes), started)


def _opened(job: Job) -> tuple[int, Reader]:
    """Open an input; return the number of bytes that tell its format, and its reader.

    A few bytes are tried first: where they suffice, more would tell the same format.
    """
    with suppress(InvalidFile):
        return LOOK_BYTES, job.opened(job.source, LOOK_BYTES)
    return HEAD_BYTES, job.opened(job.source, HEAD_BYTES)


def _outcome(
    job: Job, plan: Plan, folder: PartsFolder, reports: Sequence[Report], deadline: float
) -> Summary:
    try:
        return assemble.assemble(job, plan, folder, reports, deadline)
    except InvalidFile as error:
        return {"error": str(error)}


def handler(workflow: Workflow) -> Callable[[Answer, Context | None], Answer]:
    """Return the Lambda handler; each event names its task."""

    def handle(event: Answer, context: Context | None = None) -> Answer:
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
            telemetry.flush()

    return handle
