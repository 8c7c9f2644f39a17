"""Classify files in several processes of this machine: small ones whole, large ones in ranges.

The functions of a deployed stack share files in the same way, and the same bytes come out.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore

from thimble.errors import InvalidFile, Unavailable
from thimble.files import pipeline
from thimble.files.jobs import Job, ResultPaths, Summary
from thimble.files.options import FileOptions
from thimble.inference.classifier import Classifier
from thimble.split import assemble, range_task, ranges, tasks
from thimble.split.plan import PartsFolder, Plan, Report
from thimble.split.ranges import Range
from thimble.store import ObjectVersion
from thimble_infra.buckets import first_line
from thimble_infra.given import Given

RANGE_BYTES = 32 << 20  # the size of a range; it is not worth splitting smaller files
THREADS = 2  # threads, and so processors, that each process keeps busy
LOOK_SECONDS = 0.1  # between two looks at the processes' progress


@dataclass(frozen=True)
class Task:
    """A job without its model, which each process has loaded."""

    place: str
    source: ObjectVersion
    results: ObjectStore
    paths: ResultPaths
    options: FileOptions
    here: Path | None = None  # the results' folder; None if they go to a bucket
    staging: Path | None = None  # where these results are made before they are put in place

    @property
    def staged(self) -> Task:
        return self if self.staging is None else replace(self, results=LocalStore(self.staging))

    def standing(self, model: Classifier, on_read: Callable[[int], object]) -> Summary | None:
        """Return the summary of exactly this job if it was done before; its input then counts as read."""
        found = self.job(model, int).finished_summary()
        if found:
            on_read(self.source.size)
        return found

    def settled(self, summary: Summary) -> Summary:
        """Put the results in place. If the file was refused, an earlier result stays and is named as kept."""
        if self.here is None or self.staging is None:
            return summary
        if put_in_place(self.paths, summary, self.staging, self.here):
            return summary
        return {**summary, "kept": self.paths.result}

    def job(self, model: Classifier, on_read: Callable[[int], object], **threads: int) -> Job:
        source = self.source._replace(on_read=on_read)
        return Job(self.place, source, model, self.results, self.paths, self.options, **threads)


def put_in_place(paths: ResultPaths, summary: Summary, made: Path, here: Path) -> bool:
    """Put the results in place; return False, and do nothing, if a refused file leaves an earlier result."""
    if "result" not in summary and (here / paths.result).is_file():
        return False
    (here / paths.summary).unlink(missing_ok=True)
    for path in (paths.rejections, paths.result, paths.summary):
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        if (made / path).is_file():
            (made / path).replace(here / path)
        else:
            (here / path).unlink(missing_ok=True)
    return True


def _add(read: Any, size: int) -> None:
    with read.get_lock():
        read.value += size


class Process:
    """A pool process's state: the model, and the shared count of bytes that are read but not yet reported."""

    model: Classifier
    read: Any

    @classmethod
    def begin(cls, model: Given, read: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process handles Ctrl-C
        cls.model, cls.read = model.loaded(), read

    @classmethod
    def on_read(cls, size: int) -> None:
        _add(cls.read, size)

    @classmethod
    def job(cls, task: Task) -> Job:
        return task.job(cls.model, cls.on_read, workers=THREADS)


@contextmanager
def _named(task: Task) -> Iterator[None]:
    try:
        yield
    except BaseError as error:
        raise Unavailable(f"{task.source.path} cannot be classified: {first_line(error)}") from None


def whole(task: Task, model: Classifier, on_read: Callable[[int], object]) -> Summary:
    """Classify a whole file in this process."""
    with _named(task):
        return task.standing(model, on_read) or task.settled(pipeline.run(task.staged.job(model, on_read)))


def _whole(task: Task) -> Summary:
    with _named(task):
        return pipeline.run(Process.job(task))


def _range(task: Task, plan: Plan, folder: PartsFolder, part: Range) -> Report:
    with _named(task):
        return range_task.classify(Process.job(task), plan, folder, part, math.inf)


@dataclass(frozen=True)
class Pool:
    size: int
    processes: ProcessPoolExecutor
    model: Classifier
    read: Any

    def summaries(self, tasks: list[Task], advance: Callable[[int], object]) -> list[Summary]:
        """Classify several files at a time; return their summaries. `advance` is told the bytes read."""
        with ThreadPoolExecutor(self.size) as files:
            done = [files.submit(self._summary, task) for task in tasks]
            try:
                while wait(done, LOOK_SECONDS).not_done:
                    self._tell(advance)
            except KeyboardInterrupt:
                files.shutdown(wait=False, cancel_futures=True)
                for process in multiprocessing.active_children():
                    process.kill()
                raise
            self._tell(advance)
            return [future.result() for future in done]

    def _tell(self, advance: Callable[[int], object]) -> None:
        with self.read.get_lock():
            size, self.read.value = self.read.value, 0
        advance(size)

    def _summary(self, task: Task) -> Summary:
        if standing := task.standing(self.model, partial(_add, self.read)):
            return standing
        job = task.staged.job(self.model, on_read=int)
        if task.source.size < 2 * RANGE_BYTES or not job.splittable:
            return task.settled(self.processes.submit(_whole, task.staged).result())
        return task.settled(self._shared(task.staged, job))

    def _shared(self, task: Task, job: Job) -> Summary:
        started = time.monotonic()
        with _folder(job.results) as folder:
            try:
                outcome = self._outcome(task, job, folder)
            except InvalidFile as error:
                outcome = {"error": str(error)}
        return job.write_summary(outcome, time.monotonic() - started)

    def _outcome(self, task: Task, job: Job, folder: PartsFolder) -> Summary:
        plan = tasks.planned(job, RANGE_BYTES, time.time())
        done: dict[int, Report] = {}
        again = ranges.planned(plan.bounds)
        while again:
            calls = [self.processes.submit(_range, task, plan, folder, part) for part in again]
            done |= {report.index: report for report in map(Future.result, calls)}
            right, again = ranges.checked(plan.bounds, done)
        return assemble.assemble(job, plan, folder, right, math.inf)


@contextmanager
def _folder(results: ObjectStore) -> Iterator[PartsFolder]:
    """Yield a folder for parts. It is beside the results if they are here, where there is room for them."""
    beside = results.prefix if isinstance(results, LocalStore) else None
    with tempfile.TemporaryDirectory(prefix=".thimble-", dir=beside) as path:
        yield PartsFolder(f"{Path(path).as_uri()}/parts")


def usual() -> int:
    """Return how many processes keep this machine busy."""
    return max((os.cpu_count() or 1) // THREADS, 1)


@contextmanager
def pool(processes: int, model: Given) -> Iterator[Pool]:
    context = multiprocessing.get_context("spawn")  # polars' threads do not survive a fork
    read = context.Value("q", 0)
    before = os.environ.get("POLARS_MAX_THREADS")
    os.environ["POLARS_MAX_THREADS"] = str(THREADS)  # each process reads it when it starts
    try:
        with ProcessPoolExecutor(processes, context, Process.begin, (model, read)) as executor:
            yield Pool(processes, executor, model.loaded(), read)
    finally:
        del os.environ["POLARS_MAX_THREADS"]
        if before is not None:
            os.environ["POLARS_MAX_THREADS"] = before
