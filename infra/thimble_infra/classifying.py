"""`thimble classify`: the files function's own pipeline on this machine, without a queue or a function."""

import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import obstore
import orjson
from obstore.store import LocalStore, ObjectStore, S3Store

from thimble import store
from thimble.errors import Gone, InvalidInput, InvalidModel
from thimble.files.jobs import FileOptions, ResultPaths, Summary, result_paths
from thimble.inference import classifier
from thimble.inference.classifier import Classifier
from thimble.store import ObjectVersion
from thimble.tables.formats import named
from thimble_infra import buckets, drop_report
from thimble_infra.drop_report import Outcome
from thimble_infra.inputs import Found, Placed, check_places, left_out, readable
from thimble_infra.processes import Task, pool, usual, whole

MANY_BYTES = 128 << 20  # for which it pays to start processes
REJECTIONS = 64 << 10  # bytes of the rejections to look at, for the first few


@dataclass(frozen=True)
class Input:
    """A file here or in a bucket; `name` is what its results are called after."""

    store: ObjectStore
    place: str
    path: str
    name: str
    shown: str  # as a person would write it


@dataclass
class Asked:
    """All files that were asked for, and the folders and prefixes that were looked into."""

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
        """The object of that very name, or all below it."""
        bucket, prefix = _split(uri)
        with buckets.reading(bucket, self.endpoint_url) as found:
            keys = buckets.keys(found, prefix)
        if prefix in keys:
            keys = [prefix]
        else:
            self.folders.append(uri)
            self.skipped += [key for key in keys if not readable(key)]
            keys = [key for key in keys if readable(key)]
        for key in keys:
            self.inputs.append(Input(found, f"s3://{bucket}", key, key, f"s3://{bucket}/{key}"))


def classify(
    files: list[str],
    *,
    output: str,
    model: str,
    options: FileOptions,
    processes: int | None = None,
    endpoint_url: str | None = None,
) -> bool:
    """Classify files, folders and S3 prefixes, and show what became of them; whether none was refused."""
    asked = Asked(endpoint_url)
    for file in files:
        asked.add(file)
    inputs = asked.inputs
    if not inputs:
        left = f" ({left_out(asked.skipped)})" if asked.skipped else ""
        raise InvalidInput(f"there is no file to classify in {', '.join(files)}{left}")
    document = _document(model, endpoint_url)
    loaded = _loaded(document, model)
    outputs = _outputs(output, endpoint_url, alone=len(inputs) == 1 and not asked.folders)
    check_places([outputs.placed(found) for found in inputs], asked.folders)
    _check_name(outputs, inputs)
    tasks = [
        Task(found.place, _source(found), outputs.store, outputs.paths(found), options) for found in inputs
    ]
    try:
        summaries = _summaries(tasks, document, loaded, processes or usual())
    except KeyboardInterrupt:
        print(
            "thimble: stopped; files that have a summary are done, and left alone next time", file=sys.stderr
        )
        raise
    outcomes = [
        _outcome(task, found, outputs, summary)
        for task, found, summary in zip(tasks, inputs, summaries, strict=True)
    ]
    drop_report.show(outcomes, asked.skipped)
    return not any(outcome.error for outcome in outcomes)


def _summaries(tasks: list[Task], document: bytes, loaded: Classifier, processes: int) -> list[Summary]:
    """By several processes, if there is enough for them to do."""
    size = sum(task.source.size for task in tasks)
    with drop_report.reading(size) as advance:
        if processes > 1 and size >= MANY_BYTES:
            with pool(processes, document) as workers:
                return workers.summaries(tasks, advance)
        return [whole(task, loaded, advance) for task in tasks]


def _document(model: str, endpoint_url: str | None) -> bytes:
    if model.startswith("s3://"):
        bucket, key = _split(model)
        with buckets.reading(bucket, endpoint_url) as found:
            return bytes(obstore.get(found, key).bytes())
    return store.read(model) if "://" in model else Path(model).read_bytes()


def _loaded(document: bytes, model: str) -> Classifier:
    try:
        return classifier.load(document)
    except InvalidModel:
        from thimble_model.unsupported import (
            refusing,
            require_document,
        )  # only here: scikit-learn comes with it

        require_document(document, model)
        with refusing(model):
            raise


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


@dataclass(frozen=True)
class Outputs:
    """Where results go: one file's to the very name, those of several into a folder each."""

    root: str
    endpoint_url: str | None
    folder: str = ""  # in a bucket
    alone: ResultPaths | None = None

    @cached_property
    def store(self) -> ObjectStore:
        """Made, if it is not there yet."""
        if self.root.startswith("s3://"):
            bucket = self.root.removeprefix("s3://")
            return buckets.connect(bucket, buckets.endpoint_of(bucket, self.endpoint_url))
        if any(path.is_file() for path in (Path(self.root), *Path(self.root).absolute().parents)):
            raise InvalidInput(f"{self.root} is to be a folder, and there is a file in its place")
        return LocalStore(Path(self.root).absolute(), mkdir=True)

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


def _check_name(outputs: Outputs, inputs: Sequence[Input]) -> None:
    """InvalidInput for a file's name that says another format than its result has: the input's."""
    if outputs.alone is None:
        return
    given, told = named(inputs[0].path), named(outputs.alone.result)
    tables = {"csv", "tsv"}  # which are told apart by what is in them
    alike = given.format == told.format or {given.format, told.format} <= tables
    if told.format and not (alike and given.compression == told.compression):
        raise InvalidInput(
            f"a result has its input's format, and the name {outputs.alone.result} says another: "
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


def _outcome(task: Task, found: Input, outputs: Outputs, summary: Summary) -> Outcome:
    kinds = ["result", "rejected"] if summary.get("rejections") else ["result"]
    places = [outputs.shown(summary[kind]) for kind in kinds if kind in summary]
    rejections = _first_rejections(task.results, summary)
    return Outcome(found.name, summary, rejections, places, source=found.shown)


def _first_rejections(results: ObjectStore, summary: Summary) -> list[dict[str, Any]]:
    if not summary.get("rejections"):
        return []
    size = obstore.head(results, summary["rejected"])["size"]
    text = bytes(obstore.get_range(results, summary["rejected"], start=0, end=min(size, REJECTIONS)))
    whole = text if len(text) == size else text.rpartition(b"\n")[0]
    return [orjson.loads(line) for line in whole.splitlines()]
