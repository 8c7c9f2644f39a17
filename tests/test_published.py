"""The registry as a function sees it: versions current and addressed, pointers that move, stores away."""

import io
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from thimble import telemetry
from thimble.errors import InvalidFile, InvalidModel, NotFound, Unavailable
from thimble.inference.document import digest
from thimble.registry import lookup, pointer, refresh
from thimble.registry.cache import Cache, weight
from thimble.registry.lookup import Folders
from thimble.registry.pointer import Pointer, Trial
from thimble.registry.published import Registry, load_as
from thimble.settings import from_environment
from thimble.store import Folder, Found

IRIS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "model" / "iris.json").read_bytes())
REFRESH = 60.0


def version(number: int, **changed: Any) -> bytes:
    """A document of its own digest that answers as iris does."""
    return orjson.dumps({**IRIS, "training": {"number": number}, **changed})


@dataclass
class Shelf:
    """A registry's folder that can be written to, taken away and watched."""

    folder: Folder
    away: bool = False
    asked: list[str] = field(default_factory=list)

    @property
    def seen(self) -> Folder:
        """The folder as the registry has it."""
        shelf = self

        class Watched(Folder):
            def get(self, path: str) -> Found:
                shelf.ask(path)
                return super().get(path)

            def changed(self, path: str, etag: str) -> Found | None:
                shelf.ask(path)
                return super().changed(path, etag)

        return Watched(self.folder.uri)

    def ask(self, path: str) -> None:
        self.asked.append(path)
        if self.away:
            raise Unavailable("the store is away")

    def put(self, name: str, data: bytes) -> str:
        self.folder.put(pointer.document(name, digest(data)), data)
        return digest(data)

    def point(self, name: str, to: Pointer) -> None:
        path = pointer.current(name)
        try:
            _, etag = self.folder.get(path)
        except FileNotFoundError:
            etag = None
        assert self.folder.put(path, pointer.dump(to._replace(moved=str(len(self.asked)))), etag)

    def publish(self, name: str, data: bytes, **more: Any) -> str:
        self.point(name, Pointer(self.put(name, data), **more))
        return digest(data)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(Folder(f"memory:///{uuid4()}/models"))


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def models(shelf: Shelf, clock: Clock) -> Registry:
    return opened(shelf, clock=clock)


def opened(shelf: Shelf, **settings: Any) -> Registry:
    return Registry(shelf.seen, **{"default": "iris", "refresh": REFRESH, "cache": Cache(2**28), **settings})


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The metrics that were counted."""
    counts: dict[str, float] = {}

    def count(**values: float) -> None:
        for name, value in values.items():
            counts[name] = counts.get(name, 0) + value

    monkeypatch.setattr(telemetry, "count", count)
    return counts


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the functions' logger writes."""
    written = io.StringIO()
    [handler] = telemetry.logger.handlers
    monkeypatch.setattr(handler, "stream", written)
    return written


def eventually(condition: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def test_the_default_and_any_other_model_answer_by_name(shelf: Shelf, models: Registry) -> None:
    iris, other = shelf.publish("iris", version(1)), shelf.publish("Other-2.x", version(2))
    assert models.get().digest == models.get("iris").digest == iris
    assert models.get("Other-2.x").digest == other
    assert models.names() == ["Other-2.x", "iris"]
    assert models.document("Other-2.x") == version(2)


def test_a_model_answers_by_the_name_that_it_was_published_under(shelf: Shelf, models: Registry) -> None:
    shelf.publish("iris-europe", version(1))
    assert models.get("iris-europe").name == "iris-europe"


def test_a_cold_start_is_two_requests_and_one_where_the_version_is_pinned(shelf: Shelf) -> None:
    first = shelf.publish("iris", version(1))
    opened(shelf).get()
    assert shelf.asked == ["iris/current", f"iris/{first}.json"]
    shelf.asked.clear()
    opened(shelf, pin=first).get()
    assert shelf.asked == [f"iris/{first}.json"]


def test_a_warm_request_asks_the_store_for_nothing(shelf: Shelf, models: Registry) -> None:
    first = shelf.publish("iris", version(1))
    models.get()
    shelf.asked.clear()
    assert models.get() is models.get("iris") is models.get("iris", first)
    assert shelf.asked == []


@pytest.mark.parametrize("length", [6, 12, 64])
def test_a_version_is_asked_for_by_its_digest_or_a_beginning_of_it(
    shelf: Shelf, models: Registry, length: int
) -> None:
    first = shelf.publish("iris", version(1))
    second = shelf.publish("iris", version(2), previous=(first,))
    assert models.get("iris", first[:length]).digest == first
    assert models.document("", first[:length]) == version(1)
    assert models.get().digest == second
    assert models.versions("iris") == [second, first] or models.versions("iris") == [first, second]


def test_a_beginning_of_two_versions_is_neither(shelf: Shelf, models: Registry) -> None:
    for last in "ab":
        shelf.folder.put(f"iris/{'0' * 63}{last}.json", b"")
    with pytest.raises(NotFound, match="iris has 2 versions that begin with 000000; say more of it"):
        models.get("iris", "000000")


@pytest.mark.parametrize(
    "wrong", ["0" * 64, "012345", "01234", "current", "../../secret", "A" * 64, "0" * 65]
)
def test_no_other_version_answers(shelf: Shelf, models: Registry, wrong: str) -> None:
    shelf.publish("iris", version(1))
    with pytest.raises(NotFound, match="iris has no version"):
        models.get("iris", wrong)


@pytest.mark.parametrize(
    "name",
    [
        "none",
        "..",
        ".",
        "../models",
        "iris/../iris",
        "iris/",
        "/iris",
        "iris\0",
        "a" * 101,
        "%2e%2e",
        "iris ",
        "ï",
    ],
)
def test_no_other_name_answers_and_a_name_is_no_path(shelf: Shelf, models: Registry, name: str) -> None:
    shelf.publish("iris", version(1))
    shelf.folder.put("secret.json", version(2))
    for ask in (models.get, models.document, models.versions):
        with pytest.raises(NotFound, match="there is no model"):
            ask(name)
    assert shelf.asked in ([], ["none/current"], ["none/current"] * 2)


def test_a_name_that_is_close_to_one_that_answered_is_asked_about(shelf: Shelf) -> None:
    shelf.publish("churn", version(1))
    found = Registry(shelf.seen, default="churn", refresh=REFRESH, cache=Cache(1 << 30))
    with pytest.raises(NotFound, match="there is no model 'chrun'; did you mean \"churn\"\\? GET /v2/models"):
        found.get("chrun")
    with pytest.raises(NotFound, match="there is no model 'other'; GET /v2/models"):
        found.get("other")


def test_a_missing_default_is_not_the_callers_to_mend(shelf: Shelf) -> None:
    with pytest.raises(Unavailable, match="there is no model 'iris'"):
        opened(shelf).get()
    with pytest.raises(Unavailable, match="MODEL_NAME"):
        opened(shelf, default="").get()


def test_a_missing_model_is_asked_for_again(shelf: Shelf, models: Registry) -> None:
    with pytest.raises(Unavailable):
        models.get()
    first = shelf.publish("iris", version(1))
    assert models.get().digest == first


def test_a_pin_holds_the_default_alone(shelf: Shelf) -> None:
    first = shelf.publish("iris", version(1))
    shelf.publish("iris", version(2))
    other = shelf.publish("other", version(3))
    models = opened(shelf, pin=first[:12])
    assert models.get().digest == models.get("iris").digest == first
    assert models.get("iris", digest(version(2))).digest == digest(version(2))
    assert models.get("other").digest == other


def test_a_document_that_is_not_what_its_name_says_is_refused(shelf: Shelf, models: Registry) -> None:
    shelf.folder.put(pointer.document("iris", "0" * 64), version(1))
    with pytest.raises(InvalidModel, match="not the one that was published"):
        models.get("iris", "0" * 64)


def test_a_new_version_is_taken_up_after_the_refresh_time_off_the_requests_path(
    shelf: Shelf, models: Registry, clock: Clock
) -> None:
    first = shelf.publish("iris", version(1))
    models.get()
    second = shelf.publish("iris", version(2), previous=(first,))
    shelf.asked.clear()
    clock.now += REFRESH - 0.1
    assert (models.get().digest, shelf.asked) == (first, [])
    clock.now += 0.2
    assert models.get().digest in (first, second)  # the look is under way
    assert eventually(lambda: models.get().digest == second)
    assert shelf.asked == ["iris/current", f"iris/{second}.json"]


def test_no_request_is_answered_by_what_was_looked_at_long_ago(
    shelf: Shelf, models: Registry, clock: Clock
) -> None:
    """An idle function's first request waits for the look."""
    first = shelf.publish("iris", version(1))
    assert models.get().digest == first
    for number in range(2, 6):
        published = shelf.publish("iris", version(number))
        clock.now += REFRESH + 1.1
        assert models.get().digest == published


def test_a_clock_that_is_put_back_keeps_nothing_for_ever(
    shelf: Shelf, models: Registry, clock: Clock
) -> None:
    shelf.publish("iris", version(1))
    models.get()
    second = shelf.publish("iris", version(2))
    clock.now -= 10_000
    assert models.get().digest == second


def test_many_requests_start_one_look(shelf: Shelf, models: Registry, clock: Clock) -> None:
    shelf.publish("iris", version(1))
    models.get()
    clock.now += REFRESH + 10
    shelf.asked.clear()
    threads = [threading.Thread(target=models.get) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shelf.asked == ["iris/current"]


def test_a_store_that_is_away_leaves_the_known_version_and_is_asked_once_a_refresh_time(
    shelf: Shelf, models: Registry, clock: Clock, log: io.StringIO
) -> None:
    first = shelf.publish("iris", version(1))
    models.get()
    second = shelf.publish("iris", version(2))
    shelf.away, shelf.asked = True, []
    for _ in range(5):
        clock.now += REFRESH + 10
        assert [models.get().digest for _ in range(3)] == [first] * 3
    assert shelf.asked == ["iris/current"] * 5
    assert "the known version goes on" in log.getvalue()
    shelf.away = False
    clock.now += REFRESH + 10
    assert models.get().digest == second


def test_a_store_that_hangs_costs_one_request_its_patience(
    shelf: Shelf, models: Registry, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shelf.publish("iris", version(1))
    models.get()
    second = shelf.publish("iris", version(2))
    answered = threading.Event()
    monkeypatch.setattr(Shelf, "ask", lambda self, path: answered.wait(10))
    monkeypatch.setattr(refresh, "PATIENCE", 0.1)
    clock.now += REFRESH + 10
    started = time.monotonic()
    assert [models.get().digest for _ in range(100)] == [first] * 100
    assert 0.1 <= time.monotonic() - started < 1
    answered.set()
    assert eventually(lambda: models.get().digest == second)


@pytest.mark.parametrize(
    "bad",
    [
        b"{}",
        b"no JSON",
        version(2, classes=["a", "a", "b"]),
        version(2, examples={"rows": [[5.1, 3.5, 1.4, 0.2]], "probabilities": [[0, 0, 1]]}),
    ],
    ids=["empty", "no JSON", "its schema", "its examples"],
)
def test_a_version_that_is_refused_leaves_the_old_one_and_a_metric_and_a_log_say_so(
    shelf: Shelf,
    models: Registry,
    clock: Clock,
    bad: bytes,
    counted: dict[str, float],
    log: io.StringIO,
) -> None:
    first = shelf.publish("iris", version(1))
    models.get()
    refused = shelf.publish("iris", bad, previous=(first,))
    for looks in range(1, 4):  # counted at each look, so that an alarm stays on; loaded only once
        clock.now += REFRESH + 10
        assert models.get().digest == first
        assert counted == {"ModelRefused": looks}
    assert shelf.asked.count(f"iris/{refused}.json") == 1
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    [said] = [line for line in lines if line["message"] == "the version is refused"]
    assert (said["level"], said["model"], said["version"]) == ("ERROR", "iris", refused)
    assert said["reason"]

    third = shelf.publish("iris", version(3), previous=(refused, first))
    clock.now += REFRESH + 10
    assert models.get().digest == third
    assert counted == {"ModelRefused": 3}


@pytest.mark.parametrize("bad", [b"", b"[]", b'{"version": "../x"}', b'{"version": 1}'])
def test_a_pointer_that_makes_no_sense_leaves_the_old_version(
    shelf: Shelf, models: Registry, clock: Clock, counted: dict[str, float], bad: bytes
) -> None:
    first = shelf.publish("iris", version(1))
    models.get()
    shelf.folder.put("iris/current", bad, shelf.folder.get("iris/current")[1])
    clock.now += REFRESH + 10
    assert models.get().digest == first
    assert counted == {"ModelRefused": 1}


def test_a_cold_start_under_a_refused_version_serves_the_one_before(
    shelf: Shelf, models: Registry, counted: dict[str, float]
) -> None:
    first = shelf.publish("iris", version(1))
    shelf.publish("iris", b"{}", previous=(first,))
    assert models.get().digest == first
    assert counted == {"ModelRefused": 1}


def test_a_cold_start_without_any_sound_version_says_so(
    shelf: Shelf, models: Registry, counted: dict[str, float]
) -> None:
    shelf.publish("iris", b"{}")
    with pytest.raises(InvalidModel, match="none of its versions"):
        models.get()
    assert counted == {"ModelRefused": 1}


def test_memory_stays_under_its_bound_and_what_is_asked_for_stays(shelf: Shelf) -> None:
    one = weight(load_as(version(0), "m0"))
    models = opened(shelf, default="m0", cache=Cache(5 * one + one // 2))
    for number in range(20):
        shelf.publish(f"m{number}", version(number))
    for number in range(1, 20):
        models.get(f"m{number}")
        models.get()  # the default, between all others
        assert models.cache.bytes <= models.cache.limit
    assert len(models.cache) == 5
    shelf.asked.clear()
    for number in (0, 16, 17, 18, 19):
        models.get(f"m{number}")
    assert shelf.asked == []
    assert models.get("m1").digest == digest(version(1))  # read again
    assert shelf.asked == [f"m1/{digest(version(1))}.json"]


def test_a_model_larger_than_the_bound_is_kept_alone(shelf: Shelf) -> None:
    models = opened(shelf, cache=Cache(1))
    for name in ("iris", "other"):
        shelf.publish(name, version(1))
        assert models.get(name) is models.get(name)
        assert len(models.cache) == 1


def test_a_trial_stands_beside_the_current_version_alone(shelf: Shelf, models: Registry) -> None:
    first, second = shelf.put("iris", version(1)), shelf.put("iris", version(2))
    trial = Trial(second, 10)
    shelf.point("iris", Pointer(first, trial=trial))
    serving = models.serving()
    assert serving.candidate is not None
    assert (serving.classifier.digest, serving.candidate.digest, serving.trial) == (first, second, trial)
    assert models.get().digest == first
    assert models.serving("iris", first).candidate is None


@pytest.mark.parametrize(
    "other",
    [
        b"{}",
        version(2, classes=["setosa", "versicolor", "Virginica"]),
        version(2, feature_names_in=list("abcd")),
    ],
    ids=["refused", "classes", "features"],
)
def test_a_trial_that_could_not_answer_the_same_rows_is_refused(
    shelf: Shelf, models: Registry, counted: dict[str, float], other: bytes
) -> None:
    first, second = shelf.put("iris", version(1)), shelf.put("iris", other)
    shelf.point("iris", Pointer(first, trial=Trial(second, shadow=True)))
    assert models.serving().candidate is None
    assert models.get().digest == first
    assert counted == {"ModelRefused": 1}


@pytest.mark.parametrize("uri", ["", "models", "s3://", "https://models"])
def test_a_registry_somewhere_else_is_unavailable(uri: str) -> None:
    models = Registry(Folder(uri), default="iris", refresh=REFRESH, cache=Cache(1))
    with pytest.raises(Unavailable):
        models.get()


def test_a_registry_is_a_folder_of_files_too(tmp_path: Path) -> None:
    shelf = Shelf(Folder((tmp_path / "models").as_uri()))
    first = shelf.publish("iris", version(1))
    models = opened(shelf)
    assert (models.get().digest, models.names(), models.versions("iris")) == (first, ["iris"], [first])


def test_the_first_folder_of_a_key_chooses_the_model_and_its_version(shelf: Shelf, models: Registry) -> None:
    iris, other = shelf.publish("iris", version(1)), shelf.publish("other", version(2))
    newer = shelf.publish("other", version(3))
    keys = {
        "a.csv": iris,
        "other": iris,
        "iris/a.csv": iris,
        "other/a.csv": newer,
        "other/b/c.csv": newer,
        f"other@{other}/a.csv": other,
        f"other@{other[:8]}/a.csv": other,
    }
    assert {key: Folders(models).get(key).digest for key in keys} == keys
    assert Folders(models).document("other/a.csv", other) == version(2)


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("othr/a.csv", '"othr", names no published model; did you mean "other"?; send'),
        ("Other/a.csv", 'did you mean "other"?'),
        ("batches/a.csv", '"batches", names no published model; send the file under NAME/'),
        ("../a/b.csv", '"..", names no published model'),
        ("other@abcdef/a.csv", '"other@abcdef", names a version that is not there: other has no version'),
        ("other@x/a.csv", "a version is its digest"),
    ],
)
def test_a_folder_that_names_no_model_is_refused_with_the_nearest_unless_the_default_may_answer(
    shelf: Shelf, models: Registry, key: str, sentence: str
) -> None:
    iris, _ = shelf.publish("iris", version(1)), shelf.publish("other", version(2))
    with pytest.raises(InvalidFile) as refused:
        Folders(models).get(key)
    assert sentence in str(refused.value)
    assert Folders(models, for_unknown=True).get(key).digest == iris


def test_where_one_document_is_all_there_is_folders_are_the_senders_own(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(version(1))
    settings = from_environment({"MODEL_URI": (tmp_path / "model.json").as_uri()})
    assert lookup.folders(settings).get("batches/a.csv").name == "iris"
