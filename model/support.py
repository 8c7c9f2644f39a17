"""The one refusal of the scientist's side: what is not supported is said so, never approximated."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thimble.errors import InvalidModel, ThimbleError


class Unsupported(ThimbleError):
    """An estimator that has no exact document; the sentence names it and what is supported."""


@contextmanager
def refusing(document: Path | str) -> Iterator[None]:
    """What refuses a document says which."""
    try:
        yield
    except InvalidModel as error:
        raise InvalidModel(f"{document} is refused: {error}") from None


def class_name(estimator: Any) -> str:
    return type(estimator).__name__


def names(items: Any) -> str:
    """An enumeration for a sentence: "A, B and C"."""
    *most, last = sorted(items)
    return f"{', '.join(most)} and {last}" if most else last
