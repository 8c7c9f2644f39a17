"""Thimble's own routes: classify, health, the model's card."""

from __future__ import annotations

from dataclasses import replace

from thimble import bodies, rows
from thimble.answers import answers, card, identity
from thimble.errors import TooLarge
from thimble.http import MAX_ANSWER_BYTES, App, Request, Response, bytes_in_transit, json_response
from thimble.registry import Models
from thimble.settings import Settings


def app(models: Models, settings: Settings) -> App:
    def classify(request: Request) -> Response:
        if len(request.body) > settings.max_body_bytes:
            raise TooLarge(f"the body has {len(request.body)} bytes; the most is {settings.max_body_bytes}")
        classifier = models.get()
        instances, path = bodies.instances(request.body, settings.max_rows)
        found = classifier.predict(rows.columns(classifier, instances, path))
        rows.refuse(found.rejected, path)
        predictions = answers(classifier, found)
        response = json_response(200, {"model": identity(classifier), "predictions": predictions})
        _check_answer(response.body, len(instances))
        return replace(response, rows=len(instances))

    def health(request: Request) -> Response:
        return json_response(200, {"status": "ok", "model": identity(models.get())})

    def model(request: Request) -> Response:
        return json_response(200, card(models.get()))

    return App(
        {"/classify": {"POST": classify}, "/health": {"GET": health}, "/model": {"GET": model}},
        settings.cors_allow_origin,
    )


def _check_answer(body: bytes, rows: int) -> None:
    """Many rows of many classes: what Lambda would not carry is the caller's to split, no error of ours."""
    if 3 * len(body) <= MAX_ANSWER_BYTES:  # a byte of JSON becomes three at most
        return
    size = bytes_in_transit(body)
    if size > MAX_ANSWER_BYTES:
        fewer = rows * MAX_ANSWER_BYTES * 9 // (10 * size)
        raise TooLarge(f"the answer to {rows} rows is too large for one response: send {fewer} at a time")
