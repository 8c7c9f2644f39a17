"""What a cold start reads while it imports is what it would have read after, once and no more."""

from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from thimble import settings, store
from thimble.errors import InvalidModel, Unavailable
from thimble.inference.document import digest
from thimble.registry import lookup, pointer, prefetch
from thimble.registry.pointer import Pointer

IRIS = (Path(__file__).parents[1] / "model/iris.json").read_bytes()
DIGEST = digest(IRIS)


@pytest.fixture
def published() -> settings.Settings:
    """Iris in a registry of its own, and the default there."""
    uri = f"memory:///{uuid4()}/models"
    folder = store.Folder(uri)
    folder.put(pointer.document("iris", DIGEST), IRIS)
    folder.put(pointer.current("iris"), pointer.dump(Pointer(DIGEST)))
    return settings.from_environment({"MODELS_URI": uri, "MODEL_NAME": "iris"})


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each object is read from the store, by the last part of its path."""
    counted: Counter[str] = Counter()
    get = store.Folder.get

    def counting(self: store.Folder, path: str) -> Any:
        counted[path] += 1
        return get(self, path)

    monkeypatch.setattr(store.Folder, "get", counting)
    return counted


@pytest.mark.parametrize("pin", ["", DIGEST])
def test_a_cold_start_reads_nothing_twice(
    published: settings.Settings, reads: Counter[str], pin: str
) -> None:
    pinned = published._replace(model_version=pin)
    models = lookup.models(pinned, prefetch.folder(pinned))
    lookup.warm(models)
    assert models.get().digest == DIGEST
    assert set(reads.values()) == {1}
    assert pointer.document("iris", DIGEST) in reads


def test_what_was_read_ahead_is_looked_at_anew_later(
    published: settings.Settings, reads: Counter[str]
) -> None:
    folder = prefetch.folder(published)
    first = folder.get(pointer.current("iris"))
    assert folder.get(pointer.current("iris")) == first
    assert reads[pointer.current("iris")] == 2


def test_a_pin_that_is_only_the_beginning_of_a_digest_finds_its_version(published: settings.Settings) -> None:
    pinned = published._replace(model_version=DIGEST[:8])
    assert lookup.models(pinned, prefetch.folder(pinned)).get().digest == DIGEST


@pytest.mark.parametrize(("current", "error"), [(None, Unavailable), (b"{}", InvalidModel)])
def test_what_goes_wrong_meanwhile_is_told_to_who_asks(current: bytes | None, error: type[Exception]) -> None:
    uri = f"memory:///{uuid4()}/models"
    if current is not None:
        store.Folder(uri).put(pointer.current("iris"), current)
    asked = settings.from_environment({"MODELS_URI": uri, "MODEL_NAME": "iris"})
    with pytest.raises(error):
        lookup.models(asked, prefetch.folder(asked)).get()


def test_a_store_that_is_away_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    def away(self: store.Folder, path: str) -> Any:
        waited.append(path)
        raise Unavailable("the store is away")

    monkeypatch.setattr(store.Folder, "get", away)
    asked = settings.from_environment({"MODELS_URI": "memory:///models", "MODEL_NAME": "iris"})
    lookup.warm(lookup.models(asked, prefetch.folder(asked)))
    assert waited == ["iris/current"]


@pytest.mark.parametrize("environment", [{}, {"MODELS_URI": "memory:///m"}, {"MODEL_NAME": "../iris"}])
def test_without_a_default_in_a_registry_nothing_is_read_ahead(
    environment: dict[str, str], reads: Counter[str]
) -> None:
    assert type(prefetch.folder(settings.from_environment(environment))) is store.Folder
    assert not reads
