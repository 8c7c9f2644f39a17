"""Let moto's S3 hold objects of gigabytes, whose bytes stay in moto's own files.

By itself, moto reads a whole object for every ranged GET and every part that is copied, and joins the parts
of an upload in memory several times over. Here the value of an object over 5 MB is a view of its file, which
moto slices, iterates and stores like bytes. Parts are joined from file to file. Checksums of multipart
uploads, which a client may ask for, are left out.
"""

import hashlib
from collections.abc import Iterator, Sequence
from tempfile import TemporaryFile
from typing import Any

from moto.s3.exceptions import EntityTooSmall, InvalidPart, MalformedXML
from moto.s3.models import FakeKey, FakeMultipart
from moto.settings import S3_UPLOAD_PART_MIN_SIZE

BLOCK = 1024 * 1024  # bytes read at a time


class Stored:
    """The bytes of an object or of a slice of it, read from its file block by block on demand."""

    def __init__(self, key: Any, span: range) -> None:
        self._key, self._span = key, span

    def __len__(self) -> int:
        return len(self._span)

    def __getitem__(self, span: slice) -> "Stored":
        return Stored(self._key, self._span[span])

    def __iter__(self) -> Iterator[bytes]:
        for start in self._span[::BLOCK]:
            with self._key.lock:
                self._key._value_buffer.seek(start)  # ValueError once the object is deleted
                block = self._key._value_buffer.read(min(BLOCK, self._span.stop - start))
            yield block


class Joined:
    """The parts of an upload in one file, which becomes the object's file."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self.file = TemporaryFile()  # noqa: SIM115
        for part in parts:
            self.file.writelines(_stored(part))

    def __len__(self) -> int:
        return self.file.tell()


_key: Any = FakeKey
_upload: Any = FakeMultipart
_MOTO_VALUE, _MOTO_ETAG = _key.value, _key.etag


def install() -> None:
    """Replace moto's functions that load whole objects, in this process."""
    _key.value, _key.etag = property(_value, _store), property(_etag)
    _upload.complete = _complete


def _stored(key: Any) -> Stored:
    return Stored(key, range(key.contentsize))


def _value(key: Any) -> Any:
    return _stored(key) if key.contentsize > key._max_buffer_size else _MOTO_VALUE.fget(key)


def _store(key: Any, value: Any) -> None:
    if isinstance(value, Joined):
        key._value_buffer.close()
        key.contentsize, key._value_buffer = len(value), value.file
    elif isinstance(value, Stored):
        for block in value:  # not writelines, which would hold all in memory before it spills to a file
            key._value_buffer.write(block)
        key.contentsize = len(value)
    else:
        _MOTO_VALUE.fset(key, value)


def _etag(key: Any) -> str:
    with key.lock:  # it reads the whole file, which must not happen between another request's seek and read
        return str(_MOTO_ETAG.fget(key))


def _complete(upload: Any, body: Iterator[tuple[int, str]]) -> tuple[Joined, str, None]:
    """Complete an upload as moto does: return the value, its ETag, and no checksum."""
    parts: list[Any] = []
    for number, etag in body:
        part = upload.parts.get(number)
        if part is None or part.etag.strip('"') != etag.strip('"'):
            raise InvalidPart
        if parts and parts[-1].contentsize < S3_UPLOAD_PART_MIN_SIZE:
            raise EntityTooSmall
        parts.append(part)
    if not parts:
        raise MalformedXML
    digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
    return Joined(parts), f"{hashlib.md5(digests).hexdigest()}-{len(parts)}", None
