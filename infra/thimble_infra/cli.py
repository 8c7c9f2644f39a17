"""The command line: thin commands that call functions of `model` and `infra`, and nothing else.

Imports that cost time (scikit-learn, boto3, polars, moto) stay inside the commands: `--help` is quick.
An error of ours, and a file that is not there, end a command with one sentence on stderr and exit code 1.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperGroup

from thimble.errors import ThimbleError


class Commands(TyperGroup):
    """The group of all commands, and the one place where an error becomes a sentence."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = super().get_command(ctx, cmd_name)
        for parameter in command.params if command else ():
            if isinstance(parameter, TyperArgument):  # its metavar says what it is; typer adds `<list[str]>`
                parameter.display_type_rich = lambda ctx: None  # type: ignore[method-assign]
        return command

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ThimbleError as error:
            sentence = str(error)
        except OSError as error:
            if error.filename is None:  # none of the caller's files: a fault of ours
                raise
            sentence = _of_file(error)
        typer.echo(f"thimble: {sentence}", err=True)
        raise typer.Exit(1)


def _of_file(error: OSError) -> str:
    path = Path(os.fsdecode(error.filename))
    if isinstance(error, FileNotFoundError):
        return f"there is no file {path}" if path.parent.is_dir() else f"there is no folder {path.parent}"
    if isinstance(error, IsADirectoryError):
        return f"{path} is a folder"
    return f"{path}: {error.strerror}"


# Plain help and plain tracebacks: the same words on a terminal, in a pipe and in a log.
app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def thimble() -> None:
    """Small models, served small: export a classifier, serve it, and drop files on it."""


EndpointUrl = Annotated[
    str | None,
    typer.Option(
        envvar="AWS_ENDPOINT_URL_S3",
        metavar="URL",
        help="Where S3 listens.",
        show_default="the local stack, at S3_PORT or 9000, for its own buckets, AWS for others",
    ),
]


@app.command()
def run(
    port: Annotated[int, typer.Option(envvar="PORT", metavar="NUMBER", help="Port of the HTTP API.")] = 8000,
    s3_port: Annotated[
        int, typer.Option(envvar="S3_PORT", metavar="NUMBER", help="Port of S3 and SQS.")
    ] = 9000,
    s3_host: Annotated[
        str | None,
        typer.Option(
            envvar="S3_HOST",
            metavar="ADDRESS",
            help="Where S3 listens too: Docker's bridge, say, so that containers of sam local reach it.",
            show_default="loopback only",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            envvar="MODEL",
            help="The model document to serve.",
            show_default="the iris model",
            metavar="MODEL.json",
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the functions' own log here, not in a file.")
    ] = False,
) -> None:
    """Run the whole stack here, without an AWS account.

    S3, SQS and the HTTP API listen on loopback. Every request passes through the deployed handler as API
    Gateway would send it, every file dropped into s3://thimble-inbox through the bucket's notification and
    its queue. Ctrl-C ends all of it and leaves nothing behind.

    \b
    Examples:
      thimble run
      thimble run --model my-model.json
      PORT=8080 S3_PORT=9100 thimble run
    """
    from thimble_infra import local

    local.run(port=port, s3_port=s3_port, s3_host=s3_host, model=model, verbose=verbose)


@app.command()
def serve(
    model: Annotated[Path, typer.Argument(metavar="MODEL.json", help="The model document.")],
    port: Annotated[int, typer.Option(envvar="PORT", metavar="NUMBER", help="Port of the HTTP API.")] = 8000,
    reload: Annotated[
        bool, typer.Option("--reload", help="Serve the new document when the file changes.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the function's own log too, on stderr.")
    ] = False,
) -> None:
    """Serve one model document by HTTP, on loopback.

    It answers every protocol of the deployed API; /docs is a page to try it. With --reload a document that is
    refused is said, and the model before keeps answering. Ctrl-C ends it.

    \b
    Examples:
      thimble serve model.json
      thimble serve model.json --port 8080 --reload
    """
    from thimble_infra import serve as serving

    serving.serve(model, port=port, reload=reload, verbose=verbose)


@app.command()
def drop(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files, or folders of files.")],
    to: Annotated[
        str, typer.Option(metavar="S3-URI", help="The inbox: s3://BUCKET or s3://BUCKET/PREFIX.")
    ] = "s3://thimble-inbox",
    results: Annotated[
        str | None,
        typer.Option(
            metavar="S3-URI",
            help="The results bucket.",
            show_default="the inbox's name with 'results' for 'inbox'",
        ),
    ] = None,
    parts: Annotated[
        str | None,
        typer.Option(
            metavar="S3-URI",
            help="The parts bucket, where the progress of a file that is split can be seen.",
            show_default="the inbox's name with 'parts' for 'inbox'",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Download the results into this folder."),
    ] = None,
    endpoint_url: Annotated[
        str | None,
        typer.Option(
            envvar="AWS_ENDPOINT_URL_S3",
            metavar="URL",
            help="Where S3 listens.",
            show_default="the local stack, at S3_PORT or 9000, for its own inbox, AWS for any other",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long to wait for the results.")
    ] = 900,
) -> None:
    """Drop files into the inbox, and show what became of them.

    A file comes back with all its columns and the answers beside them; every record that could not be
    classified is listed with its line and the reason. Exit code 1 when a whole file was refused.

    \b
    Examples:
      thimble drop iris.csv                                   into the local stack (make run)
      thimble drop monday/ tuesday.jsonl -o answers           a folder and a file; results into answers/
      thimble drop iris.csv --to s3://my-inbox/2024           a deployed stack, with your AWS credentials
    """
    from thimble_infra import drop as dropping

    if not dropping.drop(
        files,
        to=to,
        results=results,
        parts=parts,
        output=output,
        endpoint_url=endpoint_url,
        timeout=timeout,
    ):
        raise typer.Exit(1)


@app.command()
def classify(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Files, folders, or s3://BUCKET/PREFIX.")
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="OUT", help="The result; of several files, a folder or an S3 prefix."
        ),
    ],
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="MODEL.json", help="The model document, here or in S3.")
    ],
    max_rejected_share: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            envvar="MAX_REJECTED_SHARE",
            metavar="SHARE",
            help="Fail a file with a larger share of rejected records.",
        ),
    ] = 1.0,
    delimiter: Annotated[
        str,
        typer.Option(
            envvar="DELIMITER",
            metavar="CHARACTER",
            help="What separates the cells of CSV and TSV: a character, or tab.",
            show_default="found",
        ),
    ] = "",
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes",
            "-p",
            min=1,
            metavar="NUMBER",
            help="How many share the work.",
            show_default="one for two processors",
        ),
    ] = None,
    quote: Annotated[
        str,
        typer.Option(
            envvar="QUOTE",
            metavar="CHARACTER",
            help="What stands around cells of CSV and TSV: a character, or none.",
            show_default="found",
        ),
    ] = "",
    header: Annotated[
        str,
        typer.Option(
            envvar="HEADER",
            metavar="present|absent",
            help="Whether CSV and TSV begin with a header.",
            show_default="found",
        ),
    ] = "",
    endpoint_url: EndpointUrl = None,
) -> None:
    """Classify files on this machine, without a server.

    It is what the files function does, with the same bytes out.
    From 128 MB on, several processes share the work: files side by side, a large one in ranges.

    The rejections and the summary lie beside the result. A file that is classified already, by this model, is
    left alone. Exit code 1 when a whole file was refused.

    \b
    Examples:
      thimble classify iris.csv -o answers.csv --model model/iris.json
      thimble classify monday/ s3://my-bucket/2024/ -o answers/ --model model.json
    """
    from thimble.files.jobs import FileOptions
    from thimble_infra import classifying

    options = FileOptions(max_rejected_share, delimiter, quote, header)
    if not classifying.classify(
        files, output=output, model=model, options=options, processes=processes, endpoint_url=endpoint_url
    ):
        raise typer.Exit(1)


@app.command()
def drift(
    results: Annotated[
        list[str],
        typer.Argument(metavar="RESULT", help="Results, summaries, folders of them, or s3://BUCKET/PREFIX."),
    ],
    html: Annotated[
        Path | None, typer.Option(metavar="REPORT.html", help="Write a page with plots too.")
    ] = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """How far classified rows have moved from the training data.

    The summary of every result holds the counts; those of several files are added up, model by model.

    \b
    Examples:
      thimble drift answers.csv
      thimble drift answers/ --html report.html
      thimble drift s3://my-results/2024/ --html report.html
    """
    from thimble_infra import drift_files

    drift_files.show(results, html, endpoint_url)


Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="MODEL.json", help="Where the document goes.")
]


SavedEstimator = Annotated[
    Path | None, typer.Option(metavar="E.joblib", help="Save the fitted estimator too, for export and check.")
]
SavedData = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Save the training data too, in the format that its name says."),
]


@app.command()
def train_iris(
    output: Output = Path("iris.json"), estimator: SavedEstimator = None, data: SavedData = None
) -> None:
    """Train and export the smallest example: iris, four numbers.

    \b
    Example:
      thimble train-iris -o iris.json --estimator iris.joblib --data iris.csv
    """
    from thimble_model import commands

    commands.train("iris", output, estimator, data)


@app.command()
def train_penguins(
    output: Output = Path("penguins.json"), estimator: SavedEstimator = None, data: SavedData = None
) -> None:
    """Train and export a pipeline: penguins, texts and gaps.

    Palmer's penguins are a real table: texts, numbers and missing values.

    \b
    Example:
      thimble train-penguins -o penguins.json --data penguins.csv
    """
    from thimble_model import commands

    commands.train("penguins", output, estimator, data)


@app.command()
def train_digits(
    output: Output = Path("digits.json"), estimator: SavedEstimator = None, data: SavedData = None
) -> None:
    """Train and export many columns: digits, 64 pixels each.

    \b
    Example:
      thimble train-digits -o digits.json
    """
    from thimble_model import commands

    commands.train("digits", output, estimator, data)


@app.command()
def export(
    estimator: Annotated[Path, typer.Argument(metavar="ESTIMATOR.joblib", help="A joblib or pickle file.")],
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Training rows, for names, examples and scores.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="The labels' column; several for a multilabel estimator."),
    ] = None,
    output: Output = Path("model.json"),
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model's name.", show_default="the output's")
    ] = None,
) -> None:
    """Turn a fitted estimator into a model document.

    Unpickling an estimator runs whatever code its file holds: export only files that you trust.
    Training rows may be in every format that is classified; - is standard input.

    \b
    Example:
      thimble export iris.joblib --data iris.csv -o iris.json
    """
    from thimble_model import commands

    commands.export(estimator, data, target or [], output, name or output.stem)


@app.command()
def check(
    model: Annotated[Path, typer.Argument(metavar="MODEL.json")],
    estimator: Annotated[
        Path | None, typer.Option(metavar="E.joblib", help="The estimator, to compare size and answers.")
    ] = None,
    data: Annotated[Path | None, typer.Option(metavar="FILE", help="Rows to compare on.")] = None,
) -> None:
    """Load a document as the functions do, and show its card.

    Exit code 1 when it would be refused, or does not answer as the estimator does.

    \b
    Examples:
      thimble check iris.json
      thimble check iris.json --estimator iris.joblib --data iris.csv
    """
    from thimble_model import commands

    commands.check(model, estimator, data)


Registry = Annotated[
    str,
    typer.Option(
        "--at",
        "--to",
        metavar="S3-URI",
        help="The registry: s3://BUCKET (its folder 'models'), or s3://BUCKET/FOLDER.",
        show_default="the local stack's",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A published model.")]
LOCAL_REGISTRY = "s3://thimble-models"


@app.command()
def publish(
    model: Annotated[Path, typer.Argument(metavar="MODEL.json")],
    name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="The model's name.", show_default="the document's"),
    ] = None,
    to: Registry = LOCAL_REGISTRY,
    estimator: Annotated[
        Path | None,
        typer.Option(metavar="E.joblib", help="The estimator: publish only what answers as it does."),
    ] = None,
    data: Annotated[Path | None, typer.Option(metavar="FILE", help="Rows to compare on.")] = None,
    candidate: Annotated[
        bool,
        typer.Option("--candidate", help="Publish the version only; what is current stays (see canary)."),
    ] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Replace even a version that takes other rows or answers in other classes."
        ),
    ] = False,
    endpoint_url: EndpointUrl = None,
    dry_run: DryRun = False,
) -> None:
    """Publish a document that is sound, and make it current.

    A version is the document's digest and never changes. If somebody else publishes at the same time, one of
    the two is told, and nothing is overwritten.

    \b
    Examples:
      thimble publish iris.json                                into the local stack (make run)
      thimble publish model.json --as churn --to s3://my-stack-models-123456789012-eu-west-1
      thimble publish iris.json --estimator iris.joblib --data iris.csv
    """
    from thimble_infra.versions import Keeper

    keeper = Keeper(to, endpoint_url, dry_run)
    keeper.publish(model, name, estimator, data, candidate=candidate, replace=replace)


@app.command()
def models(at: Registry = LOCAL_REGISTRY, endpoint_url: EndpointUrl = None) -> None:
    """List the published models: what is current, and on trial.

    \b
    Example:
      thimble models --at s3://my-stack-models-123456789012-eu-west-1
    """
    from thimble_infra.versions import Keeper

    Keeper(at, endpoint_url).models()


@app.command()
def versions(name: Name, at: Registry = LOCAL_REGISTRY, endpoint_url: EndpointUrl = None) -> None:
    """List a model's versions, the newest first.

    \b
    Example:
      thimble versions iris
    """
    from thimble_infra.versions import Keeper

    Keeper(at, endpoint_url).versions(name)


@app.command()
def rollback(
    name: Name,
    version: Annotated[
        str | None,
        typer.Argument(
            metavar="[VERSION]", help="To this one; its digest or the beginning of it.", show_default=False
        ),
    ] = None,
    at: Registry = LOCAL_REGISTRY,
    endpoint_url: EndpointUrl = None,
    dry_run: DryRun = False,
) -> None:
    """Go back: to the version before, or to any other.

    Without VERSION a canary or a shadow ends and the current version stays; where there is none, the version
    before becomes current, and after that the one before it.

    \b
    Examples:
      thimble rollback iris
      thimble rollback iris 023347574811
    """
    from thimble_infra.versions import Keeper

    Keeper(at, endpoint_url, dry_run).rollback(name, version)


@app.command()
def canary(
    name: Name,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Its digest or the beginning of it.")],
    percent: Annotated[
        float, typer.Option(min=0, max=100, metavar="SHARE", help="Of the rows that it answers; 0 ends it.")
    ] = 10,
    shadow: Annotated[
        bool,
        typer.Option(
            "--shadow", help="It answers none, and is compared on all: the log counts the differences."
        ),
    ] = False,
    at: Registry = LOCAL_REGISTRY,
    endpoint_url: EndpointUrl = None,
    dry_run: DryRun = False,
) -> None:
    """Put a version on trial beside the current one.

    It answers a share of the rows that come by HTTPS.

    A row's values decide which version answers it: the same row gets the same version every time, and the
    answer says which. Files are classified by the current version alone.

    \b
    Examples:
      thimble publish new.json --candidate
      thimble canary iris 9f86d081884c --percent 10
      thimble canary iris 9f86d081884c --shadow
    """
    from thimble_infra.versions import Keeper

    Keeper(at, endpoint_url, dry_run).canary(name, version, percent, shadow)


@app.command()
def promote(
    name: Name, at: Registry = LOCAL_REGISTRY, endpoint_url: EndpointUrl = None, dry_run: DryRun = False
) -> None:
    """Make the version on trial the current one.

    \b
    Example:
      thimble promote iris
    """
    from thimble_infra.versions import Keeper

    Keeper(at, endpoint_url, dry_run).promote(name)


@app.command()
def diff(
    one: Annotated[str, typer.Argument(metavar="A", help="MODEL.json, NAME or NAME@VERSION.")],
    other: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Rows to compare their answers on.")
    ] = None,
    at: Registry = LOCAL_REGISTRY,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Compare two models: what they are, and how far they agree.

    They are compared on their examples, and on rows of yours.

    \b
    Examples:
      thimble diff old.json new.json --data rows.csv
      thimble diff iris iris@023347574811
    """
    from thimble_infra import compare

    compare.diff(one, other, data, at, endpoint_url)
