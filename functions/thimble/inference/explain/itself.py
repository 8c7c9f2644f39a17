"""Keys of what is kept about a part of a model: the part itself, since arrays have no hash."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")

MODELS = 4  # of which something is kept


class Itself(Generic[T]):
    """Equal to a key of the very same object, and to no other."""

    def __init__(self, it: T) -> None:
        self.it = it

    def __hash__(self) -> int:
        return id(self.it)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and other.it is self.it
