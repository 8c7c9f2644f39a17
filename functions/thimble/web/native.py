"""Thimble's own: classify, health, the model's card; the OpenAPI document, and a page to read and try it.

The last two are files beside this module, read when they are asked for. The page needs nothing from another
host.
"""

from __future__ import annotations

import os

from thimble import __version__
from thimble.errors import InvalidInput
from thimble.tables.answers import answers, card, identity, most_likely
from thimble.tables.rows import Table
from thimble.web import media, routes
from thimble.web.app import Request, Response, json_response
from thimble.web.service import Classified, Service

ACCEPTED_TYPES = (media.JSON, media.CSV, media.LINES)
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'"


def classify(service: Service, request: Request) -> Response:
    sent = media.sent(request.headers.get("content-type", ""), ACCEPTED_TYPES)
    wanted = media.wanted(request.headers.get("accept", ""), ACCEPTED_TYPES, sent)
    if sent.name == media.JSON:
        table: Table = media.only_instances(media.utf8(request.body, sent), routes.CLASSIFY)
    else:
        table = media.table(request.body, sent)
    answered = service.classify(table, request.query.get("model", ""), request.query.get("version", ""))
    return _response(answered, wanted, request.query.get("top", ""))


def _response(answered: Classified, wanted: media.Media, top: str) -> Response:
    classifier, predictions = answered.classifier, answered.predictions
    if wanted.name == media.CSV:
        if top:
            raise InvalidInput("top is for answers in JSON; a CSV answer has a column for every class")
        table = media.written(classifier, predictions, wanted)
        return Response(200, table, wanted.name, rows=answered.rows)
    found = answers(classifier, predictions)
    if top:
        found = most_likely(found, _count(top))
    if wanted.name == media.LINES:
        from thimble.tables.jsonlines import lines  # only where they are spoken

        return Response(200, lines(found), wanted.name, rows=answered.rows)
    return json_response(200, {"model": identity(classifier), "predictions": found}, answered.rows)


def _count(top: str) -> int:
    if not (top.isascii() and top.isdecimal() and 0 < int(top[:9]) == int(top)):
        raise InvalidInput("top is how many classes to answer with: a whole number from 1")
    return int(top)


def health(service: Service, request: Request) -> Response:
    return json_response(200, {"status": "ok", "model": identity(service.models.get())})


def model(service: Service, request: Request) -> Response:
    named = request.query.get("model", ""), request.query.get("version", "")
    return json_response(200, card(service.models.get(*named)))


def openapi(service: Service, request: Request) -> Response:
    version = f'"{__version__}"'.encode()
    return Response(200, _file("openapi.json").replace(b'"VERSION"', version, 1))


def docs(service: Service, request: Request) -> Response:
    return Response(200, _file("docs.html"), "text/html; charset=utf-8", {"content-security-policy": POLICY})


def _file(name: str) -> bytes:
    with open(f"{os.path.dirname(__file__)}/{name}", "rb") as file:
        return file.read()
