"""The one refusal of the scientist's side: what is not supported is said so, never approximated."""

from typing import Any

from thimble.errors import ThimbleError


class Unsupported(ThimbleError):
    """An estimator that has no exact document; the sentence names it and what is supported."""


def class_name(estimator: Any) -> str:
    return type(estimator).__name__


def names(items: Any) -> str:
    """An enumeration for a sentence: "A, B and C"."""
    *most, last = sorted(items)
    return f"{', '.join(most)} and {last}" if most else last
