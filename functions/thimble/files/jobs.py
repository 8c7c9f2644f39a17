"""A file job: an input, a model and a place for the result.

This module has the job's identity, its summary and its end. One function or many classify the records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from functools import cached_property
from typing import Any

import obstore
import orjson
from obstore.store import ObjectStore

from thimble import processors, store
from thimble.drift import counting, report
from thimble.errors import InvalidFile, Overwritten
from thimble.files.options import FileOptions
from thimble.files.streams import Tally
from thimble.inference.classifier import Classifier
from thimble.store import KEY_BYTES, ObjectVersion, fits
from thimble.tables import answers, formats
from thimble.tables.blocks import Reader, Result, Source

Summary = dict[str, Any]

# Raise it when the same input, model and options give other bytes. Old results are then made again.
RESULTS_VERSION = 5


@dataclass(frozen=True)
class ResultPaths:
    """The paths of a result, its rejections and its summary."""

    result: str
    rejections: str
    summary: str


def result_paths(folder: str, extension: str) -> ResultPaths:
    """Return the paths in a folder that is named after the input, so that no two inputs share one."""
    return ResultPaths(f"{folder}/result{extension}", f"{folder}/rejections.jsonl", f"{folder}/summary.json")


def described(bucket: str, source: ObjectVersion) -> dict[str, Any]:
    """Return the input's part of a summary."""
    return {
        "bucket": bucket,
        "key": source.path,
        "version": source.version,
        "etag": source.etag,
        "bytes": source.size,
        **({"metadata": dict(source.metadata)} if source.metadata else {}),
    }


def refused(
    bucket: str, source: ObjectVersion, results: ObjectStore, paths: ResultPaths, reason: str
) -> Summary:
    """Write the summary of an input for which no model was found, and delete any earlier results.

    A summary whose key is too long for S3 is returned with `unwritten`.
    """
    summary = {"input": described(bucket, source), "error": reason, "seconds": 0.0}
    if not fits(paths.summary):
        return {**summary, "unwritten": True}
    for path in filter(fits, (paths.summary, paths.result, paths.rejections)):
        with suppress(FileNotFoundError):
            obstore.delete(results, path)
    obstore.put(results, paths.summary, dumps(summary))
    return summary


@dataclass(frozen=True)
class Job:
    """One version of an input, one model, and one place for the result."""

    bucket: str
    source: ObjectVersion
    classifier: Classifier
    results: ObjectStore
    paths: ResultPaths
    options: FileOptions
    workers: int = field(default_factory=processors.usable)  # one: the caller; more: threads

    @property
    def identity(self) -> Summary:
        """The part of the summary that determines the bytes of the result."""
        return {
            "input": described(self.bucket, self.source),
            "model": answers.identity(self.classifier),
            "options": self.options.named,
            "results_version": RESULTS_VERSION,
        }

    @property
    def digest(self) -> str:
        """A digest of the identity, as a name of 32 hex digits."""
        return hashlib.sha256(orjson.dumps(self.identity)).hexdigest()[:32]

    @property
    def name(self) -> formats.Name:
        return formats.named(self.source.path)

    def check_keys(self) -> None:
        """Raise InvalidFile if a result's key, which is longer than the input's, would be too long for S3."""
        longest = max(len(path.encode()) for path in astuple(self.paths))
        if longest > KEY_BYTES:
            size = len(self.source.path.encode())
            raise InvalidFile(
                f"the key of {size:,} bytes is too long: its results are named after it, and S3 takes no "
                f"name of more than {KEY_BYTES:,}; send the file under a key of at most "
                f"{size - (longest - KEY_BYTES):,} bytes of UTF-8"
            )

    @property
    def splittable(self) -> bool:
        """Whether a function can start reading in the middle of the input."""
        return self.name.compression is None and self.name.format in ("csv", "tsv", "jsonl", "parquet")

    def opened(self, source: Source, head: int = formats.HEAD_BYTES) -> Reader:
        """Open the input. Raises InvalidFile if its first `head` bytes are no table for the model."""
        return formats.opened(self.name, source, self._decided, self.options.given, head)

    @cached_property
    def _decided(self) -> Classifier:
        """The model, set to answer with the file's options."""
        return self.options.decided(self.classifier)

    def tally(self) -> Tally:
        return Tally(len(answers.class_names(self.classifier)), counting.none(self.classifier.reference))

    def settled(self, form: Result, tally: Tally) -> Summary:
        """Return the summary's counts, with an error if too many records were rejected.

        Checks first that no record is lost and the input is unchanged. Also removes the results of an earlier
        version that will not be overwritten.
        """
        tally.reconcile()
        self.check_unchanged()
        counts, error = self._counts(form, tally), self._too_many_rejected(tally)
        self.remove_former(kept=("rejected",) if error else ("rejected", "result"))
        return {**counts, "error": error} if error else counts

    def _counts(self, form: Result, tally: Tally) -> Summary:
        return {
            "format": form.name,
            "rows": tally.rows,
            "predictions": tally.predictions,
            "rejections": tally.rejections,
            **({"abstained": tally.abstained} if answers.abstains(self._decided) else {}),
            "classes": dict(zip(answers.class_names(self.classifier), tally.classes.tolist(), strict=True)),
            "drift": report.report(self.classifier, tally.observed),
            "rejected": self.paths.rejections,
        }

    def _too_many_rejected(self, tally: Tally) -> str | None:
        most = self.options.max_rejected_share
        if tally.rejections <= most * tally.rows:
            return None
        found = f"{tally.rejections:,} of {tally.rows:,} records were rejected"
        return f"{found}, and at most a share of {most:g} may be"

    def finished_summary(self) -> Summary | None:
        """Return the stored summary if it is this job's and its result is still there; None otherwise."""
        summary = _summary(self._stored_summary() or b"")
        if summary is None or any(summary.get(key) != value for key, value in self.identity.items()):
            return None
        if "result" not in summary:
            return summary
        try:
            found = obstore.head(self.results, self.paths.result)["e_tag"]
            obstore.head(self.results, self.paths.rejections)
        except FileNotFoundError:
            return None
        return summary if found == summary["result_etag"] else None

    def write_summary(self, outcome: Summary, seconds: float) -> Summary:
        """Write the summary, after everything else, and return it.

        A summary whose key is too long for S3 is returned with `unwritten`. Raises Overwritten if the input
        has changed.
        """
        self.check_unchanged()
        if "rejected" not in outcome:
            self.remove_former(kept=())
        summary = {**self.identity, **outcome, "seconds": round(seconds, 3)}
        if not fits(self.paths.summary):
            return {**summary, "unwritten": True}
        obstore.put(self.results, self.paths.summary, dumps(summary))
        return summary

    def remove_former(self, kept: Collection[str]) -> None:
        """Remove the former summary, then the former objects that will not be written again.

        In this order, a summary never stands beside results that it does not describe.
        """
        data = self._stored_summary()
        former = self._former(data, kept)
        if data is not None:
            obstore.delete(self.results, self.paths.summary)
        for path in former:
            with suppress(FileNotFoundError):
                obstore.delete(self.results, path)

    def check_unchanged(self) -> None:
        """Raise Overwritten if the input has changed.

        Its metadata are compared too: copying an object onto itself changes them, but not its ETag.
        """
        found = store.current(self.source.store, self.source.path)
        if (found.etag, found.metadata) != (self.source.etag, self.source.metadata):
            raise Overwritten(f"{self.source.path} was overwritten while it was classified")

    def _stored_summary(self) -> bytes | None:
        """Return the bytes at the summary's key; None if there are none."""
        if not fits(self.paths.summary):
            return None
        try:
            return bytes(obstore.get(self.results, self.paths.summary).bytes())
        except FileNotFoundError:
            return None

    def _former(self, data: bytes | None, kept: Collection[str]) -> list[str]:
        """Return the paths of an earlier version's results that this job will not write again.

        `data` is the former summary, which names them. Without one, as after a kill, they are the paths in
        the job's own folder. The results of another input stay.
        """
        paths = {"result": self.paths.result, "rejected": self.paths.rejections}
        if data is None:
            folder = self.paths.summary.rpartition("/")[0]
            former = paths if self.paths == result_paths(folder, self.name.extension) else {}
        else:
            earlier = _summary(data) or {"input": {}}
            ours = all(
                earlier["input"].get(name) == self.identity["input"][name] for name in ("bucket", "key")
            )
            former = {kind: earlier[kind] for kind in paths if ours and kind in earlier}
        return [path for kind, path in former.items() if kind not in kept and fits(path)]


def dumps(summary: Summary) -> bytes:
    """Return a summary as indented JSON, for people to read."""
    return orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _summary(data: bytes) -> Summary | None:
    """Parse a summary; return None for any other data."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("input"), dict) else None
