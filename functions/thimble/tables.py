"""What came in, before a model is known: so many rows, and what they are to a model once it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from thimble import rows
from thimble.classifier import Classifier


class Table(Protocol):
    def __len__(self) -> int:
        """How many rows."""

    def columns(self, classifier: Classifier) -> Any:
        """As `Classifier.predict` takes them; UnprocessableRows names the first value that does not fit."""

    def place(self, row: int) -> str:
        """What the caller calls a row."""


@dataclass(frozen=True)
class Rows:
    """Lists, or objects by feature name, as JSON has them."""

    instances: list[Any]
    path: str = "instances[{}]"

    def __len__(self) -> int:
        return len(self.instances)

    def columns(self, classifier: Classifier) -> Any:
        return rows.columns(classifier, self.instances, self.place)

    def place(self, row: int) -> str:
        return self.path.format(row)
