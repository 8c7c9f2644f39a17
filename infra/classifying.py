"""`thimble classify`: the files function's own pipeline on this machine, without a queue or a function."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
import orjson
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore

from infra import drop_report
from infra.drop_report import Outcome
from infra.processes import Task, pool, usual, whole
from thimble import classifier, store, streams
from thimble.errors import InvalidInput, Unavailable
from thimble.formats import EXTENSIONS, named
from thimble.jobs import Options, Paths, Summary, under
from thimble.streams import Source

MANY_BYTES = 128 << 20  # for which it pays to start processes
REJECTIONS = 64 << 10  # bytes of the rejections to look at, for the first few


@dataclass(frozen=True)
class Input:
    """A file here or in a bucket; `name` is its path below what was asked for."""

    store: ObjectStore
    place: str
    path: str
    name: str


def classify(
    files: list[str], *, output: str, model: str, options: Options, processes: int | None = None
) -> bool:
    """Classify files, folders and S3 prefixes, and show what became of them; whether none was refused."""
    inputs = [found for file in files for found in _inputs(file)]
    if not inputs:
        raise InvalidInput(f"there is no file to classify in {', '.join(files)}")
    document = store.read(model if "://" in model else Path(model).absolute().as_uri())
    results, root, paths = _outputs(output, inputs, alone=len(files) == 1 and len(inputs) == 1)
    tasks = [Task(found.place, _source(found), results, paths(found), options) for found in inputs]
    summaries = _summaries(tasks, document, processes or usual())
    outcomes = [
        _outcome(task, found.name, root, summary)
        for task, found, summary in zip(tasks, inputs, summaries, strict=True)
    ]
    drop_report.show(outcomes)
    return not any(outcome.error for outcome in outcomes)


def _summaries(tasks: list[Task], document: bytes, processes: int) -> list[Summary]:
    """By several processes, if there is enough for them to do."""
    size = sum(task.source.size for task in tasks)
    with drop_report.reading(size) as advance:
        if processes > 1 and size >= MANY_BYTES:
            with pool(processes, document) as workers:
                return workers.summaries(tasks, advance)
        loaded = classifier.load(document)
        return [whole(task, loaded, advance) for task in tasks]


def _inputs(file: str) -> Iterator[Input]:
    if file.startswith("s3://"):
        bucket, _, prefix = file.removeprefix("s3://").partition("/")
        yield from _in_bucket(bucket, prefix)
    elif Path(file).is_dir():
        root = Path(file).absolute()
        for path in sorted(found for found in root.rglob("*") if found.is_file()):
            name = path.relative_to(root).as_posix()
            if named(name).format in EXTENSIONS.values():
                yield Input(LocalStore(root), str(root), name, name)
    elif Path(file).is_file():
        path = Path(file).absolute()
        yield Input(LocalStore(path.parent), str(path.parent), path.name, path.name)
    else:
        raise InvalidInput(f"there is no file {file}")


def _in_bucket(bucket: str, prefix: str) -> Iterator[Input]:
    """The object of that very name, or all below it."""
    found = store.bucket(bucket)
    try:
        keys = [item["path"] for item in obstore.list(found, prefix.rsplit("/", 1)[0] or None).collect()]
    except BaseError as error:
        raise Unavailable(f"s3://{bucket} cannot be listed: {error}") from None
    chosen = [key for key in keys if key.startswith(prefix)]
    for key in sorted([prefix] if prefix in chosen else chosen):
        if key == prefix or named(key).format:
            yield Input(found, f"s3://{bucket}", key, key)


def _outputs(
    output: str, inputs: list[Input], alone: bool
) -> tuple[ObjectStore, str, Callable[[Input], Paths]]:
    """Where results go: one file's to the very name, those of several into a folder each."""
    if output.startswith("s3://"):
        bucket, _, prefix = output.removeprefix("s3://").partition("/")
        folder = prefix.strip("/")
        return store.bucket(bucket), f"s3://{bucket}", lambda found: _under(folder, found)
    path = Path(output).absolute()
    if alone and not path.is_dir() and not output.endswith("/"):
        beside = Paths(path.name, f"{path.name}.rejections.jsonl", f"{path.name}.summary.json")
        return LocalStore(path.parent, mkdir=True), str(path.parent), lambda found: beside
    return LocalStore(path, mkdir=True), str(path), lambda found: _under("", found)


def _under(folder: str, found: Input) -> Paths:
    return under(f"{folder}/{found.name}".lstrip("/"), named(found.name).extension)


def _source(found: Input) -> Source:
    try:
        return streams.source(found.store, found.path)
    except streams.Gone:
        raise InvalidInput(f"{found.place}/{found.path} is gone") from None


def _outcome(task: Task, name: str, root: str, summary: Summary) -> Outcome:
    places = [f"{root}/{summary[kind]}" for kind in ("result", "rejected") if kind in summary]
    return Outcome(name, summary, _first_rejections(task.results, summary), places)


def _first_rejections(results: ObjectStore, summary: Summary) -> list[dict[str, Any]]:
    if not summary.get("rejections"):
        return []
    size = obstore.head(results, summary["rejected"])["size"]
    text = bytes(obstore.get_range(results, summary["rejected"], start=0, end=min(size, REJECTIONS)))
    whole = text if len(text) == size else text.rpartition(b"\n")[0]
    return [orjson.loads(line) for line in whole.splitlines()]
