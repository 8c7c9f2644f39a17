"""Publishing, going back, putting on trial: what is written, what is refused, and who wins a race."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson
import pytest
from typer.testing import CliRunner, Result

from thimble.errors import InvalidInput, InvalidModel, NotFound, ThimbleError, Unavailable
from thimble.inference.document import digest
from thimble.registry import pointer
from thimble.registry.pointer import Pointer, Trial
from thimble.store import Folder
from thimble_infra import publishing
from thimble_infra.cli import app
from thimble_infra.publishing import Move, carry_out, pointed, publication, publish

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

MODEL = Path(__file__).parents[1] / "model"
IRIS: dict[str, Any] = json.loads((MODEL / "iris.json").read_bytes())
TO = "s3://thimble-models"


def version(number: int, **changed: Any) -> bytes:
    """A document of its own digest that answers as iris does."""
    return orjson.dumps({**IRIS, "training": {"number": number}, **changed})


FIRST, SECOND, THIRD = (digest(version(number)) for number in (1, 2, 3))


@pytest.fixture
def folder() -> Folder:
    return Folder(f"memory:///{uuid4()}/models")


def put(folder: Folder, *numbers: int, candidate: bool = False) -> None:
    for number in numbers:
        publish(folder, publication(folder, "iris", version(number), candidate=candidate))


def at(folder: Folder) -> Pointer:
    found, _ = pointed(folder, "iris")
    assert found is not None
    return found


def state(folder: Folder) -> tuple[str, tuple[str, ...], Trial | None]:
    return at(folder).version, at(folder).previous, at(folder).trial


def test_a_version_is_written_under_its_digest_and_becomes_current(folder: Folder) -> None:
    put(folder, 1)
    assert folder.get(f"iris/{FIRST}.json")[0] == version(1)
    assert state(folder) == (FIRST, (), None)
    put(folder, 2)
    assert state(folder) == (SECOND, (FIRST,), None)
    assert folder.get(f"iris/{FIRST}.json")[0] == version(1)


def test_publishing_twice_is_publishing_once(folder: Folder) -> None:
    put(folder, 1)
    before = folder.get("iris/current")
    assert not publish(folder, publication(folder, "iris", version(1)))
    assert folder.get("iris/current") == before


def test_a_candidate_leaves_what_is_current(folder: Folder) -> None:
    put(folder, 1, candidate=True)
    assert pointed(folder, "iris") == (None, None)
    put(folder, 2)
    put(folder, 3, candidate=True)
    assert state(folder) == (SECOND, (), None)
    assert {found.digest for found in publishing.versions(folder, "iris")} == {FIRST, SECOND, THIRD}


@pytest.mark.parametrize("bad", [b"", b"{}", version(1, classes=["a", "b"])])
def test_an_unsound_document_is_not_published(folder: Folder, bad: bytes) -> None:
    with pytest.raises(InvalidModel):
        publication(folder, "iris", bad)
    assert folder.folders() == []


@pytest.mark.parametrize(
    "name", ["", "..", ".", "a/b", "../a", "/a", "a b", "a\n", "ä", "-a", "a" * 101, "a\\b"]
)
def test_a_name_is_no_path(folder: Folder, name: str) -> None:
    with pytest.raises(InvalidInput, match="is no name for a model"):
        publication(folder, name, version(1))
    assert folder.folders() == []


def test_a_version_that_is_there_and_is_another_is_noticed(folder: Folder) -> None:
    folder.put(pointer.document("iris", FIRST), b"something else")
    with pytest.raises(InvalidModel, match="is not what its name says"):
        put(folder, 1)
    assert pointed(folder, "iris") == (None, None)


def test_rolling_back_goes_further_back_each_time_and_publishing_forward_again(folder: Folder) -> None:
    put(folder, 1, 2, 3)
    assert state(folder) == (THIRD, (SECOND, FIRST), None)
    for expected in ((SECOND, (FIRST,)), (FIRST, ())):
        carry_out(folder, publishing.rollback(folder, "iris", None))
        assert state(folder)[:2] == expected
    with pytest.raises(InvalidInput, match="has no version before"):
        publishing.rollback(folder, "iris", None)
    carry_out(folder, publishing.rollback(folder, "iris", THIRD[:8]))
    assert state(folder)[:2] == (THIRD, (FIRST,))


def test_rolling_back_ends_a_trial_first(folder: Folder) -> None:
    put(folder, 1, 2)
    carry_out(folder, publishing.trial(folder, "iris", FIRST, percent=10))
    carry_out(folder, publishing.rollback(folder, "iris", None))
    assert state(folder) == (SECOND, (FIRST,), None)


@pytest.mark.parametrize(
    "trial", [Trial(FIRST, 10), Trial(FIRST, 0.5), Trial(FIRST, shadow=True)], ids=["10", "0.5", "shadow"]
)
def test_a_trial_is_in_the_pointer_and_promoting_it_ends_it(folder: Folder, trial: Trial) -> None:
    put(folder, 1, candidate=True)
    put(folder, 2)
    move = publishing.trial(folder, "iris", FIRST[:6], percent=trial.percent, shadow=trial.shadow)
    carry_out(folder, move)
    assert state(folder) == (SECOND, (), trial)
    carry_out(folder, publishing.promotion(folder, "iris"))
    assert state(folder) == (FIRST, (SECOND,), None)


def test_a_trial_of_no_percent_is_none(folder: Folder) -> None:
    put(folder, 1, 2)
    carry_out(folder, publishing.trial(folder, "iris", FIRST, percent=10))
    carry_out(folder, publishing.trial(folder, "iris", FIRST, percent=0))
    assert state(folder)[2] is None
    with pytest.raises(InvalidInput, match="no version of iris is on trial"):
        publishing.promotion(folder, "iris")


def test_what_answers_other_rows_or_in_other_classes_cannot_be_tried(folder: Folder) -> None:
    other = version(2, classes=["a", "b", "c"])
    put(folder, 1)
    publish(folder, publication(folder, "iris", other, candidate=True))
    with pytest.raises(InvalidModel, match="its classes are not those"):
        publishing.trial(folder, "iris", digest(other), percent=10)
    with pytest.raises(InvalidInput, match="is the current version"):
        publishing.trial(folder, "iris", FIRST, percent=10)


def test_what_takes_other_rows_replaces_only_if_it_is_said_to(folder: Folder) -> None:
    """Whoever asks by name would get errors, or labels that he does not know."""
    put(folder, 1)
    for other in (version(2, classes=["a", "b", "c"]), (MODEL / "penguins.json").read_bytes()):
        with pytest.raises(InvalidModel, match=r"would break .* --as NAME .* --replace"):
            publication(folder, "iris", other)
        publication(folder, "iris", other, candidate=True)
        publication(folder, "penguins", other)
    publish(folder, publication(folder, "iris", version(2, classes=["a", "b", "c"]), replace=True))
    assert state(folder)[1] == (FIRST,)


def test_what_cannot_be_served_is_replaced_by_anything(folder: Folder) -> None:
    folder.put("iris/current", pointer.dump(Pointer(FIRST)))
    publish(folder, publication(folder, "iris", (MODEL / "penguins.json").read_bytes()))
    assert state(folder)[1] == (FIRST,)


def test_a_category_more_is_no_other_row(folder: Folder) -> None:
    penguins = (MODEL / "penguins.json").read_bytes()
    more = penguins.replace(b'"Torgersen"', b'"Torgersen2"')
    assert more != penguins
    publish(
        folder,
        publication(folder, "penguins", json.dumps({**json.loads(penguins), "examples": None}).encode()),
    )
    publication(folder, "penguins", json.dumps({**json.loads(more), "examples": None}).encode())


def test_what_is_not_there_is_a_sentence(folder: Folder) -> None:
    put(folder, 1)
    asked: list[Callable[[], object]] = [
        lambda: publishing.rollback(folder, "none", None),
        lambda: publishing.promotion(folder, "none"),
        lambda: publishing.trial(folder, "none", FIRST, percent=1),
        lambda: publishing.versions(folder, "none"),
        lambda: publishing.rollback(folder, "iris", SECOND),
        lambda: publishing.rollback(folder, "iris", FIRST[:5]),
        lambda: publishing.document(folder, "iris", SECOND),
    ]
    for ask in asked:
        with pytest.raises(NotFound):
            ask()


def test_a_pointer_moved_meanwhile_is_not_overwritten(folder: Folder) -> None:
    put(folder, 1)
    made_up = publication(folder, "iris", version(2))
    put(folder, 3)
    with pytest.raises(Unavailable, match="somebody else moved iris at the same time"):
        publish(folder, made_up)
    assert state(folder) == (THIRD, (FIRST,), None)


def test_a_pointer_that_went_away_and_came_back_is_not_the_same(folder: Folder) -> None:
    """Two pointers at one version differ by their times, so their ETags do."""
    put(folder, 1)
    made_up = publication(folder, "iris", version(2))
    put(folder, 3)
    carry_out(folder, Move("iris", at(folder), Pointer(FIRST), pointed(folder, "iris")[1]))
    with pytest.raises(Unavailable):
        publish(folder, made_up)


@pytest.mark.parametrize("first", [False, True], ids=["over a version", "as the first"])
def test_of_ten_publishers_at_once_nobody_overwrites_another_silently(folder: Folder, first: bool) -> None:
    """Who was not told otherwise is in the history, once, and in the order in which the pointer moved."""
    if not first:
        put(folder, 0)
    outcomes: dict[int, ThimbleError | None] = {}
    start = threading.Barrier(10)

    def publisher(number: int) -> None:
        start.wait()
        try:
            put(folder, number)
            outcomes[number] = None
        except ThimbleError as error:
            outcomes[number] = error

    threads = [threading.Thread(target=publisher, args=[number]) for number in range(1, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    succeeded = {digest(version(number)) for number, error in outcomes.items() if error is None}
    history = [at(folder).version, *at(folder).previous]
    assert len(outcomes) == 10
    assert succeeded
    assert {*history} - {digest(version(0))} == succeeded
    assert len(history) == len(succeeded) + (not first)
    assert all("run this again" in str(error) for error in outcomes.values() if error)
    assert len(publishing.versions(folder, "iris")) == 10 + (not first)  # no document is lost


# The commands, against an S3 that speaks HTTP.


@pytest.fixture
def written(tmp_path: Path) -> Callable[[int], str]:
    """`written(2)` is the path of a document of version 2."""

    def write(number: int) -> str:
        path = tmp_path / f"iris-{number}.json"
        path.write_bytes(version(number))
        return str(path)

    return write


def thimble(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def said(*arguments: str) -> str:
    result = thimble(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def keys(s3: "S3Client") -> dict[str, str]:
    found = s3.list_objects_v2(Bucket="thimble-models").get("Contents", [])
    return {item["Key"]: item["ETag"] for item in found}


def test_the_life_of_a_model_by_commands(s3: "S3Client", written: Callable[[int], str]) -> None:
    text = said("publish", written(1), "--to", TO)
    assert f"published  iris {FIRST[:12]}" in text
    assert "150 rows" not in text
    assert keys(s3).keys() == {f"models/iris/{FIRST}.json", "models/iris/current"}
    assert f"iris is at {SECOND[:12]}, was at {FIRST[:12]}" in said("publish", written(2))
    assert f"is there   iris {SECOND[:12]}" in said("publish", written(2))
    assert "no change" in said("publish", written(2))
    assert f"iris   {SECOND[:12]}" in said("models")
    assert f"next       thimble canary iris {THIRD[:12]}" in said("publish", written(3), "--candidate")
    assert f"with {THIRD[:12]} for 10 % of the rows" in said("canary", "iris", THIRD[:12])
    listed = {line.split()[0]: line for line in said("versions", "iris").splitlines()[1:]}
    assert "current" in listed[SECOND[:12]]
    assert "before" in listed[FIRST[:12]]
    assert "on trial" in listed[THIRD[:12]]
    assert f"{THIRD[:12]} in the shadow" in said("canary", "iris", THIRD[:12], "--shadow")
    assert f"iris is at {THIRD[:12]}, was at {SECOND[:12]}" in said("promote", "iris")
    assert f"iris is at {SECOND[:12]}, was at {THIRD[:12]}" in said("rollback", "iris")
    assert f"iris is at {THIRD[:12]}" in said("rollback", "iris", THIRD)
    assert "no change" in said("rollback", "iris", THIRD[:6])


def test_a_dry_run_says_the_same_and_writes_nothing(s3: "S3Client", written: Callable[[int], str]) -> None:
    text = said("publish", written(1), "--dry-run")
    assert f"would publish iris {FIRST[:12]}" in text
    assert f"would move    iris to {FIRST[:12]}\n" in text
    assert text.endswith("next          the same command without --dry-run\n")
    assert keys(s3) == {}
    said("publish", written(1))
    said("publish", written(2))
    before = keys(s3)
    for arguments in (
        ("publish", written(3)),
        ("publish", written(3), "--candidate"),
        ("rollback", "iris"),
        ("rollback", "iris", FIRST),
        ("canary", "iris", FIRST),
    ):
        text = said(*arguments, "--dry-run")
        assert "would " in text
        assert text.endswith("next          the same command without --dry-run\n")
    assert f"is there      iris {FIRST[:12]}" in said("publish", written(1), "--dry-run")
    said("canary", "iris", FIRST)
    before = keys(s3)
    assert "would move    iris to" in said("promote", "iris", "--dry-run")
    assert f"would end     the canary of {FIRST[:12]}" in said("publish", written(3), "--dry-run")
    assert keys(s3) == before


def test_a_trial_that_ends_is_said_to(s3: "S3Client", written: Callable[[int], str]) -> None:
    said("publish", written(1))
    said("publish", written(2))
    said("canary", "iris", FIRST)
    assert "ended" not in said("canary", "iris", FIRST, "--shadow")
    assert f"ended      the shadow of {FIRST[:12]}\n" in said("publish", written(3))
    said("canary", "iris", SECOND)
    assert f"ended      the canary of {SECOND[:12]}\n" in said("canary", "iris", FIRST)
    assert f"ended      the canary of {FIRST[:12]}\n" in said("rollback", "iris")
    said("canary", "iris", FIRST)
    assert "ended" not in said("promote", "iris")


def test_too_few_digits_are_said_to_be(s3: "S3Client", written: Callable[[int], str]) -> None:
    said("publish", written(1))
    for arguments in (("rollback", "iris", FIRST[:5]), ("diff", "iris", f"iris@{FIRST[:6].upper()}x")):
        result = thimble(*arguments)
        assert result.exit_code == 1
        assert "at least the first 6 digits of it" in result.stderr
    assert "6 digits" not in thimble("rollback", "iris", SECOND).stderr


def test_every_next_line_can_be_run(s3: "S3Client", written: Callable[[int], str]) -> None:
    for arguments in (
        ("publish", written(1)),
        ("publish", written(2)),
        ("canary", "iris", FIRST),
        ("models",),
    ):
        lines = [line.split(maxsplit=1) for line in said(*arguments).splitlines()]
        following = [line[1] for line in lines if line and line[0] in ("next", "or")]
        assert following
        for line in following:
            command = line.split()
            assert command[0] == "thimble"
            said(*command[1:], *(["--dry-run"] if command[1] in ("rollback", "promote") else []))


def test_a_document_is_published_under_a_name_of_its_own(
    s3: "S3Client", written: Callable[[int], str]
) -> None:
    said("publish", written(1), "--as", "flowers", "--to", f"{TO}/elsewhere")
    assert keys(s3).keys() == {f"elsewhere/flowers/{FIRST}.json", "elsewhere/flowers/current"}
    assert "flowers" in said("models", "--at", f"{TO}/elsewhere")


def test_only_what_answers_as_its_estimator_does_is_published(s3: "S3Client", tmp_path: Path) -> None:
    paths = {name: str(tmp_path / name) for name in ("iris.json", "iris.joblib", "iris.csv", "other.joblib")}
    said_by = thimble(
        "train-iris",
        "-o",
        paths["iris.json"],
        "--estimator",
        paths["iris.joblib"],
        "--data",
        paths["iris.csv"],
    )
    assert said_by.exit_code == 0
    import joblib
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    joblib.dump(LogisticRegression(max_iter=1000).fit(*load_iris(return_X_y=True)), paths["other.joblib"])
    wrong = thimble("publish", paths["iris.json"], "--estimator", paths["other.joblib"])
    assert wrong.exit_code == 1
    assert "The document is of another estimator" in wrong.stderr
    assert keys(s3) == {}
    right = thimble(
        "publish", paths["iris.json"], "--estimator", paths["iris.joblib"], "--data", paths["iris.csv"]
    )
    assert right.exit_code == 0
    assert "150 rows: the same labels" in right.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["rollback", "iris"], 1, "no model iris is published"),
        (["versions", "../x"], 1, "is no name for a model"),
        (["models", "--at", "s3://no-such-bucket"], 3, "there is no bucket"),
        (["models", "--at", "somewhere"], 1, "is not of the form s3://BUCKET"),
        (["diff", "none.json", "none.json"], 1, "there is no file none.json"),
        (["diff", "iris", "iris"], 1, "no model iris is published"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    s3: "S3Client", arguments: list[str], code: int, sentence: str
) -> None:
    result = thimble(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_diff_says_what_differs_and_how_far_two_models_agree(
    s3: "S3Client", written: Callable[[int], str], tmp_path: Path
) -> None:
    said("publish", written(1))
    other = {**IRIS, "intercepts": [[b + 0.01 for b in layer] for layer in IRIS["intercepts"]]}
    other["training"] = {"scores": {"accuracy": 0.5}}
    del other["examples"]
    path = tmp_path / "other.json"
    path.write_bytes(orjson.dumps(other))
    (tmp_path / "rows.csv").write_text(
        ",".join([*reversed(IRIS["feature_names_in"]), "species"])
        + "\n0.2,1.4,3.5,5.1,setosa\n1.4,4.7,3.2,7.0,virginica\n"
    )
    text = " ".join(said("diff", "iris", str(path), "--data", str(tmp_path / "rows.csv")).split())
    assert "accuracy 0.5" in text
    assert f"iris ({FIRST[:12]})" in text
    assert f"On the examples of iris ({FIRST[:12]}): the same labels for 3 of 3 rows" in text
    assert f"On {tmp_path / 'rows.csv'}: the same labels for 2 of 2 rows, probabilities within 0.0" in text
    with (tmp_path / "rows.csv").open("a") as file:
        file.write("1.4,,3.2,7.0,virginica\n")
    text = " ".join(said("diff", "iris", str(path), "--data", str(tmp_path / "rows.csv")).split())
    assert "the same labels for 2 of 2 rows" in text
    assert "; rows that both of them reject: 1" in text
    assert "Features" not in text  # no difference, no line
    assert "there is nothing to compare" in said("diff", "iris", str(MODEL / "penguins.json"))
