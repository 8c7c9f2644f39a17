"""The one refusal of the scientist's side: what is not supported is said so, never approximated."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thimble.errors import InvalidInput, InvalidModel, ThimbleError


class Unsupported(ThimbleError):
    """An estimator that has no exact document; the sentence names it and what is supported."""


def require_document(data: bytes, name: Path | str) -> None:
    """Bytes that may be a model document, and are no estimator or table in its place."""
    if not data.lstrip().startswith(b"{"):
        raise InvalidModel(f"{name} is no model document; `thimble export` makes one of an estimator")


@contextmanager
def refusing(document: Path | str) -> Iterator[None]:
    """What refuses a document says which."""
    try:
        yield
    except InvalidModel as error:
        raise InvalidModel(f"{document} is refused: {error}") from None


@contextmanager
def located_in(table: Path | None) -> Iterator[None]:
    """What refuses the rows of a file says of which."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(f"{table}: {error}" if table else str(error)) from None


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def class_name(estimator: Any) -> str:
    return type(estimator).__name__


def names(items: Any) -> str:
    """An enumeration for a sentence: "A, B and C"."""
    *most, last = sorted(items)
    return f"{', '.join(most)} and {last}" if most else last
