"""What counting for drift costs: the same requests and files by a model with a reference and without one.

Requests are a minute's with its report, 3,000 of one row or 600 of a hundred. What is timed is the second
minute, and a file's later passes: memory that is new to the process costs more than the counting."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

from tests.benchmarks.report import AtMost, Case, Contender, Figure, duration
from thimble import settings
from thimble.inference.classifier import Classifier, load
from thimble.registry.lookup import OneModel
from thimble.registry.published import Serving
from thimble.tables import formats
from thimble.tables.blocks import in_blocks
from thimble.web import gateway, routes
from thimble.web.app import App
from thimble.web.service import Service
from thimble_model import examples, export
from thimble_model.frames import json_rows

REQUESTS = {1: 3000, 100: 600}  # a minute, by how many rows each has
BYTES = 4 << 20  # of a file
PASSES = 3  # over it
GOAL = AtMost(  # a tenth more
    1.1,
    "A request's rows are copied to those that wait, in three calls of numpy: 2 us of the shortest, which "
    "takes 23, and what that pushes out of the processor's caches; counting is less, but for a hundred rows.",
)
OF_FILES = AtMost(
    1.1, "Each number is compared with its feature's edges: 0.2 us of a record of 64, which takes 3."
)


def cases() -> Iterator[Case]:
    for name, example in examples.EXAMPLES.items():
        X, y, estimator = example()
        watched = load(export(estimator, X, y))
        bare = watched._replace(document=watched.document._replace(reference=None))
        table = X.sample(20_000, replace=True, random_state=0)
        for rows, times in REQUESTS.items():
            body = json.dumps({"instances": json_rows(watched.features, table[:rows])})
            yield Case(
                f"{name}: a request of {rows}, event to response",
                Contender("Thimble", partial(requests, watched, body, times)),
                [Contender("no reference", partial(requests, bare, body, times), goal=GOAL)],
            )
        data = table.to_csv(index=False).encode()[:BYTES]
        yield Case(
            f"{name}: a CSV file in memory",
            Contender("Thimble", partial(_file, watched, data)),
            [Contender("no reference", partial(_file, bare, data), goal=OF_FILES)],
        )


class Alone(OneModel):
    def __init__(self, classifier: Classifier) -> None:
        super().__init__("", lambda uri: b"")
        self._alone = classifier

    def get(self, name: str = "", version: str = "") -> Classifier:
        return self._alone

    def serving(self, name: str = "", version: str = "") -> Serving:
        return Serving(self._alone)


def requests(classifier: Classifier, body: str, times: int, query: Mapping[str, str] | None = None) -> Figure:
    """What one of so many takes, event to response."""
    service = Service(Alone(classifier), settings.from_environment({}))
    handle = gateway.handler(App(cache(partial(routes.find, service)), 10**7))
    request = {"http": {"method": "POST", "path": "/classify"}, "requestId": "id", "stage": "$default"}
    event = {
        "version": "2.0",
        "rawPath": "/classify",
        "queryStringParameters": query,
        "headers": {},
        "body": body,
        "requestContext": request,
    }
    with _silent():
        assert handle(event, None)["statusCode"] == 200

        def work() -> None:
            for _ in range(times):
                handle(event, None)
            service.recent.report()

        return _timed(work, times, "request")


def _file(classifier: Classifier, data: bytes) -> Figure:
    form = formats.find(formats.named("x.csv"), data[:65536], False, classifier, formats.Given())
    blocks = list(in_blocks(form, [data[form.body :]], form.body, sys.maxsize, form.first_line))
    records = sum(len(block.ends) for block in blocks)

    def work() -> None:
        for _ in range(PASSES):
            for block in blocks:
                form.classify(block)

    return _timed(work, PASSES * records, "record")


def _timed(work: Callable[[], Any], times: int, of: str) -> Figure:
    """The second time, by the processor's time: what others do on the machine is not in it."""
    work()
    started = time.process_time()
    work()
    each = (time.process_time() - started) / times
    return duration(each, f"a {of}")


@contextmanager
def _silent() -> Iterator[None]:
    """Without the functions' log, which goes to standard output."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
