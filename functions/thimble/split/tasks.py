"""A file that many functions share: planned by one, classified range by range, assembled by one.

Whatever is tried again or done twice at once, the same comes out: a range's report is written after its
result, the summary after everything, and what was planned of another version of the input is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from thimble import store, telemetry
from thimble.errors import InvalidFile, MalformedBody, Unavailable
from thimble.files import events
from thimble.files.jobs import Job, Options, Summary
from thimble.files.pipeline import Pipeline
from thimble.files.streams import Late, Overwritten, Source
from thimble.inference import document
from thimble.inference.classifier import Classifier
from thimble.registry import published
from thimble.split import assemble, divided, range_task, ranges
from thimble.split.plan import Folder, Plan, Report
from thimble.split.ranges import Range

Answer = dict[str, Any]


@dataclass(frozen=True)
class Workflow:
    pipeline: Pipeline
    documents: Callable[[str, str], bytes]  # the model document for an input's key, by its digest
    parts_uri: str
    range_bytes: int
    _loaded: dict[tuple[str, str], Classifier] = field(default_factory=dict)

    def plan(self, bucket: str, key: str, deadline: float) -> Answer:
        """split, with a manifest of the ranges that are missing; done; or gone, if there is no such file."""
        answer = self.pipeline.settled(bucket, key, lambda job: self._plan(job, deadline))
        return answer or {"outcome": "gone"}

    def classify(self, path: str, part: Range, deadline: float) -> Answer:
        """Nothing: the report in the folder says it all. One that is there already is left there."""
        folder = self._at(path)
        plan, report = folder.plan(), folder.report(part.index)
        if plan is None or (report is not None and report.of(part)):
            return {}
        try:
            report = range_task.classified(self._job(plan, folder), plan, folder, part, deadline)
        except Overwritten:
            return {}  # the assembly will see
        folder.put(f"{part.index:06d}.json", report)
        return {}

    def assemble(self, path: str, deadline: float) -> Answer:
        """done; repair, with a manifest of ranges; or again, if there is another version to be planned."""
        folder = self._at(path)
        plan = folder.plan()
        if plan is None:
            return {"outcome": "again"}
        try:
            job = self._job(plan, folder)
            if not job.standing():
                right, wrong = ranges.checked(plan.bounds, folder.reports(range(len(plan.bounds) - 1)))
                if wrong:
                    job.look_again()  # of an input that was overwritten, ranges are missing for ever
                    return self._repair(folder, f"repair-{wrong[0].round}.json", wrong)
                self._conclude(job, _outcome(job, plan, folder, right, deadline), plan.started)
        except Late:  # what is joined is not joined again
            return self._repair(folder, "nothing.json", ranges.planned(plan.bounds)[-1:])
        except Overwritten:  # the input, or a part
            folder.remove()
            return {"outcome": "again"}
        folder.remove()
        return {"outcome": "done"}

    def _plan(self, job: Job, deadline: float) -> Answer:
        folder, started = self._folder(job), time.time()
        if job.standing():
            folder.remove()  # what an assembly that was killed left behind
            return {"outcome": "done"}
        if not job.splittable:
            events.report(job.source.path, self.pipeline.done(job, deadline))
            return {"outcome": "done"}
        try:
            plan = folder.plan() or self._planned(job, folder, started)
        except InvalidFile as error:
            self._conclude(job, {"error": str(error)}, started)
            return {"outcome": "done"}
        missing = folder.missing(plan) or ranges.planned(plan.bounds)[-1:]  # a map is over something
        return {
            "outcome": "split",
            "folder": folder.path,
            "manifest": self._manifest(folder, "ranges.json", missing),
            "ranges": len(plan.bounds) - 1,
        }

    def _planned(self, job: Job, folder: Folder, started: float) -> Plan:
        job.check_keys()
        head = divided.head(job)
        shared = divided.opened(job, head)
        plan = Plan(job.identity, shared.form.name, head, shared.bounds(self.range_bytes), started)
        folder.put("model.json", self.documents(job.source.path, job.classifier.digest))
        folder.put("plan.json", plan)
        return plan

    def _repair(self, folder: Folder, name: str, parts: list[Range]) -> Answer:
        return {"outcome": "repair", "manifest": self._manifest(folder, name, parts)}

    def _manifest(self, folder: Folder, name: str, parts: list[Range]) -> Answer:
        items = [{"task": "classify", "folder": folder.path, **asdict(part)} for part in parts]
        return {"Bucket": urlsplit(self.parts_uri).netloc, "Key": folder.put(name, items)}

    def _conclude(self, job: Job, outcome: Summary, started: float) -> None:
        events.report(job.source.path, job.conclude(outcome, time.time() - started))

    def _job(self, plan: Plan, folder: Folder) -> Job:
        """Of the version, the model and the options that were planned; Overwritten by a program that would
        have planned other results."""
        given = plan.identity["input"]
        bucket, inbox = given["bucket"], self.pipeline.buckets(given["bucket"])
        source = Source(inbox, given["key"], given["bytes"], given["etag"], given["version"])
        options = Options(**plan.identity["options"])
        job = self.pipeline.job_of(bucket, source, self._classifier(plan, folder), options)
        if job.identity != plan.identity:
            raise Overwritten(f"{source.path} was planned by another program")
        return job

    def _classifier(self, plan: Plan, folder: Folder) -> Classifier:
        """The planned model, from the folder's copy of its document; kept for the next range."""
        name, digest = plan.identity["model"]["name"], plan.identity["model"]["digest"]
        if (name, digest) not in self._loaded:
            data = folder.get("model.json")
            if data is None or document.digest(data) != digest:
                raise Unavailable(f"{folder.path}/model.json is not the planned model")
            self._loaded.clear()
            self._loaded[name, digest] = published.load_as(data, name)
        return self._loaded[name, digest]

    def _folder(self, job: Job) -> Folder:
        parts, prefix = store.object_store(f"{self.parts_uri.rstrip('/')}/")
        for name in (f"{job.source.path}/{job.digest}", job.digest):
            folder = Folder(parts, f"{prefix.strip('/')}/{name}".lstrip("/"))
            if folder.fits:
                break
        return folder

    def _at(self, path: str) -> Folder:
        return Folder(store.object_store(f"{self.parts_uri.rstrip('/')}/")[0], path)


def _outcome(job: Job, plan: Plan, folder: Folder, reports: Sequence[Report], deadline: float) -> Summary:
    try:
        return assemble.assembled(job, plan, folder, reports, deadline)
    except InvalidFile as error:
        return {"error": str(error)}


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
            telemetry.flush()

    return handle
