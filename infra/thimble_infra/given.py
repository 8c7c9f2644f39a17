"""Read a model as a person names it: a file, NAME, NAME@VERSION, s3://BUCKET/KEY, or - for standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from thimble.errors import InvalidModel, NotFound, Unavailable
from thimble.tables import formats
from thimble_infra.stacks import Registry

if TYPE_CHECKING:
    from thimble.inference.classifier import Classifier

STANDARD_INPUT = "-"
ESTIMATORS = (".joblib", ".pkl", ".pickle")  # endings of files, never of models' names


class Given(NamedTuple):
    """A document's bytes, the published name if that replaces its own, and the text that was given."""

    data: bytes
    name: str
    shown: str

    def loaded(self) -> Classifier:
        """Load the document. Raises InvalidModel, which says which document is refused and why."""
        from thimble.inference import classifier
        from thimble.registry.published import load_as

        try:
            return load_as(self.data, self.name) if self.name else classifier.load(self.data)
        except InvalidModel as error:
            raise InvalidModel(self._refusal(error)) from None

    def _refusal(self, error: InvalidModel) -> str:
        if not self.data.lstrip().startswith(b"{"):
            return f"{self.shown} is no model document; `thimble export` makes one of an estimator"
        return f"{self.shown} is refused: {error}"


def model(text: str, registry: Registry) -> Given:
    """Read a model's document. A name that is also a file's means the file."""
    if text == STANDARD_INPUT:
        return Given(sys.stdin.buffer.read(), "", "standard input")
    if text.startswith("s3://"):
        return Given(_object(text, registry.endpoint_url), "", text)
    if text.startswith("file://"):
        from thimble import store

        return Given(store.read(text), "", text)
    path = Path(text)
    if path.exists() or len(path.parts) > 1 or formats.named(text).format or path.suffix in ESTIMATORS:
        return Given(path.read_bytes(), "", text)
    return _published(text, registry)


def _object(uri: str, endpoint_url: str | None) -> bytes:
    import obstore

    from thimble_infra import buckets

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    with buckets.reading(bucket, endpoint_url) as found:
        return bytes(obstore.get(found, key).bytes())


def _published(text: str, registry: Registry) -> Given:
    from thimble_infra.versions import Keeper

    name, _, version = text.partition("@")
    try:
        return Given(Keeper(registry).document(name, version), name, text)
    except NotFound as error:
        raise NotFound(f"{error}. Nor is there a file {text}") from None
    except Unavailable as error:
        raise Unavailable(f"there is no file {text}, and to look for a model of that name: {error}") from None
