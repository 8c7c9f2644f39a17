"""The registry: the models published into a folder, by name and version."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from thimble import telemetry
from thimble.errors import InvalidModel, NoDefaultModel, NotFound, ThimbleError, Unavailable
from thimble.inference.classifier import Classifier, load
from thimble.registry import canary, pointer
from thimble.registry.cache import Cache
from thimble.registry.pointer import Pointer, Trial, no_such_model, no_such_version
from thimble.registry.refresh import Refreshed
from thimble.store import Folder, Found

if TYPE_CHECKING:
    from thimble.inference.asked import Asked

EARLIER = 3  # versions that a cold start tries when the current one is refused
MOST_FOLLOWED = 10_000  # names whose pointer is remembered


class Serving(NamedTuple):
    """The models for a request: the version that answers, and an optional candidate on trial beside it."""

    classifier: Classifier
    candidate: Classifier | None = None
    trial: Trial | None = None  # how the candidate is used

    def asking(self, asked: Asked | None) -> Serving:
        """Return the same models, set to give what a request asks for beside labels. Raises InvalidInput if
        one of them cannot."""
        if asked is None:
            return self
        candidate = self.candidate.asking(asked) if self.candidate else None
        return self._replace(classifier=self.classifier.asking(asked), candidate=candidate)


class _Known(NamedTuple):
    """A pointer as it was last read, and the versions that are served because of it."""

    pointer: Pointer
    etag: str | None
    version: str  # the version that answers: the pointer's, or an earlier one if that is refused
    candidate: str = ""  # the version on trial; "" if there is none
    refused: tuple[str, ...] = ()  # versions that the pointer names but that cannot be served


class Registry:
    """The models of a folder. Each is loaded on first use, and kept while the cache has room."""

    def __init__(
        self,
        folder: Folder,
        *,
        default: str = "",
        pin: str = "",
        refresh: float,
        cache: Cache,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.default = default
        self.pin = pin  # version of the default model; "" for the current one
        self.cache = cache
        self._folder = folder
        self._refresh = refresh
        self._clock = clock
        self._lock = threading.Lock()
        self._followed: dict[str, Refreshed[_Known]] = {}
        self._unseen: set[str] = set()  # versions that a pointer names but whose document was not found
        self._refused: deque[str] = deque()  # refusals to count; only a request's own thread writes metrics

    def get(self, name: str = "", version: str = "") -> Classifier:
        return self.serving(name, version).classifier

    def serving(self, name: str = "", version: str = "") -> Serving:
        try:
            return self._serving(*self._wanted(name, version))
        except NotFound as error:
            if name or version:
                raise
            kind = Unavailable if self._is_published(self.default) else NoDefaultModel
            raise kind(f"the default is not there: {error}") from None  # not a mistake of the caller
        finally:
            if self._refused:
                self._count_refused()

    def _is_published(self, name: str) -> bool:
        """Return whether the model has any published version, even if not the wanted one."""
        try:
            self._folder.get(pointer.current(name))
        except FileNotFoundError:
            return False
        return True

    def _serving(self, name: str, version: str) -> Serving:
        if version:
            return Serving(self._load(name, self._digest(name, version)))
        known = self._refreshed(name).value()
        classifier = self._load(name, known.version)
        if not known.candidate:
            return Serving(classifier)
        return Serving(classifier, self._load(name, known.candidate), known.pointer.trial)

    def document(self, name: str = "", version: str = "") -> bytes:
        name, version = self._wanted(name, version)
        return self._read(name, self._digest(name, version or self.get(name).digest))

    def names(self) -> list[str]:
        return [name for name in self._folder.folders() if pointer.NAME.fullmatch(name)]

    def versions(self, name: str) -> list[str]:
        name, _ = self._wanted(name, "")
        found = [pointer.version_of(path) for path, _ in self._folder.files(name)]
        if not found:
            raise no_such_model(name, self._known_names())
        return [version for version in found if version]

    def _wanted(self, name: str, version: str) -> tuple[str, str]:
        name = name or self.default
        if not name:
            raise NoDefaultModel("no model is the default; MODEL_NAME says which is")
        if name not in self._followed and not pointer.NAME.fullmatch(name):
            raise no_such_model(name, self._known_names())
        return name, version or (self.pin if name == self.default else "")

    def _known_names(self) -> list[str]:
        """Return the default and the names that requests used before, without a call to the store."""
        return [self.default, *self._followed]

    def _digest(self, name: str, version: str) -> str:
        if pointer.DIGEST.fullmatch(version):
            return version
        found = [known for known in self.versions(name) if pointer.matches(version, known)]
        if len(found) > 1:
            raise pointer.too_many_versions(name, version, len(found))
        if not found:
            raise no_such_version(name, version)
        return found[0]

    def _load(self, name: str, version: str) -> Classifier:
        kept = self.cache.get((name, version))
        if kept is not None:
            return kept
        loaded = load_as(self._read(name, version), name)
        if loaded.digest != version:
            raise InvalidModel(f"the document is not the one that was published as {version}")
        self.cache.put((name, version), loaded)
        return loaded

    def _read(self, name: str, version: str) -> bytes:
        try:
            return self._folder.get(pointer.document(name, version))[0]
        except FileNotFoundError:
            raise no_such_version(name, version) from None

    def _refreshed(self, name: str) -> Refreshed[_Known]:
        found = self._followed.get(name)
        if found is not None:
            return found
        look, stale = partial(self._look, name), partial(self._stale, name)
        found = Refreshed(look, self._refresh, stale, self._clock)
        found.value()  # raises for a name that was never published; such names are not remembered
        with self._lock:
            self._followed[name] = found
            if len(self._followed) > MOST_FOLLOWED:
                del self._followed[next(iter(self._followed))]  # the oldest
        return found

    def _look(self, name: str, known: _Known | None) -> _Known:
        """Read the pointer, and follow it once its versions are loaded and proven. Until then, and if they
        are refused, the known versions stay. Raises NotFound if there is no pointer."""
        try:
            found = self._changed(pointer.current(name), known)
        except FileNotFoundError:
            raise no_such_model(name, self._known_names()) from None
        if found is not None:
            known = self._followed_to(name, pointer.parse(found[0]), found[1], known)
        assert known is not None  # only a known pointer can be unchanged
        for version in known.refused:
            self._refused.append(version)
        return known

    def _changed(self, path: str, known: _Known | None) -> Found | None:
        if known is None or known.etag is None:
            return self._folder.get(path)
        return self._folder.changed(path, known.etag)

    def _followed_to(self, name: str, to: Pointer, etag: str | None, known: _Known | None) -> _Known:
        others = (known.version,) if known else to.previous[:EARLIER]
        version, *refused = self._first_sound(name, (to.version, *others))
        candidate = ""
        if to.trial is not None and not refused:
            try:
                canary.check_alike(self._load(name, version), self._load(name, to.trial.version))
                candidate = to.trial.version
            except (InvalidModel, NotFound) as error:
                refused = [self._refuse(name, to.trial.version, error)]
        if known is not None:
            telemetry.logger.info("the model changed", model=name, version=version, candidate=candidate)
        if not self._unseen.isdisjoint(refused):
            etag = None  # the document may still arrive: without an ETag, the next look tries it again
        return _Known(to, etag, version, candidate, tuple(refused))

    def _first_sound(self, name: str, versions: tuple[str, ...]) -> tuple[str, ...]:
        """Return the first version that loads, followed by those refused before it. Raises InvalidModel if
        none loads."""
        refused: list[str] = []
        for version in versions:
            try:
                self._load(name, version)
                return version, *refused
            except (InvalidModel, NotFound) as error:
                refused.append(self._refuse(name, version, error))
        self._refused.append(versions[0])
        raise InvalidModel(f"{name}: none of its versions {', '.join(refused)} can be served")

    def _refuse(self, name: str, version: str, reason: ThimbleError) -> str:
        if isinstance(reason, NotFound):
            self._unseen.add(version)
        telemetry.logger.error("the version is refused", model=name, version=version, reason=str(reason))
        return version

    def _stale(self, name: str, error: Exception) -> None:
        if isinstance(error, InvalidModel):
            self._refused.append(name)
        telemetry.logger.error(
            "the model could not be looked at; the known version goes on", model=name, reason=str(error)
        )

    def _count_refused(self) -> None:
        """Count the refusals of each look, so that an alarm stays on while a refused version is current."""
        try:
            while True:
                self._refused.popleft()
                telemetry.count(ModelRefused=1)
        except IndexError:
            pass


def load_as(data: bytes, name: str) -> Classifier:
    """Load a document, and name it as it was published; the name in the document may differ."""
    classifier = load(data)
    return classifier._replace(document=classifier.document._replace(name=name))
