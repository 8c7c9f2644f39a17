"""`thimble drop`: put files into the inbox of a local or deployed stack, and show what became of them.

It speaks to S3 only: it puts an object into the inbox and waits for `<key>/summary.json` in the results
bucket. It asks no queue and no function.
"""

import json
import shlex
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from thimble.errors import InvalidInput, Unavailable
from thimble.files.jobs import result_paths
from thimble.store import fits
from thimble.tables.formats import named
from thimble_infra import drop_report, fitting, given, inputs, outputs, stacks, versions
from thimble_infra.arrivals import NOT_YET, Arrival
from thimble_infra.buckets import Place, connect, endpoint_of, place, refusal
from thimble_infra.drop_progress import Parts
from thimble_infra.drop_report import Outcome, Watch
from thimble_infra.inputs import Found, Placed, check_places
from thimble_infra.stacks import Registry

PART = 16 * 1024 * 1024  # bytes; S3's 10,000 parts allow files of 160 GB
READ = 1024 * 1024  # bytes per step of the progress bar
WATCHED = 4  # files whose ranges are shown

NOTHING: Mapping[str, str] = {}  # a file without metadata

Advance = Callable[[int], None]


def results_of(inbox: Place) -> Place:
    """Return the results bucket by template.yaml's rule: the inbox's name with its last `inbox` replaced.

    Raises InvalidInput if the name has no `inbox`.
    """
    found = _beside(inbox, "results")
    if not found:
        raise InvalidInput(
            f"{inbox.bucket} does not say 'inbox'; name the results bucket with --results s3://BUCKET"
        )
    return found


def parts_of(inbox: Place) -> Place | None:
    """Return the parts bucket likewise, or None: it only shows progress, so it is not required."""
    return _beside(inbox, "parts")


def _beside(inbox: Place, kind: str) -> Place | None:
    before, found, after = inbox.bucket.rpartition("inbox")
    return Place(f"{before}{kind}{after}", "") if found else None


@dataclass
class Dropped:
    """A file on its way."""

    path: Path
    name: str  # the key without the inbox's prefix
    key: str
    size: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    arrival: Arrival = NOT_YET  # the upload
    summary: dict[str, Any] | None = None
    overwritten: bool = False  # whether it was overwritten before it was classified

    @property
    def settled(self) -> bool:
        return self.summary is not None or self.overwritten


def collect(found: Found, inbox: Place, metadata: Mapping[str, str] = NOTHING) -> list[Dropped]:
    """Return the files with their keys. Raises InvalidInput if a key is impossible or two files share one."""
    dropped: dict[str, Dropped] = {}
    for file in found.files:
        key = inbox.key(file.name)
        if other := dropped.get(key):
            raise InvalidInput(f"{other.path} and {file.path} would both be {inbox.uri(key)}")
        _check_key(key)
        dropped[key] = Dropped(file.path, file.name, key, file.path.stat().st_size, metadata)
    return list(dropped.values())


def _check_key(key: str) -> None:
    """Raise InvalidInput unless the key is a plain path of text, and not too long.

    S3 would take other keys, but the functions' client would not.
    """
    if any(segment in ("", ".", "..") for segment in key.split("/")):
        raise InvalidInput(f"{key!r} is no plain path: an inbox's keys have no empty, . or .. part")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in key):
        raise InvalidInput(f"{key!r} has a character that is no text: rename the file")
    if not all(map(fits, astuple(result_paths(key, named(key).extension)))):
        raise InvalidInput(f"{key!r} is too long: S3 takes keys of 1,024 bytes, with what results add to it")


@dataclass(frozen=True)
class Door:
    """The buckets for a stack's files, and the option by which commands name the stack."""

    inbox: Place
    answers: Place
    parts: Place | None
    registry: Registry
    option: str = ""
    by_hand: bool = False  # whether the buckets were named, not their stack

    def look(self, key: str) -> str:
        """Return the command that shows what became of a file."""
        command = f"fetch {shlex.quote(key)}" if self.by_hand else "status"
        return f"`thimble {command}{self.option}`"

    @property
    def endpoint(self) -> str | None:
        return endpoint_of(self.inbox.bucket, self.registry.endpoint_url)


def door(
    to: str | None, results: str | None, parts: str | None, stack: str | None, endpoint_url: str | None
) -> Door:
    """Return the buckets for an inbox's URI, or else for a stack."""
    if to:
        inbox, option = place(to), f" --to {to}"
        answers = place(results) if results else results_of(inbox)
        there = place(parts) if parts else parts_of(inbox)
        models = _beside(inbox, "models")
        registry = Registry(f"s3://{(models or inbox).bucket}", "", endpoint_url)
        return Door(inbox, answers, there, registry, option, by_hand=True)
    found, option = stacks.find(stack), f" --stack {stack}" if stack else ""
    return Door(
        Place(found.inbox, ""),
        place(results) if results else Place(found.results, ""),
        place(parts) if parts else Place(found.parts, ""),
        Registry(f"s3://{found.models}", option, endpoint_url),
        option,
    )


def drop(
    files: Sequence[str],
    to: Door,
    *,
    output: Path | None,
    timeout: float,
    model: str | None = None,
    metadata: Mapping[str, str] = NOTHING,
    as_json: bool = False,
) -> bool:
    """Upload files, wait for their results, and show them. Return False if a file was refused.

    Raises ThimbleError if a file's result could not be learnt.
    """
    with inputs.named(files) as names:
        paths = [Path(name) for name in names]
        return _drop(paths, to, output, timeout, model, metadata, as_json)


def _drop(
    files: Sequence[Path],
    to: Door,
    output: Path | None,
    timeout: float,
    model: str | None,
    metadata: Mapping[str, str],
    as_json: bool,
) -> bool:
    inbox, answers = to.inbox, to.answers
    found = inputs.below(files)
    if model:
        inbox = replace(inbox, prefix=f"{inbox.prefix}/{_folder(model, to.registry)}".lstrip("/"))
    dropped = collect(found, inbox, metadata)
    if output:
        folders = [str(path) for path in files if path.is_dir()]
        check_places([_placed(file, answers, output) for file in dropped], folders)
        outputs.check_folder(output.absolute())
    endpoint = to.endpoint
    with _sentences(inbox, answers, endpoint), _leaving(dropped, inbox):
        source, target = connect(inbox.bucket, endpoint), connect(answers.bucket, endpoint)
        with drop_report.uploading(sum(file.size for file in dropped)) as advance:
            for file in dropped:
                _upload(source, file, advance)
        progress = Parts(connect(to.parts.bucket, endpoint), to.parts.prefix) if to.parts else None
        with drop_report.waiting(len(dropped)) as watch:
            look = partial(_look, source, target, answers)
            _follow(look, dropped, time.monotonic() + timeout, watch, progress)
        outcomes = [_outcome(target, to, file, output) for file in dropped if file.summary]
    for file, outcome in zip([file for file in dropped if file.summary], outcomes, strict=True):
        if outcome.error:
            outcome.advice = fitting.advice(file.path, outcome, to.registry, f"{{}} --model {{}}{to.option}")
    drop_report.show(outcomes, found.skipped, as_json=as_json)
    if gone := [file.name for file in dropped if file.overwritten]:
        raise Unavailable(
            f"overwritten in the inbox before it was classified: {', '.join(gone)}; the result is of what "
            f"lies in s3://{inbox.bucket} now: drop the file again"
        )
    if late := [file.name for file in dropped if not file.settled]:
        raise Unavailable(_late(late, timeout, inbox, to.look(late[0])))
    return not any(outcome.error for outcome in outcomes)


def _folder(model: str, registry: Registry) -> str:
    """Return the first folder of a key, which chooses the model: NAME or NAME@VERSION.

    Raises InvalidInput if the model is not published.
    """
    document = given.model(model, registry)
    if document.name:
        return model
    loaded = document.loaded()
    keeper = versions.Keeper(registry)
    if loaded.digest not in keeper.digests(loaded.name):
        raise InvalidInput(
            f"{document.shown} is not published, and files are classified by what is: "
            f"`thimble publish {model} --candidate{registry.option}` makes it a version"
        )
    return f"{loaded.name}@{loaded.digest[:12]}"


def _placed(file: Dropped, answers: Place, output: Path) -> Placed:
    paths = result_paths(answers.key(file.key), named(file.key).extension)
    return Placed(str(file.path), [str(output / path) for path in astuple(paths)])


def _upload(store: S3Store, file: Dropped, advance: Advance) -> None:
    attributes = dict(file.metadata)
    with file.path.open("rb") as stream:
        if file.size <= PART:  # one request, so that the bucket sends one notification
            put = obstore.put(store, file.key, stream.read(), use_multipart=False, attributes=attributes)
            advance(file.size)
        else:
            blocks = _blocks(stream, advance)
            put = obstore.put(
                store, file.key, blocks, chunk_size=PART, max_concurrency=4, attributes=attributes
            )
    file.arrival = Arrival(put["e_tag"], put["version"], file.metadata)


def _blocks(stream: BinaryIO, advance: Advance) -> Iterator[bytes]:
    while block := stream.read(READ):
        yield block
        advance(len(block))


def _follow(
    look: Callable[[Dropped], None],
    files: Sequence[Dropped],
    deadline: float,
    watch: Watch,
    parts: Parts | None,
) -> None:
    """Look for the summaries, less and less often, until all are there or the deadline has passed."""
    pause = 0.05
    while True:
        for file in [file for file in files if not file.settled]:
            look(file)
            if file.settled:
                watch.done(file.name)
                pause = 0.05
        if all(file.settled for file in files) or time.monotonic() > deadline:
            return
        if parts and watch.somebody:
            _show_ranges(parts, files, watch)
        time.sleep(pause)
        pause = min(2.0, 1.3 * pause)


def _show_ranges(parts: Parts, files: Sequence[Dropped], watch: Watch) -> None:
    """Show the progress of the largest files, because only large files are split."""
    waiting = sorted((file for file in files if not file.settled), key=lambda file: file.size)
    for file in waiting[-WATCHED:]:
        if found := parts.progress(file.key, file.arrival):
            watch.ranges(file.name, *found)


def _look(source: S3Store, target: S3Store, answers: Place, file: Dropped) -> None:
    """Look for the summary of exactly this upload.

    Another summary under its name belongs to an earlier upload, or to one that replaced it in the inbox.
    """
    try:
        found = obstore.get(target, answers.key(f"{file.key}/summary.json"))
    except FileNotFoundError:
        return
    summary: dict[str, Any] = json.loads(bytes(found.bytes()))
    if file.arrival.is_same(Arrival.described(summary["input"])):
        file.summary = summary
        return
    file.overwritten = not file.arrival.is_same(Arrival.looked_up(source, file.key, file.arrival.etag))


def _outcome(store: S3Store, to: Door, file: Dropped, output: Path | None) -> Outcome:
    answers = to.answers
    summary = file.summary or {}
    outcome = Outcome(file.name, summary, source=str(file.path))
    keys = [summary["result"]] if "result" in summary else []
    if summary.get("rejections"):
        keys.append(summary["rejected"])
        outcome.rejections = _first_lines(store, summary["rejected"])
    outcome.places = [str(_download(store, key, output)) if output else answers.uri(key) for key in keys]
    if output:
        _download(store, answers.key(f"{file.key}/summary.json"), output)  # for `thimble drift`
    elif keys:
        outcome.fetch = _fetch(file.key, to)
    return outcome


def _first_lines(store: S3Store, key: str) -> list[dict[str, Any]]:
    """Return the first rejections, as many as are complete in the first bytes."""
    head = bytes(obstore.get(store, key, options={"range": (0, drop_report.REJECTIONS)}).bytes())
    whole = head[: head.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines()]


def _download(store: S3Store, key: str, folder: Path) -> Path:
    """Download an object into the folder under its key, completely or not at all."""
    path = folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        for block in obstore.get(store, key).stream():
            file.write(block)
    return part.rename(path)


def _fetch(key: str, to: Door) -> str:
    """Return the command to copy that fetches a result."""
    return f"thimble fetch {shlex.quote(key)}{to.option}"


def _late(names: Sequence[str], timeout: float, inbox: Place, look: str) -> str:
    return (
        f"no summary after {timeout:g} seconds of {', '.join(names)}: the upload is done and lies in "
        f"s3://{inbox.bucket}; {look} says what becomes of it"
    )


@contextmanager
def _leaving(files: Sequence[Dropped], inbox: Place) -> Iterator[None]:
    """On Ctrl-C, say that the uploaded files are classified all the same."""
    try:
        yield
    except KeyboardInterrupt:
        if uploaded := sum(file.arrival is not NOT_YET for file in files):
            where = f"{uploaded:,} of {len(files):,} uploads lie in s3://{inbox.bucket}"
            print(f"thimble: not waited for: {where}, and are classified all the same", file=sys.stderr)
        raise


@contextmanager
def _sentences(inbox: Place, answers: Place, endpoint: str | None) -> Iterator[None]:
    """Turn S3's errors inside into Unavailable with a sentence."""
    at = f" at {endpoint}" if endpoint else ""
    try:
        yield
    except FileNotFoundError as error:
        if error.filename:  # a file of this machine
            raise
        raise Unavailable(f"there is no bucket {inbox.bucket} or no bucket {answers.bucket}{at}") from None
    except (PermissionDeniedError, UnauthenticatedError):
        raise Unavailable(
            f"these credentials may not write to s3://{inbox.bucket} and read from s3://{answers.bucket}{at}"
        ) from None
    except BaseError as error:
        raise Unavailable(refusal(inbox.bucket, at, error)) from None
