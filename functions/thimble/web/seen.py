"""GET /seen: what this process has answered since its first request, for the page.

A deployed API is many processes, and each counts only its own requests; the log has all of them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from thimble.drift import counting, drawing, report
from thimble.drift.recent import Seen
from thimble.inference.reference import Counts
from thimble.tables import answers
from thimble.web.app import Request, Response, json_response
from thimble.web.service import Service

VIEW = (
    "what one instance of the function has answered since its first request; others have seen other requests"
)


def seen(service: Service, request: Request) -> Response:
    recent, asked = service.recent, _asked(service, request)
    found = recent.seen()
    answer = {
        "view": VIEW,
        "since": _time(recent.since) if recent.requests else None,
        "requests": recent.requests,
        "rows": recent.rows,
        "models": [_told(model, counts) for model, counts in found if asked in ("", model.digest)],
    }
    return json_response(200, answer)._replace(headers={"cache-control": "no-store"})


def _asked(service: Service, request: Request) -> str:
    """Return the digest of the one model that the query names; "" for all models."""
    return service.models.get(*request.named).digest if any(request.named) else ""


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _told(model: Seen, counts: Counts) -> dict[str, Any]:
    rows, times, drift = model.rows, [times.tolist() for times in model.classes], None
    if model.model is not None and model.model.reference is not None:
        found = counting.unpacked(model.model.reference, counts)
        drawn = report.report(model.model, counts)
        rows, times = found.rows, [classes.tolist() for classes in found.classes]
        drift = None if drawn is None else drawing.drawing(drawn)
    return {
        "name": model.name,
        "digest": model.digest,
        "requests": model.requests,
        "rows": rows,
        "classes": answers.listed(model.heads, [n for of_head in times for n in of_head]),
        "drift": drift,
    }
