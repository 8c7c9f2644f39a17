"""What this process last saw of something, and a look at it again, off the request's path, when that is due.

A look that is due starts in a thread, and requests go on with what is known. A Lambda function is frozen
between requests, and such a thread with it; so a request that finds what is known more than GRACE older than
it may be waits for the look, though never longer than PATIENCE. Under steady traffic no request waits; after
an idle time the first one does, for a conditional GET; and while the store is away one a refresh time does.
Ages are of the wall clock: a frozen function's other clocks may stand still.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

GRACE = 1.0  # seconds
PATIENCE = 2.0  # seconds

State = TypeVar("State")


class Follower(Generic[State]):
    def __init__(
        self,
        look: Callable[[State | None], State],
        refresh: float,
        failed: Callable[[Exception], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.look = look  # as it is now, given what is known of it
        self.refresh = refresh  # seconds between two looks
        self.failed = failed  # told of a look that raised; what was known goes on
        self.clock = clock
        self._known: State | None = None
        self._looked = 0.0
        self._lock = threading.Lock()
        self._looking: threading.Thread | None = None
        self._waited: threading.Thread | None = None  # the look that has had its PATIENCE

    def state(self) -> State:
        """What is known; the first time, what the look finds or raises."""
        if self._known is None:
            with self._lock:
                if self._known is None:
                    looked = self.clock()
                    self._known, self._looked = self.look(None), looked
        if self._older_than(self.refresh):
            self._look_again()
        return self._known

    def _older_than(self, seconds: float) -> bool:
        """A clock that was put back makes everything old."""
        return not 0 <= self.clock() - self._looked < seconds

    def _look_again(self) -> None:
        patience = time.monotonic() + PATIENCE
        for _ in range(2):  # the first may be a look from before the function was frozen
            look = self._started()
            if not self._older_than(self.refresh + GRACE) or look is None or look is self._waited:
                return
            look.join(max(0.0, patience - time.monotonic()))
            if look.is_alive():
                self._waited = look

    def _started(self) -> threading.Thread | None:
        """The look under way, or one that begins now; None if another request's has just ended."""
        with self._lock:
            if self._looking is not None and self._looking.is_alive():
                return self._looking
            if not self._older_than(self.refresh):
                return None
            self._looking = threading.Thread(target=self._look, daemon=True)
            self._looking.start()
            return self._looking

    def _look(self) -> None:
        looked = self.clock()
        try:
            self._known = self.look(self._known)
        except Exception as error:
            self.failed(error)
            looked = self.clock()
        self._looked = looked
