"""The commands `thimble publish`, `models`, `versions`, `rollback`, `canary` and `promote`.

Each says what it did, or in a dry run what it would do, and what to run next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obstore.exceptions import BaseError
from rich.table import Table

from thimble.errors import InvalidModel, NotFound, Unavailable
from thimble.registry.pointer import Pointer
from thimble.registry.published import load_as
from thimble.store import Folder
from thimble_infra import buckets, given, printing, publishing
from thimble_infra.publishing import Move, short
from thimble_infra.stacks import Registry

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from thimble.inference.classifier import Classifier
    from thimble_model.check import Check

TAKEN_UP = "running functions take it up within their refresh time (60 seconds, unless set otherwise)"
WITHOUT = "the same command without --dry-run"


class Keeper:
    """A registry, and how to report to the person who keeps it."""

    def __init__(self, registry: Registry, *, dry_run: bool = False, as_json: bool = False) -> None:
        self.registry = registry
        self.folder = folder(registry.uri, registry.endpoint_url)
        self.dry_run = dry_run
        self.as_json = as_json
        self._option = registry.option
        self._console = printing.console()

    def publish(
        self,
        model: str,
        name: str | None,
        estimator: Path | None,
        data: Path | None,
        *,
        candidate: bool = False,
        replace: bool = False,
    ) -> None:
        from thimble_infra import modelling

        document = given.model(model, self.registry)
        found = modelling.checked(document, estimator, data)
        modelling.require_sound(found, document)
        name = publishing.name_of(found.classifier, name)
        with self._answering():
            planned = publishing.publication(
                self.folder, name, document.data, candidate=candidate, replace=replace
            )
            if self.dry_run:
                new = not publishing.is_there(self.folder, planned)
            else:
                new = publishing.publish(self.folder, planned)
        if self.as_json:
            place = f"{self.folder.uri}/{planned.path}"
            self._move_as_json(planned.move, version=planned.version, uri=place, new=new)
            return
        self._say("checked", f"{document.shown}: {_proof(found)}")
        done = "would publish" if self.dry_run else "published"
        self._say(done if new else "is there", f"{name} {short(planned.version)}")
        self._say("", f"{self.folder.uri}/{planned.path}")
        if not candidate:
            self._moved(planned.move)
        elif self.dry_run:
            self._say("next", WITHOUT)
        else:
            self._next(f"thimble canary {name} {short(planned.version)} --percent 10")

    def models(self) -> None:
        with self._answering():
            found = publishing.models(self.folder)
        if self.as_json:
            printing.as_json([{"name": name, **_as_json(at)} for name, at in found])
            return
        if not found:
            self._say("none", f"no model is published in {self.folder.uri}")
            self._next("thimble publish MODEL.json")
            return
        table = _table("model", "current", "on trial", "last moved")
        for name, at in found:
            current, moved = (short(at.version), _time(at.moved)) if at else ("none", "")
            table.add_row(name, current, _trial(at), moved)
        self._console.print(table)
        self._next(f"thimble versions {found[0][0]}")

    def versions(self, name: str) -> None:
        with self._answering():
            found = publishing.versions(self.folder, name)
            at, _ = publishing.pointed(self.folder, name)
        if self.as_json:
            printing.as_json(
                [
                    {
                        "version": version.digest,
                        "published": version.published.isoformat(),
                        "role": _role(at, version.digest),
                    }
                    for version in found
                ]
            )
            return
        table = _table("version", "published", "")
        for version in found:
            table.add_row(short(version.digest), _time(version.published), _role(at, version.digest))
        self._console.print(table)
        others = [version.digest for version in found if not at or version.digest != at.version]
        if at and others:
            self._next(f"thimble diff {name} {name}@{short(others[0])}")

    def document(self, name: str, version: str) -> bytes:
        """Return the document of the version, or of the current one."""
        with self._answering():
            at, _ = publishing.published(self.folder, name)
            digest = publishing.resolved(self.folder, name, version) if version else at.version
            return publishing.document(self.folder, name, digest)

    def digests(self, name: str) -> list[str]:
        """Return the digests of all versions; [] if there is no such model."""
        if not name:
            return []
        try:
            with self._answering():
                return [version.digest for version in publishing.versions(self.folder, name)]
        except NotFound:
            return []

    def described(self) -> list[dict[str, str]]:
        """Return each model's name with its current version and the one on trial, as they are shown."""
        with self._answering():
            found = publishing.models(self.folder)
        return [
            {"name": name, "current": short(at.version) if at else "", "on_trial": _trial(at)}
            for name, at in found
        ]

    def loaded(self) -> list[Classifier]:
        """Return the current version of every model, without those that do not load."""
        with self._answering():
            pointers = publishing.models(self.folder)
            found = [
                (name, publishing.document(self.folder, name, at.version)) for name, at in pointers if at
            ]
        loaded = []
        for name, document in found:
            with suppress(InvalidModel):
                loaded.append(load_as(document, name))
        return loaded

    def rollback(self, name: str, version: str | None) -> None:
        self._carry_out(lambda: publishing.rollback(self.folder, name, version))

    def canary(self, name: str, version: str, percent: float, shadow: bool) -> None:
        self._carry_out(lambda: publishing.trial(self.folder, name, version, percent=percent, shadow=shadow))

    def promote(self, name: str) -> None:
        self._carry_out(lambda: publishing.promotion(self.folder, name))

    def _carry_out(self, made_up: Callable[[], Move]) -> None:
        with self._answering():
            move = made_up()
            if not self.dry_run:
                publishing.carry_out(self.folder, move)
        self._moved(move)

    def _move_as_json(self, move: Move, **about: object) -> None:
        printing.as_json(
            {
                "name": move.name,
                **about,
                "dry_run": self.dry_run,
                "moves": move.moves,
                "before": _as_json(move.before),
                "after": _as_json(move.after),
            }
        )

    def _moved(self, move: Move) -> None:
        if self.as_json:
            self._move_as_json(move)
            return
        before, after, name = move.before, move.after, move.name
        if after is None:
            return
        if not move.moves:
            self._say("no change", f"{name} is at {_state(after)} already")
        elif self.dry_run:
            self._say(
                "would move", f"{name} to {_state(after)}" + (f", from {_state(before)}" if before else "")
            )
        else:
            self._say(
                "moved", f"{name} is at {_state(after)}" + (f", was at {_state(before)}" if before else "")
            )
        if ended := _ended(before, after):
            self._say("would end" if self.dry_run else "ended", ended)
        if move.moves and not self.dry_run:
            self._say("", TAKEN_UP)
        self._after(move, after)

    def _after(self, move: Move, after: Pointer) -> None:
        name = move.name
        if self.dry_run and move.moves:
            self._say("next", WITHOUT)
        elif after.trial:
            self._next(f"thimble promote {name}", f"thimble rollback {name}")
        elif after.previous:
            self._next(f"thimble rollback {name}", f"thimble versions {name}")
        else:
            self._next(f"thimble versions {name}")

    def _say(self, title: str, text: str) -> None:
        self._console.print(f"{title:<{13 if self.dry_run else 10}} {text}", markup=False)

    def _next(self, *lines: str) -> None:
        for title, line in zip(("next", *("or",) * len(lines)), lines, strict=False):
            self._say(title, line + self._option)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Turn S3's errors inside into Unavailable with a sentence."""
        try:
            yield
        except FileNotFoundError:
            raise Unavailable(f"there is no bucket for {self.folder.uri}") from None
        except Unavailable as error:
            cause = error.__cause__
            if "NoSuchBucket" in str(cause):
                raise Unavailable(f"there is no bucket for {self.folder.uri}") from None
            if isinstance(cause, BaseError):
                bucket = buckets.place(self.registry.uri).bucket
                raise Unavailable(buckets.refusal(bucket, "", cause)) from None
            raise


def folder(uri: str, endpoint_url: str | None) -> Folder:
    """Return the registry at s3://BUCKET (in its folder `models`) or at s3://BUCKET/FOLDER."""
    place = buckets.place(uri)
    prefix = place.prefix or "models"

    def opening(_: str) -> tuple[ObjectStore, str]:
        return buckets.connect(place.bucket, buckets.endpoint_of(place.bucket, endpoint_url)), prefix

    return Folder(f"s3://{place.bucket}/{prefix}", opening)


def _proof(found: Check) -> str:
    examples = found.classifier.document.examples
    proof = f"{len(examples.rows)} examples reproduced" if examples else "it loads; no examples prove it"
    return proof + (f", and its estimator's answers: {found.parity}" if found.parity else "")


def described(summary: Mapping[str, Any]) -> str:
    """Return the model that a summary names, with its version."""
    model = summary["model"]
    return f"{model['name'] or 'the model'} ({short(model['digest'])})"


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, no_wrap=True)
    return table


def _as_json(at: Pointer | None) -> dict[str, object]:
    if at is None:
        return {"current": None, "previous": [], "trial": None}
    return {
        "current": at.version,
        "previous": list(at.previous),
        "trial": at.trial and at.trial._asdict(),
        "moved": at.moved or None,
    }


def _state(at: Pointer) -> str:
    trial = _trial(at)
    return short(at.version) + (f" with {trial}" if trial else "")


def _trial(at: Pointer | None) -> str:
    if at is None or at.trial is None:
        return ""
    share = "in the shadow" if at.trial.shadow else f"for {at.trial.percent:g} % of the rows"
    return f"{short(at.trial.version)} {share}"


def _ended(before: Pointer | None, after: Pointer) -> str:
    """Return the trial that has ended, in words; "" if there was none, or it was promoted."""
    tried, trying = before.trial if before else None, after.trial
    if tried is None or tried.version in (after.version, trying.version if trying else ""):
        return ""
    return f"the {'shadow' if tried.shadow else 'canary'} of {short(tried.version)}"


def _role(at: Pointer | None, version: str) -> str:
    if at is None:
        return ""
    if version == at.version:
        return "current"
    if at.trial and version == at.trial.version:
        return f"on trial, {_trial(at).partition(' ')[2]}"
    return "before" if at.previous and version == at.previous[0] else ""


def _time(time: datetime | str) -> str:
    if isinstance(time, str):
        time = datetime.fromisoformat(time) if time else datetime.min
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S}" if time != datetime.min else ""
