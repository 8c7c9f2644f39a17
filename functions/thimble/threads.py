"""Make calls in parallel threads and return their results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(calls: Iterable[Callable[[], T]], workers: int) -> Iterator[T]:
    """Yield the calls' results, in order. The workers make the next calls while one result is awaited."""
    with ThreadPoolExecutor(workers) as pool:
        at_work: deque[Future[T]] = deque()
        for call in calls:
            at_work.append(pool.submit(call))
            if len(at_work) > workers:
                yield at_work.popleft().result()
        while at_work:
            yield at_work.popleft().result()
