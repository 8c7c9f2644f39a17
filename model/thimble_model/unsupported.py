"""The refusal of estimators without an exact document; nothing is approximated."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thimble.errors import InvalidInput, InvalidModel, ThimbleError


class Unsupported(ThimbleError):
    """An estimator without an exact document. The message names it and what is supported."""


def require_document(data: bytes, name: Path | str) -> None:
    """Raise InvalidModel unless the bytes may be a model document, rather than an estimator or a table."""
    if not data.lstrip().startswith(b"{"):
        raise InvalidModel(f"{name} is no model document; `thimble export` makes one of an estimator")


@contextmanager
def refusing(document: Path | str) -> Iterator[None]:
    """Add the document's name to an InvalidModel raised inside."""
    try:
        yield
    except InvalidModel as error:
        raise InvalidModel(f"{document} is refused: {error}") from None


@contextmanager
def located_in(table: Path | None) -> Iterator[None]:
    """Add the file's name, if there is one, to an InvalidInput raised inside."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(f"{table}: {error}" if table else str(error)) from None


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def class_name(estimator: Any) -> str:
    return type(estimator).__name__


def names(items: Any) -> str:
    """Return an enumeration for a sentence: "A, B and C"."""
    *most, last = sorted(items)
    return f"{', '.join(most)} and {last}" if most else last
