"""A value that is looked up again in a thread, at most once in a given number of seconds.

The look runs in a thread because it may load a large model; meanwhile requests use the known value. A Lambda
function is frozen between requests, and the thread with it. So a request that finds the value overdue by more
than GRACE waits for the look, but never longer than PATIENCE. Under steady traffic no request waits. After an
idle time the first request waits for a conditional GET. While the store is unavailable, one request waits in
each refresh period. Ages are measured by the wall clock: other clocks may stop while a function is frozen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

GRACE = 1.0  # seconds
PATIENCE = 2.0  # seconds

Value = TypeVar("Value")


class Refreshed(Generic[Value]):
    def __init__(
        self,
        look: Callable[[Value | None], Value],
        seconds: float,
        failed: Callable[[Exception], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._look = look  # returns the current value, given the known one
        self._seconds = seconds  # between two looks
        self._failed = failed  # called with the exception of a look; the known value stays
        self._clock = clock
        self._known: Value | None = None
        self._looked = 0.0
        self._lock = threading.Lock()
        self._looking: threading.Thread | None = None
        self._waited: threading.Thread | None = None  # a look that was already waited for as long as PATIENCE

    def value(self) -> Value:
        """Return the known value. The first call looks it up itself, and raises what the look raises."""
        if self._known is None:
            with self._lock:
                if self._known is None:
                    looked = self._clock()
                    self._known, self._looked = self._look(None), looked
        if self._older_than(self._seconds):
            self._look_again()
        return self._known

    def _older_than(self, seconds: float) -> bool:
        """Return whether the last look is at least `seconds` ago, or the clock was set back since."""
        return not 0 <= self._clock() - self._looked < seconds

    def _look_again(self) -> None:
        patience = time.monotonic() + PATIENCE
        for _ in range(2):  # the first may be a look from before the function was frozen
            look = self._started()
            if not self._older_than(self._seconds + GRACE) or look is None or look is self._waited:
                return
            look.join(max(0.0, patience - time.monotonic()))
            if look.is_alive():
                self._waited = look

    def _started(self) -> threading.Thread | None:
        """Return the running look, or start one; None if another request's look has just ended."""
        with self._lock:
            if self._looking is not None and self._looking.is_alive():
                return self._looking
            if not self._older_than(self._seconds):
                return None
            self._looking = threading.Thread(target=self._refresh, daemon=True)
            self._looking.start()
            return self._looking

    def _refresh(self) -> None:
        looked = self._clock()
        try:
            self._known = self._look(self._known)
        except Exception as error:
            self._failed(error)
            looked = self._clock()
        self._looked = looked
