"""V1, the protocol of TensorFlow Serving, KServe's V1 and Vertex AI's prediction containers.

Rows in `instances` are answered in `predictions`; columns in `inputs` are answered in `outputs`.
"""

from __future__ import annotations

from typing import Any

from thimble.tables.answers import columns, identity
from thimble.tables.rows import Rows, columnar
from thimble.web import media, options
from thimble.web.app import Request, Response, json_response
from thimble.web.service import Service, rules

ACCEPTED_TYPES = (media.JSON,)
KEYS = ("instances", "instance", "inputs", "signature_name", "parameters")


def alive(service: Service, request: Request) -> Response:
    return json_response(200, {"status": "alive", "docs": "/docs"})


def models(service: Service, request: Request) -> Response:
    return json_response(200, {"models": service.models.names()})


def status(service: Service, request: Request, model: str, version: str = "") -> Response:
    """Answer with TensorFlow Serving's list of versions and KServe's `ready`."""
    classifier = service.models.get(model, version)
    versions = [classifier.digest] if version else service.models.versions(model)
    available = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    statuses = [{"version": digest} | available for digest in versions]
    return json_response(200, {"name": model, "ready": True, "model_version_status": statuses})


def predict(service: Service, request: Request, model: str, version: str = "") -> Response:
    sent = media.sent(request.headers.get("content-type", ""), ACCEPTED_TYPES)
    media.wanted(request.headers.get("accept", ""), ACCEPTED_TYPES, sent)
    asked = media.envelope(media.utf8(request.body, sent))
    options.check_one_source(asked)
    options.check_keys(asked, KEYS)
    options.check_none(asked, "parameters")
    wanted = rules(request.query)
    if "inputs" not in asked:
        answered = service.classify(media.instances(asked), model, version, wanted)
        found: Any = {"predictions": answered.answers}
    else:
        answered = service.classify(_inputs(asked), model, version, wanted)
        found = {"outputs": columns(answered.classifier, answered.predictions)}
    return json_response(200, found | {"model": identity(answered.classifier)}, rows=answered.rows)


def _inputs(asked: dict[str, Any]) -> Rows:
    """Read a column for each feature, or one tensor of rows."""
    inputs = asked["inputs"]
    return columnar(inputs, "inputs") if isinstance(inputs, dict) else media.listed(asked, "inputs")
