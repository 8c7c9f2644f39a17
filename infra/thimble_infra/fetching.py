"""`thimble fetch`: download a result with its rejections and its summary, by the dropped file's key."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

from thimble.errors import InvalidFile, NotFound
from thimble.spelling import hint
from thimble_infra import buckets, outputs, printing
from thimble_infra.drop import Door

KINDS = ("result", "rejected")  # the summary's keys for the objects beside it
MOST_KEYS = 1000  # keys that a wrong key is compared with


def fetch(key: str, door: Door, output: Path, *, as_json: bool = False) -> None:
    """Download into a folder under the key, or only the result to standard output."""
    key = _plain(key, door)
    if not outputs.is_standard(output):
        outputs.check_folder(output.absolute())
    with buckets.answering(door.answers.bucket, door.endpoint):
        store = buckets.connect(door.answers.bucket, door.endpoint)
        summary = _summary(store, door, key)
        paths = [summary[kind] for kind in KINDS if kind in summary]
        if outputs.is_standard(output):
            _print_result(store, key, summary)
            return
        places = [
            _download(store, path, output) for path in [*paths, door.answers.key(f"{key}/summary.json")]
        ]
    if as_json:
        printing.as_json({**summary, "places": list(map(str, places))})
    else:
        _show(key, summary, places)


def _plain(key: str, door: Door) -> str:
    """Return the key in the inbox, given a key, an s3:// address, or a result's key."""
    if key.startswith("s3://"):
        key = buckets.place(key).prefix
    return key.removeprefix(f"{door.answers.prefix}/") if door.answers.prefix else key


def _summary(store: S3Store, door: Door, key: str) -> dict[str, Any]:
    try:
        data = obstore.get(store, door.answers.key(f"{key}/summary.json")).bytes()
    except FileNotFoundError:
        listed = buckets.keys(store, door.answers.prefix)[:MOST_KEYS]
        known = [path.removesuffix("/summary.json") for path in listed if path.endswith("/summary.json")]
        raise NotFound(
            f'there is no result of "{key}" in s3://{door.answers.bucket}{hint(key, known)}; '
            "`thimble status` lists what is under way and done"
        ) from None
    found: dict[str, Any] = json.loads(bytes(data))
    return found


def _print_result(store: S3Store, key: str, summary: dict[str, Any]) -> None:
    if "result" not in summary:
        raise InvalidFile(f"{key} was refused, and has no result: {summary['error']}")
    for block in obstore.get(store, summary["result"]).stream():
        sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()


def _download(store: S3Store, path: str, folder: Path) -> Path:
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    with outputs.replacing(place) as beside, beside.open("wb") as file:
        for block in obstore.get(store, path).stream():
            file.write(block)
    return place


def _show(key: str, summary: dict[str, Any], places: list[Path]) -> None:
    console = printing.console()
    model = summary.get("model")
    by = f", by {model['name'] or 'the model'} ({model['digest'][:12]})" if model else ""
    if "error" in summary:
        console.print(f"{key} was refused{by}: {summary['error']}", markup=False)
    else:
        console.print(
            f"{key}{by}: {summary['predictions']:,} predictions, {summary['rejections']:,} rejections",
            markup=False,
        )
    for place in places:
        console.print(f"  {place}", markup=False)
