"""`thimble serve`: serve one document by the HTTP API on loopback, without S3 and without AWS settings.

It is the deployed application: requests reach it as API Gateway's events.
"""

import json
import os
import shlex
import signal
import sys
import time
from contextlib import redirect_stdout, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from thimble.errors import InvalidModel, ThimbleError
from thimble_infra.apigateway import ApiGateway
from thimble_infra.invocation import Handler
from thimble_infra.listening import listen, url

if TYPE_CHECKING:
    from thimble.inference.classifier import Classifier

LOOK_SECONDS = 0.5  # between two looks at the file
LONGEST_LINE = 1000  # the longest request that one can copy from a terminal, in characters


def serve(path: Path, *, port: int, reload: bool, verbose: bool) -> None:
    """Serve until SIGINT or SIGTERM. Raises ThimbleError or OSError if it cannot start."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    os.environ.setdefault("POWERTOOLS_LOG_LEVEL", "INFO" if verbose else "ERROR")
    terminal = sys.stdout
    with suppress(KeyboardInterrupt), listen(port, "--port") as listener, redirect_stdout(sys.stderr):
        stamp = _stamp(path)
        served = _served(path)
        server = ApiGateway(listener, served.handler, say)
        if reload:
            Thread(target=_follow, args=[path, stamp, server], daemon=True).start()
        print(banner(served.model, url(listener)), file=terminal, flush=True)
        server.serve_forever()


class Served(NamedTuple):
    handler: Handler
    model: "Classifier"


def _served(path: Path) -> Served:
    """Return the application with the document as it is now. Raises InvalidModel if it is refused."""
    from thimble.registry.lookup import OneModel
    from thimble.settings import from_environment
    from thimble.web import gateway, routes

    data = path.read_bytes()
    models = OneModel(str(path), lambda uri: data)
    try:
        model = models.get()
    except InvalidModel as error:
        raise InvalidModel(f"{path} is refused: {error}") from None
    return Served(gateway.handler(routes.app(models, from_environment())), model)


def _follow(path: Path, served: object, server: ApiGateway) -> None:
    """Serve the file's new content once the file has changed and is no longer being written."""
    before = served
    while True:
        time.sleep(LOOK_SECONDS)
        now = _stamp(path)
        if now == before != served:
            served = now
            say(_reloaded(path, server))
        before = now


def _reloaded(path: Path, server: ApiGateway) -> str:
    try:
        server.handler, model = _served(path)
    except ThimbleError as error:
        return f"{error}; the model before keeps answering"
    except OSError as error:
        return f"{path} cannot be read ({error.strerror}); the model before keeps answering"
    return f"serves {_title(model)}"


def _stamp(path: Path) -> object:
    """Return a value that changes when the file is written; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def say(line: str) -> None:
    print(time.strftime("%H:%M:%S"), line, file=sys.stderr, flush=True)


def _title(model: "Classifier") -> str:
    return f"{model.name or 'a model'} ({model.digest[:12]})"


def banner(model: "Classifier", address: str) -> str:
    """Return lines to copy, with an example row of the model."""
    document = model.document
    rows = document.examples.rows[:1] if document.examples else [[0.0] * model.n_features]
    body = json.dumps({"instances": rows})
    shown = body if len(body) <= LONGEST_LINE else '{"instances": [[...]]}'
    return f"""
Thimble serves {_title(model)}: {model.n_features} features, {len(model.heads[0].classes)} classes

  In a page:  {address}/
  Ask it:     curl -s {address}/classify -d {shlex.quote(shown)}
  Ctrl-C ends it.

ready {address}"""
