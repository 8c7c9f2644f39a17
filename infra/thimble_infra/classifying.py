"""`thimble classify`: run the files function's pipeline on this machine, without a queue or a function."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import obstore
import orjson
from obstore.store import LocalStore, ObjectStore, S3Store

from thimble import store
from thimble.errors import Gone, InvalidInput
from thimble.files.jobs import ResultPaths, Summary, result_paths
from thimble.files.options import FileOptions
from thimble.inference.classifier import Classifier
from thimble.store import ObjectVersion
from thimble.tables.formats import named
from thimble_infra import buckets, drop_report, given, inputs, interrupts, outputs
from thimble_infra.drop_report import Outcome
from thimble_infra.given import Given
from thimble_infra.inputs import Found, Placed, check_places, left_out, readable, refuse_results
from thimble_infra.processes import Task, pool, usual, whole
from thimble_infra.stacks import Registry

MANY_BYTES = 128 << 20  # from here on it pays to start processes


@dataclass(frozen=True)
class Input:
    """A file here or in a bucket. Its results are named after `name`."""

    store: ObjectStore
    place: str
    path: str
    name: str
    shown: str  # as a person would write it


@dataclass
class Asked:
    """All files that were asked for, and the folders and prefixes that were searched."""

    endpoint_url: str | None
    inputs: list[Input] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)

    def add(self, file: str) -> None:
        if file.startswith("s3://"):
            self._add_from_bucket(file)
            return
        found = Found()
        found.add(Path(file))
        self.skipped += found.skipped
        if Path(file).is_dir():
            self.folders.append(file)
        for one in found.files:
            root = one.root.absolute()
            self.inputs.append(Input(LocalStore(root), str(root), one.below, one.name, str(one.path)))

    def _add_from_bucket(self, uri: str) -> None:
        """Add the object with exactly this name, or all objects below it."""
        bucket, prefix = _split(uri)
        with buckets.reading(bucket, self.endpoint_url) as found:
            keys = buckets.keys(found, prefix)
        if prefix in keys:
            keys = [prefix]
        else:
            self.folders.append(uri)
            refuse_results(uri, keys)
            self.skipped += [key for key in keys if not readable(key)]
            keys = [key for key in keys if readable(key)]
        for key in keys:
            self.inputs.append(Input(found, f"s3://{bucket}", key, key, f"s3://{bucket}/{key}"))


def classify(
    files: list[str],
    *,
    output: str,
    model: str,
    registry: Registry,
    options: FileOptions,
    processes: int | None = None,
    as_json: bool = False,
) -> bool:
    """Classify files, folders and S3 prefixes, and show the results. Return whether no file was refused."""
    with inputs.named(files) as named, _place(output) as place:
        asked = Asked(registry.endpoint_url)
        for file, given_as in zip(named, files, strict=True):
            asked.add(file)
            if given_as == inputs.STANDARD_INPUT:
                asked.inputs[-1] = replace(asked.inputs[-1], shown="standard input")
        if not asked.inputs:
            left = f" ({left_out(asked.skipped)})" if asked.skipped else ""
            raise InvalidInput(f"there is no file to classify in {', '.join(files)}{left}")
        document = given.model(model, registry)
        loaded = document.loaded()
        alone = len(asked.inputs) == 1 and not asked.folders
        if outputs.is_standard(output) and not alone:
            raise InvalidInput("standard output takes one result: name a folder for those of several files")
        to = _outputs(place, registry.endpoint_url, alone)
        check_places([to.placed(found) for found in asked.inputs], asked.folders)
        _check_name(to, asked.inputs)
        to.check()
        standard = outputs.is_standard(output)
        most = sys.maxsize if standard else drop_report.REJECTIONS
        outcomes = _outcomes(asked, to, options, document, loaded, processes or usual(), most)
        if standard and not outcomes[0].error:
            _copy(Path(place))
            outcomes[0].places = ["standard output"]
        drop_report.show(outcomes, asked.skipped, as_json=as_json, beside=standard)
        return not any(outcome.error for outcome in outcomes)


@contextmanager
def _place(output: str) -> Iterator[str]:
    """Yield where the result is written first: a temporary file if it goes to standard output in the end."""
    if not outputs.is_standard(output):
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="thimble-") as folder:
        yield str(Path(folder, "result"))


def _copy(result: Path) -> None:
    with result.open("rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _outcomes(
    asked: Asked,
    to: Outputs,
    options: FileOptions,
    document: Given,
    loaded: Classifier,
    processes: int,
    most: int,
) -> list[Outcome]:
    with _staging(to) as staging:
        tasks = [_task(found, to, options, staging) for found in asked.inputs]
        try:
            summaries = _summaries(tasks, document, loaded, processes)
        except KeyboardInterrupt:
            print(
                "thimble: stopped; files that have a summary are done, and left alone next time",
                file=sys.stderr,
            )
            raise
    return [
        _outcome(task, found, to, summary, most)
        for task, found, summary in zip(tasks, asked.inputs, summaries, strict=True)
    ]


def _task(found: Input, to: Outputs, options: FileOptions, staging: Path | None) -> Task:
    source = _source(found)
    own = options.with_metadata(source.metadata)
    return Task(found.place, source, to.store, to.paths(found), own, to.here, staging)


@contextmanager
def _staging(to: Outputs) -> Iterator[Path | None]:
    """Yield a folder beside the results, or None if they go to a bucket.

    A result is made in this folder, so that an earlier one stays until the new one is complete.
    """
    if to.here is None:
        yield None
        return
    to.here.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".thimble-", dir=to.here))
    interrupts.leftovers.add(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        interrupts.leftovers.discard(folder)


def _summaries(tasks: list[Task], document: Given, loaded: Classifier, processes: int) -> list[Summary]:
    """Classify in several processes if there is enough work for them, else in this one."""
    size = sum(task.source.size for task in tasks)
    with drop_report.reading(size) as advance:
        if processes > 1 and size >= MANY_BYTES:
            with pool(processes, document) as workers:
                return workers.summaries(tasks, advance)
        return [whole(task, loaded, advance) for task in tasks]


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


@dataclass(frozen=True)
class Outputs:
    """Where results go: the result of one file to exactly this name, those of several into a folder each."""

    root: str
    endpoint_url: str | None
    folder: str = ""  # the folder in a bucket
    alone: ResultPaths | None = None

    @cached_property
    def store(self) -> ObjectStore:
        """The store of the results; a local folder is created if it does not exist."""
        if self.root.startswith("s3://"):
            bucket = self.root.removeprefix("s3://")
            return buckets.connect(bucket, buckets.endpoint_of(bucket, self.endpoint_url))
        return LocalStore(Path(self.root).absolute(), mkdir=True)

    def check(self) -> None:
        """Raise InvalidInput now if a result could not be written after all the work."""
        if self.here is None:
            return
        if self.alone:
            outputs.require_regular(self.here / self.alone.result)
        outputs.check_folder(self.here)

    @property
    def here(self) -> Path | None:
        return None if self.root.startswith("s3://") else Path(self.root).absolute()

    def paths(self, found: Input) -> ResultPaths:
        folder = f"{self.folder}/{found.name}".lstrip("/")
        return self.alone or result_paths(folder, named(found.name).extension)

    def shown(self, path: str) -> str:
        return f"{self.root}/{path}" if self.root.startswith("s3://") else str(Path(self.root, path))

    def placed(self, found: Input) -> Placed:
        return Placed(found.shown, [self.shown(path) for path in astuple(self.paths(found))])


def _outputs(output: str, endpoint_url: str | None, alone: bool) -> Outputs:
    if output.startswith("s3://"):
        bucket, prefix = _split(output)
        return Outputs(f"s3://{bucket}", endpoint_url, prefix.strip("/"))
    path = Path(output)
    if not alone or path.is_dir() or output.endswith("/"):
        return Outputs(output, None)
    beside = ResultPaths(path.name, f"{path.name}.rejections.jsonl", f"{path.name}.summary.json")
    return Outputs(str(path.parent), None, alone=beside)


def _check_name(to: Outputs, inputs: Sequence[Input]) -> None:
    """Raise InvalidInput if the result's name says another format than the input's, which the result has."""
    if to.alone is None:
        return
    given, told = named(inputs[0].path), named(to.alone.result)
    tables = {"csv", "tsv"}  # either name will do
    alike = given.format == told.format or {given.format, told.format} <= tables
    if told.format and not (alike and given.compression == told.compression):
        raise InvalidInput(
            f"a result has its input's format, and the name {to.alone.result} says another: "
            f"let it end in {given.extension}"
        )


def _source(found: Input) -> ObjectVersion:
    try:
        if not isinstance(found.store, S3Store):
            return store.current(found.store, found.path)
        with buckets.answering(found.store.config["bucket"], found.store.config.get("endpoint")):
            return store.current(found.store, found.path)
    except Gone:
        raise InvalidInput(f"{found.shown} is gone") from None


def _outcome(task: Task, found: Input, to: Outputs, summary: Summary, most: int) -> Outcome:
    if "kept" in summary:
        return Outcome(found.name, summary, source=found.shown, kept=to.shown(summary["kept"]))
    kinds = ["result", "rejected"] if summary.get("rejections") else ["result"]
    places = [to.shown(summary[kind]) for kind in kinds if kind in summary]
    rejections = _first_rejections(task.results, summary, most)
    return Outcome(found.name, summary, rejections, places, source=found.shown)


def _first_rejections(results: ObjectStore, summary: Summary, most: int) -> list[dict[str, Any]]:
    if not summary.get("rejections"):
        return []
    size = obstore.head(results, summary["rejected"])["size"]
    text = bytes(obstore.get_range(results, summary["rejected"], start=0, end=min(size, most)))
    whole = text if len(text) == size else text.rpartition(b"\n")[0]
    return [orjson.loads(line) for line in whole.splitlines()]
