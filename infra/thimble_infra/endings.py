"""End a command: an error is one sentence on stderr, and the exit code says where the fault is.

0    no fault
1    in the data: a file, a model or a row that its owner has to change
2    in the command: a wrong option or argument, which typer reports
3    in the store: S3, a stack or this machine does not answer, or has no room
130  Ctrl-C
"""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

from thimble.errors import ThimbleError, Unavailable
from thimble_infra.interrupts import INTERRUPTED

DATA, STORE = 1, 3
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)


def ended(work: Callable[[], object]) -> int:
    """Do the work and return the exit code."""
    try:
        work()
    except ThimbleError as error:
        return _said(str(error), STORE if isinstance(error, Unavailable) else DATA)
    except OSError as error:
        if error.filename is None and error.errno not in NO_ROOM:  # not about a caller's file: our own fault
            raise
        return _said(of_file(error), STORE if error.errno in NO_ROOM else DATA)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _said(sentence: str, code: int) -> int:
    print(f"thimble: {sentence}", file=sys.stderr)
    return code


def of_file(error: OSError) -> str:
    """Return a sentence on what is wrong with a file and what to do."""
    if error.filename is None:
        return f"there is no room to write in, or none that may be written ({error.strerror})"
    path = Path(os.fsdecode(error.filename))
    if isinstance(error, FileNotFoundError):
        return f"there is no file {path}" if path.parent.is_dir() else f"there is no folder {path.parent}"
    if isinstance(error, IsADirectoryError):
        return f"{path} is a folder"
    if isinstance(error, NotADirectoryError):
        return f"{path} is not there: a part of it that should be a folder is a file"
    if isinstance(error, PermissionError):
        return f"you may not read or write {path}: `ls -l` shows who may, or name another"
    return f"{path}: {error.strerror}"
