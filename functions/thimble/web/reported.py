"""POST /classify?rejected=report: each row is answered or rejected by itself."""

from __future__ import annotations

from functools import partial
from typing import Any

from thimble import telemetry
from thimble.drift import counting, drawing, report
from thimble.errors import InvalidInput
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier
from thimble.inference.predictions import Predictions
from thimble.registry.published import Serving
from thimble.tables import csv, each
from thimble.tables.answers import (
    abstained,
    abstains,
    answers,
    column_names,
    counts,
    identity,
    listed,
    most_likely,
)
from thimble.tables.blocks import Settled, settle
from thimble.tables.each import Each
from thimble.web import media
from thimble.web.app import Request, Response, json_response
from thimble.web.media import Media
from thimble.web.service import Service, note_abstained, predicted, rules

WORD = "report"


def classify(
    service: Service, request: Request, sent: Media, wanted: Media, top: int, elsewhere: tuple[str, ...]
) -> Response:
    """Answer in the type `wanted`, with the `top` likeliest classes of each row, or all if `top` is 0."""
    if request.query["rejected"] != WORD:
        raise InvalidInput(f"rejected is {WORD}, or left out")
    asked = _asked(request.body, sent, wanted, elsewhere)
    serving = service.models.serving(*request.named).asking(rules(request.query))
    if wanted.name != media.JSON:
        column_names(serving.classifier)  # raises InvalidInput if two columns would share a name
    batch = asked.batch(serving.classifier, service.settings.max_rows)
    found = settle(batch, partial(_predicted, serving), each.reason)
    telemetry.note(rejected_rows=len(found.rejected))
    rows = found.batch.rows
    if rows:
        service.recent.add(found.classifier, found.batch, found.predictions)
        note_abstained(found.classifier, found.predictions)
    if wanted.name == media.CSV:
        return Response(200, each.as_csv(asked, found, wanted.parameters), wanted.name, rows=rows)
    if wanted.name == media.LINES:
        return Response(200, each.as_lines(asked, found), wanted.name, rows=rows)
    return json_response(200, _told(asked, found, top), rows)


def _asked(body: bytes, sent: Media, wanted: Media, elsewhere: tuple[str, ...]) -> Each:
    data, beside = media.utf8(body, sent), sent.name == wanted.name
    if sent.name == media.CSV:
        return each.CsvRows(csv.body(data, sent.parameters), beside)
    if sent.name == media.LINES:
        return each.LineRows(data, beside)
    return each.JsonRows(media.only_instances(data, elsewhere))


def _predicted(serving: Serving, batch: Batch) -> tuple[Classifier, Predictions]:
    if batch.rows:
        return predicted(serving, batch)
    return serving.classifier, serving.classifier.predict(batch)  # without rows there is nothing for a canary


def _told(asked: Each, found: Settled, top: int) -> dict[str, Any]:
    classifier, given = found.classifier, answers(found.classifier, found.predictions)
    answered = iter(most_likely(given, top) if top else given)
    return {
        "model": identity(classifier),
        "rows": len(found.answered),
        "predictions": [next(answered) if one else None for one in found.answered.tolist()],
        "rejected": [_rejection(asked, row, reason) for row, reason in found.rejected.items()],
        "classes": listed(classifier.heads, counts(classifier, found.predictions).tolist()),
        **({"abstained": abstained(found.predictions)} if abstains(classifier) else {}),
        "drift": drifting(classifier, found.batch, found.predictions),
    }


def _rejection(asked: Each, row: int, reason: str) -> dict[str, Any]:
    line = asked.line(row)
    return {"row": row, **({} if line is None else {"line": line}), "reason": reason}


def drifting(classifier: Classifier, batch: Batch, predictions: Predictions) -> dict[str, Any] | None:
    """Return how far the rows have moved from the training data; None if the model has no reference."""
    found = report.report(classifier, counting.count(classifier.reference, batch, predictions))
    return None if found is None else drawing.drawing(found)
