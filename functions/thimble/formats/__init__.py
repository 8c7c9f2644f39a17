"""File formats: which one a file has, by its name and its first bytes.

csv, tsv   `layout` and `delimited`, with `quotes` and `numbers`
jsonl      `jsonlines`
all        `records` (blocks in, answered blocks out), `added` (the answer's columns), `joining` (text out)
"""

from __future__ import annotations

from thimble.classifier import Classifier
from thimble.errors import InvalidFile
from thimble.formats.jsonlines import jsonlines
from thimble.formats.layout import delimited
from thimble.formats.records import MAX_RECORD_BYTES, Format

HEAD_BYTES = 2 * MAX_RECORD_BYTES  # enough to see the first record whole, and that it is too long
EXTENSIONS = {"csv": "csv", "txt": "csv", "tsv": "tsv", "tab": "tsv", "jsonl": "jsonl", "ndjson": "jsonl"}
SIGNATURES = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PAR1", "Parquet"),
    (b"PK\x03\x04", "a zip archive or a spreadsheet"),
    (b"%PDF", "PDF"),
)


def extension(key: str) -> str:
    """The part of a name that says the format: ".csv"; empty if there is none."""
    name = key.rsplit("/", 1)[-1]
    return f".{name.rsplit('.', 1)[1]}" if "." in name else ""


def find(key: str, head: bytes, whole: bool, classifier: Classifier) -> Format:
    """The format of a file that begins with `head` (all of it if `whole`); InvalidFile if there is none."""
    name = EXTENSIONS.get(extension(key).removeprefix(".").lower())
    if name is None:
        known = ", ".join(f".{known}" for known in EXTENSIONS)
        raise InvalidFile(f"the name says no format that is read here; these do: {known}")
    if not head:
        raise InvalidFile("the file is empty")
    for signature, meaning in SIGNATURES:
        if head.startswith(signature):
            raise InvalidFile(f"the name says {name}, but the first bytes say {meaning}")
    if name == "jsonl":
        return jsonlines(head, classifier)
    return delimited(name, head, whole, classifier)
