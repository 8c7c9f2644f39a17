"""Files in, results out: a file is done here, or, if it is large, handed over to those who do it in ranges.

A result is a function of the input's bytes, the model's digest and the options, so doing it twice does no
harm. It appears under its key only after the counts reconcile and the input is what it was; the summary,
written last, says which bytes, which model and which result belong together. What is read is pinned by its
ETag, and the input is looked at once more at the end: whichever event came first or last, the newest version
is what the result is of.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from thimble import store
from thimble.errors import InvalidFile, Unavailable
from thimble.files import raw_keys, streams
from thimble.files.jobs import Job, Options, Summary, under
from thimble.files.streams import Gone, Late, Overwritten, Source
from thimble.files.uploads import Upload
from thimble.inference.classifier import Classifier
from thimble.tables import formats, parquet
from thimble.tables.blocks import Part, Result

ATTEMPTS = 3  # at an input that is overwritten meanwhile

T = TypeVar("T")


def run(job: Job, deadline: float = math.inf) -> Summary:
    """The summary, written if it was not there already; Late if that is not done by the deadline."""
    if standing := job.standing():
        return standing
    started = time.monotonic()
    try:
        outcome = _classified(job, deadline)
    except InvalidFile as error:
        outcome = {"error": str(error)}
    return job.conclude(outcome, time.monotonic() - started)


def _classified(job: Job, deadline: float) -> Summary:
    job.check_keys()
    tally = job.tally()
    form, parts = _opened(job)
    with (
        Upload(job.results, job.paths.result, job.name.compression) as result,
        Upload(job.results, job.paths.rejections) as rejected,
    ):
        result.write(form.opening)
        for piece in streams.pieces(form, streams.in_time(parts, deadline), rejected, tally):
            result.write(piece)
        result.write(form.closing)
        tally.reconcile()
        job.look_again()
        counts, error = job.counts(form, tally), job.too_many_rejected(tally)
        job.make_way(kept=("rejected",) if error else ("rejected", "result"))
        rejected.finish()
        if error:
            return {**counts, "error": error}
        return {**counts, "result": job.paths.result, "result_etag": result.finish()}


def _opened(job: Job) -> tuple[Result, Iterator[Part]]:
    """The input's format, and what becomes of its records."""
    name, source = job.name, job.source
    if name.format == "parquet" and name.compression is None:
        table = parquet.opened(source.size, source.read, job.classifier)
        return table, table.parts()
    pieces = streams.chunks(source, 0, source.size, job.block_bytes)
    if name.compression is not None:
        pieces = name.compression.decompress(pieces)
    head, whole, pieces = streams.peeked(pieces, formats.HEAD_BYTES)
    form = job.format(head, whole)
    body = streams.skipped(pieces, form.body)
    blocks = streams.blocks(form, body, form.body, sys.maxsize, form.first_line)
    return form, streams.answers(form, blocks, job.workers)


@dataclass(frozen=True)
class Splitting:
    """From which size on a file is handed over, and to whom."""

    above: int  # bytes
    start: Callable[[Job], str]  # the name of what was started, or is at it already


@dataclass(frozen=True)
class Pipeline:
    """Objects in, results out."""

    models: Callable[[str], Classifier]  # the model for an input's key
    results_uri: str
    options: Options = Options()  # noqa: RUF009
    block_bytes: int = streams.BLOCK_BYTES
    buckets: Callable[[str], ObjectStore] = store.bucket
    splitting: Splitting | None = None

    def classify(self, bucket: str, key: str, deadline: float = math.inf) -> Summary | None:
        """The summary of what became of an object; None if there is no such object (any more).

        A file that is refused has a summary too; one that is handed over has none yet, and what stands for it
        says to whom. Unavailable is raised for what another try may mend. The deadline is time.monotonic()'s.
        """
        if not streams.addressable(key) and self.results_uri.startswith("s3://"):
            return raw_keys.refuse(bucket, key, self.results_uri)
        return self.settled(bucket, key, lambda job: self.done(job, deadline))

    def settled(self, bucket: str, key: str, work: Callable[[Job], T]) -> T | None:
        """What comes of the work on an object as it is now, tried again if it is overwritten meanwhile."""
        gone = False
        for _ in range(ATTEMPTS):
            try:
                return work(self.job(bucket, key))
            except Overwritten as overwritten:
                gone = isinstance(overwritten, Gone)
            except (
                BaseError,
                FileNotFoundError,
            ) as error:  # not found: a bucket, an upload, but not the input
                raise Unavailable(f"the store failed at {key}") from error
        if gone:
            return None
        raise Unavailable(f"{key} is overwritten faster than it can be read")

    def job(self, bucket: str, key: str) -> Job:
        source = streams.source(self.buckets(bucket), key)
        return self.job_of(bucket, source, self.models(key), self.options)

    def job_of(self, bucket: str, source: Source, classifier: Classifier, options: Options) -> Job:
        key = source.path
        results, prefix = store.object_store(f"{self.results_uri.rstrip('/')}/")
        folder = f"{prefix.strip('/')}/{key}".lstrip("/")
        return Job(
            bucket=bucket,
            source=source,
            classifier=classifier,
            results=results,
            paths=under(folder, formats.named(key).extension),
            options=options,
            block_bytes=self.block_bytes,
        )

    def done(self, job: Job, deadline: float) -> Summary:
        """Here, or handed over; a file that is too much for one function, and nobody else's, is refused."""
        splitting = self.splitting if job.splittable else None
        if splitting is not None and job.source.size > splitting.above:
            return job.standing() or _handed_over(job, splitting)
        started = time.monotonic()
        try:
            return run(job, deadline)
        except Late:
            if splitting is not None:
                return _handed_over(job, splitting)
            seconds = time.monotonic() - started
            return job.conclude({"error": _too_slow(job, seconds)}, seconds)


def _handed_over(job: Job, splitting: Splitting) -> Summary:
    return {**job.identity, "workflow": splitting.start(job)}


def _too_slow(job: Job, seconds: float) -> str:
    advice = "send smaller files"
    if not job.splittable:
        advice += ", or the same as plain CSV, TSV, JSON Lines or Parquet, which many functions can share"
    return f"the file was not done in the {seconds:.0f} s that one function has: {advice}"
