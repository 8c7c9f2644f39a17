"""Uploads: a caller sends a file straight into the inbox by a presigned form, and gets results by presigned
links.

The service keeps no state. An upload's id holds the model's folder, an unguessable token and the file's name.
The object's key holds a digest of the caller too, so the id leads no other caller to the file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

import obstore
import orjson
from obstore.exceptions import BaseError

from thimble import store
from thimble.drift import drawing
from thimble.errors import Gone, InvalidInput, NotFound, ThimbleError, TooLarge, Unavailable
from thimble.files.options import NAMES, FileOptions, as_metadata
from thimble.inference.classifier import Classifier
from thimble.settings import Settings
from thimble.store import Folder, ObjectVersion
from thimble.tables.answers import identity, listed
from thimble.tables.cells import whole
from thimble.web import media, options
from thimble.web.app import Request, Response, json_response
from thimble.web.service import Service

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

SECONDS = 900  # for which a presigned form or link is valid
EXAMPLE = '{"name": "january.csv", "bytes": 123456}'
KEYS = ("name", "bytes")
FOLDER = "uploads"  # below the model's folder, for all uploads
LONGEST_NAME = 600  # bytes of UTF-8; a result's key is longer, and S3 takes 1,024
TOKEN_BYTES = 24
TOKEN_LENGTH = TOKEN_BYTES * 4 // 3  # in base64, here without padding
FORMATS = (".csv", ".txt", ".tsv", ".tab", ".jsonl", ".ndjson", ".json")
WHOLE = (".parquet", ".pq")  # compressed inside, so taken only as they are
PACKED = (".gz", ".gzip", ".zst", ".zstd")
OFF = "this stack takes no uploads; its owner switches them on by the parameter Uploads"


class Upload(NamedTuple):
    folder: str  # NAME or NAME@VERSION: the model that classifies the file
    token: str
    name: str

    @property
    def id(self) -> str:
        return base64.urlsafe_b64encode("/".join(self).encode()).decode().rstrip("=")

    def key(self, caller: str) -> str:
        owner = hashlib.sha256(caller.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return f"{self.folder}/{FOLDER}/{owner}/{self.token}/{self.name}"


def begin(service: Service, request: Request) -> Response:
    """Sign a form with which the caller can send one file of the size that it states."""
    settings = _open(service)
    sent = media.sent(request.headers.get("content-type", ""), (media.JSON,))
    body = media.envelope(media.utf8(request.body, sent), EXAMPLE)
    options.check_keys(body, KEYS, elsewhere=("model", "version"))
    name, size = _name(body.get("name")), _size(body.get("bytes"), settings.upload_bytes)
    wanted, version = request.named
    classifier = service.models.get(wanted, version)
    folder = classifier.name or "default"
    metadata = _metadata(request, classifier)
    upload = Upload(f"{folder}@{classifier.digest}" if version else folder, _token(), name)
    bucket, prefix = _place(settings.inbox_uri)
    form = _s3().generate_presigned_post(
        bucket,
        prefix + upload.key(request.caller),
        Fields=dict(metadata),
        Conditions=[["content-length-range", size, size], *({key: text} for key, text in metadata.items())],
        ExpiresIn=SECONDS,
    )
    signed = {"url": form["url"], "fields": form["fields"], "expires": _expiry()}
    return _private(201, {"id": upload.id, "name": name, "model": identity(classifier), "upload": signed})


def state(service: Service, request: Request) -> Response:
    """Return the state of an upload; without an id, whether uploads are on, and their limits."""
    settings = service.settings
    if "id" not in request.query:
        if not settings.inbox_uri:
            return _private(200, {"open": False})
        bounds = {"max_bytes": settings.upload_bytes, "seconds": SECONDS, "endings": endings()}
        return _private(200, {"open": True, **bounds})
    _open(service)
    upload = _parsed(request.query["id"])
    bucket, prefix = _place(settings.inbox_uri)
    told: dict[str, Any] = {
        "id": upload.id,
        "name": upload.name,
        "state": "waiting",
        "bytes": None,
        "error": None,
    }
    try:
        arrived = store.current(store.bucket(bucket), prefix + upload.key(request.caller))
    except Gone:
        return _private(200, told)
    except BaseError as error:
        raise Unavailable("the inbox cannot be read") from error
    told["bytes"] = arrived.size
    results = Folder(settings.results_uri)
    summary = _summary(results, upload.key(request.caller), arrived)
    return _private(200, {**told, **_outcome(service, results, upload, summary)})


def origin(settings: Settings) -> str:
    """Return the origin to which the page sends files, for its policy; "" if uploads are off."""
    return _origin(_place(settings.inbox_uri)[0]) if settings.inbox_uri else ""


def _open(service: Service) -> Settings:
    if not service.settings.inbox_uri:
        raise NotFound(OFF)
    return service.settings


def _name(name: Any) -> str:
    """Check a file's name and return it. Raises InvalidInput if it cannot be the last part of a key."""
    if not isinstance(name, str) or not name:
        raise InvalidInput(f"the name of the file is missing; send {EXAMPLE}")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidInput("the name has half of a surrogate pair, which is no character") from None
    if size > LONGEST_NAME:
        raise InvalidInput(f"the name has {size} bytes of UTF-8; the most is {LONGEST_NAME}: shorten it")
    if "/" in name or not store.is_plain(name):
        raise InvalidInput("the name is a path or has control characters: send the file's own name alone")
    _check_ending(name)
    return name


def _check_ending(name: str) -> None:
    found = name.lower()
    if found.endswith(tuple(_packed(WHOLE))):
        raise InvalidInput("Parquet is compressed within: send it as .parquet")
    if not found.endswith(tuple(endings())):
        known = ", ".join((*FORMATS, *WHOLE, *PACKED))
        raise InvalidInput(f"the name says no format that is read here; these do: {known}")


def endings() -> list[str]:
    """Return the endings of file names that are read."""
    return [*FORMATS, *WHOLE, *_packed(FORMATS)]


def _packed(formats: tuple[str, ...]) -> list[str]:
    return [ending + packed for ending in formats for packed in PACKED]


def _metadata(request: Request, classifier: Classifier) -> dict[str, str]:
    """Return the form's fields for the file's options. Raises InvalidInput for a value that is not valid."""
    texts = {name: text for name, text in request.query.items() if name in NAMES}
    FileOptions.read(texts, {name: name for name in texts}).decided(classifier)
    return {f"x-amz-meta-{key}": text for key, text in as_metadata(texts).items()}


def _size(size: Any, most: int) -> int:
    found = whole(size)
    if not found:
        raise InvalidInput(f"bytes is the size of the file, a whole number from 1; send {EXAMPLE}")
    if found > most:
        raise TooLarge(f"the file has {found} bytes; the most is {most}: send it in parts")
    return found


def _token() -> str:
    """Return a token from the kernel's random numbers, which restored copies of a snapshot do not share."""
    return base64.urlsafe_b64encode(os.urandom(TOKEN_BYTES)).decode()


def _parsed(text: str) -> Upload:
    try:
        parts = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).decode().split("/")
        upload = Upload(*parts)
        _name(upload.name)
    except (binascii.Error, ValueError, TypeError, InvalidInput):
        raise NotFound("there is no such upload: the id is none that POST /uploads gave") from None
    plain = store.is_plain(upload.key("")) and all(upload)
    if not plain or len(upload.token) != TOKEN_LENGTH or len(upload.folder) > LONGEST_NAME // 2:
        raise NotFound("there is no such upload: the id is none that POST /uploads gave")
    return upload


def _summary(results: Folder, key: str, arrived: ObjectVersion) -> dict[str, Any] | None:
    """Return the summary of this version of the file; None until there is one."""
    data = results.read(f"{key}/summary.json")
    if data is None:
        return None
    try:
        found: dict[str, Any] = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    given = found.get("input", {})
    same = given.get("etag") == arrived.etag and given.get("metadata", {}) == arrived.metadata
    return found if same else None


def _outcome(
    service: Service, results: Folder, upload: Upload, summary: dict[str, Any] | None
) -> dict[str, Any]:
    if summary is None:
        return {"state": "working"}
    found: dict[str, Any] = {"state": "refused", "error": summary["error"]} if "error" in summary else {}
    if "rows" in summary:
        found |= {name: summary[name] for name in ("rows", "predictions", "rejections")}
        found["classes"] = _classes(service, upload, summary)
        found["drift"] = drawing.drawing(summary["drift"]) if summary["drift"] else None
        links = {"result": summary.get("result"), "rejected": summary.get("rejected")}
        found |= {kind: _link(results, upload, path) for kind, path in links.items() if path}
    return {"state": "done", **found}


def _classes(service: Service, upload: Upload, summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of each class, with the names of the outputs if the model can still be loaded."""
    counts = summary["classes"]
    try:
        heads = service.models.get(upload.folder.partition("@")[0], summary["model"]["digest"]).heads
    except ThimbleError:
        return [{"output": "", "text": text, "rows": rows} for text, rows in counts.items()]
    return listed(heads, list(counts.values()))


def _link(results: Folder, upload: Upload, path: str) -> dict[str, Any]:
    """Return a presigned link to a result or its rejections, which downloads it under the input's name."""
    kind, _, ending = path.rpartition("/")[2].partition(".")
    stem = upload.name.partition(".")[0] or "file"
    name = f"{stem}-{kind}.{ending}"
    try:
        size = obstore.head(results.store, path)["size"]
    except FileNotFoundError:
        size = None
    about = {
        "Bucket": _place(results.uri)[0],
        "Key": path,
        "ResponseContentDisposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
    }
    url = _s3().generate_presigned_url("get_object", Params=about, ExpiresIn=SECONDS)
    return {"name": name, "bytes": size, "url": url, "expires": _expiry()}


def _place(uri: str) -> tuple[str, str]:
    """Return the bucket of a URI, and the prefix of all keys in it."""
    where = urlsplit(uri)
    prefix = where.path.strip("/")
    return where.netloc, f"{prefix}/" if prefix else ""


def _expiry() -> str:
    return (datetime.now(UTC) + timedelta(seconds=SECONDS)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _private(status: int, value: Any) -> Response:
    return json_response(status, value)._replace(headers={"cache-control": "no-store"})


def _endpoint() -> tuple[str, str]:
    """Return the scheme of S3's endpoint, and its host with the port."""
    region = os.environ.get("AWS_REGION", "us-east-1")
    where = urlsplit(os.environ.get("AWS_ENDPOINT_URL_S3") or f"https://s3.{region}.amazonaws.com")
    return where.scheme, where.netloc


def _has_names(host: str) -> bool:
    """Return whether a bucket can be part of the host name: not if the host is localhost or an IP address."""
    name = host.partition(":")[0]
    return name != "localhost" and not name.replace(".", "").isdigit()


def _origin(bucket: str) -> str:
    scheme, host = _endpoint()
    return f"{scheme}://{bucket}.{host}" if _has_names(host) else f"{scheme}://{host}"


@cache
def _s3() -> S3Client:
    """Return the client that signs, without requests to S3. boto3 takes half a second to import, and only
    uploads need it.
    """
    import boto3
    from botocore.config import Config

    scheme, host = _endpoint()
    return boto3.client(
        "s3",
        region_name=os.environ.get("AWS_REGION"),
        endpoint_url=f"{scheme}://{host}",
        config=Config(
            signature_version="s3v4", s3={"addressing_style": "virtual" if _has_names(host) else "path"}
        ),
    )
