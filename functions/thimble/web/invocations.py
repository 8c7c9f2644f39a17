"""The protocols of SageMaker and MLflow, which share /ping and /invocations.

The keys of a body tell MLflow's from SageMaker's. SageMaker's runtime has /endpoints/{name}/invocations too,
and MLflow's scoring server has /version.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from thimble import __version__, spelling
from thimble.errors import InvalidInput, MalformedBody
from thimble.tables.answers import Classified, identity
from thimble.tables.cells import json_kind
from thimble.tables.rows import RowOrRows, Rows, Table, columnar, unwrapped
from thimble.web import media, options
from thimble.web.app import Request, Response, json_response
from thimble.web.media import Media
from thimble.web.service import Service, rules

if TYPE_CHECKING:
    from thimble.inference.asked import Asked

ACCEPTED_TYPES = (media.JSON, media.CSV, media.LINES, media.NPY)
KEYS = ("instances", "features", "dataframe_split", "dataframe_records", "inputs")
ADDED = ("instance", "params", "signature_name", "parameters")  # MLflow ignores unknown params
SPLIT = ("columns", "index", "data")
# An option behind another separator than a comma.
OTHER_SEPARATOR = re.compile(rf"(?:[;&|]\s*|[^,\s]\s+)({'|'.join(options.ASKED)})\s*=")
ERRORS = {503: "ServiceUnavailable", 500: "InternalFailure"}  # names in AWS's SDKs; a 4xx is ValidationError


def version(service: Service, request: Request) -> Response:
    return Response(200, __version__.encode(), "text/plain; charset=utf-8")


def ping(service: Service, request: Request) -> Response:
    service.models.get()
    return json_response(200, {"status": "ok"})


def classify(service: Service, request: Request, model: str = "") -> Response:
    sent = media.sent(request.headers.get("content-type", ""), ACCEPTED_TYPES)
    wanted = media.wanted(request.headers.get("accept", ""), ACCEPTED_TYPES, sent)
    name = request.headers.get("x-amzn-sagemaker-target-model", model)
    version = request.headers.get("x-amzn-sagemaker-target-variant", "")
    asked = rules({**_attributes(request), **request.query})
    if asked and wanted.name == media.NPY:
        _require_no_more(asked)
    answered = service.classify(
        _table(request.body, sent), name, version, asked, in_columns=wanted.name == media.CSV
    )
    variant = {"x-amzn-invoked-production-variant": answered.classifier.digest}
    return Response(200, _body(answered, wanted), wanted.name, variant, answered.rows)


def _require_no_more(asked: Asked) -> None:
    """Raise InvalidInput for an option whose answers an array of probabilities cannot hold."""
    if any(value for name, value in asked._asdict().items() if name != "threshold"):
        raise InvalidInput(
            "an array holds the probabilities alone: accept application/json or text/csv for what is asked "
            "beside them"
        )


def _attributes(request: Request) -> dict[str, str]:
    """Return the options among SageMaker's custom attributes, name=value with commas between them.

    SageMaker's clients can send options nowhere else. The first of a name counts, and unknown attributes are
    ignored. Raises InvalidInput for an option behind another separator.
    """
    sent = request.headers.get("x-amzn-sagemaker-custom-attributes")
    if not sent:
        return {}
    if other := OTHER_SEPARATOR.search(sent):
        raise InvalidInput(
            f"{other[1]} does not stand behind a comma: send the custom attributes as explain=2,coverage=0.95"
        )
    found = [part.partition("=") for part in reversed(sent.split(","))]
    return {key.strip(): value.strip() for key, _, value in found if key.strip() in options.ASKED}


def _table(body: bytes, sent: Media) -> Table:
    if sent.name != media.JSON:
        return media.table(body, sent)
    value = media.json_value(media.utf8(body, sent))
    if isinstance(value, list):
        return _rows(value, "body")
    if not isinstance(value, dict):
        raise MalformedBody(
            f"the body is {json_kind(value)}; send rows, or an object with one of {', '.join(KEYS)}"
        )
    options.check_one_source(value)
    if not value.keys() & options.ROWS:
        raise MalformedBody(f"the body has none of {', '.join(KEYS)}{_meant(value)}")
    options.check_keys(value, (*KEYS, *ADDED))
    options.check_none(value, "parameters")
    if "dataframe_split" in value:
        return _split(value["dataframe_split"])
    if "dataframe_records" in value:
        return _records(value["dataframe_records"])
    if "inputs" in value:
        return _inputs(value["inputs"])
    if "features" in value:
        return _rows(media.listed(value, "features").instances, "features")
    rows = media.instances(value)
    return rows._replace(instances=list(map(unwrapped, rows.instances)))


def _meant(value: dict[str, Any]) -> str:
    """Return the end of a sentence that suggests the known key closest to an unknown one."""
    return next(filter(None, (spelling.hint(name, KEYS) for name in value)), "")


def _rows(value: list[Any], path: str) -> Table:
    """Return a table of the rows; a flat list is one row, or of texts for a text model as many rows."""
    if value and isinstance(value[0], str):
        return RowOrRows(value, path)
    if value and not isinstance(value[0], list | dict):
        return Rows([value], path)
    return Rows(value, f"{path}[{{}}]")


def _split(value: Any) -> Table:
    """Read pandas' orient="split": the names once, and rows of values."""
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise MalformedBody(
            'dataframe_split is no object with columns and data, such as {"columns": [...], "data": [...]}'
        )
    options.check_keys(value, SPLIT, "dataframe_split")
    path, rows, names = "dataframe_split.data[{}]", value["data"], value.get("columns")
    if names is None:
        return Rows(rows, path)
    if not isinstance(names, list) or not (_all(str, names) or _all(int, names)):
        raise MalformedBody("dataframe_split.columns is not a list of names")
    if len(set(names)) < len(names):
        raise MalformedBody("dataframe_split.columns has a name twice")
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise MalformedBody(f"{path.format(i)} is not a list of {len(names)} values, as columns is")
    if _all(int, names):  # pandas numbers columns that have no names
        return Rows(rows, path)
    return Rows([dict(zip(names, row, strict=True)) for row in rows], path)


def _all(wanted: type, values: list[Any]) -> bool:
    return set(map(type, values)) <= {wanted}


def _records(value: Any) -> Table:
    if not isinstance(value, list):
        raise MalformedBody(f"dataframe_records is {json_kind(value)}, not a list of objects")
    return Rows(value, "dataframe_records[{}]")


def _inputs(value: Any) -> Table:
    """Read a column for each feature, or one tensor of rows."""
    if isinstance(value, dict):
        return columnar(value, "inputs")
    if not isinstance(value, list):
        raise MalformedBody(f"inputs is {json_kind(value)}, neither rows nor columns")
    return Rows(value, "inputs[{}]")


def _body(answered: Classified, wanted: Media) -> bytes:
    if wanted.name == media.JSON:
        return orjson.dumps({"model": identity(answered.classifier), "predictions": answered.answers})
    if wanted.name == media.CSV:  # without a header, as SageMaker's containers write it
        wanted = Media(media.CSV, {"header": "absent", **wanted.parameters})
    return media.written(answered, wanted)


def failure(status: int, sentence: str) -> Response:
    """Write an error so that boto3 raises it as its own exception and MLflow's clients show it."""
    code = ERRORS.get(status, "ValidationError")
    mlflow = "BAD_REQUEST" if status < 500 else "INTERNAL_ERROR"
    told = {"error": sentence, "message": sentence, "error_code": mlflow}
    return json_response(status, told)._replace(headers={"x-amzn-errortype": code})
