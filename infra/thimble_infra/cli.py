"""The command line: thin commands that only call functions of `model` and `infra`.

Slow imports (scikit-learn, boto3, polars, moto) are inside the commands, so that `--help` is quick. The
module `endings` says how every command ends; `given`, `inputs`, `outputs` and `stacks` say how it is given a
model, an input, an output and a stack.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperArgument, TyperGroup

from thimble_infra import endings, file_options, interrupts

if TYPE_CHECKING:
    from thimble_infra.versions import Keeper


class Commands(TyperGroup):
    """The group of all commands."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = super().get_command(ctx, cmd_name)
        for parameter in command.params if command else ():
            if isinstance(parameter, TyperArgument):  # keep typer from adding `<list[str]>` to the metavar
                parameter.display_type_rich = lambda ctx: None  # type: ignore[method-assign]
        return command

    def invoke(self, ctx: Any) -> Any:
        with interrupts.ending():
            code = endings.ended(lambda: super(Commands, self).invoke(ctx))
        if code:
            raise typer.Exit(code)


# Plain help and plain tracebacks, so that terminals, pipes and logs get the same text.
app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done; 1 the data, a model or a file is at fault; 2 the command was typed wrongly; "
    "3 a store, a stack or the machine does not answer; 130 ended by Ctrl-C.",
)


@app.callback()
def thimble() -> None:
    """Small models, served small: export a classifier, serve it, and drop files on it."""
    # As in Lambda. More threads of numpy's, which reads this at import, would slow small products by waiting;
    # polars' own value would let one thread decode most row groups.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("POLARS_PARQUET_DECODE_TARGET_VALUES_PER_THREAD", "1000000")


EndpointUrl = Annotated[
    str | None,
    typer.Option(
        envvar="AWS_ENDPOINT_URL_S3",
        metavar="URL",
        help="Where S3 listens.",
        show_default="the local stack that runs (S3_PORT chooses one) for its own buckets, AWS for others",
    ),
]
Stack = Annotated[
    str | None,
    typer.Option(
        "--stack",
        envvar="THIMBLE_STACK",
        metavar="NAME",
        help="A deployed stack, by its CloudFormation name.",
        show_default="the local one",
    ),
]
Registry = Annotated[
    str | None,
    typer.Option(
        "--at",
        "--to",
        metavar="S3-URI",
        help="The registry: s3://BUCKET (its folder 'models'), or s3://BUCKET/FOLDER.",
        show_default="the stack's",
    ),
]
Inbox = Annotated[
    str | None,
    typer.Option(
        metavar="S3-URI",
        help="The inbox: s3://BUCKET or s3://BUCKET/PREFIX.",
        show_default="the stack's",
    ),
]
Results = Annotated[
    str | None,
    typer.Option(
        metavar="S3-URI",
        help="The results bucket.",
        show_default="the stack's; or the inbox's name with 'results' for 'inbox'",
    ),
]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="MODEL.json, NAME, NAME@VERSION or -.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a script.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A published model.")]


@app.command()
def run(
    port: Annotated[
        int, typer.Option(envvar="PORT", min=0, max=65535, metavar="NUMBER", help="Port of the HTTP API.")
    ] = 8000,
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
    keep: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Keep published models and results here, and begin with what it holds."
        ),
    ] = None,
    cors_allow_origin: Annotated[
        str,
        typer.Option(
            envvar="CORS_ALLOW_ORIGIN",
            metavar="ORIGIN",
            help="An origin whose pages may call, such as http://localhost:3000, or * for any.",
            show_default="none",
        ),
    ] = "",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the functions' own log here, not in a file.")
    ] = False,
) -> None:
    """Run the whole stack here, without an AWS account.

    S3, SQS and the HTTP API listen on loopback. Every request reaches the deployed handler as API Gateway
    would send it. Every file dropped into s3://thimble-inbox goes through the bucket's notification and its
    queue. Ctrl-C ends all of it and leaves nothing behind.

    \b
    Examples:
      thimble run
      thimble run --model my-model.json
      thimble run --keep stack/ --cors-allow-origin http://localhost:3000
      PORT=8080 S3_PORT=9100 thimble run
    """
    from thimble_infra import local

    interrupts.leave()
    os.environ["CORS_ALLOW_ORIGIN"] = cors_allow_origin
    local.run(port=port, s3_port=s3_port, s3_host=s3_host, model=model, keep=keep, verbose=verbose)


@app.command()
def status(stack: Stack = None, endpoint_url: EndpointUrl = None, json: Json = False) -> None:
    """Show what runs: models, the queue, the newest files.

    A file is waiting, in ranges (how many are done), done, refused (and why) or given up. For a local stack,
    it also shows the API's requests, how canaries and shadows fared, and the drift of the last minute.

    \b
    Examples:
      thimble status
      thimble status --stack thimble --json
    """
    from thimble_infra import status as looking

    looking.show(stack, endpoint_url, as_json=json)


@app.command()
def serve(
    model: Annotated[Path, typer.Argument(metavar="MODEL.json", help="The model document.")],
    port: Annotated[
        int, typer.Option(envvar="PORT", min=0, max=65535, metavar="NUMBER", help="Port of the HTTP API.")
    ] = 8000,
    reload: Annotated[
        bool, typer.Option("--reload", help="Serve the new document when the file changes.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the function's own log too, on stderr.")
    ] = False,
) -> None:
    """Serve one model document by HTTP, on loopback.

    It answers every protocol of the deployed API; / is a page to try it. With --reload, a refused document is
    reported, and the earlier model keeps answering. Ctrl-C ends it.

    \b
    Examples:
      thimble serve model.json
      thimble serve model.json --port 8080 --reload
    """
    from thimble_infra import serve as serving

    serving.serve(model, port=port, reload=reload, verbose=verbose)


@app.command()
@file_options.taken(unsaid="the stack's")
def drop(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Files, folders of files, or - for standard input.")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="NAME, NAME@VERSION or a published MODEL.json.",
            show_default="what the first folder names, or the default",
        ),
    ] = None,
    to: Inbox = None,
    results: Results = None,
    parts: Annotated[
        str | None,
        typer.Option(
            metavar="S3-URI",
            help="The parts bucket, where the progress of a file that is split can be seen.",
            show_default="the stack's; or the inbox's name with 'parts' for 'inbox'",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Download the results into this folder."),
    ] = None,
    stack: Stack = None,
    endpoint_url: EndpointUrl = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long to wait for the results.")
    ] = 900,
    json: Json = False,
    options: Any = None,
) -> None:
    """Drop files into the inbox, and show what became of them.

    A file comes back with all its columns and the answers beside them; every record that could not be
    classified is listed with its line and the reason. A folder keeps its name, and the first folder of a key
    names the model: --model puts one before it. Exit code 1 when a whole file was refused.

    The options for answers, from --explain on, go with the file as metadata of its object. They win over the
    stack's settings for all files.

    \b
    Examples:
      thimble drop iris.csv                                   into the local stack (thimble run)
      thimble drop monday/ --model iris -o answers            a folder; results into answers/
      thimble drop iris.csv --explain 3 --abstain-below 0.8   with reasons, and no label where it is unsure
      thimble drop iris.csv --stack thimble                   a deployed stack, with your AWS credentials
    """
    from thimble_infra import drop as dropping

    metadata = file_options.metadata(options)
    door = dropping.door(to, results, parts, stack, endpoint_url)
    if not dropping.drop(
        files, door, output=output, timeout=timeout, model=model, metadata=metadata, as_json=json
    ):
        raise typer.Exit(1)


@app.command()
def fetch(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Of the file in the inbox, as drop shows it.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", help="Where it goes; - prints the result alone."),
    ] = Path("answers"),
    to: Inbox = None,
    results: Results = None,
    stack: Stack = None,
    endpoint_url: EndpointUrl = None,
    json: Json = False,
) -> None:
    """Download a result, its rejections and its summary.

    \b
    Examples:
      thimble fetch iris/may.csv -o answers
      thimble fetch iris/may.csv --stack thimble -o - > may.csv
    """
    from thimble_infra import fetching
    from thimble_infra.drop import door

    fetching.fetch(key, door(to, results, None, stack, endpoint_url), output, as_json=json)


@app.command()
@file_options.taken()
def classify(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Files, folders, s3://BUCKET/PREFIX, or -.")
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="OUT", help="The result, or -; of several files, a folder or S3 prefix."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", metavar="MODEL", help="MODEL.json, NAME, NAME@VERSION, s3://BUCKET/KEY or -."
        ),
    ],
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
    options: Any = None,
    at: Registry = None,
    stack: Stack = None,
    endpoint_url: EndpointUrl = None,
    json: Json = False,
) -> None:
    """Classify files on this machine, without a server.

    It does what the files function does, and writes the same bytes.
    From 128 MB on, several processes share the work: files side by side, a large one in ranges.

    The rejections and the summary are beside the result. A file that this model has already classified is
    left alone. Exit code 1 when a whole file was refused; the result of an earlier run then stays.

    \b
    Examples:
      thimble classify iris.csv -o answers.csv --model model/iris.json
      thimble classify - -o - --model iris < iris.csv > answers.csv
      thimble classify monday/ s3://my-bucket/2024/ -o answers/ --model model.json
    """
    from thimble_infra import classifying
    from thimble_infra.stacks import registry

    if json and output == "-":
        raise typer.BadParameter("--json and -o - both want standard output: name a file for the result")
    if not classifying.classify(
        files,
        output=output,
        model=model,
        registry=registry(at, stack, endpoint_url),
        options=file_options.read(options),
        processes=processes,
        as_json=json,
    ):
        raise typer.Exit(1)


@app.command()
def drift(
    results: Annotated[
        list[str],
        typer.Argument(metavar="RESULT", help="Results, summaries, folders, s3://BUCKET/PREFIX, or -."),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="Of this one alone: MODEL.json, NAME or NAME@VERSION.",
            show_default="each apart",
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="REPORT.html", help="Write a page with plots too.")
    ] = None,
    fail_on_drift: Annotated[
        bool, typer.Option("--fail-on-drift", help="End with exit code 1 where something has drifted.")
    ] = False,
    at: Registry = None,
    stack: Stack = None,
    endpoint_url: EndpointUrl = None,
    json: Json = False,
) -> None:
    """Show how far rows have moved from the training data.

    The summary of every result holds the counts; those of several files are added up, model by model.

    \b
    Examples:
      thimble drift answers.csv
      thimble drift answers/ --html report.html --fail-on-drift
      thimble drift s3://my-results/2024/ --json
    """
    from thimble_infra import drift_files
    from thimble_infra.stacks import registry

    if json and str(html) == "-":
        raise typer.BadParameter("--json and --html - both want standard output: name a file for the page")
    where = registry(at, stack, endpoint_url)
    still = drift_files.show(results, html, where, model=model, as_json=json)
    if fail_on_drift and not still:
        raise typer.Exit(1)


Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="MODEL.json", help="Where the document goes; or -.")
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
    from thimble_infra import modelling

    modelling.train("iris", output, estimator, data)


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
    from thimble_infra import modelling

    modelling.train("penguins", output, estimator, data)


@app.command()
def train_digits(
    output: Output = Path("digits.json"), estimator: SavedEstimator = None, data: SavedData = None
) -> None:
    """Train and export many columns: digits, 64 pixels each.

    \b
    Example:
      thimble train-digits -o digits.json
    """
    from thimble_infra import modelling

    modelling.train("digits", output, estimator, data)


@app.command()
def train_messages(
    output: Output = Path("messages.json"), estimator: SavedEstimator = None, data: SavedData = None
) -> None:
    """Train and export a model of texts: messages to a shop.

    The texts are made up; their words and pairs of words say what a message is about.

    \b
    Example:
      thimble train-messages -o messages.json --data messages.csv
    """
    from thimble_infra import modelling

    modelling.train("messages", output, estimator, data)


@app.command()
def train_sexes(
    output: Output = Path("sexes.json"), estimator: SavedEstimator = None, data: SavedData = None
) -> None:
    """Train and export a forest: sexes, categories and gaps.

    Boosted trees take the categories and the missing values as they are.

    \b
    Example:
      thimble train-sexes -o sexes.json --data sexes.csv
    """
    from thimble_infra import modelling

    modelling.train("sexes", output, estimator, data)


@app.command()
def export(
    estimator: Annotated[
        Path,
        typer.Argument(
            metavar="ESTIMATOR.joblib",
            help="A joblib or pickle file, a booster's own (.json .ubj .txt .cbm), or -.",
        ),
    ],
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Training rows, for names, examples and scores.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="The labels' column; several for a multilabel estimator."),
    ] = None,
    holdout: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Rows with labels that were not trained on, scored apart."),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Rows with labels that were not trained on: how far probabilities can be trusted, and the "
            "thresholds of sets of labels.",
        ),
    ] = None,
    abstain_below: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", help="No label where its probability, or score, is lower."),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml", help="What it is for, whose it is: summary, use, owner, licence ..."
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="A bare booster's classes, in the order of its codes."),
    ] = None,
    decimal: Annotated[
        str,
        typer.Option(metavar="point|comma", help="What decimals in CSV and TSV take.", show_default="found"),
    ] = "",
    output: Output = Path("model.json"),
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model's name.", show_default="the output's")
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain/--no-explain", help="Keep what a forest needs to say why it answers so."),
    ] = True,
) -> None:
    """Turn a fitted estimator into a model document.

    Unpickling an estimator runs whatever code its file holds: export only files that you trust.
    Reading a file that XGBoost, LightGBM or CatBoost saved itself runs no code, so it is safer.
    Training rows may be in every format that is classified; - is standard input.

    \b
    Examples:
      thimble export iris.joblib --data iris.csv -o iris.json
      thimble export churn.joblib --data train.csv --holdout test.csv --target churned -o churn.json
      thimble export churn.joblib --data train.csv --calibration rest.csv --abstain-below 0.8 -o churn.json
      thimble export booster.ubj --classes no,yes -o churn.json
      thimble export churn.joblib --data train.csv --target churned --card churn.toml -o churn.json
    """
    from thimble_infra import modelling, publishing

    if name:
        publishing.checked_name(name)
    labels = None if classes is None else modelling.labels(classes)
    modelling.export(
        estimator,
        data,
        target or [],
        holdout,
        calibration,
        abstain_below,
        labels,
        output,
        name or _stem(output),
        card_path=card,
        explain=explain,
        decimal=decimal,
    )


def _stem(output: Path) -> str:
    return "model" if str(output) == "-" else output.stem


@app.command()
def check(
    model: Model,
    estimator: Annotated[
        Path | None, typer.Option(metavar="E.joblib", help="The estimator, to compare size and answers.")
    ] = None,
    data: Annotated[Path | None, typer.Option(metavar="FILE", help="Rows to compare on.")] = None,
    at: Registry = None,
    stack: Stack = None,
    endpoint_url: EndpointUrl = None,
    json: Json = False,
) -> None:
    """Load a model as the functions do; compare its estimator.

    Exit code 1 when it would be refused, or does not answer as the estimator does.

    \b
    Examples:
      thimble check iris.json --estimator iris.joblib --data iris.csv
      thimble check iris@023347574811 --estimator iris.joblib --data iris.csv
    """
    from thimble_infra import modelling
    from thimble_infra.stacks import registry

    modelling.check(model, registry(at, stack, endpoint_url), estimator, data, json)


@app.command()
def card(
    model: Model,
    at: Registry = None,
    stack: Stack = None,
    endpoint_url: EndpointUrl = None,
    json: Json = False,
) -> None:
    """Show what a model takes, answers, and learnt from.

    \b
    Examples:
      thimble card iris.json
      thimble card iris@023347574811 --stack thimble
    """
    from thimble_infra import modelling
    from thimble_infra.stacks import registry

    modelling.check(model, registry(at, stack, endpoint_url), None, None, json)


def _keeper(
    at: str | None, stack: str | None, endpoint_url: str | None, as_json: bool, dry_run: bool = False
) -> "Keeper":
    from thimble_infra.stacks import registry
    from thimble_infra.versions import Keeper

    return Keeper(registry(at, stack, endpoint_url), dry_run=dry_run, as_json=as_json)


@app.command()
def publish(
    model: Model,
    name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="The model's name.", show_default="the document's"),
    ] = None,
    to: Registry = None,
    stack: Stack = None,
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
    json: Json = False,
) -> None:
    """Publish a document that is sound, and make it current.

    A version is the document's digest and never changes. If somebody else publishes at the same time, one of
    the two is told, and nothing is overwritten.

    \b
    Examples:
      thimble publish iris.json                                into the local stack (thimble run)
      thimble publish model.json --as churn --stack thimble
      thimble publish iris.json --estimator iris.joblib --data iris.csv
    """
    keeper = _keeper(to, stack, endpoint_url, json, dry_run)
    keeper.publish(model, name, estimator, data, candidate=candidate, replace=replace)


@app.command()
def models(
    at: Registry = None,
    stack: Stack = None,
    endpoint_url: EndpointUrl = None,
    json: Json = False,
) -> None:
    """List the published models: what is current, and on trial.

    \b
    Example:
      thimble models --stack thimble
    """
    _keeper(at, stack, endpoint_url, json).models()


@app.command()
def versions(
    name: Name,
    at: Registry = None,
    stack: Stack = None,
    endpoint_url: EndpointUrl = None,
    json: Json = False,
) -> None:
    """List a model's versions, the newest first.

    \b
    Example:
      thimble versions iris
    """
    _keeper(at, stack, endpoint_url, json).versions(name)


@app.command()
def rollback(
    name: Name,
    version: Annotated[
        str | None,
        typer.Argument(
            metavar="[VERSION]", help="To this one; its digest or the beginning of it.", show_default=False
        ),
    ] = None,
    at: Registry = None,
    stack: Stack = None,
    endpoint_url: EndpointUrl = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Go back: to the version before, or to any other.

    Without VERSION, a canary or a shadow ends and the current version stays. If there is none, the version
    before becomes current, and the next time the one before that.

    \b
    Examples:
      thimble rollback iris
      thimble rollback iris 023347574811
    """
    _keeper(at, stack, endpoint_url, json, dry_run).rollback(name, version)


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
    at: Registry = None,
    stack: Stack = None,
    endpoint_url: EndpointUrl = None,
    dry_run: DryRun = False,
    json: Json = False,
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
    _keeper(at, stack, endpoint_url, json, dry_run).canary(name, version, percent, shadow)


@app.command()
def promote(
    name: Name,
    at: Registry = None,
    stack: Stack = None,
    endpoint_url: EndpointUrl = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Make the version on trial the current one.

    \b
    Example:
      thimble promote iris
    """
    _keeper(at, stack, endpoint_url, json, dry_run).promote(name)


@app.command()
def diff(
    one: Annotated[str, typer.Argument(metavar="A", help="MODEL.json, NAME, NAME@VERSION or -.")],
    other: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Rows to compare their answers on.")
    ] = None,
    at: Registry = None,
    stack: Stack = None,
    endpoint_url: EndpointUrl = None,
    json: Json = False,
) -> None:
    """Compare two models: what they are, and how far they agree.

    They are compared on their examples, and on rows of yours.

    \b
    Examples:
      thimble diff old.json new.json --data rows.csv
      thimble diff iris iris@023347574811
    """
    from thimble_infra import compare
    from thimble_infra.stacks import registry

    compare.diff(one, other, data, registry(at, stack, endpoint_url), as_json=json)
