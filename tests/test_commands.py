"""Every command: what a good call does, what a bad one says, and how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import joblib
import orjson
import pandas as pd
import pytest
import typer
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner, Result

from tests.door import IRIS_DIGEST
from thimble_infra import endings, outputs, stacks
from thimble_infra.cli import app
from thimble_infra.stacks import Note

ROOT = Path(__file__).parents[1]
COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
DATA, USAGE, STORE = 1, 2, 3
IRIS = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"
PENGUINS = ROOT / "model" / "penguins.json"


def thimble(*arguments: str, given: bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=given)


@pytest.fixture(scope="module")
def local(local_stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with one of each kind of file, beside a running stack that commands find by themselves."""
    folder = tmp_path_factory.mktemp("commands")
    with pytest.MonkeyPatch.context() as patched:
        for name in [name for name in os.environ if name.startswith(("AWS_", "S3_PORT"))]:
            patched.delenv(name)
        patched.setenv("S3_PORT", local_stack.s3_url.rpartition(":")[2])
        patched.chdir(folder)
        rows = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0] * 60, "b": [1.0, 0.0, 1.0, 0.5] * 60})
        labels = ["no", "no", "yes", "yes"] * 60
        joblib.dump(LogisticRegression().fit(rows, labels), "small.joblib")
        rows.assign(answer=labels).to_csv("small.csv", index=False)
        Path("wrong.csv").write_text("x,y\n1,2\n")
        Path("flowers.csv").write_text(f"{IRIS}5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5\n")
        Path("iris.json").write_bytes((ROOT / "model" / "iris.json").read_bytes())
        for done in (
            thimble("export", "small.joblib", "--data", "small.csv", "-o", "small.json"),
            thimble("classify", "small.csv", "-o", "answers.csv", "-m", "small.json"),
            thimble("publish", "small.json"),
            thimble("publish", "iris.json", "--as", "flowers"),
            thimble("drop", "small.csv", "-m", "small"),
        ):
            assert done.exit_code == 0, done.output
        yield folder


Call = Sequence[str]
GOOD: dict[str, tuple[Call, str]] = {
    "status": ((), "model      small ("),
    "drop": (("flowers.csv", "--model", "flowers"), f"flowers.csv, by flowers ({IRIS_DIGEST})"),
    "fetch": (("small/small.csv", "-o", "fetched"), "fetched/small/small.csv/result.csv"),
    "classify": (
        ("flowers.csv", "-o", "iris.csv", "-m", f"flowers@{IRIS_DIGEST[:7]}"),
        f"by flowers ({IRIS_DIGEST})",
    ),
    "drift": (("answers.csv", "--fail-on-drift", "-m", "small.json"), "by small ("),
    "train-iris": (("-o", "made.json", "--estimator", "made.joblib"), "wrote made.json"),
    "train-penguins": (("-o", "made.json", "--data", "made.jsonl.gz"), "wrote made.json"),
    "train-digits": (("-o", "made.json"), "wrote made.json"),
    "train-sexes": (("-o", "made.json", "--data", "made.csv"), "wrote made.json"),
    "train-messages": (("-o", "made.json", "--data", "made.csv"), "wrote made.json"),
    "export": (("small.joblib", "--data", "small.csv", "-o", "made.json"), "240 rows: the same labels"),
    "check": (("small", "--estimator", "small.joblib", "--data", "small.csv"), "240 rows: the same labels"),
    "card": (("small",), "always guessing no has accuracy 0.5"),
    "publish": (("iris.json", "--as", "flowers", "--dry-run"), "is there"),
    "models": ((), "flowers"),
    "versions": (("flowers",), IRIS_DIGEST),
    "rollback": (("flowers", IRIS_DIGEST), f"flowers is at {IRIS_DIGEST} already"),
    "canary": (("flowers", IRIS_DIGEST, "--percent", "0"), f"flowers is at {IRIS_DIGEST} already"),
    "diff": (("small.json", "flowers"), "Only the first takes: a, b."),
}
BAD: dict[str, tuple[Call, int, str]] = {
    "run": (("--port", "0", "--s3-port", "0", "--keep", "/proc/x"), DATA, "nothing can be written in /proc"),
    "status": (("--stack", "nowhere"), STORE, "there are no AWS credentials: `aws configure`"),
    "drop": (("wrong.csv", "-m", "smal"), DATA, 'did you mean "small"?'),
    "fetch": (("small/smal.csv",), DATA, 'did you mean "small/small.csv"?'),
    "classify": (("flowers.csv", "-o", "none/", "-m", "small.jsn"), DATA, "Nor is there a file small.jsn"),
    "drift": (("small.csv",), DATA, "there is no summary of small.csv, nor below it: name a result"),
    "train-iris": (("-o", "/proc/x.json"), DATA, "nothing can be written in /proc"),
    "train-penguins": (("--data", "made.xlsx", "-o", "made.json"), DATA, "says no format to save a table in"),
    "train-digits": (("-o", "none/made.json"), DATA, "there is no folder none"),
    "train-sexes": (("-o", "none/made.json"), DATA, "there is no folder none"),
    "train-messages": (("-o", "none/made.json"), DATA, "there is no folder none"),
    "export": (("small.csv",), DATA, "small.csv is a text, such as a table, not an estimator"),
    "check": (("small.csv",), DATA, "small.csv is no model document; `thimble export` makes one"),
    "card": (("flowers@ffffff",), DATA, "flowers has no version 'ffffff'; `thimble versions flowers` lists"),
    "publish": (("small.json", "--as", "a/b"), DATA, "'a/b' is no name for a model"),
    "models": (("--at", "models"), DATA, "models is not of the form s3://BUCKET"),
    "versions": (("flowrs",), DATA, "no version of flowrs is published"),
    "rollback": (("flowers",), DATA, f"flowers has no version before {IRIS_DIGEST}"),
    "canary": (("flowers", IRIS_DIGEST), DATA, f"{IRIS_DIGEST} is the current version of flowers already"),
    "promote": (("flowers",), DATA, "no version of flowers is on trial; `thimble canary flowers VERSION`"),
    "diff": (("small.json", "flowers@zz"), DATA, "a version is its digest"),
}
STARTED = {"run", "serve"} & set(COMMANDS)  # what they do is tested by starting them


def test_every_command_has_a_good_call_and_a_bad_one() -> None:
    assert GOOD.keys() | STARTED | {"promote"} == set(COMMANDS)
    assert BAD.keys() | STARTED == set(COMMANDS)


@pytest.mark.parametrize("command", GOOD)
def test_a_good_call_ends_with_0_and_says_what_it_did(local: Path, command: str) -> None:
    arguments, said = GOOD[command]
    done = thimble(command, *arguments)
    assert done.exit_code == 0, done.output
    assert said in done.stdout


@pytest.mark.parametrize("command", BAD)
def test_a_bad_call_ends_with_whose_fault_it_was_and_one_sentence(
    local: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)  # the local stack's, which a command before found
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # which keeps those of a test before
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    arguments, code, sentence = BAD[command]
    done = thimble(command, *arguments)
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    assert sentence in done.stderr
    assert re.fullmatch(r"(?:Unpickling .*\n.*\n)?thimble: [^\n]+\n", done.stderr), done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_call_typed_wrongly_ends_with_2_and_the_nearest_option(command: str) -> None:
    done = thimble(command, "--hlep")
    assert done.exit_code == USAGE
    assert "--help" in done.stderr.partition("No such option")[2]


def test_a_command_typed_wrongly_is_answered_by_the_nearest() -> None:
    done = thimble("clasify")
    assert (done.exit_code, "'classify'" in done.stderr) == (USAGE, True)


JSON: list[Call] = [
    ("status",),
    ("drop", "flowers.csv", "-m", "flowers"),
    ("fetch", "small/small.csv", "-o", "fetched"),
    ("classify", "flowers.csv", "-o", "flowers.out.csv", "-m", "flowers"),
    ("drift", "answers.csv"),
    ("check", "small"),
    ("card", "small"),
    ("publish", "iris.json", "--as", "flowers"),
    ("models",),
    ("versions", "flowers"),
    ("rollback", "flowers", IRIS_DIGEST),
    ("canary", "flowers", IRIS_DIGEST, "--percent", "0"),
    ("diff", "small", "flowers"),
]


@pytest.mark.parametrize("call", JSON, ids=lambda call: call[0])
def test_what_a_script_reads_is_json_and_names_model_and_version(local: Path, call: Call) -> None:
    done = thimble(*call, "--json")
    assert done.exit_code == 0, done.output
    assert orjson.loads(done.stdout)
    assert re.search(r"\b[0-9a-f]{64}\b", done.stdout) or call[0] == "status"
    assert done.stdout.endswith("\n")


def test_every_command_whose_output_a_script_reads_has_json() -> None:
    silent = STARTED | {
        "export",
        "train-iris",
        "train-penguins",
        "train-digits",
        "train-sexes",
        "train-messages",
    }
    with_json = {name for name in COMMANDS if "--json" in thimble(name, "--help").stdout}
    assert with_json == set(COMMANDS) - silent
    assert {call[0] for call in JSON} | {"promote"} == with_json


@pytest.mark.parametrize("name", ["small.json", "small", "-"])
def test_a_model_is_given_the_same_way_to_every_command(local: Path, name: str) -> None:
    document = Path("small.json").read_bytes()
    version = json.loads(thimble("card", "small.json", "--json").stdout)["digest"]
    names = [name, f"small@{version[:8]}"] if name == "small" else [name]
    for each in names:
        for call in (
            ("card", each),
            ("check", each),
            ("diff", each, "small.json"),
            ("classify", "small.csv", "-o", "again.csv", "-m", each),
            ("drift", "answers.csv", "-m", each),
            ("drop", "small.csv", "-m", each),
            ("publish", each, "--as", "small"),
        ):
            done = thimble(*call, given=document)
            assert done.exit_code == 0, (call, done.output)
            assert version[:12] in done.stdout


def test_a_model_that_is_not_published_answers_no_dropped_file(local: Path) -> None:
    changed = json.loads(Path("small.json").read_bytes()) | {"name": "other"}
    Path("other.json").write_text(json.dumps(changed) + "\n")
    done = thimble("drop", "small.csv", "-m", "other.json")
    assert done.exit_code == DATA
    assert "`thimble publish other.json --candidate` makes it a version" in done.stderr


def test_a_refusal_names_the_model_that_was_used_those_that_fit_and_the_command(local: Path) -> None:
    done = thimble("drop", "small.csv", "-m", "flowers")
    assert done.exit_code == DATA
    assert f"small.csv was refused, by flowers ({IRIS_DIGEST}): the header lacks" in done.stdout
    [advice] = [line.split(": ")[1] for line in done.stdout.splitlines() if line.startswith("  fits ")]
    assert advice == "thimble drop small.csv --model small"
    assert thimble(*advice.split()[1:]).exit_code == 0


def test_a_refusal_for_an_option_names_it_as_typed_and_no_other_model(local: Path) -> None:
    Path("asked.csv").write_bytes(Path("small.csv").read_bytes())
    done = thimble("drop", "asked.csv", "-m", "small", "--coverage", "0.9", "--abstain-below", "0.6")
    assert done.exit_code == DATA
    [sentence] = done.stdout.splitlines()
    assert sentence.startswith("asked.csv was refused, by small (")
    assert sentence.endswith("; change --coverage, or leave it out")


def test_a_folder_that_names_no_model_is_refused_with_the_nearest(local: Path) -> None:
    Path("smal").mkdir()
    Path("smal", "may.csv").write_bytes(Path("small.csv").read_bytes())
    done = thimble("drop", "smal")
    assert done.exit_code == DATA
    assert 'names no published model; did you mean "small"?' in done.stdout


def test_standard_input_gives_the_same_bytes_as_the_file(local: Path) -> None:
    rows = Path("small.csv").read_bytes()
    done = thimble("classify", "-", "-o", "-", "-m", "small.json", given=rows + b"x,1,no\n")
    assert done.exit_code == 0
    assert done.stdout_bytes == Path("answers.csv").read_bytes()
    assert "line 242: a is 'x'" in done.stderr or "line 242" in done.stderr
    packed = thimble("export", "-", "--data", "small.csv", "-o", "-", given=Path("small.joblib").read_bytes())
    assert json.loads(packed.stdout)["classes"] == ["no", "yes"]
    summary = Path("answers.csv.summary.json").read_bytes()
    assert "by small (" in thimble("drift", "-", given=summary).stdout
    assert thimble("drift", "answers.csv", "--html", "-").stdout.startswith("<!doctype html>")
    assert thimble("drop", "-", "-m", "small", given=rows).exit_code == 0
    assert thimble("fetch", "small/stdin.csv", "-o", "-").stdout_bytes == Path("answers.csv").read_bytes()


@pytest.mark.parametrize(
    "call",
    [
        ("classify", "flowers.csv", "-m", "iris.json", "-o"),
        ("export", "small.joblib", "--data", "small.csv", "-o"),
        ("train-digits", "-o"),
        ("drift", "answers.csv", "--html"),
    ],
    ids=lambda call: call[0],
)
def test_an_output_is_looked_at_before_any_work(local: Path, call: Call) -> None:
    if not Path("fifo").exists():
        os.mkfifo("fifo")
    for place, sentence in {
        "/proc/x.csv": "nothing can be written in /proc (No such file or directory): name another place",
        "fifo": "fifo is a device or a pipe, not a file: - is standard output",
        "/dev/full": "/dev/full is a device or a pipe, not a file: - is standard output",
        "flowers.csv/x.csv": "flowers.csv",
    }.items():
        done = thimble(*call, place)
        assert (done.exit_code, done.stdout) == (DATA, ""), done.output
        assert sentence in done.stderr
        assert "Unpickling" not in done.stderr


def test_a_failed_run_leaves_the_good_result_of_before(local: Path) -> None:
    assert thimble("classify", "small.csv", "-o", "kept.csv", "-m", "small.json").exit_code == 0
    before = {path.name: path.read_bytes() for path in Path().glob("kept.csv*")}
    done = thimble("classify", "wrong.csv", "-o", "kept.csv", "-m", "small.json")
    assert done.exit_code == DATA
    assert "kept      kept.csv, of an earlier run" in done.stdout
    assert {path.name: path.read_bytes() for path in Path().glob("kept.csv*")} == before
    assert list(Path().glob(".thimble-*")) == []


def test_every_file_that_is_written_ends_with_a_newline(local: Path) -> None:
    assert thimble("drift", "answers.csv", "--html", "report.html").exit_code == 0
    assert thimble("fetch", "small/small.csv", "-o", "fetched").exit_code == 0
    written = [
        path
        for path in Path().rglob("*")
        if path.suffix in (".csv", ".json", ".jsonl", ".html") and path.is_file() and path.stat().st_size
    ]
    assert len(written) > 8
    assert [path for path in written if not path.read_bytes().endswith(b"\n")] == []


def test_results_are_no_input(local: Path) -> None:
    assert thimble("fetch", "small/small.csv", "-o", "results").exit_code == 0
    done = thimble("classify", "results", "-o", "again", "-m", "small.json")
    assert done.exit_code == DATA
    assert "results holds results (small/small.csv/summary.json), which are classified already" in done.stderr
    there = thimble("classify", "s3://thimble-results/small/", "-o", "again", "-m", "small.json")
    assert "s3://thimble-results/small/ holds results" in there.stderr


def test_the_exit_codes_are_in_the_help_and_on_the_page() -> None:
    page = (ROOT / "infra" / "README.md").read_text()
    for code in (0, DATA, USAGE, STORE, 130):
        assert re.search(rf"\b{code}\b", thimble("--help").stdout.partition("Exit codes:")[2])
        assert re.search(rf"^\| {code} \|", page, re.MULTILINE)


def test_a_file_that_may_not_be_read_or_has_no_room_is_a_sentence() -> None:
    denied = PermissionError(13, "Permission denied", "x.csv")
    assert (
        endings.of_file(denied) == "you may not read or write x.csv: `ls -l` shows who may, or name another"
    )

    def full() -> None:
        raise OSError(28, "No space left on device")

    assert endings.ended(full) == STORE


def test_a_replaced_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("before")
    (tmp_path / "link").symlink_to("there")

    def interrupted() -> None:
        with outputs.replacing(tmp_path / "link") as beside:
            beside.write_text("half")
            raise KeyboardInterrupt

    assert endings.ended(interrupted) == 130
    assert (tmp_path / "there").read_text() == "before"
    outputs.write(tmp_path / "link", b"after")
    assert ((tmp_path / "there").read_text(), (tmp_path / "link").is_symlink()) == ("after", True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "there"]


def test_ctrl_c_ends_a_command_that_waits_without_a_traceback(local: Path) -> None:
    """Standard input that never ends: a call that Python cannot leave by itself is one of these too."""
    imported = "from thimble_infra.cli import app; print(flush=True); app()"
    command = [sys.executable, "-c", imported]
    waiting = subprocess.Popen(
        [*command, "classify", "-", "-o", "-", "-m", "iris.json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with waiting:
        assert waiting.stdin is not None
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == b"\n"
        waiting.stdin.write(b"x" * (1 << 16))
        waiting.stdin.flush()
        time.sleep(1)
        waiting.send_signal(signal.SIGINT)
        _, said = waiting.communicate(timeout=60)
    assert (waiting.returncode, b"Traceback" in said) == (130, False), said


DEAF = """
import sys, threading
from thimble_infra import interrupts
from thimble_infra.cli import app

@app.command()
def deaf() -> None:
    print("ready", flush=True)
    while True:
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass

app(["deaf"])
"""


def test_ctrl_c_ends_what_does_not_listen() -> None:
    deaf = subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with deaf:
        assert deaf.stdout is not None
        assert deaf.stdout.readline() == b"ready\n"
        deaf.send_signal(signal.SIGINT)
        _, said = deaf.communicate(timeout=60)
    assert (deaf.returncode, said) == (130, b"")


class Elsewhere(BaseHTTPRequestHandler):
    """S3 in a region that the bucket is not in."""

    def _answer(self) -> None:
        self.send_response(301)
        self.send_header("x-amz-bucket-region", "eu-west-1")
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_PUT = do_HEAD = _answer  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        pass


def test_no_credentials_no_bucket_and_another_region_are_three_sentences(
    s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows.csv").write_text(f"{IRIS}5.1,3.5,1.4,0.2\n")
    reading = ("classify", "s3://nowhere/x/", "-o", str(tmp_path / "out"), "-m", str(PENGUINS))
    dropping = ("drop", str(tmp_path / "rows.csv"), "--to", "s3://nowhere-inbox")
    publishing = ("publish", str(PENGUINS), "--to", "s3://nowhere")
    for call in (reading, dropping, publishing):
        done = thimble(*call)
        assert (done.exit_code, "there is no bucket " in done.stderr) == (STORE, True), done.stderr
    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    Thread(target=server.serve_forever, daemon=True).start()
    for call in (reading, dropping, publishing):
        done = thimble(*call, "--endpoint-url", f"http://127.0.0.1:{server.server_port}")
        assert done.exit_code == STORE
        assert "is in another region than us-east-1: AWS_DEFAULT_REGION names its own" in done.stderr
    server.shutdown()
    server.server_close()
    for name in [
        name for name in os.environ if name.startswith(("AWS_ACCESS", "AWS_SECRET", "AWS_ENDPOINT"))
    ]:
        monkeypatch.delenv(name)
    for call in (reading, dropping, publishing):
        done = thimble(*call)
        assert (done.exit_code, "there are no AWS credentials: `aws configure`" in done.stderr) == (
            STORE,
            True,
        )


def test_a_running_stack_is_found_on_any_port_and_a_dead_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("S3_PORT", raising=False)
    with stacks.noted(Note(1, "http://127.0.0.1:1", "http://127.0.0.1:2")):
        assert stacks.local().s3_url == "http://127.0.0.1:2"
        with stacks.noted(Note(2, "http://127.0.0.1:3", "http://127.0.0.1:4")):
            done = thimble("models")
            assert "2 local stacks are running: say which one by S3_PORT=2 or S3_PORT=4" in done.stderr
            monkeypatch.setenv("S3_PORT", "4")
            assert stacks.local().url == "http://127.0.0.1:3"
            monkeypatch.delenv("S3_PORT")
    (stacks.notes_folder() / "3.json").write_text('{"pid": 3, "url": "", "s3_url": "http://127.0.0.1:5"}')
    done = thimble("models")
    assert (done.exit_code, list(stacks.notes_folder().iterdir())) == (STORE, [])
    assert "no local stack is running: start one with `thimble run`" in done.stderr


TEMPLATE = {
    "Resources": {
        name: {"Type": "AWS::SQS::Queue" if "Queue" in name or "Dead" in name else "AWS::S3::Bucket"}
        for name in stacks.RESOURCES
    },
    "Outputs": {"Url": {"Value": "https://api.example.com"}},
}


def test_a_deployed_stack_is_found_by_its_name(s3_server: str, tmp_path: Path) -> None:
    import boto3

    boto3.client("cloudformation").create_stack(StackName="mine", TemplateBody=json.dumps(TEMPLATE))
    published = thimble("publish", str(PENGUINS), "--stack", "mine")
    assert published.exit_code == 0, published.output
    assert "thimble versions penguins --stack mine" in published.stdout
    shown = json.loads(thimble("status", "--stack", "mine", "--json").stdout)
    assert (shown["stack"], shown["url"]) == ("mine", "https://api.example.com")
    assert [model["name"] for model in shown["models"]] == ["penguins"]
    for name, sentence in {
        "yours": "the stack yours is not there in us-east-1",
        "other": "none of Thimble's",
    }.items():
        if name == "other":
            only = {"Resources": {"ModelsBucket": {"Type": "AWS::S3::Bucket"}}}
            boto3.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(only))
        done = thimble("models", "--stack", name)
        assert (done.exit_code, sentence in done.stderr) == (DATA, True), done.stderr
