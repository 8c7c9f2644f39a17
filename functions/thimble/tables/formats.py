"""Find the format of a file by its name and its first bytes.

csv, tsv   `csv`, with `dialect`, `header` and `tokens`
jsonl      `jsonlines`, with `uniform`
json       `json_array`
parquet    `parquet`
gz, zst    `compression`, around any of these except Parquet
all        `blocks` (records in, answers out), `cells` (values), `fast` (polars), `answers` (new columns)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from thimble import encodings
from thimble.errors import InvalidFile
from thimble.inference.classifier import Classifier
from thimble.tables import csv, json_array, jsonlines, parquet
from thimble.tables.blocks import HEAD_BYTES, Reader, Source
from thimble.tables.compression import BY_EXTENSION, Compression
from thimble.tables.csv import Csv
from thimble.tables.dialect import Given
from thimble.tables.jsonlines import JsonLines

__all__ = ["EXTENSIONS", "HEAD_BYTES", "Given", "Name", "find", "named", "opened"]

FOUND = Given()


class TextFormat(NamedTuple):
    """A text format: the extensions of its files, and the function that opens one."""

    extensions: tuple[str, ...]
    open: Callable[[bytes, bool, Classifier, Given], Csv | JsonLines]  # first bytes; whether they are all


TEXT = {
    "csv": TextFormat((".csv", ".txt"), partial(csv.open_file, "csv")),
    "tsv": TextFormat((".tsv", ".tab"), partial(csv.open_file, "tsv")),
    "jsonl": TextFormat((".jsonl", ".ndjson"), jsonlines.open_file),
    "json": TextFormat((".json",), json_array.open_file),
}
EXTENSIONS = {
    **{extension: name for name, text in TEXT.items() for extension in text.extensions},
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
}
SIGNATURES = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PAR1", "Parquet"),
    (b"PK\x03\x04", "a zip archive or a spreadsheet"),
    (b"%PDF", "PDF"),
)


@dataclass(frozen=True)
class Name:
    """A file's format and compression, by its key."""

    format: str  # "" if the extension is unknown
    compression: Compression | None
    extension: str  # ".csv.gz"


def named(key: str) -> Name:
    stem, packed = _split(key.rsplit("/", 1)[-1])
    compression = BY_EXTENSION.get(packed.lower())
    if compression is None:
        return Name(EXTENSIONS.get(packed.lower(), ""), None, packed)
    plain = _split(stem)[1]
    return Name(EXTENSIONS.get(plain.lower(), ""), compression, plain + packed)


def _split(name: str) -> tuple[str, str]:
    stem, dot, extension = name.rpartition(".")
    return (stem, dot + extension) if dot else (name, "")


def opened(
    name: Name, source: Source, classifier: Classifier, given: Given = FOUND, head: int = HEAD_BYTES
) -> Reader:
    """Open a file by its first `head` bytes. Raises InvalidFile if they are no table for the model."""
    if name.format == "parquet" and name.compression is None:
        return parquet.opened(source.size, source.read, classifier, source.on_read)
    return replace(find(name, *source.head(head), classifier, given), source=source)


def find(
    name: Name, head: bytes, whole: bool, classifier: Classifier, given: Given = FOUND
) -> Csv | JsonLines:
    """Return the reader for a file by its first bytes, `head` (all of it if `whole`).

    Raises InvalidFile if they do not fit the format in its name, or are no table for the model.
    """
    if not name.format:
        known = ", ".join([*EXTENSIONS, *BY_EXTENSION])
        raise InvalidFile(f"the name says no format that is read here; these do: {known}")
    if not head:
        raise InvalidFile("the file is empty")
    if name.format == "parquet":
        raise InvalidFile("Parquet is compressed within: send it as .parquet")
    for signature, meaning in SIGNATURES:
        if head.startswith(signature):
            raise InvalidFile(f"the name says {name.extension}, but the first bytes say {meaning}")
    if encodings.is_wide(head):
        raise InvalidFile(f"the file is not UTF-8{encodings.sentence(encodings.looks_like(head))}")
    return TEXT[name.format].open(head, whole, classifier, given)
