"""Make calls in parallel threads and return their results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def ahead(call: Callable[[S], T], items: Iterable[S], workers: int) -> Generator[T, None, None]:
    """Yield the call's results for the items, in order. The workers make the next calls while one result is
    awaited. A single worker is the caller, who makes each call when its result is wanted: a thread that
    computes beside it would only take turns with it."""
    if workers == 1:
        for item in items:
            yield call(item)
        return
    with ThreadPoolExecutor(workers) as pool:
        at_work: deque[Future[T]] = deque()
        for item in items:
            at_work.append(pool.submit(call, item))
            if len(at_work) > workers:
                yield at_work.popleft().result()
        while at_work:
            yield at_work.popleft().result()
