"""A thousand published models, asked for in any order, beside one: warm requests through the API's handler.

The cache has room for all of them, so that every timed request is a hit; how the bound on memory holds where
they do not fit is shown by `python -m tests.benchmarks.models`, which is no race and has no rival.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from obstore.store import MemoryStore

from tests.benchmarks.report import AtMost, Case, Contender, Figure, duration
from thimble import telemetry
from thimble.registry.cache import Cache
from thimble.registry.published import Registry
from thimble.settings import from_environment
from thimble.store import Folder
from thimble.web import gateway, routes
from thimble_infra import publishing

MODELS = 1000
REQUESTS = 4_000  # of a figure: a short stretch, so that both meet the same seconds of the machine
ROUNDS = 15
GOAL = AtMost(
    1.5,
    "A thousand models are 20 MB, which the processor's nearer caches do not hold: of 10 models the median "
    "is one model's, of 100 it is 5 us more, of 1,000 11.",
)

Handler = Callable[[dict[str, Any], Any], Any]


def cases() -> list[Case]:
    telemetry.logger.setLevel("ERROR")
    folder = published(MODELS)
    many, one = warm(folder, MODELS), warm(folder, 1)
    order = random.Random(0).choices(range(MODELS), k=REQUESTS)
    return [
        Case(
            f"{MODELS:,} models, one row each in any order: the 99th percentile",
            Contender(f"{MODELS:,} models", lambda: percentile(many, order)),
            [Contender("the same requests to one model", lambda: percentile(one, [0] * REQUESTS), GOAL)],
            pairs=ROUNDS,
        )
    ]


def warm(folder: Folder, models: int) -> Handler:
    """The API's handler, asked once for each of so many models."""
    handle = gateway.handler(routes.app(registry(folder, 2**30), from_environment({})))
    with silence():
        for number in range(models):
            handle(event(number), None)
    return handle


def name(number: int) -> str:
    return f"model-{number:04}"


@cache
def published(count: int) -> Folder:
    """Iris, so many times, each with weights of its own."""
    memory = MemoryStore()
    folder = Folder(f"benchmark-{count}/models", lambda path: (memory, path))
    iris: dict[str, Any] = json.loads((Path(__file__).parents[2] / "model" / "iris.json").read_bytes())
    del iris["examples"]
    rng = np.random.default_rng(0)
    for number in range(count):
        iris["intercepts"][0] = rng.normal(size=len(iris["intercepts"][0])).tolist()
        publishing.publish(folder, publishing.publication(folder, name(number), orjson.dumps(iris)))
    return folder


def registry(folder: Folder, room: int) -> Registry:
    return Registry(folder, default=name(0), refresh=3600, cache=Cache(room))


def percentile(handle: Handler, order: list[int]) -> Figure:
    events = [event(number) for number in range(MODELS)]
    with silence():
        times = np.array([timed(handle, events[number]) for number in order])
    p50, p99 = np.percentile(times, [50, 99]) * 1e6
    return duration(p99 * 1e-6, f"median {p50:.0f}")


def timed(handle: Handler, event: dict[str, Any]) -> float:
    """Of the processor: a warm hit waits for nothing, and what else the machine does is not counted."""
    started = time.thread_time()
    handle(event, None)
    return time.thread_time() - started


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Without the log."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def event(number: int) -> dict[str, Any]:
    context = {"http": {"method": "POST", "path": "/classify"}, "requestId": "id", "stage": "$default"}
    return {
        "rawPath": "/classify",
        "headers": {},
        "queryStringParameters": {"model": name(number)},
        "body": '{"instances": [[5.1, 3.5, 1.4, 0.2]]}',
        "requestContext": context,
    }


def main() -> None:
    """Memory under its bound, model after model, and what the estimate is worth."""
    telemetry.logger.setLevel("ERROR")
    folder = published(MODELS)
    for room in (2**30, 2**20):
        before, models = resident(), registry(folder, room)
        for number in [*range(MODELS), *range(MODELS)]:
            models.get(name(number))
            assert models.cache.bytes <= room
        kept, grown = len(models.cache), resident() - before
        print(
            f"room for {room / 2**20:,.0f} MiB: {kept:,} of {MODELS:,} models kept, "
            f"{models.cache.bytes / 2**20:.2f} MiB by the estimate; the process grew by {grown / 2**20:.1f}"
        )


def resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
