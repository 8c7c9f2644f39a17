"""Inference: what is asked, in JSON with binary data after it or without, and the answer likewise."""

from __future__ import annotations

from typing import Any

import orjson

from thimble.errors import MalformedBody
from thimble.tables.values import kind
from thimble.web import bodies, media, options
from thimble.web.http import Request, Response
from thimble.web.protocols.open_inference import inputs, outputs, wire
from thimble.web.protocols.open_inference.headings import PLAIN, content_type, objects, parameters
from thimble.web.protocols.open_inference.wire import Tensor
from thimble.web.serving import Answered, Service

MEDIA = (media.JSON, media.BINARY)
KEYS = ("id", "inputs", "outputs", "parameters", "model_name", "model_version")  # the last two are KServe's
PARAMETERS = ("binary_data_output", "content_type", "headers", "priority", "timeout")
HEADER_LENGTH = "inference-header-content-length"  # of the JSON before binary data


def infer(service: Service, request: Request, model: str, version: str = "") -> Response:
    media.wanted(request.headers.get("accept", ""), MEDIA, media.PLAIN[media.JSON])
    asked, data = _read(request)
    identifier = _identifier(asked.get("id", ""))
    wanted = objects(asked, "outputs") if asked.get("outputs") else None
    binary = _binary(asked)
    answered = service.classify(inputs.table(asked, data), model, version)
    head = {"model_name": model, "model_version": answered.classifier.digest}
    if identifier:
        head["id"] = identifier
    if answered.predictions.versions:
        head |= _versions(answered)
    return _written(head, outputs.chosen(answered, wanted, binary), answered.rows)


def _binary(asked: dict[str, Any]) -> bool:
    """Whether outputs go as bytes where they do not say so themselves."""
    options.check_one_source(asked)
    options.check_close(asked, KEYS, "the body")
    found = parameters(asked, PARAMETERS, "the body")
    content_type(found, PLAIN, "the body")
    return options.flag(found, "binary_data_output", "the body") or False


def _identifier(value: Any) -> str:
    """What comes back as it is: a string that UTF-8 can hold, which half of a surrogate pair is not."""
    if not isinstance(value, str):
        raise MalformedBody(f"id is {kind(value)}, not a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MalformedBody("id has half of a surrogate pair") from None
    return value


def _versions(answered: Answered) -> dict[str, Any]:
    """Of a canary's answers: which rows the other version gave."""
    found = answered.predictions.versions
    others = [row for row, version in enumerate(found) if version != answered.classifier.digest]
    if not others:
        return {}
    rows = ",".join(map(str, others))
    return {"parameters": {"canary_version": found[others[0]], "canary_rows": rows}}


def _read(request: Request) -> tuple[dict[str, Any], memoryview]:
    """The JSON, and the binary data after it."""
    sent = media.sent(request.headers.get("content-type", ""), MEDIA)
    length = request.headers.get(HEADER_LENGTH)
    if length is None:
        return bodies.envelope(media.utf8(request.body, sent), inputs.EXAMPLE), memoryview(b"")
    if not (length.isascii() and length.isdecimal() and int(length[:12]) <= len(request.body)):
        raise MalformedBody(f"{HEADER_LENGTH} is no length within the body's {len(request.body)} bytes")
    at = int(length)
    return bodies.envelope(request.body[:at], inputs.EXAMPLE), memoryview(request.body)[at:]


def _written(head: dict[str, Any], tensors: list[tuple[Tensor, bool]], rows: int) -> Response:
    """`tensors` with whether each goes as bytes."""
    headings, data = [], []
    for tensor, binary in tensors:
        if binary:
            heading, part = wire.to_bytes(tensor)
            data.append(part)
        else:
            heading = wire.to_json(tensor)
        headings.append(heading)
    text = orjson.dumps({**head, "outputs": headings})
    if not data:
        return Response(200, text, rows=rows)
    headers = {HEADER_LENGTH: str(len(text))}
    return Response(200, text + b"".join(data), media.BINARY, headers, rows)
