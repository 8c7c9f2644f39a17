"""The registry from its keeper's side: publish, go back, put a version on trial, promote it.

Every change is a `Move` of one model's pointer, made up first and carried out afterwards, so that a dry run
is the same without the end. It is carried out only if the pointer is still what it was made up from: of two
who move it at once, one is told.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from thimble import spelling
from thimble.errors import InvalidInput, InvalidModel, NotFound, Unavailable
from thimble.inference.classifier import Classifier, load
from thimble.inference.document import digest
from thimble.registry import pointer
from thimble.registry.canary import check_alike
from thimble.registry.pointer import Pointer, Trial, matches, no_such_version, too_many_versions
from thimble.registry.published import load_as
from thimble.store import Folder


@dataclass(frozen=True)
class Version:
    digest: str
    published: datetime


@dataclass(frozen=True)
class Move:
    """A pointer as it is, and as it shall be; the same where there is nothing to do."""

    name: str
    before: Pointer | None
    after: Pointer | None
    etag: str | None = None

    @property
    def moves(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True)
class Publication:
    """A document on its way into the registry."""

    data: bytes
    version: str
    move: Move  # of the pointer, to it

    @property
    def path(self) -> str:
        return pointer.document(self.move.name, self.version)


def checked_name(name: str) -> str:
    if not pointer.NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} is no name for a model: letters, digits, '.', '_' and '-', at most 100, "
            "beginning with a letter or a digit"
        )
    return name


def name_of(document: Classifier, name: str | None) -> str:
    """The name to publish under: the one given, or the document's own."""
    if not name and not document.name:
        raise InvalidInput("the document has no name; --as NAME gives it one")
    return checked_name(name or document.name)


def publication(
    folder: Folder, name: str, data: bytes, *, candidate: bool = False, replace: bool = False
) -> Publication:
    """A document that is sound becomes a version, and, unless it is a candidate only, the current one: in
    place of one that takes other rows or answers in other classes only if it is to `replace` it."""
    loaded = load(data)
    before, etag = pointed(folder, checked_name(name))
    if before and not candidate and not replace:
        _check_replaces(folder, name, before.version, loaded)
    after = before if candidate else _to(before, loaded.digest)
    return Publication(data, loaded.digest, Move(name, before, after, etag))


def _check_replaces(folder: Folder, name: str, version: str, new: Classifier) -> None:
    try:
        current = load(document(folder, name, version))
    except (InvalidModel, NotFound):
        return  # which nobody is served
    try:
        check_alike(current, new)
    except InvalidModel as error:
        raise InvalidModel(
            f"{short(new.digest)} would break what asks {name} at {short(version)}: {error}; "
            "--as NAME publishes it beside, --replace in its place"
        ) from None


def publish(folder: Folder, publication: Publication) -> bool:
    """The document first, then the pointer; whether the document was not there already."""
    new = folder.put(publication.path, publication.data) or not is_there(folder, publication)
    carry_out(folder, publication.move)
    return new


def is_there(folder: Folder, publication: Publication) -> bool:
    try:
        found, _ = folder.get(publication.path)
    except FileNotFoundError:
        return False
    if digest(found) != publication.version:
        raise InvalidModel(f"{publication.path} is there, and is not what its name says; remove it")
    return True


def carry_out(folder: Folder, move: Move) -> None:
    if not move.moves or move.after is None:
        return
    moved = move.after._replace(moved=datetime.now(UTC).isoformat())
    if not folder.put(pointer.current(move.name), pointer.dump(moved), move.etag):
        raise Unavailable(
            f"somebody else moved {move.name} at the same time, and nothing was moved here; "
            f"look at `thimble versions {move.name}`, then run this again"
        )


def rollback(folder: Folder, name: str, version: str | None) -> Move:
    """To a version; without one, a trial ends, and where there is none the version before returns."""
    before, etag = published(folder, name)
    if version:
        return Move(name, before, _to(before, resolved(folder, name, version)), etag)
    if before.trial:
        return Move(name, before, before._replace(trial=None), etag)
    if not before.previous:
        raise InvalidInput(f"{name} has no version before {short(before.version)}")
    return Move(name, before, _to(before, before.previous[0]), etag)


def trial(folder: Folder, name: str, version: str, *, percent: float = 0.0, shadow: bool = False) -> Move:
    """A version beside the current one; 0 percent ends what was on trial."""
    before, etag = published(folder, name)
    if not shadow and percent == 0:
        return Move(name, before, before._replace(trial=None), etag)
    tried = Trial(resolved(folder, name, version), percent, shadow)
    if tried.version == before.version:
        raise InvalidInput(f"{short(tried.version)} is the current version of {name} already")
    try:
        check_alike(*(load_as(document(folder, name, v), name) for v in (before.version, tried.version)))
    except InvalidModel as error:
        raise InvalidModel(f"{name} {short(tried.version)} cannot be tried: {error}") from None
    return Move(name, before, before._replace(trial=tried), etag)


def promotion(folder: Folder, name: str) -> Move:
    before, etag = published(folder, name)
    if not before.trial:
        raise InvalidInput(
            f"no version of {name} is on trial; `thimble canary {name} VERSION` puts one there"
        )
    return Move(name, before, _to(before, before.trial.version), etag)


def _to(before: Pointer | None, version: str) -> Pointer:
    """The pointer at a version, without a trial. What is gone back to leaves the list of those before, with
    all that came after it: the next step back goes further."""
    if before is None:
        return Pointer(version)
    if version == before.version:
        return before._replace(trial=None)
    if version in before.previous:
        return Pointer(version, before.previous[before.previous.index(version) + 1 :])
    return Pointer(version, (before.version, *before.previous)[: pointer.MOST_PREVIOUS])


def pointed(folder: Folder, name: str) -> tuple[Pointer | None, str | None]:
    try:
        data, etag = folder.get(pointer.current(checked_name(name)))
    except FileNotFoundError:
        return None, None
    return pointer.parse(data), etag


def published(folder: Folder, name: str) -> tuple[Pointer, str | None]:
    found, etag = pointed(folder, name)
    if found is None:
        known = folder.folders()
        names = ", ".join(known[:20]) or "none"
        meant = spelling.hint(name, known)
        raise NotFound(f"no model {name} is published in {folder.uri}{meant}; there are: {names}")
    return found, etag


def versions(folder: Folder, name: str) -> list[Version]:
    """Newest first."""
    found = [
        Version(version, published)
        for path, published in folder.files(checked_name(name))
        if (version := pointer.version_of(path))
    ]
    if not found:
        raise NotFound(f"no version of {name} is published in {folder.uri}")
    return found


def resolved(folder: Folder, name: str, version: str) -> str:
    """The digest that a beginning of it means."""
    found = [known.digest for known in versions(folder, name) if matches(version, known.digest)]
    if len(found) == 1:
        return found[0]
    why = too_many_versions(name, version, len(found)) if found else no_such_version(name, version)
    raise NotFound(f"{why}; `thimble versions {name}` lists them")


def models(folder: Folder) -> list[tuple[str, Pointer | None]]:
    """Every name with its pointer; without one where only candidates were published."""
    names = [name for name in folder.folders() if pointer.NAME.fullmatch(name)]
    with ThreadPoolExecutor(16) as pool:
        return list(zip(names, pool.map(lambda name: pointed(folder, name)[0], names), strict=True))


def document(folder: Folder, name: str, version: str) -> bytes:
    try:
        return folder.get(pointer.document(name, version))[0]
    except FileNotFoundError:
        raise no_such_version(name, version) from None


def short(version: str) -> str:
    return version[:12]
