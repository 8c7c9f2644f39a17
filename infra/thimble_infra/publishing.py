"""Change the registry: publish, roll back, put a version on trial, promote it.

Every change is a `Move` of one model's pointer. It is planned first and carried out afterwards; a dry run
only plans it. It is carried out only if the pointer has not changed since: if two people move it at once, one
of them is told.
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
    """A pointer before and after a change; the two are equal if there is nothing to do."""

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
    move: Move  # the pointer's move to this document

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
    """Return the name to publish under: the given one, or the document's own.

    Raises InvalidInput if there is neither.
    """
    if not name and not document.name:
        raise InvalidInput("the document has no name; --as NAME gives it one")
    return checked_name(name or document.name)


def publication(
    folder: Folder, name: str, data: bytes, *, candidate: bool = False, replace: bool = False
) -> Publication:
    """Plan the publication of a document as a version, and as the current one unless it is a `candidate`.

    Raises InvalidModel if the document is refused, or if the current version takes other rows or answers in
    other classes, unless `replace` is true.
    """
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
        return  # nobody is served by that version
    try:
        check_alike(current, new)
    except InvalidModel as error:
        raise InvalidModel(
            f"{short(new.digest)} would break what asks {name} at {short(version)}: {error}; "
            "--as NAME publishes it beside, --replace in its place"
        ) from None


def publish(folder: Folder, publication: Publication) -> bool:
    """Write the document, then the pointer. Return whether the document is new."""
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
    """Plan the move back to a version. Without one, end the trial, or go to the version before.

    Raises InvalidInput if there is no version before.
    """
    before, etag = published(folder, name)
    if version:
        return Move(name, before, _to(before, resolved(folder, name, version)), etag)
    if before.trial:
        return Move(name, before, before._replace(trial=None), etag)
    if not before.previous:
        raise InvalidInput(f"{name} has no version before {short(before.version)}")
    return Move(name, before, _to(before, before.previous[0]), etag)


def trial(folder: Folder, name: str, version: str, *, percent: float = 0.0, shadow: bool = False) -> Move:
    """Plan the trial of a version beside the current one; 0 percent ends a trial.

    Raises InvalidInput if the version is the current one, and InvalidModel if it cannot be tried.
    """
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
    """Return the pointer at a version, without a trial.

    Going back removes the version from the list of previous ones, with all that came after it, so that the
    next step back goes further.
    """
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
    """Return a model's versions, the newest first. Raises NotFound if there are none."""
    found = [
        Version(version, published)
        for path, published in folder.files(checked_name(name))
        if (version := pointer.version_of(path))
    ]
    if not found:
        raise NotFound(f"no version of {name} is published in {folder.uri}")
    return found


def resolved(folder: Folder, name: str, version: str) -> str:
    """Return the one digest that begins with `version`. Raises NotFound if there are none or several."""
    found = [known.digest for known in versions(folder, name) if matches(version, known.digest)]
    if len(found) == 1:
        return found[0]
    why = too_many_versions(name, version, len(found)) if found else no_such_version(name, version)
    raise NotFound(f"{why}; `thimble versions {name}` lists them")


def models(folder: Folder) -> list[tuple[str, Pointer | None]]:
    """Return every model's name with its pointer, which is None if only candidates were published."""
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
