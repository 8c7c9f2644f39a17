"""The Open Inference Protocol over REST, also known as KServe's V2 and Triton's, with Triton's extensions for
binary tensors and classification.

https://github.com/kserve/open-inference-protocol is its description. Here is what there is: the server, its
models and their metadata. `inference` asks them:  `inputs` are tensors to a table,  `outputs` predictions to
tensors,  `headings` what JSON says of a tensor,  `wire` its data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thimble.inference.classifier import Classifier
from thimble.web import bodies, options
from thimble.web.http import Methods, Operation, Request, Response, json_response
from thimble.web.protocols import VERSION
from thimble.web.protocols.open_inference import outputs
from thimble.web.protocols.open_inference.headings import described
from thimble.web.protocols.open_inference.inference import HEADER_LENGTH, infer
from thimble.web.serving import Service

EXTENSIONS = ["binary_tensor_data", "classification"]


def server(service: Service, request: Request) -> Response:
    return json_response(200, {"name": "thimble", "version": VERSION, "extensions": EXTENSIONS})


def live(service: Service, request: Request) -> Response:
    return json_response(200, {"live": True})


def ready(service: Service, request: Request) -> Response:
    service.models.get()
    return json_response(200, {"live": True, "ready": True})


def models(service: Service, request: Request) -> Response:
    return json_response(200, {"models": service.models.names()})


def index(service: Service, request: Request) -> Response:
    """As Triton's model repository extension has it. All that are listed are ready, which a body may ask."""
    if request.body.strip():
        asked = bodies.envelope(request.body, '{"ready": true}')
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
    """One tensor of numbers, or a column a feature."""
    if classifier.preprocessing is None:
        return [described("input", "FP64", -1, classifier.n_features)]
    datatypes = {"text": "BYTES", "boolean": "BOOL"}
    return [
        described(feature.name or f"feature {i}", datatypes.get(feature.type, "FP64"), -1, 1)
        for i, feature in enumerate(classifier.features)
    ]


_MODEL: Mapping[str, Methods] = {
    "/infer": {"POST": Operation(infer, headers=(HEADER_LENGTH,))},  # the first that a path is tried by
    "/ready": {"GET": Operation(model_ready)},
    "": {"GET": Operation(metadata)},
}
ROUTES: Mapping[str, Methods] = {
    "/v2": {"GET": Operation(server)},
    "/v2/health/live": {"GET": Operation(live)},
    "/v2/health/ready": {"GET": Operation(ready)},
    "/v2/models": {"GET": Operation(models)},
    "/v2/repository/index": {"POST": Operation(index)},
    **{f"/v2/models/{{model}}{end}": methods for end, methods in _MODEL.items()},
    **{f"/v2/models/{{model}}/versions/{{version}}{end}": methods for end, methods in _MODEL.items()},
}
