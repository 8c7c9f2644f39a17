"""`thimble run --keep FOLDER`: keep the local stack's models and results as plain files.

Changes in the two buckets are written within moments, and once more at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from thimble_infra import aws, buckets, outputs

KEPT = {"models": aws.MODELS, "results": aws.RESULTS}  # folders and their buckets
PAUSE = 1.0  # seconds between two looks


@contextmanager
def keeping(folder: Path | None, s3_url: str) -> Iterator[None]:
    """Fill the buckets from the folder, then keep the folder up to date with the buckets."""
    if folder is None:
        yield
        return
    mirrors = [Mirror(folder / name, buckets.connect(bucket, s3_url)) for name, bucket in KEPT.items()]
    for mirror in mirrors:
        mirror.restore()
    over = Event()
    looking = Thread(target=_look, args=[mirrors, over], daemon=True)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()
        for mirror in mirrors:
            mirror.save()


def _look(mirrors: list[Mirror], over: Event) -> None:
    while not over.wait(PAUSE):
        for mirror in mirrors:
            mirror.save()


class Mirror:
    """A bucket and a folder with the same objects."""

    def __init__(self, folder: Path, store: S3Store) -> None:
        self._folder, self._store = folder, store
        self._seen: dict[str, str | None] = {}  # ETags by key

    def restore(self) -> None:
        for path in sorted(self._folder.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                key = path.relative_to(self._folder).as_posix()
                self._seen[key] = obstore.put(self._store, key, path.read_bytes())["e_tag"]

    def save(self) -> None:
        """Save what is new and delete what is gone since the last time. If the store fails, try next time."""
        try:
            listed = {item["path"]: item["e_tag"] for page in obstore.list(self._store) for item in page}
            for key in self._seen.keys() - listed.keys():
                (self._folder / key).unlink(missing_ok=True)
                del self._seen[key]
            for key, etag in listed.items():
                if self._seen.get(key) != etag:
                    self._write(key)
                    self._seen[key] = etag
        except (BaseError, FileNotFoundError):
            return

    def _write(self, key: str) -> None:
        place = self._folder / key
        place.parent.mkdir(parents=True, exist_ok=True)
        with outputs.replacing(place) as beside, beside.open("wb") as file:
            for block in obstore.get(self._store, key).stream():
                file.write(block)
