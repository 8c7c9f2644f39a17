"""Classify a file in this function, or start the workflow for a large one.

A result depends only on the input's bytes, the model's digest and the options, so classifying a file twice
does no harm. The result becomes visible only after the counts are reconciled and the input is found
unchanged. The summary is written last, and says which input, model and result belong together. All reads
require the ETag that was seen first, and the input is checked again at the end. So the result is that of the
newest version, in whatever order the events arrive.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from thimble import store
from thimble.errors import Gone, InvalidFile, Late, Overwritten, Unavailable
from thimble.files import copies, streams
from thimble.files.jobs import Job, ResultPaths, Summary, dumps, refused, result_paths
from thimble.files.options import FileOptions
from thimble.files.uploads import Upload
from thimble.inference.classifier import Classifier
from thimble.store import ObjectVersion
from thimble.tables import formats
from thimble.tables.blocks import Once, Reader

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ATTEMPTS = 3  # if the input is overwritten meanwhile
NO_PLAIN_KEY = (
    "the key is not a plain path: a part of it is empty, . or .., or it has a control character; "
    "upload the file under another name"
)

T = TypeVar("T")


def run(job: Job, deadline: float = math.inf) -> Summary:
    """Classify a file and return its summary, or the stored summary if it is done already.

    Raises Late if the deadline comes first.
    """
    if finished := job.finished_summary():
        return finished
    started = time.monotonic()
    try:
        outcome = _classified(job, deadline)
    except InvalidFile as error:
        outcome = {"error": str(error)}
    return job.write_summary(outcome, time.monotonic() - started)


def _classified(job: Job, deadline: float) -> Summary:
    job.check_keys()
    tally, reader = job.tally(), _whole(job)
    parts = reader.parts(reader.body, sys.maxsize, reader.first_line, job.workers)
    with (
        copies.begun(
            job.source.beginning(reader.prefix), job.results, job.paths.result, job.name.compression
        ) as result,
        Upload(job.results, job.paths.rejections) as rejected,
    ):
        result.write(reader.opening)
        for piece in streams.result_pieces(reader, streams.until_deadline(parts, deadline), rejected, tally):
            result.write(piece)
        result.write(reader.closing)
        counts = job.settled(reader, tally)
        rejected.finish()
        if "error" in counts:
            return counts
        return {**counts, "result": job.paths.result, "result_etag": result.finish()}


def _whole(job: Job) -> Reader:
    """Open a whole input to read it once, from start to end."""
    if job.name.format == "parquet" and job.name.compression is None:
        return job.opened(job.source)
    pieces = job.source.stream(0, job.source.size)
    if job.name.compression is not None:
        pieces = job.name.compression.decompress(pieces)
    return job.opened(Once(pieces))


@dataclass(frozen=True)
class SplitPolicy:
    """The size above which a file is split, and the function that starts the workflow."""

    above: int  # bytes
    start: Callable[[Job], str]  # returns the name of the execution, a new or a running one


@dataclass(frozen=True)
class Pipeline:
    """Classifies objects and writes their results."""

    models: Callable[[str], Classifier]  # returns the model for an input's key
    results_uri: str
    options: FileOptions = FileOptions()  # noqa: RUF009
    buckets: Callable[[str], ObjectStore] = store.bucket
    splitting: SplitPolicy | None = None

    def classify(self, bucket: str, key: str, deadline: float = math.inf) -> Summary | None:
        """Classify an object and return its summary; None if there is no such object.

        A refused file has a summary with an error. If a workflow takes the file, the return value names its
        execution under `workflow`. The deadline is by time.monotonic(). Raises Unavailable if a retry may
        help.
        """
        if not store.is_plain(key) and self.results_uri.startswith("s3://"):
            return _refuse_key(bucket, key, self.results_uri)
        try:
            return self.retry_overwritten(bucket, key, lambda job: self.classify_job(job, deadline))
        except InvalidFile as error:  # the folder names no model
            return self._refused(bucket, key, str(error))

    def _refused(self, bucket: str, key: str, reason: str) -> Summary | None:
        try:
            source = store.current(self.buckets(bucket), key)
            return refused(bucket, source, *self._place(key), reason)
        except Gone:
            return None
        except BaseError as error:
            raise Unavailable(f"the store failed at {key}") from error

    def retry_overwritten(self, bucket: str, key: str, work: Callable[[Job], T]) -> T | None:
        """Run `work` on the object's current version; retry if it is overwritten meanwhile.

        Returns None if the object is gone. Raises Unavailable if the store fails, or after the last retry.
        """
        gone = False
        for _ in range(ATTEMPTS):
            try:
                return work(self.job(bucket, key))
            except Overwritten as overwritten:
                gone = isinstance(overwritten, Gone)
            except (BaseError, FileNotFoundError) as error:  # not found: a bucket or an upload, not the input
                raise Unavailable(f"the store failed at {key}") from error
        if gone:
            return None
        raise Unavailable(f"{key} is overwritten faster than it can be read")

    def job(self, bucket: str, key: str) -> Job:
        source = store.current(self.buckets(bucket), key)
        return self.job_of(bucket, source, self.models(key), self.options.with_metadata(source.metadata))

    def job_of(self, bucket: str, source: ObjectVersion, classifier: Classifier, options: FileOptions) -> Job:
        results, paths = self._place(source.path)
        return Job(
            bucket=bucket,
            source=source,
            classifier=classifier,
            results=results,
            paths=paths,
            options=options,
        )

    def _place(self, key: str) -> tuple[ObjectStore, ResultPaths]:
        """Return the store and the paths of an object's results."""
        results, prefix = store.object_store(f"{self.results_uri.rstrip('/')}/")
        folder = f"{prefix.strip('/')}/{key}".lstrip("/")
        return results, result_paths(folder, formats.named(key).extension)

    def classify_job(self, job: Job, deadline: float) -> Summary:
        """Classify the file here, or start the workflow; refuse it if neither can finish in time."""
        splitting = self.splitting if job.splittable else None
        if splitting is not None and job.source.size > splitting.above:
            return job.finished_summary() or _handed_over(job, splitting)
        started = time.monotonic()
        try:
            return run(job, deadline)
        except Late:
            if splitting is not None:
                return _handed_over(job, splitting)
            seconds = time.monotonic() - started
            return job.write_summary({"error": _too_slow(job, seconds)}, seconds)


def _handed_over(job: Job, splitting: SplitPolicy) -> Summary:
    return {**job.identity, "workflow": splitting.start(job)}


def _too_slow(job: Job, seconds: float) -> str:
    advice = "send smaller files"
    if not job.splittable:
        advice += ", or plain CSV, TSV, JSON Lines or Parquet, which many functions can share"
    return f"the file takes longer than the {seconds:.0f} s that one function has: {advice}"


def _refuse_key(bucket: str, key: str, results_uri: str) -> Summary | None:
    """Write the summary of a file whose key obstore cannot reach; return None if there is no such object.

    boto3 sends a key unchanged, so the summary goes under the input's own name.
    """
    client = _s3()
    try:
        found = client.head_object(Bucket=bucket, Key=key)
    except client.exceptions.ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise
    given = {
        "bucket": bucket,
        "key": key,
        "version": found.get("VersionId"),
        "etag": found["ETag"],
        "bytes": found["ContentLength"],
    }
    summary = {"input": given, "error": NO_PLAIN_KEY, "seconds": 0.0}
    results = urlsplit(results_uri)
    prefix = results.path.strip("/")
    path = f"{prefix}/{key}/summary.json" if prefix else f"{key}/summary.json"
    client.put_object(Bucket=results.netloc, Key=path, Body=dumps(summary))
    return summary


def _s3() -> S3Client:
    import boto3  # imported here, because such a key is rare

    return boto3.client("s3", region_name=os.environ.get("AWS_REGION"))
