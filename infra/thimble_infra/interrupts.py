"""Make Ctrl-C end a command, even if its main thread is deep in a library that ignores signals."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

INTERRUPTED = 130  # the exit code after Ctrl-C, as in shells
GRACE = 2.0  # seconds for a command to end by itself

leftovers: set[Path] = set()  # folders to remove however the command ends


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
    """Turn this off, for a command that handles Ctrl-C itself."""
    signal.set_wakeup_fd(-1)


def _watch(reader: int) -> None:
    """Read signals as bytes from the pipe, whose end says that the command ended by itself."""
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
