"""The file job: one input object becomes a result, its rejections and a summary.

A result is a function of the input's bytes, the model's digest and the options, so doing it twice does no
harm. It appears under its key only after the counts reconcile; the summary, written last, says which bytes,
which model and which result belong together. What is read is pinned by its ETag, and the input is looked at
again at the end: whichever event came first or last, the newest version is what the result is of.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import obstore
import orjson
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from thimble import answers, formats, store, streams
from thimble.classifier import Classifier
from thimble.errors import InvalidFile, Unavailable
from thimble.formats import added, parquet
from thimble.formats.records import Part, Result
from thimble.streams import Overwritten, Source, Tally

ATTEMPTS = 3  # at an input that is overwritten meanwhile


@dataclass(frozen=True)
class Options:
    """What a result depends on beside input and model."""

    max_rejected_share: float = 1.0  # a larger share of rejected records fails the file
    delimiter: str = ""  # of CSV and TSV; empty: found
    quote: str = ""  # of CSV and TSV; empty: found; none: quotes are characters like the rest

    def __post_init__(self) -> None:
        """InvalidInput for a delimiter or a quote that cannot be one."""
        _ = self.dialect

    @property
    def dialect(self) -> formats.Given:
        return formats.Given(self.delimiter, self.quote)


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
    block_bytes: int

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
        }

    def run(self) -> dict[str, Any]:
        """The summary, written if it was not there already."""
        earlier = self._earlier()
        if earlier is not None and self._still_holds(earlier):
            return earlier
        started = time.monotonic()
        try:
            outcome = self._classify()
        except InvalidFile as error:
            outcome = {"error": str(error)}
        self._remove_former(earlier, outcome)
        if streams.source(self.source.store, self.source.path).etag != self.source.etag:
            raise Overwritten(f"{self.source.path} was overwritten while it was classified")
        summary = {**self.identity, **outcome, "seconds": round(time.monotonic() - started, 3)}
        obstore.put(self.results, self.paths.summary, orjson.dumps(summary, option=orjson.OPT_INDENT_2))
        return summary

    def _earlier(self) -> dict[str, Any] | None:
        try:
            found = bytes(obstore.get(self.results, self.paths.summary).bytes())
        except FileNotFoundError:
            return None
        summary: dict[str, Any] = orjson.loads(found)
        return summary

    def _still_holds(self, summary: dict[str, Any]) -> bool:
        """Whether a summary is of this very job, and its result is still the one that lies there."""
        if any(summary.get(key) != value for key, value in self.identity.items()):
            return False
        if "result" not in summary:
            return True
        try:
            found = obstore.head(self.results, self.paths.result)["e_tag"]
        except FileNotFoundError:
            return False
        return bool(found == summary["result_etag"])

    def _remove_former(self, earlier: dict[str, Any] | None, outcome: dict[str, Any]) -> None:
        """What an earlier version of the input left behind, and this one has not."""
        for kind in ("result", "rejected"):
            if earlier is not None and kind in earlier and kind not in outcome:
                obstore.delete(self.results, earlier[kind])

    def _classify(self) -> dict[str, Any]:
        source, tally = self.source, Tally(len(added.class_names(self.classifier)))
        name = formats.named(source.path)
        form, parts = self._opened(name)
        with (
            streams.Upload(self.results, self.paths.result, name.compression) as result,
            streams.Upload(self.results, self.paths.rejections) as rejected,
        ):
            result.write(form.opening)
            for piece in streams.pieces(form, parts, rejected, tally):
                result.write(piece)
            result.write(form.closing)
            tally.reconcile()
            rejected.finish()
            counts = self._counts(form, tally)
            if error := self._too_many_rejected(tally):
                return {**counts, "error": error}
            return {**counts, "result": self.paths.result, "result_etag": result.finish()}

    def _counts(self, form: Result, tally: Tally) -> dict[str, Any]:
        return {
            "format": form.name,
            "rows": tally.predictions + tally.rejections,
            "predictions": tally.predictions,
            "rejections": tally.rejections,
            "classes": dict(zip(added.class_names(self.classifier), tally.classes.tolist(), strict=True)),
            "rejected": self.paths.rejections,
        }

    def _opened(self, name: formats.Name) -> tuple[Result, Iterator[Part]]:
        """The input's format, and what becomes of its records."""
        if name.format == "parquet" and name.compression is None:
            table = parquet.opened(self.source.size, self.source.read, self.classifier)
            return table, table.parts()
        pieces = streams.chunks(self.source, 0, self.source.size, self.block_bytes)
        if name.compression is not None:
            pieces = name.compression.decompress(pieces)
        head, whole, pieces = streams.opened(pieces, formats.HEAD_BYTES)
        form = formats.find(name, head, whole, self.classifier, self.options.dialect)
        body = streams.skipped(pieces, form.body)
        return form, streams.answers(
            form, streams.blocks(form, body, form.body, sys.maxsize, form.first_line)
        )

    def _too_many_rejected(self, tally: Tally) -> str | None:
        rows, most = tally.predictions + tally.rejections, self.options.max_rejected_share
        if tally.rejections <= most * rows:
            return None
        return f"{tally.rejections} of {rows} records were rejected, and at most a share of {most:g} may be"


@dataclass(frozen=True)
class Pipeline:
    """Objects in, results out."""

    models: Callable[[str], Classifier]  # the model for an input's key
    results_uri: str
    options: Options = Options()
    block_bytes: int = streams.BLOCK_BYTES
    buckets: Callable[[str], ObjectStore] = store.bucket

    def classify(self, bucket: str, key: str) -> dict[str, Any] | None:
        """The summary of what became of an object; None if there is no such object (any more).

        A file that is refused has a summary too. Unavailable is raised for what another try may mend.
        """
        try:
            for _ in range(ATTEMPTS):
                try:
                    return self._job(bucket, key).run()
                except Overwritten:
                    continue
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise Unavailable(f"the store failed at {key}") from error
        raise Unavailable(f"{key} is overwritten faster than it can be read")

    def _job(self, bucket: str, key: str) -> Job:
        results, prefix = store.object_store(f"{self.results_uri.rstrip('/')}/")
        folder = f"{prefix.strip('/')}/{key}".lstrip("/")
        return Job(
            bucket=bucket,
            source=streams.source(self.buckets(bucket), key),
            classifier=self.models(key),
            results=results,
            paths=under(folder, formats.named(key).extension),
            options=self.options,
            block_bytes=self.block_bytes,
        )
