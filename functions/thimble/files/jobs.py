"""A file job: which input, which model, which place for the result; how it is told apart from another job,
and how it ends. Not how the records are classified, which one function or many may do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass
from typing import Any

import obstore
import orjson
from obstore.store import ObjectStore

from thimble import legible
from thimble.drift import counting, report
from thimble.errors import InvalidFile
from thimble.files import streams
from thimble.files.streams import Overwritten, Source, Tally
from thimble.inference.classifier import Classifier
from thimble.tables import added, answers, formats
from thimble.tables.blocks import Format, Result

Summary = dict[str, Any]

RESULTS_VERSION = (
    2  # raised when the same input, model and options give other bytes: what lies there is made again
)


KEY_BYTES = 1024  # of a key in UTF-8: S3 takes none that is longer


def fits(key: str) -> bool:
    """Return whether S3 takes a key of this length."""
    return len(key.encode()) <= KEY_BYTES


@dataclass(frozen=True)
class Options:
    """What a result depends on beside input and model."""

    max_rejected_share: float = 1.0  # a larger share of rejected records fails the file
    delimiter: str = ""  # of CSV and TSV; empty: found
    quote: str = ""  # of CSV and TSV; empty: found; none: quotes are characters like the rest
    header: str = ""  # of CSV and TSV: present or absent; empty: found

    def __post_init__(self) -> None:
        """InvalidInput for what cannot be a delimiter, a quote, or said of a header."""
        _ = self.given

    @property
    def given(self) -> formats.Given:
        return formats.Given(self.delimiter, self.quote, self.header)


@dataclass(frozen=True)
class Paths:
    """Where a result, its rejections and its summary lie."""

    result: str
    rejections: str
    summary: str


def under(folder: str, extension: str) -> Paths:
    """In a folder of the input's own name: no two inputs share one."""
    return Paths(f"{folder}/result{extension}", f"{folder}/rejections.jsonl", f"{folder}/summary.json")


@dataclass(frozen=True)
class Job:
    """One version of an input, one model, one place for the result."""

    bucket: str
    source: Source
    classifier: Classifier
    results: ObjectStore
    paths: Paths
    options: Options
    block_bytes: int = streams.BLOCK_BYTES
    workers: int | None = None  # threads; as many as there are processors

    @property
    def identity(self) -> dict[str, Any]:
        """What a result is a function of, as its summary says it."""
        source = self.source
        return {
            "input": {
                "bucket": self.bucket,
                "key": source.path,
                "version": source.version,
                "etag": source.etag,
                "bytes": source.size,
            },
            "model": answers.identity(self.classifier),
            "options": asdict(self.options),
            "results_version": RESULTS_VERSION,
        }

    @property
    def digest(self) -> str:
        """The identity as a name: 32 hex digits."""
        return hashlib.sha256(orjson.dumps(self.identity)).hexdigest()[:32]

    @property
    def name(self) -> formats.Name:
        return formats.named(self.source.path)

    def check_keys(self) -> None:
        """Raise InvalidFile if S3 would not take the key of a result: it is longer than the input's."""
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
        """Whether a function can begin in the middle of the input."""
        return self.name.compression is None and self.name.format in ("csv", "tsv", "jsonl", "parquet")

    def format(self, head: bytes, whole: bool) -> Format:
        """Of an input that begins with `head`, unpacked; InvalidFile if there is none."""
        return formats.find(self.name, head, whole, self.classifier, self.options.given)

    def tally(self) -> Tally:
        return Tally(len(added.class_names(self.classifier)), counting.none(self.classifier.reference))

    def counts(self, form: Result, tally: Tally) -> Summary:
        left_out = {"left_out": dict(form.left_out)} if form.left_out else {}
        return {
            "format": form.name,
            "rows": tally.rows,
            "predictions": tally.predictions,
            "rejections": tally.rejections,
            "classes": dict(zip(added.class_names(self.classifier), tally.classes.tolist(), strict=True)),
            "drift": report.report(self.classifier, tally.observed),
            "rejected": self.paths.rejections,
            **left_out,
        }

    def too_many_rejected(self, tally: Tally) -> str | None:
        most = self.options.max_rejected_share
        if tally.rejections <= most * tally.rows:
            return None
        found = f"{tally.rejections:,} of {tally.rows:,} records were rejected"
        return f"{found}, and at most a share of {most:g} may be"

    def standing(self) -> Summary | None:
        """The summary of this very job, if it is done and what it made still lies there."""
        summary = _summary(self._lying() or b"")
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

    def conclude(self, outcome: Summary, seconds: float) -> Summary:
        """Write the summary; Overwritten if the input is no longer what the outcome is of. One whose key is
        too long for S3 is marked as unwritten."""
        self.look_again()
        if "rejected" not in outcome:
            self.make_way(kept=())
        summary = {**self.identity, **outcome, "seconds": round(seconds, 3)}
        if not fits(self.paths.summary):
            return {**summary, "unwritten": True}
        obstore.put(self.results, self.paths.summary, legible.dumps(summary))
        return summary

    def make_way(self, kept: Collection[str]) -> None:
        """Remove the summary of before, then what lies beside it and will not be written again: no summary
        ever stands beside bytes that it does not speak of."""
        data = self._lying()
        former = self._former(data, kept)
        if data is not None:
            obstore.delete(self.results, self.paths.summary)
        for path in former:
            with suppress(FileNotFoundError):
                obstore.delete(self.results, path)

    def look_again(self) -> None:
        """Overwritten if the input is no longer what it was."""
        if streams.source(self.source.store, self.source.path).etag != self.source.etag:
            raise Overwritten(f"{self.source.path} was overwritten while it was classified")

    def _lying(self) -> bytes | None:
        """What lies where the summary belongs."""
        if not fits(self.paths.summary):
            return None
        try:
            return bytes(obstore.get(self.results, self.paths.summary).bytes())
        except FileNotFoundError:
            return None

    def _former(self, data: bytes | None, kept: Collection[str]) -> list[str]:
        """What an earlier version of the input left behind, and this one will not write: what its summary
        names; without a summary, as after a kill, what lies in the folder that is the job's own. What is of
        another input, whose result lay there, is not ours to remove."""
        paths = {"result": self.paths.result, "rejected": self.paths.rejections}
        if data is None:
            folder = self.paths.summary.rpartition("/")[0]
            former = paths if self.paths == under(folder, self.name.extension) else {}
        else:
            earlier = _summary(data) or {"input": {}}
            ours = all(
                earlier["input"].get(name) == self.identity["input"][name] for name in ("bucket", "key")
            )
            former = {kind: earlier[kind] for kind in paths if ours and kind in earlier}
        return [path for kind, path in former.items() if kind not in kept and fits(path)]


def _summary(data: bytes) -> Summary | None:
    """None if it is no summary of ours."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("input"), dict) else None
