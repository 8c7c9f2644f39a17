"""`thimble status`: show what runs, its models, its queue, and what became of the files in the inbox."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store
from rich.table import Table
from rich.text import Text

from thimble_infra import aws, aws_answers, buckets, printing, stacks, traffic
from thimble_infra.arrivals import Arrival
from thimble_infra.drop_progress import Parts
from thimble_infra.stacks import Note, Registry, Stack
from thimble_infra.traffic import Traffic
from thimble_infra.versions import Keeper, described

SHOWN = 20  # the newest files
LISTED = 10_000  # objects of an inbox that are listed
DEAD = 10  # dead letters that are read


@dataclass(frozen=True)
class File:
    """A file in the inbox."""

    key: str
    state: str  # done, refused, given up, ranges, waiting
    about: str = ""  # the model, the progress, or the reason
    summary: dict[str, Any] | None = None


@dataclass(frozen=True)
class Status:
    stack: str
    url: str
    s3_url: str
    log: str
    models: list[dict[str, Any]]
    queue: dict[str, int]
    files: list[File]
    traffic: Traffic | None = None
    more: bool = field(default=False)  # whether there are more files than are shown


def show(stack: str | None, endpoint_url: str | None, *, as_json: bool = False) -> None:
    found = status(stack, endpoint_url)
    if as_json:
        printing.as_json(asdict(found))
        return
    console = printing.fitted()
    for line in _lines(found):
        console.print(line, markup=False)
    if found.files:
        console.print(_table(found.files))
    if found.more:
        console.print(f"and older ones: the newest {SHOWN} are shown", markup=False)


def status(stack: str | None, endpoint_url: str | None) -> Status:
    note = None if stack or endpoint_url else stacks.local()
    found = stacks.find(stack)
    s3_url = note.s3_url if note else buckets.endpoint_of(found.inbox, endpoint_url)
    registry = Registry(f"s3://{found.models}", "", s3_url)
    with buckets.answering(found.inbox, s3_url):
        files, more = _files(found, s3_url, _given_up(found, s3_url))
    return Status(
        stack or "local",
        found.url or (note.url if note else ""),
        s3_url or "",
        note.log if note else "",
        Keeper(registry).described(),
        _queue(found, s3_url),
        files,
        _traffic(note),
        more,
    )


def _traffic(note: Note | None) -> Traffic | None:
    """Return the local API's traffic from its log; None if there is no log."""
    if note is None or not note.log:
        return None
    with suppress(OSError), Path(note.log).open(encoding="utf-8") as lines:
        return traffic.read(lines)
    return None


def _queue(stack: Stack, s3_url: str | None) -> dict[str, int]:
    names = {"waiting": "ApproximateNumberOfMessages", "in_work": "ApproximateNumberOfMessagesNotVisible"}
    with aws_answers.sentences("the queue"):
        sqs = _sqs(stack, s3_url)
        counts, dead = (
            sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            for url in _urls(stack, s3_url)
        )
    return {key: int(counts[name]) for key, name in names.items()} | {"given_up": int(dead[names["waiting"]])}


def _urls(stack: Stack, s3_url: str | None) -> tuple[str, str]:
    if stack.name or s3_url is None:
        return stack.queue, stack.dead_letters
    return aws.queue_url(s3_url), aws.queue_url(s3_url, aws.DEAD_LETTERS)


def _sqs(stack: Stack, s3_url: str | None) -> Any:
    import boto3

    if stack.name:
        return boto3.client("sqs", region_name=stacks.region())
    key, secret = aws.CREDENTIALS.values()
    return boto3.client(
        "sqs",
        endpoint_url=s3_url,
        region_name=aws.REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )


def _given_up(stack: Stack, s3_url: str | None) -> set[str]:
    """Return the keys of the first dead letters, which stay in the queue."""
    with aws_answers.sentences("the dead letters"):
        answer = _sqs(stack, s3_url).receive_message(
            QueueUrl=_urls(stack, s3_url)[1], MaxNumberOfMessages=DEAD, VisibilityTimeout=0
        )
    return set(_keys(message["Body"] for message in answer.get("Messages", [])))


def _keys(bodies: Iterator[str]) -> Iterator[str]:
    for body in bodies:
        for record in json.loads(body).get("Records", []):
            yield unquote_plus(record["s3"]["object"]["key"])


def _files(stack: Stack, s3_url: str | None, given_up: set[str]) -> tuple[list[File], bool]:
    inbox, results, parts = (
        buckets.connect(bucket, s3_url) for bucket in (stack.inbox, stack.results, stack.parts)
    )
    listed = list(islice((item for page in obstore.list(inbox) for item in page), LISTED))
    newest = sorted(listed, key=lambda item: item["last_modified"], reverse=True)[:SHOWN]
    progress = Parts(parts)
    with ThreadPoolExecutor(8) as pool:
        summaries = pool.map(lambda item: _summary(results, item["path"]), newest)
        arrivals = pool.map(lambda item: Arrival.looked_up(inbox, item["path"], item["e_tag"]), newest)
        files = [
            _file(item["path"], arrival, summary, progress, given_up)
            for item, arrival, summary in zip(newest, arrivals, summaries, strict=True)
        ]
    return files, len(listed) > len(newest)


def _summary(results: S3Store, key: str) -> dict[str, Any] | None:
    with suppress(BaseError, FileNotFoundError, ValueError):
        found: dict[str, Any] = json.loads(bytes(obstore.get(results, f"{key}/summary.json").bytes()))
        return found
    return None


def _file(
    key: str, arrival: Arrival, summary: dict[str, Any] | None, progress: Parts, given_up: set[str]
) -> File:
    if summary is not None and Arrival.described(summary["input"]).is_same(arrival):
        if "error" in summary:
            return File(key, "refused", summary["error"], summary)
        return File(key, "done", _counts(summary), summary)
    if ranges := progress.progress(key, arrival):
        return File(key, "ranges", f"{ranges[0]:,} of {ranges[1]:,} done")
    if key in given_up:
        return File(key, "given up", "it failed five times; the functions' log says why")
    return File(key, "waiting")


def _counts(summary: dict[str, Any]) -> str:
    done = f"{summary['predictions']:,} predictions, {summary['rejections']:,} rejections"
    return f"{done}, by {described(summary)}"


def _lines(found: Status) -> Iterator[str]:
    where = {"": found.url, "s3": found.s3_url, "log": found.log}
    places = ", ".join(f"{name} {place}".strip() for name, place in where.items() if place)
    yield f"stack      {found.stack}" + (f": {places}" if places else "")
    for model in found.models:
        trial = f", on trial {model['on_trial']}" if model["on_trial"] else ""
        yield f"model      {model['name']} ({model['current'] or 'candidates only'}){trial}"
    if not found.models:
        yield "model      none is published: `thimble publish MODEL.json`"
    queue = found.queue
    yield f"queue      {queue['waiting']} waiting, {queue['in_work']} in work, {queue['given_up']} given up"
    if found.traffic:
        yield from (f"{title:<10} {text}" for title, text in traffic.lines(found.traffic))


def _table(files: Sequence[File]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("file", "", ""):
        table.add_column(title, overflow="fold")
    for file in files:
        table.add_row(Text(file.key), file.state, Text(file.about))
    return table
