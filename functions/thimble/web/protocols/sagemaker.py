"""SageMaker: its containers' /ping and /invocations, and its runtime's /endpoints/{name}/invocations.

MLflow's scoring server has the same paths; its envelopes are known by their keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thimble import spelling
from thimble.errors import MalformedBody
from thimble.tables.answers import answers, identity
from thimble.tables.values import kind
from thimble.web import bodies, media, options
from thimble.web.http import Methods, Operation, Request, Response, json_response
from thimble.web.media import Media
from thimble.web.media.jsonlines import unwrapped
from thimble.web.protocols.mlflow import ENVELOPES
from thimble.web.serving import Answered, Service
from thimble.web.tables import Rows, Table

MEDIA = (media.JSON, media.CSV, media.LINES, media.NPY)
KEYS = ("instances", "features", *ENVELOPES)
ADDED = (
    "instance",
    "params",
    "signature_name",
    "parameters",
)  # MLflow does without params that it does not know
TARGET_MODEL, TARGET_VARIANT = "x-amzn-sagemaker-target-model", "x-amzn-sagemaker-target-variant"
HEADERS = (  # the others choose another container or component, a session or an explanation
    TARGET_MODEL,
    TARGET_VARIANT,
    "x-amzn-sagemaker-custom-attributes",
    "x-amzn-sagemaker-inference-id",
)
ERRORS = {
    503: "ServiceUnavailable",
    500: "InternalFailure",
}  # to an SDK; what the caller can change is another


def ping(service: Service, request: Request) -> Response:
    service.models.get()
    return json_response(200, {"status": "ok"})


def invocations(service: Service, request: Request, model: str = "") -> Response:
    sent = media.sent(request.headers.get("content-type", ""), MEDIA)
    wanted = media.wanted(request.headers.get("accept", ""), MEDIA, sent)
    name = request.headers.get(TARGET_MODEL, model)
    version = request.headers.get(TARGET_VARIANT, "")
    answered = service.classify(_table(request.body, sent), name, version)
    variant = {"x-amzn-invoked-production-variant": answered.classifier.digest}
    return _response(answered, wanted)._replace(headers=variant, rows=answered.rows)


def _table(body: bytes, sent: Media) -> Table:
    if sent.name != media.JSON:
        table: Table = sent.module.table(body, sent)
        return table
    value = bodies.value(media.utf8(body, sent))
    if isinstance(value, list):
        return _rows(value, "body")
    if not isinstance(value, dict):
        raise MalformedBody(
            f"the body is {kind(value)}; send rows, or an object with one of {', '.join(KEYS)}"
        )
    options.check_one_source(value)
    if not value.keys() & options.ROWS:
        raise MalformedBody(f"the body has none of {', '.join(KEYS)}{_meant(value)}")
    options.check_keys(value, (*KEYS, *ADDED))
    options.check_none(value, "parameters")
    for key, read in ENVELOPES.items():
        if key in value:
            return read(value[key])
    if "features" in value:
        return _rows(bodies.listed(value, "features").instances, "features")
    rows = bodies.instances(value)
    return rows._replace(instances=list(map(unwrapped, rows.instances)))


def _meant(value: dict[str, Any]) -> str:
    """The end of a sentence: which key is meant by one that nobody knows."""
    return next(filter(None, (spelling.hint(name, KEYS) for name in value)), "")


def _rows(value: list[Any], path: str) -> Rows:
    """Rows, or one row."""
    if value and not isinstance(value[0], list | dict):
        return Rows([value], path)
    return Rows(value, f"{path}[{{}}]")


def _response(answered: Answered, wanted: Media) -> Response:
    classifier, predictions = answered.classifier, answered.predictions
    if wanted.name == media.JSON:
        found = answers(classifier, predictions)
        return json_response(200, {"model": identity(classifier), "predictions": found})
    if wanted.name == media.CSV:  # without a header, as its containers write it
        wanted = wanted._replace(parameters={"header": "absent", **wanted.parameters})
    return Response(200, wanted.module.written(classifier, predictions, wanted), wanted.name)


def failure(status: int, sentence: str) -> Response:
    """What boto3 raises as its own exceptions, and MLflow's clients show."""
    code = ERRORS.get(status, "ValidationError")
    mlflow = "BAD_REQUEST" if status < 500 else "INTERNAL_ERROR"
    told = {"error": sentence, "message": sentence, "error_code": mlflow}
    return json_response(status, told)._replace(headers={"x-amzn-errortype": code})


ROUTES: Mapping[str, Methods] = {
    "/ping": {"GET": Operation(ping)},
    "/invocations": {"POST": Operation(invocations, headers=HEADERS)},
    "/endpoints/{model}/invocations": {"POST": Operation(invocations, headers=HEADERS)},
}
