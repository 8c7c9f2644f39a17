"""What ships to Lambda. Imports point one way, from the last of these to the first; beside them are the edges
`settings`, `telemetry`, `store` and `credentials`.

inference  a document and what it computes: preprocessing, a network or a forest, what their outputs mean
tables     bytes to batches of rows, and answers to bytes: a module a format, for both doors
drift      how far what comes in has moved from the training data
registry   which document answers: versions, canaries, a bounded cache
web        door one: API Gateway's requests, a module a protocol
files      door two: files of any size, streamed
split      door two beyond one function: planned, classified by ranges, assembled

Where the scientist's side is installed too, `export` and `load` are its functions.
"""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """What another package adds by an entry point, so that this one imports nothing of it."""
    if name in ("export", "load"):
        from importlib.metadata import entry_points

        for added in entry_points(group="thimble", name=name):
            return added.load()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
