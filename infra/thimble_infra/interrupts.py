"""Ctrl-C ends a command, also where its main thread is deep in a library that does not listen."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

INTERRUPTED = 130  # the exit code of what Ctrl-C ended, by the shells' custom
GRACE = 2.0  # seconds for what ends by itself

leftovers: set[Path] = set()  # folders that go whenever the command ends


@contextmanager
def ending() -> Iterator[None]:
    """End the process a moment after the first Ctrl-C, or at the second."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=[reader], daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)


def leave() -> None:
    """For a command that ends in its own way."""
    signal.set_wakeup_fd(-1)


def _watch(reader: int) -> None:
    """Signals arrive as bytes; the pipe's end says that the command ended by itself."""
    with suppress(OSError):
        while number := os.read(reader, 1):
            if number[0] == signal.SIGINT:
                _soon()
                while again := os.read(reader, 1):
                    if again[0] == signal.SIGINT:
                        _end()
                break
    os.close(reader)


def _soon() -> None:
    timer = threading.Timer(GRACE, _end)
    timer.daemon = True
    timer.start()


def _end() -> None:
    for folder in leftovers:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(INTERRUPTED)
