"""Thimble's own protocol: classify, health, the model's card, and the OpenAPI document beside this module."""

from __future__ import annotations

import os
from typing import Any

from thimble import __version__
from thimble.errors import InvalidInput
from thimble.inference.document import digest
from thimble.tables.answers import Classified, identity, most_likely
from thimble.tables.cells import whole_in_text
from thimble.tables.rows import Table
from thimble.web import media, routes
from thimble.web.app import Request, Response, json_response
from thimble.web.service import Service, rules

ACCEPTED_TYPES = (media.JSON, media.CSV, media.LINES)


def classify(service: Service, request: Request) -> Response:
    sent = media.sent(request.headers.get("content-type", ""), ACCEPTED_TYPES)
    wanted = media.wanted(request.headers.get("accept", ""), ACCEPTED_TYPES, sent)
    report = "rejected" in request.query
    table = wanted.name == media.CSV or (report and wanted.name == media.LINES)
    top = _top(request.query.get("top", ""), table)
    if report:
        from thimble.web import reported  # imported only if a report is asked for

        return reported.classify(service, request, sent, wanted, top, routes.CLASSIFY)
    if sent.name == media.JSON:
        rows: Table = media.only_instances(media.utf8(request.body, sent), routes.CLASSIFY)
    else:
        rows = media.table(request.body, sent)
    answered = service.classify(rows, *request.named, rules(request.query), in_columns=table)
    return _response(answered, wanted, top)


def _response(answered: Classified, wanted: media.Media, top: int) -> Response:
    if wanted.name == media.CSV:
        table = media.written(answered, wanted)
        return Response(200, table, wanted.name, rows=answered.rows)
    found = answered.answers
    if top:
        found = most_likely(found, top)
    if wanted.name == media.LINES:
        from thimble.tables.jsonlines import lines  # imported only for this type

        return Response(200, lines(found), wanted.name, rows=answered.rows)
    return json_response(200, {"model": identity(answered.classifier), "predictions": found}, answered.rows)


def _top(top: str, of_a_table: bool) -> int:
    """Return how many classes to answer with; 0 for all. Raises InvalidInput for no whole number from 1."""
    if not top:
        return 0
    if of_a_table:
        raise InvalidInput("top is for answers in JSON; a table has a column for every class")
    count = whole_in_text(top)
    if not count:
        raise InvalidInput("top is how many classes to answer with: a whole number from 1")
    return count


def health(service: Service, request: Request) -> Response:
    return json_response(200, {"status": "ok", "model": identity(service.models.get())})


def model(service: Service, request: Request) -> Response:
    from thimble.tables.card import card  # the page asks for it; a request to classify does not need it

    name, version = request.named
    shown = card(service.models.get(name, version))
    return kept(request, json_response(200, {**shown, "serving": _serving(service, name)}))


def history(service: Service, request: Request) -> Response:
    from thimble.tables import card

    return kept(request, json_response(200, card.history(service.models.get(*request.named))))


def _serving(service: Service, name: str) -> dict[str, Any]:
    """Return what answers a request that names no version: the current version, and its canary or shadow."""
    found = service.models.serving(name)
    return {
        "version": found.classifier.digest,
        "candidate": found.candidate.digest if found.candidate else None,
        "percent": found.trial.percent if found.trial and not found.trial.shadow else None,
        "shadow": bool(found.trial and found.trial.shadow),
        "pinned": bool(service.settings.model_version) and name in ("", service.settings.model_name),
    }


def kept(request: Request, response: Response) -> Response:
    """Add an ETag to a response; return 304 if the caller has it already.

    The ETag is weak, because a content coding changes the bytes.
    """
    etag = f'W/"{digest(response.body)[:32]}"'
    headers = {"cache-control": "no-cache", **response.headers, "etag": etag}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if not known.isdisjoint((etag.removeprefix("W/"), "*")):
        response = response._replace(status=304, body=b"")
    return response._replace(headers=headers)


def openapi(service: Service, request: Request) -> Response:
    version = f'"{__version__}"'.encode()
    with open(f"{os.path.dirname(__file__)}/openapi.json", "rb") as file:
        return Response(200, file.read().replace(b'"VERSION"', version, 1))
