"""The package that ships to Lambda.

Each package imports only from those listed above it. The modules `settings`, `telemetry`, `store` and
`credentials` are the edges to the environment.

inference  a model document and its computation: preprocessing, a network or a forest, the meaning of outputs
tables     bytes to batches of rows, and answers to bytes: one module for each format, for both doors
drift      how far the rows have moved from the training data
registry   which document answers: versions, canaries, a bounded cache
web        door one: requests from API Gateway, one module for each protocol
files      door two: files of any size, streamed
split      door two for files that one function cannot finish: plan, classify by ranges, assemble

If the package for exporting models is installed too, `export` and `load` are its functions.
"""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load `export` or `load` from an entry point of another package; this package imports none of it."""
    if name in ("export", "load"):
        from importlib.metadata import entry_points

        for added in entry_points(group="thimble", name=name):
            return added.load()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
