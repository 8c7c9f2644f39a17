"""Run the whole stack on one machine, for `make run`.

The HTTP API and its function run in this process, like one instance of a Lambda function. S3 with SQS, and
the files function, are child processes. Their standard input is a pipe from this process: it ends when this
process ends, by whatever signal, and so do they.
"""

import csv
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout, suppress
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from thimble.errors import InvalidModel, Unavailable
from thimble_infra import aws, kept, outputs, serve, stacks
from thimble_infra.apigateway import ApiGateway
from thimble_infra.invocation import FUNCTIONS, load
from thimble_infra.listening import listen, url
from thimble_infra.output import separate
from thimble_infra.stacks import Note

if TYPE_CHECKING:
    from thimble.inference.classifier import Classifier

BUNDLED = [
    Path(__file__).parents[2] / "model" / f"{name}.json"
    for name in ("iris", "penguins", "digits", "sexes", "messages")
]


def run(
    *, port: int, s3_port: int, s3_host: str | None, model: Path | None, keep: Path | None, verbose: bool
) -> None:
    """Serve until SIGINT or SIGTERM. Raises ThimbleError or OSError if the stack cannot start or go on."""
    _require_clone()
    if keep:
        outputs.check_folder(keep.absolute())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        api = stack.enter_context(listen(port, "PORT"))
        s3 = [stack.enter_context(listen(s3_port, "S3_PORT"))]
        if s3_host:
            s3.append(stack.enter_context(listen(s3[0].getsockname()[1], "S3_HOST", s3_host)))
        folder = Path(tempfile.mkdtemp(prefix="thimble-"))
        stack.callback(_forget, folder)
        stack.enter_context(redirect_stdout(sys.stdout))  # restores sys.stdout at the end
        _serve(stack, api, s3, folder, model, keep, verbose)


def _serve(
    stack: ExitStack,
    api: socket.socket,
    s3: list[socket.socket],
    folder: Path,
    model: Path | None,
    keep: Path | None,
    verbose: bool,
) -> None:
    log = None if verbose else str(folder / "functions.log")
    s3_url, api_url = url(s3[0]), url(api)
    os.environ.update(environment := aws.environment(s3_url))
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]

    documents, classifier = _read([model] if model else BUNDLED)
    os.environ["MODEL_NAME"] = next(iter(documents))  # set before the children start, which use it too

    children = Children(stack, log)
    descriptors = [listener.fileno() for listener in s3]
    children.start("thimble_infra.aws", *map(str, descriptors), pass_fds=descriptors)
    for listener in s3:
        listener.close()  # the child alone holds it from here on, so that its death is noticed
    aws.create_resources(s3_url)
    terminal = sys.stdout
    say = separate(log)  # before the functions' logger is made, which writes where print does
    stack.enter_context(kept.keeping(keep, s3_url))
    _publish(documents, replacing=model is not None)
    children.start("thimble_infra.queue_mapping", s3_url, *([log] if log else []))

    gateway = ApiGateway(api, load("api"), say)
    Thread(target=gateway.serve_forever, daemon=True).start()
    others = stacks.running()
    stack.enter_context(stacks.noted(Note(os.getpid(), api_url, s3_url, log or "")))
    print(
        banner(classifier, list(documents), api_url, s3_url, folder, log, alone=not others),
        file=terminal,
        flush=True,
    )
    raise ChildEnded(children.wait() + (f"; its last words are in {log}" if log else ""))


def _require_clone() -> None:
    """Raise Unavailable if Thimble runs from a wheel, or from a clone without its tools."""
    if not (FUNCTIONS / "api.py").exists():
        raise Unavailable(
            "thimble run starts the whole stack (S3, the queue, the functions) and needs a clone of Thimble: "
            "`make run` there. `thimble serve MODEL.json` serves a model by HTTP without one"
        )
    if find_spec("moto") is None:
        raise Unavailable("thimble run needs moto, for S3 and the queue: `make run` installs it into .venv")


class ChildEnded(Unavailable):
    """A process of the stack ended on its own."""


class Children:
    """The stack's child processes, ended with the ExitStack."""

    def __init__(self, stack: ExitStack, log: str | None) -> None:
        self._stack = stack
        self._stderr = stack.enter_context(Path(log).open("a")) if log else None  # noqa: SIM115
        self._ended: SimpleQueue[str] = SimpleQueue()

    def start(self, module: str, *arguments: str, pass_fds: Sequence[int] = ()) -> None:
        child = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stderr=self._stderr,
            pass_fds=pass_fds,
            start_new_session=True,  # so that Ctrl-C reaches this process only
        )
        self._stack.callback(_end, child)
        Thread(target=self._watch, args=[module, child], daemon=True).start()

    def wait(self) -> str:
        """Wait until a child ends on its own, and return a sentence that says which."""
        return self._ended.get()

    def _watch(self, module: str, child: "subprocess.Popen[bytes]") -> None:
        code = child.wait()
        self._ended.put(f"{module} ended unexpectedly, with code {code}")


def _end(child: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the ending
    child.kill()  # it has nothing to save
    child.wait()


def _forget(folder: Path) -> None:
    """Remove the log, unless it may say why a child ended."""
    if not isinstance(sys.exception(), ChildEnded):
        shutil.rmtree(folder, ignore_errors=True)


def _read(paths: list[Path]) -> tuple[dict[str, bytes], "Classifier"]:
    """Return the documents by the names to publish them under, and the first one loaded: the default."""
    from thimble.inference import classifier
    from thimble.registry import pointer  # here, because numpy reads the environment at import

    found = {}
    for path in paths:
        try:
            data = path.read_bytes()
            loaded = classifier.load(data)
        except InvalidModel as error:
            raise InvalidModel(f"{path} is refused: {error}") from None
        found[loaded.name if pointer.NAME.fullmatch(loaded.name) else "model"] = data, loaded
    return {name: data for name, (data, _) in found.items()}, next(iter(found.values()))[1]


def _publish(documents: dict[str, bytes], *, replacing: bool) -> None:
    """Publish the documents that are not published yet, or with `replacing`, all of them."""
    from thimble.store import Folder
    from thimble_infra import publishing

    folder = Folder(os.environ["MODELS_URI"])
    for name, document in documents.items():
        if replacing or publishing.pointed(folder, name)[0] is None:
            publishing.publish(folder, publishing.publication(folder, name, document, replace=True))


def banner(
    classifier: "Classifier",
    names: list[str],
    api_url: str,
    s3_url: str,
    folder: Path,
    log: str | None,
    *,
    alone: bool = True,
) -> str:
    """Return lines to copy, with example rows of the model."""
    thimble = command(None if alone else s3_url)
    document = classifier.document
    rows = document.examples.rows if document.examples else ((0.0,) * classifier.n_features,)
    return f"""
Thimble serves {classifier.name or "a model"} ({classifier.digest[:12]}): {classifier.n_features} features, \
{len(classifier.heads[0].classes)} classes

  In a page: {api_url}/

  Ask it:
    {_curl(api_url, rows[:2], folder)}

  Publish a version of it, or another model: {thimble} publish MODEL.json
  Published are {", ".join(names)}.

  Drop a file (CSV, JSON, JSON Lines, Parquet): {thimble} drop FILE.csv. For example:
    {thimble} drop {_example_file(folder, classifier.feature_names, rows)}

  What is going on: {thimble} status
  The functions' log: {log or "here"}
  Ctrl-C stops everything.

ready {api_url} s3 {s3_url}"""


def _curl(api_url: str, rows: Sequence[Sequence[object]], folder: Path) -> str:
    body = json.dumps({"instances": rows})
    if len(body) > serve.LONGEST_LINE:
        path = folder / "examples.json"
        path.write_text(body)
        body = f"@{path}"
    return f"curl -s {api_url}/classify -H 'content-type: application/json' -d {shlex.quote(body)}"


def command(s3_url: str | None) -> str:
    """Return the command as it works in this directory, with the port if other local stacks run too."""
    script = Path(sys.argv[0])
    on_path = shutil.which(script.name)
    if on_path and Path(on_path).resolve() == script.resolve():
        script = Path(script.name)
    elif script.resolve().is_relative_to(Path.cwd()):
        script = script.resolve().relative_to(Path.cwd())
    chosen = f"S3_PORT={s3_url.rpartition(':')[2]} " if s3_url else ""
    return chosen + shlex.quote(str(script))


def _example_file(folder: Path, names: Sequence[str] | None, rows: Sequence[Sequence[object]]) -> Path:
    path = folder / "examples.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([*([names] if names else []), *rows])
    return path
