"""The Open Inference Protocol over REST, also known as KServe's V2 and Triton's, with Triton's extensions for
binary tensors and classification.

https://github.com/kserve/open-inference-protocol is its description.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from thimble.answers import output_prefix
from thimble.classifier import Classifier, Output, Predictions
from thimble.errors import InvalidInput, MalformedBody
from thimble.rows import kind
from thimble.web import bodies, media
from thimble.web.http import Methods, Request, Response, json_response
from thimble.web.protocols import VERSION, wire
from thimble.web.protocols.wire import Tensor
from thimble.web.serving import Answered, Service
from thimble.web.tables import Table
from thimble.web.tensors import Matrix, Named

MEDIA = (media.JSON, media.BINARY)
HEADER_LENGTH = "inference-header-content-length"  # of the JSON before binary data
EXTENSIONS = ["binary_tensor_data", "classification"]
EXAMPLE = '{"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP64", "data": [...]}]}'
LABEL_DATATYPES = {bool: "BOOL", int: "INT64", float: "FP64"}


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
    """As Triton's model repository extension has it."""
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
            "outputs": [tensor for output in classifier.outputs for tensor in _described(classifier, output)],
        },
    )


def _inputs(classifier: Classifier) -> list[dict[str, Any]]:
    """One tensor of numbers, or a column a feature."""
    if classifier.preprocessing is None:
        return [_tensor("input", "FP64", -1, classifier.n_features)]
    datatypes = {"text": "BYTES", "boolean": "BOOL"}
    return [
        _tensor(feature.name or f"feature {i}", datatypes.get(feature.type, "FP64"), -1, 1)
        for i, feature in enumerate(classifier.features)
    ]


def _described(classifier: Classifier, output: Output) -> list[dict[str, Any]]:
    first, numbers = _names(classifier, output)
    width, labels = len(output.classes), {"parameters": {"labels": list(output.classes)}}
    if output.multilabel:
        return [_tensor(first, "BOOL", -1, width) | labels, _tensor(numbers, "FP64", -1, width) | labels]
    return [_tensor(first, _label_datatype(output), -1), _tensor(numbers, "FP64", -1, width) | labels]


def _tensor(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape}


def infer(service: Service, request: Request, model: str, version: str = "") -> Response:
    media.wanted(request.headers.get("accept", ""), MEDIA, media.PLAIN[media.JSON])
    asked, data = _read(request)
    identifier = _identifier(asked.get("id", ""))
    wanted = _list(asked, "outputs") if asked.get("outputs") else None
    binary = _parameters(asked, "the body").get("binary_data_output") is True
    answered = service.classify(_table(_tensors(asked, data)), model, version)
    head = {
        "model_name": model,
        "model_version": answered.classifier.digest,
        **({"id": identifier} if identifier else {}),
        **_versions(answered),
    }
    return _written(head, _chosen(answered, wanted, binary), answered.rows)


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
        return bodies.envelope(media.utf8(request.body, sent), EXAMPLE), memoryview(b"")
    if not (length.isascii() and length.isdecimal() and int(length[:12]) <= len(request.body)):
        raise MalformedBody(f"{HEADER_LENGTH} is no length within the body's {len(request.body)} bytes")
    at = int(length)
    return bodies.envelope(request.body[:at], EXAMPLE), memoryview(request.body)[at:]


def _tensors(asked: Mapping[str, Any], data: memoryview) -> list[Tensor]:
    if "inputs" not in asked:
        raise MalformedBody(f"the body has no inputs; send {EXAMPLE}")
    tensors = []
    for i, raw in enumerate(_list(asked, "inputs")):
        size = _parameters(raw, f"inputs[{i}]").get("binary_data_size")
        name, datatype, shape = _heading(raw, f"inputs[{i}]")
        if size is None:
            if "data" not in raw:
                raise MalformedBody(f"{name} has no data, and no binary_data_size")
            tensors.append(wire.from_json(name, datatype, shape, raw["data"]))
            continue
        if type(size) is not int or not 0 <= size <= len(data):
            raise MalformedBody(f"{name}'s binary_data_size is no size within the {len(data)} bytes left")
        tensors.append(wire.from_bytes(name, datatype, shape, data[:size]))
        data = data[size:]
    if len(data):
        raise MalformedBody(f"{len(data)} bytes of binary data belong to no input")
    return tensors


def _heading(raw: dict[str, Any], path: str) -> tuple[str, str, list[int]]:
    name, datatype, shape = (raw.get(key) for key in ("name", "datatype", "shape"))
    if not isinstance(name, str) or not name:
        raise MalformedBody(f"{path}.name is not there, or no string")
    if not isinstance(datatype, str) or datatype not in wire.DTYPES:
        raise MalformedBody(f"{name}'s datatype is none of {', '.join(wire.DTYPES)}")
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        raise MalformedBody(f"{name}'s shape is not a list of sizes, such as [1, 4]")
    if len(shape) not in (1, 2):
        raise InvalidInput(f"{name} has {len(shape)} dimensions; send [rows, features] or [rows, 1]")
    return name, datatype, shape


def _table(tensors: Sequence[Tensor]) -> Table:
    if len(tensors) == 1:
        (tensor,) = tensors
        return Matrix(tensor.values.reshape(tensor.shape[0], -1 if tensor.values.size else 0), tensor.name)
    arrays = {}
    for tensor in tensors:
        if tensor.name in arrays:
            raise MalformedBody(f"the input {tensor.name} is there twice")
        if len(tensor.shape) == 2 and tensor.shape[1] != 1:
            raise InvalidInput(
                f"{tensor.name} has the shape {tensor.shape}; several inputs are a column each: [rows, 1]"
            )
        arrays[tensor.name] = tensor.values.reshape(-1)
    return Named(arrays)


def _chosen(
    answered: Answered, wanted: list[dict[str, Any]] | None, binary: bool
) -> list[tuple[Tensor, bool]]:
    """The outputs to answer with, and whether as bytes."""
    classifier = answered.classifier
    parts = (answered.predictions, *answered.predictions.further)
    known = {}
    for output, predictions in zip(classifier.outputs, parts, strict=True):
        first, numbers = _names(classifier, output)
        known[first] = (output, predictions, _label_tensor)
        known[numbers] = (output, predictions, _number_tensor)
    chosen = []
    for i, raw in enumerate(wanted if wanted is not None else [{"name": name} for name in known]):
        name, parameters = raw.get("name"), _parameters(raw, f"outputs[{i}]")
        if not isinstance(name, str) or name not in known:
            raise InvalidInput(f"outputs[{i}] is none of the model's: {', '.join(known)}")
        output, predictions, tensor = known[name]
        if most := parameters.get("classification"):
            if tensor is not _number_tensor:
                raise InvalidInput(f"classification is of probabilities or scores, not of {name}")
            found = _ranking(name, output, predictions, most)
        else:
            found = tensor(name, output, predictions)
        chosen.append((found, parameters.get("binary_data", binary) is True))
    return chosen


def _names(classifier: Classifier, output: Output) -> tuple[str, str]:
    prefix = output_prefix(classifier, output)
    first = "labels" if output.multilabel else "label"
    return prefix + first, prefix + ("probabilities" if output.has_probabilities else "scores")


def _label_datatype(output: Output) -> str:
    """The label's own, BYTES for strings and for what no datatype holds."""
    types = set(map(type, output.classes))
    if types == {int} and any(abs(label) >= 2**63 for label in output.classes):  # type: ignore[arg-type]
        return "BYTES"
    return LABEL_DATATYPES.get(types.pop(), "BYTES") if len(types) == 1 else "BYTES"


def _label_tensor(name: str, output: Output, predictions: Predictions) -> Tensor:
    if output.multilabel:
        return Tensor(name, "BOOL", predictions.label_mask.T)
    datatype = _label_datatype(output)
    labels = output.class_texts if datatype == "BYTES" else output.classes
    return Tensor(name, datatype, np.array(labels, wire.DTYPES[datatype])[predictions.label_indices])


def _number_tensor(name: str, output: Output, predictions: Predictions) -> Tensor:
    return Tensor(name, "FP64", predictions.probabilities.T)


def _ranking(name: str, output: Output, predictions: Predictions, k: Any) -> Tensor:
    """Of each row the k first classes as score:index:label."""
    if type(k) is not int or k < 1:
        raise InvalidInput("classification is how many classes to answer with: a whole number from 1")
    p = predictions.probabilities.T
    first = np.argsort(-p, axis=1, kind="stable")[:, :k]
    texts = [
        [f"{row[c]!r}:{c}:{output.class_texts[c]}" for c in order]
        for row, order in zip(p.tolist(), first.tolist(), strict=True)
    ]
    return Tensor(name, "BYTES", np.array(texts, object))


def _written(head: dict[str, Any], outputs: list[tuple[Tensor, bool]], rows: int) -> Response:
    described, data = [], []
    for tensor, binary in outputs:
        if binary:
            heading, part = wire.to_bytes(tensor)
            data.append(part)
        else:
            heading = wire.to_json(tensor)
        described.append(heading)
    text = orjson.dumps({**head, "outputs": described})
    if not any(binary for _, binary in outputs):
        return Response(200, text, rows=rows)
    headers = {HEADER_LENGTH: str(len(text))}
    return Response(200, text + b"".join(data), media.BINARY, headers, rows)


def _list(asked: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = asked[key]
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise MalformedBody(f"{key} is not a list of objects")
    if not found:
        raise MalformedBody(f"{key} is empty")
    return found


def _parameters(raw: Mapping[str, Any], path: str) -> dict[str, Any]:
    found = raw.get("parameters") or {}
    if not isinstance(found, dict):
        raise MalformedBody(f"the parameters of {path} are {kind(found)}, not an object")
    return found


_MODEL: Mapping[str, Methods] = {
    "": {"GET": metadata},
    "/ready": {"GET": model_ready},
    "/infer": {"POST": infer},
}
ROUTES: Mapping[str, Methods] = {
    "/v2": {"GET": server},
    "/v2/health/live": {"GET": live},
    "/v2/health/ready": {"GET": ready},
    "/v2/models": {"GET": models},
    "/v2/repository/index": {"POST": index},
    **{f"/v2/models/{{model}}{end}": methods for end, methods in _MODEL.items()},
    **{f"/v2/models/{{model}}/versions/{{version}}{end}": methods for end, methods in _MODEL.items()},
}
