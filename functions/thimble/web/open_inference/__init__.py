"""The Open Inference Protocol over REST, also known as KServe's V2 and Triton's, with Triton's extensions for
binary tensors and classification.

https://github.com/kserve/open-inference-protocol describes it. `inputs` turns tensors into a table, `outputs`
turns predictions into tensors, and `wire` reads and writes tensors as JSON or bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from thimble import __version__
from thimble.errors import InvalidInput, MalformedBody
from thimble.inference.classifier import Classifier
from thimble.tables.answers import Classified
from thimble.tables.cells import json_kind, whole_in_text
from thimble.web import media, options
from thimble.web.app import Request, Response, json_response
from thimble.web.open_inference import inputs, outputs, wire
from thimble.web.open_inference.wire import PLAIN, Tensor, content_type, objects, parameters
from thimble.web.service import Service, rules

if TYPE_CHECKING:
    from thimble.inference.asked import Asked

EXTENSIONS = ["binary_tensor_data", "classification"]
ACCEPTED_TYPES = (media.JSON, media.BINARY)
KEYS = ("id", "inputs", "outputs", "parameters", "model_name", "model_version")  # the last two are KServe's
PARAMETERS = ("binary_data_output", "content_type", "headers", "priority", *options.ASKED, "timeout")
HEADER_LENGTH = "inference-header-content-length"  # of the JSON before binary data


def server(service: Service, request: Request) -> Response:
    return json_response(200, {"name": "thimble", "version": __version__, "extensions": EXTENSIONS})


def live(service: Service, request: Request) -> Response:
    return json_response(200, {"live": True})


def ready(service: Service, request: Request) -> Response:
    service.models.get()
    return json_response(200, {"live": True, "ready": True})


def models(service: Service, request: Request) -> Response:
    return json_response(200, {"models": service.models.names()})


def index(service: Service, request: Request) -> Response:
    """List the models, as in Triton's model repository extension. All listed models are ready, so a body that
    asks only for ready ones changes nothing.
    """
    if request.body.strip():
        asked = media.envelope(request.body, '{"ready": true}')
        options.check_keys(asked, ("ready",))
        options.flag(asked, "ready", "the body")
    known = {"version": "", "state": "READY", "reason": ""}
    return json_response(200, [{"name": name} | known for name in service.models.names()])


def model_ready(service: Service, request: Request, model: str, version: str = "") -> Response:
    service.models.get(model, version)
    return json_response(200, {"name": model, "ready": True})


def metadata(service: Service, request: Request, model: str, version: str = "") -> Response:
    classifier = service.models.get(model, version)
    return json_response(
        200,
        {
            "name": model,
            "versions": [classifier.digest] if version else service.models.versions(model),
            "platform": "thimble",
            "inputs": _inputs(classifier),
            "outputs": outputs.metadata(classifier),
        },
    )


def _inputs(classifier: Classifier) -> list[dict[str, Any]]:
    """Describe the inputs: one tensor of numbers, or a column for each feature."""
    if classifier.document.preprocessing is None:
        return [outputs.described("input", "FP64", -1, classifier.n_features)]
    datatypes = {"text": "BYTES", "free_text": "BYTES", "boolean": "BOOL"}
    return [
        outputs.described(feature.name or f"feature {i}", datatypes.get(feature.type, "FP64"), -1, 1)
        for i, feature in enumerate(classifier.features)
    ]


def infer(service: Service, request: Request, model: str, version: str = "") -> Response:
    media.wanted(request.headers.get("accept", ""), ACCEPTED_TYPES, media.PLAIN[media.JSON])
    asked, data = _read(request)
    identifier = _identifier(asked.get("id", ""))
    wanted = objects(asked, "outputs") if asked.get("outputs") else None
    sent = _parameters(asked)
    binary = options.flag(sent, "binary_data_output", "the body") or False
    answered = service.classify(inputs.table(asked, data), model, version, _rules(request, sent))
    head = {"model_name": model, "model_version": answered.classifier.digest}
    if identifier:
        head["id"] = identifier
    if answered.versions:
        head |= _versions(answered)
    return _written(head, outputs.chosen(answered, wanted, binary), answered.rows)


def _parameters(asked: dict[str, Any]) -> Mapping[str, Any]:
    """Check the body's keys, and return its parameters."""
    options.check_one_source(asked)
    options.check_close(asked, KEYS, "the body")
    found = parameters(asked, PARAMETERS, "the body")
    content_type(found, PLAIN, "the body")
    return found


def _rules(request: Request, sent: Mapping[str, Any]) -> Asked | None:
    """Return the options from the URL's and the body's parameters. Raises InvalidInput for one in both."""
    for name in request.query:
        if name in options.ASKED and sent.get(name) is not None:
            raise InvalidInput(f"{name} is in the URL and among the parameters of the body: send one")
    return rules({**sent, **request.query})


def _identifier(value: Any) -> str:
    """Check the id, which is echoed in the answer, and return it. Raises MalformedBody if it is no string, or
    holds half of a surrogate pair, which UTF-8 cannot encode.
    """
    if not isinstance(value, str):
        raise MalformedBody(f"id is {json_kind(value)}, not a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MalformedBody("id has half of a surrogate pair") from None
    return value


def _versions(answered: Classified) -> dict[str, Any]:
    """Return the parameters that name a canary's other version and the rows that it answered."""
    found = answered.versions
    others = [row for row, version in enumerate(found) if version != answered.classifier.digest]
    if not others:
        return {}
    rows = ",".join(map(str, others))
    return {"parameters": {"canary_version": found[others[0]], "canary_rows": rows}}


def _read(request: Request) -> tuple[dict[str, Any], memoryview]:
    """Return the body's JSON, and the binary data after it."""
    sent = media.sent(request.headers.get("content-type", ""), ACCEPTED_TYPES)
    length = request.headers.get(HEADER_LENGTH)
    if length is None:
        return media.envelope(media.utf8(request.body, sent), inputs.EXAMPLE), memoryview(b"")
    at = whole_in_text(length)
    if not 0 < at <= len(request.body):
        raise MalformedBody(f"{HEADER_LENGTH} is no length within the body's {len(request.body)} bytes")
    return media.envelope(request.body[:at], inputs.EXAMPLE), memoryview(request.body)[at:]


def _written(head: dict[str, Any], tensors: list[tuple[Tensor, bool]], rows: int) -> Response:
    """Write the response from tensors, each with a flag: whether it is sent as bytes."""
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
