"""A file's own options: in its object's metadata, in place of what the stack says of all files."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore
from typer.testing import CliRunner

from tests.conftest import THIMBLE
from tests.test_abstentions import in_csv
from tests.test_explained import MODEL
from tests.test_pipeline import HEADER, KEY, ROWS, Bench
from tests.test_workflow import Bench as Split
from thimble import settings, store
from thimble.errors import InvalidFile, InvalidInput
from thimble.files import options
from thimble.files.options import FileOptions, as_metadata
from thimble.files.pipeline import Pipeline
from thimble.inference.asked import Asked
from thimble.inference.classifier import load
from thimble.tables.dialect import Given
from thimble.web.options import ASKED
from thimble_infra import file_options, status
from thimble_infra.cli import app
from thimble_infra.stacks import Stack

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ROOT = Path(__file__).parents[1]
PENGUINS = (ROOT / "model" / "penguins.json").read_bytes()
DREAM = (
    b"island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex\n"
    b"Dream,40.1,18.9,195,3700,male\nBiscoe,46.1,13.2,211,4500,female\nDream,x,18.9,195,3700,male\n"
)
TEXTS = {"explain": "2", "abstain_below": "0.99", "what_if": "true"}
SAID = {"thimble-explain": "2", "thimble-abstain-below": "0.99", "thimble-what-if": "true"}
TYPED = ("--explain", "2", "--abstain-below", "0.99", "--what-if")

OTHERS = {"s3cmd-attrs": "atime:1/mtime:2", "mtime": "1700000000.5", "explain": "everything", "header": "x"}


def thimble(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def classified(folder: Path, data: bytes, document: bytes, *typed: str) -> tuple[bytes, bytes]:
    """The result and the rejections of `thimble classify`."""
    for name, written in (("rows.csv", data), ("model.json", document)):
        (folder / name).write_bytes(written)
    rows, out = str(folder / "rows.csv"), folder / "out.csv"
    done = thimble("classify", rows, "-o", str(out), "-m", str(folder / "model.json"), *typed)
    assert done.exit_code == 0, done.output
    return out.read_bytes(), (folder / "out.csv.rejections.jsonl").read_bytes()


# By S3.


@pytest.fixture
def files(
    s3: S3Client, entry: Callable[[str], Any], load_event: Callable[..., dict[str, Any]]
) -> Callable[[str], dict[str, Any]]:
    """What the files function makes of an object of the inbox: its summary."""
    s3.put_object(Bucket="thimble-models", Key="model.json", Body=PENGUINS)

    def told(key: str) -> dict[str, Any]:
        event = load_event("sqs_s3_put")
        [record] = event["Records"]
        record["body"] = record["body"].replace("iris/iris.csv", key)
        assert entry("files")(event, None) == {"batchItemFailures": []}
        summary: dict[str, Any] = json.loads(read(s3, f"{key}/summary.json"))
        return summary

    return told


def read(s3: S3Client, key: str) -> bytes:
    return s3.get_object(Bucket="thimble-results", Key=key)["Body"].read()


def test_a_file_gets_what_its_metadata_ask_for_and_the_bytes_of_classify(
    s3: S3Client, files: Any, tmp_path: Path
) -> None:
    s3.put_object(Bucket="thimble-inbox", Key="a.csv", Body=DREAM, Metadata=SAID | OTHERS)
    summary = files("a.csv")
    assert summary["input"]["metadata"] == SAID
    asked = {"explain": 2, "abstain_below": 0.99, "what_if": True}
    assert {name: summary["options"][name] for name in asked} == asked
    found = read(s3, "a.csv/result.csv"), read(s3, "a.csv/rejections.jsonl")
    assert found == classified(tmp_path, DREAM, PENGUINS, *TYPED)
    assert b"why_1,why_1_value" in found[0]
    assert b"what_if_label,abstained\n" in found[0]


def test_they_win_over_the_stack_s(s3: S3Client, files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("EXPLAIN", "all"), ("WHAT_IF", "true"), ("HEADER", "absent")):
        monkeypatch.setenv(name, text)
    said = {"thimble-explain": "1", "thimble-what-if": "false", "thimble-header": "present"}
    s3.put_object(Bucket="thimble-inbox", Key="a.csv", Body=DREAM, Metadata=said)
    summary = files("a.csv")
    assert (summary["predictions"], summary["options"]["explain"]) == (2, 1)
    assert "what_if" not in summary["options"]


def test_none_undoes_what_the_stack_says_of_all_files(
    s3: S3Client, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = {"EXPLAIN": "all", "ABSTAIN_BELOW": "0.999", "COVERAGE": "0.9", "BY_CLASS": "true"}
    for name, text in {**stack, "THRESHOLD": "0.9"}.items():
        monkeypatch.setenv(name, text)
    said = {f"thimble-{name}": "none" for name in ("explain", "abstain-below", "coverage", "threshold")}
    s3.put_object(Bucket="thimble-inbox", Key="a.csv", Body=DREAM, Metadata=said)
    summary = files("a.csv")
    assert not summary["options"].keys() & Asked._fields
    for name in (*stack, "THRESHOLD"):
        monkeypatch.delenv(name)
    assert read(s3, "a.csv/result.csv") == classified(tmp_path, DREAM, PENGUINS)[0]


@pytest.mark.parametrize("name", options.ASKED)
def test_none_is_as_if_an_option_was_not_said(name: str) -> None:
    told = FileOptions.read({name: "none"}, {name: "--this"})
    assert (told, told.said) == (FileOptions(), {name: "--this"})
    assert settings.from_environment({name.upper(): "none"}).files == {name: getattr(Asked(), name)}


def test_metadata_of_other_tools_mean_nothing(s3: S3Client, files: Any) -> None:
    s3.put_object(Bucket="thimble-inbox", Key="a.csv", Body=DREAM, Metadata=OTHERS)
    summary = files("a.csv")
    assert summary["predictions"] == 2
    assert "metadata" not in summary["input"]
    assert not summary["options"].keys() & Asked._fields


def copied(s3: S3Client, key: str, metadata: dict[str, str]) -> None:
    """Onto itself: its metadata change, and nothing else."""
    before = s3.head_object(Bucket="thimble-inbox", Key=key)["ETag"]
    source = {"Bucket": "thimble-inbox", "Key": key}
    s3.copy_object(**source, CopySource=source, Metadata=metadata, MetadataDirective="REPLACE")  # type: ignore[arg-type]
    assert s3.head_object(Bucket="thimble-inbox", Key=key)["ETag"] == before


def test_other_metadata_of_the_same_bytes_are_another_result(
    s3: S3Client, files: Any, tmp_path: Path
) -> None:
    s3.put_object(Bucket="thimble-inbox", Key="a.csv", Body=DREAM, Metadata=SAID)
    files("a.csv")
    copied(s3, "a.csv", {"thimble-explain": "1"})
    files("a.csv")
    assert read(s3, "a.csv/result.csv") == classified(tmp_path, DREAM, PENGUINS, "--explain", "1")[0]
    there = s3.head_object(Bucket="thimble-results", Key="a.csv/result.csv")["LastModified"]
    copied(s3, "a.csv", {"thimble-explain": "1"} | OTHERS)  # which changes nothing
    files("a.csv")  # nor does an event that comes again
    assert s3.head_object(Bucket="thimble-results", Key="a.csv/result.csv")["LastModified"] == there


def test_the_status_of_a_file_is_of_what_it_asks_for(s3: S3Client, s3_server: str, files: Any) -> None:
    def state() -> str:
        [file], _ = status._files(Stack(""), s3_server, set())
        return file.state

    s3.put_object(Bucket="thimble-inbox", Key="a.csv", Body=DREAM, Metadata=SAID)
    assert state() == "waiting"
    files("a.csv")
    assert state() == "done"
    copied(s3, "a.csv", {"thimble-explain": "1"})
    assert state() == "waiting"
    copied(s3, "a.csv", SAID | OTHERS)
    assert state() == "done"


def test_to_read_metadata_takes_no_further_request(s3: S3Client, caplog: pytest.LogCaptureFixture) -> None:
    s3.put_object(Bucket="thimble-inbox", Key="a.csv", Body=DREAM, Metadata=SAID | OTHERS)
    inbox = store.bucket("thimble-inbox")
    with caplog.at_level("INFO", "werkzeug"):
        caplog.clear()
        assert store.current(inbox, "a.csv").metadata == SAID
    [request] = [record.getMessage() for record in caplog.records if record.name == "werkzeug"]
    assert '"HEAD /thimble-inbox/a.csv ' in request


def test_metadata_that_change_while_it_is_read_are_noticed(s3: S3Client) -> None:
    s3.put_object(Bucket="thimble-inbox", Key="a.csv", Body=DREAM, Metadata=SAID)
    left = [{"thimble-explain": "1"}]

    def model(key: str) -> Any:
        if left:
            copied(s3, key, left.pop())
        return load(PENGUINS)

    summary = Pipeline(model, "s3://thimble-results").classify("thimble-inbox", "a.csv")
    assert summary is not None
    assert summary["options"]["explain"] == 1
    assert "abstain_below" not in summary["options"]


def test_what_lies_in_a_bucket_is_classified_here_as_there_and_what_is_typed_counts(
    s3: S3Client, s3_server: str, tmp_path: Path
) -> None:
    s3.put_object(Bucket="thimble-inbox", Key="a.csv", Body=DREAM, Metadata=SAID)
    (tmp_path / "model.json").write_bytes(PENGUINS)
    wanted = classified(tmp_path, DREAM, PENGUINS, *TYPED)[0]
    to = ("-o", str(tmp_path / "here.csv"), "-m", str(tmp_path / "model.json"), "--endpoint-url", s3_server)
    for typed, explained in (((), 2), (("--explain", "1"), 1)):
        done = thimble("classify", "s3://thimble-inbox/a.csv", *to, *typed)
        assert done.exit_code == 0, done.output
        summary = json.loads((tmp_path / "here.csv.summary.json").read_bytes())
        assert (summary["options"]["explain"], summary["options"]["what_if"]) == (explained, True)
        assert ((tmp_path / "here.csv").read_bytes() == wanted) == (explained == 2)


# What is wrong.

WRONG = [
    (
        {"thimble-explain": "three"},
        "thimble-explain in the file's metadata is 'three': it has to be true (or all), false, or how many "
        "contributions to show: a whole number from 1",
    ),
    (
        {"thimble-threshold": "0,3"},
        "thimble-threshold in the file's metadata is '0,3': it has to be a number, such as 0.3: the least at "
        "which the positive class applies",
    ),
    ({"thimble-by-class": "yes"}, "thimble-by-class in the file's metadata is 'yes': it has to be true or"),
    ({"thimble-max-rejected-share": "2"}, "thimble-max-rejected-share in the file's metadata is '2': it has"),
    (
        {"thimble-coverage": " "},
        "thimble-coverage in the file's metadata is empty: give it a value, or leave",
    ),
    (
        {"thimble-header": "no"},
        "thimble-header in the file's metadata cannot be: the header 'no' is neither present nor absent",
    ),
    (
        {"thimble-quote": ";", "thimble-delimiter": ";", "thimble-explain": "1"},
        "thimble-delimiter and thimble-quote in the file's metadata cannot be: the delimiter and the quote",
    ),
    (
        {"thimble-explian": "3"},
        'the file\'s metadata has an unknown key "thimble-explian"; did you mean "thimble-explain"?',
    ),
    (
        {"thimble-by_class": "true"},
        'the file\'s metadata has an unknown key "thimble-by_class"; did you mean "thimble-by-class"?',
    ),
    (
        {"thimble_explain": "3"},
        'the file\'s metadata has an unknown key "thimble_explain"; did you mean "thimble-explain"?',
    ),
    ({"thimble-class": "a"}, 'the file\'s metadata has an unknown key "thimble-class"'),
    (
        {"thimble-owner": "me"},
        'the file\'s metadata has an unknown key "thimble-owner"; it takes thimble-max-re',
    ),
    (
        {"thimble-coverage": "0.8", "thimble-explain": "1"},
        "the model is a network with hidden layers: its score is not a sum over the features; only linear",
    ),
]


def put(inbox: MemoryStore, key: str, data: bytes, metadata: dict[str, str]) -> None:
    obstore.put(inbox, key, data, attributes=metadata)


@pytest.mark.parametrize(("metadata", "sentence"), WRONG)
def test_a_wrong_one_refuses_the_file_with_its_key_and_what_to_send(
    metadata: dict[str, str], sentence: str
) -> None:
    bench = Bench("memory:///")
    put(bench.inbox, KEY, ROWS, metadata)
    summary = bench.classify()
    assert summary["error"].startswith(sentence)
    assert (summary["input"]["metadata"], summary["model"]["name"]) == (metadata, "iris")
    assert bench.classify() == summary  # and stays refused
    bench.put(ROWS)
    assert bench.classify()["predictions"] == 2


def test_what_the_model_cannot_do_is_named_as_the_file_or_the_stack_says_it() -> None:
    bench = Bench("memory:///", options=FileOptions.of(coverage=0.8))
    put(bench.inbox, KEY, ROWS, {"thimble-explain": "1"})
    assert bench.classify()["error"].endswith("; change thimble-explain and COVERAGE, or leave them out")


def test_what_the_model_can_do_is_not_named_beside_what_it_cannot() -> None:
    bench = Bench("memory:///")
    put(bench.inbox, KEY, ROWS, {"thimble-threshold": "0.5", "thimble-abstain-below": "0.9"})
    assert bench.classify()["error"].endswith("3 classes; change thimble-threshold, or leave it out")


@pytest.mark.parametrize(("metadata", "sentence"), WRONG)
def test_a_large_file_is_refused_for_it_by_the_same_sentence(metadata: dict[str, str], sentence: str) -> None:
    bench = Split(50)
    put(bench.inbox, "a.csv", HEADER + b"1,5.1,3.5,1.4,0.2\n" * 20, metadata)
    assert bench.finish("a.csv")["error"].startswith(sentence)
    assert bench.calls == 0


# Split.


def test_a_split_changes_nothing_of_them() -> None:
    said = {
        "explain": "all",
        "coverage": "0.9",
        "by_class": "true",
        "abstain_below": "0.8",
        "what_if": "true",
    }
    bench = Split(300, MODEL)
    put(bench.inbox, "a.csv", in_csv().replace(b",", b";"), as_metadata(said | {"delimiter": ";"}))
    summary = bench.finish("a.csv")
    assert bench.calls > 3
    assert summary["options"]["explain"] == -1
    assert b";why_base;" in (bench.outcome("a.csv")[0] or b"")


def test_metadata_that_change_between_plan_and_assembly_are_planned_anew(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Split(400, MODEL)
    inbox = store.bucket("thimble-inbox")
    for pipeline in (bench.pipeline, bench.single):
        object.__setattr__(pipeline, "buckets", lambda name: inbox)
    s3.put_object(Bucket="thimble-inbox", Key="a.csv", Body=in_csv(), Metadata={"thimble-explain": "1"})
    plan, left = bench.workflow.plan, [{"thimble-explain": "2"}]

    def planned(*given: Any) -> Any:
        answer = plan(*given)
        if left:
            copied(s3, "a.csv", left.pop())
        return answer

    object.__setattr__(bench.workflow, "plan", planned)
    assert bench.execute("a.csv") == "done"
    assert not left
    assert bench.finish("a.csv")["options"]["explain"] == 2


# One list, one parser.

NUMBERS = st.floats(-9, 9).map(repr) | st.integers(0, 1).map(str)
SOME = {
    "max_rejected_share": st.floats(0, 1).map(repr),
    "delimiter": st.sampled_from([",", ";", "tab", "|", "space"]),
    "quote": st.sampled_from(['"', "none"]),
    "header": st.sampled_from(["present", "absent"]),
    "threshold": NUMBERS,
    "decimal": st.sampled_from(["point", "comma"]),
    "abstain_below": NUMBERS,
    "explain": st.integers(1, 10**6).map(str) | st.sampled_from(["all", "true", "false"]),
    "coverage": NUMBERS,
    "by_class": st.sampled_from(["true", "false"]),
    "what_if": st.sampled_from(["true", "false"]),
}


@given(st.fixed_dictionaries({}, optional=SOME))
def test_an_option_means_the_same_in_the_environment_in_metadata_and_typed(texts: dict[str, str]) -> None:
    variables = {name.upper(): text for name, text in texts.items()}
    by_stack = FileOptions.of(**settings.from_environment(variables).files)
    assert FileOptions().with_metadata(as_metadata(texts)) == by_stack
    assert FileOptions.of(max_rejected_share=0.1, what_if=True).with_metadata(as_metadata(texts)).values == {
        **FileOptions.of(max_rejected_share=0.1, what_if=True).values,
        **{name: by_stack.values[name] for name in texts},
    }
    assert file_options.read(texts) == by_stack
    assert FileOptions.of(**by_stack.named) == by_stack  # as a plan of ranges keeps them
    typed = shlex.split(file_options.in_force(by_stack.named))
    assert typed_options(typed) == by_stack  # as a summary is shown


def typed_options(typed: list[str]) -> FileOptions:
    found = []

    @file_options.taken()
    def command(options: Any = None) -> None:
        found.append(file_options.read(options))

    alone = typer.Typer()
    alone.command()(command)
    done = CliRunner().invoke(alone, typed)
    assert done.exit_code == 0, done.output
    return found[0]


KEYS = st.sampled_from(sorted(options.KEYS)) | st.text(max_size=6).map(lambda text: f"thimble-{text}")


@given(st.dictionaries(KEYS, st.text(max_size=6) | st.sampled_from(["1", "true", "comma", ";"]), min_size=1))
def test_any_metadata_are_options_or_refuse_the_file(metadata: dict[str, str]) -> None:
    found = FileOptions.of(coverage=0.9).with_metadata(metadata)
    if found.fault:
        assert any(key in found.fault for key in metadata)
        with pytest.raises(InvalidFile, match=re.escape(found.fault)):
            found.decided(load(PENGUINS))
    else:
        names = {options.KEYS[key] for key in metadata}
        assert found == FileOptions.of(
            **FileOptions.of(coverage=0.9).values | {n: found.values[n] for n in names}
        )


@given(st.text(max_size=8))
def test_any_text_is_read_or_refused_with_the_name(text: str) -> None:
    said = []
    for name in set(options.NAMES) - asdict(Given()).keys():
        try:
            FileOptions.read({name: text}, {name: "--this"})
        except InvalidInput as error:
            said.append(str(error))
    wrong = f"--this is {text!r}: it has to be " if text.strip() else "--this is empty: "
    assert all(sentence.startswith(wrong) for sentence in said)


def test_there_is_one_list() -> None:
    assert set(file_options.LIST) == set(options.NAMES) == set(FileOptions().values)
    assert set(options.NAMES) - asdict(Given()).keys() - {"max_rejected_share"} == set(ASKED) - {"class"}
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name in ("classify", "drop"):
        assert set(options.NAMES) <= {parameter.name for parameter in commands[name].params}


def test_names_stand_in_the_order_that_digests_have_had() -> None:
    every = FileOptions.of(
        threshold=0.3, abstain_below=0.8, explain=1, coverage=0.9, by_class=True, what_if=True
    )
    assert list(every.named) == [
        *("max_rejected_share", "delimiter", "quote", "header", "threshold", "decimal", "abstain_below"),
        *("explain", "coverage", "by_class", "what_if"),
    ]
    assert list(FileOptions().named) == ["max_rejected_share", "delimiter", "quote", "header", "decimal"]


# By `thimble drop`.


def drop(local_stack: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    call = [*THIMBLE, "drop", *arguments, "--endpoint-url", local_stack.s3_url]
    return subprocess.run(call, capture_output=True, text=True, timeout=120, check=False)


def test_a_file_is_dropped_with_options_and_the_outcome_names_them(local_stack: Any, tmp_path: Path) -> None:
    (tmp_path / "dream.csv").write_bytes(DREAM)
    to = (str(tmp_path / "dream.csv"), "-m", "penguins", "-o", str(tmp_path / "answers"))
    result = tmp_path / "answers" / "penguins" / "dream.csv" / "result.csv"
    for typed in (TYPED, ("--explain", "1"), (), TYPED):  # the same bytes, and never an earlier result
        done = drop(local_stack, *to, *typed)
        assert (done.returncode, done.stderr) == (0, "")
        assert result.read_bytes() == classified(tmp_path, DREAM, PENGUINS, *typed)[0]
        [*said] = [line.split(None, 1)[1] for line in done.stdout.splitlines() if "  options" in line]
        assert said == ["--abstain-below 0.99 --explain 2 --what-if"] * (typed == TYPED) + ["--explain 1"] * (
            len(typed) == 2
        )


def test_a_file_in_many_parts_takes_its_options_along(
    local_stack: Any, tmp_path: Path, s3: S3Client, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from thimble_infra import drop as dropping

    monkeypatch.setattr(dropping, "PART", 5 << 20)
    rows = DREAM + b"Dream,40.1,18.9,195,3700,male\n" * 200_000
    (tmp_path / "large.csv").write_bytes(rows)
    file = dropping.Dropped(tmp_path / "large.csv", "large.csv", "large.csv", len(rows), SAID)
    dropping._upload(store.bucket("thimble-inbox"), file, lambda size: None)
    found = store.current(store.bucket("thimble-inbox"), "large.csv")
    assert (found.etag, found.metadata, found.size) == (file.arrival.etag, SAID, len(rows))
    assert "-" in (found.etag or "")


def test_what_the_stack_does_can_be_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []

    def drop(*given: Any, metadata: dict[str, str], **named: Any) -> bool:
        sent.append(metadata)
        return True

    monkeypatch.setattr("thimble_infra.drop.door", lambda *given: None)
    monkeypatch.setattr("thimble_infra.drop.drop", drop)
    monkeypatch.setenv("EXPLAIN", "3")  # the stack's
    call = ("drop", "a.csv", "--no-what-if", "--explain", "false", "--delimiter", "\t", "--quote", " ")
    assert thimble(*call).exit_code == 0
    assert thimble("drop", "a.csv").exit_code == 0
    said = {"thimble-what-if": "false", "thimble-explain": "false"}
    assert sent == [said | {"thimble-delimiter": "tab", "thimble-quote": "space"}, {}]


@pytest.mark.parametrize("command", ["drop", "classify"])
@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (
            ("--explain", "0"),
            "--explain is '0': it has to be true (or all), false, or how many contributions",
        ),
        (("--threshold", "half"), "--threshold is 'half': it has to be a number, such as 0.3"),
        (("--header", "maybe"), "the header 'maybe' is neither present nor absent"),
        (("--explain", ""), "--explain is empty: give it a value, or leave it out"),
        (("--coverage", " "), "--coverage is empty: give it a value, or leave it out"),
        (("--delimiter", ""), "--delimiter is empty: give it a value, or leave it out"),
        (("--max-rejected-share", "none"), "--max-rejected-share is 'none': it has to be from 0 to 1"),
    ],
)
def test_a_wrong_one_is_a_usage_error_before_anything_is_sent(
    command: str, typed: tuple[str, str], sentence: str
) -> None:
    more = ("-o", "out.csv", "-m", "none.json") if command == "classify" else ()
    done = thimble(command, "rows.csv", *more, *typed)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in " ".join(done.stderr.replace("│", "").split())


def test_the_environment_is_the_function_s_and_not_the_sender_s(monkeypatch: pytest.MonkeyPatch) -> None:
    for command, named in (("classify", True), ("drop", False)):
        assert ("EXPLAIN" in thimble(command, "--help").stdout) == named
