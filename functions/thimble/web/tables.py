"""What came in, before a model is known: rows of some kind, and what they are to a model once it is."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from thimble.errors import MalformedBody, TooLarge, UnprocessableRows
from thimble.inference.classifier import Classifier
from thimble.tables import rows
from thimble.tables.values import kind


class Table(Protocol):
    def columns(self, classifier: Classifier, most: int) -> Any:
        """As `Classifier.predict` takes them, of at most so many rows; UnprocessableRows names the first
        value that does not fit."""

    def place(self, row: int) -> str:
        """What the caller calls a row."""


def check(n: int, most: int) -> None:
    if n == 0:
        raise UnprocessableRows("there are no rows; send at least one")
    if n > most:
        raise TooLarge(f"there are {n} rows; the most in one request is {most}: drop a file instead")


class Rows(NamedTuple):
    """Lists, or objects by feature name, as JSON has them."""

    instances: list[Any]
    path: str = "instances[{}]"

    def columns(self, classifier: Classifier, most: int) -> Any:
        check(len(self.instances), most)
        return rows.columns(classifier, self.instances, self.place)

    def place(self, row: int) -> str:
        return self.path.format(row)


def columnar(columns: dict[str, Any], path: str) -> Rows:
    """Lists by feature name, all of one length."""
    for name, column in columns.items():
        if not isinstance(column, list):
            raise MalformedBody(f"{path}.{name} is {kind(column)}, not a list")
    lengths = sorted(set(map(len, columns.values())))
    if len(lengths) != 1:
        raise UnprocessableRows(f"the columns of {path} have different numbers of rows: {lengths}")
    instances = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return Rows(instances, f"{path}[{{}}]")
