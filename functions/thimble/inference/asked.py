"""What a request asks for beside the labels, and what each row then gets beside its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

ALL = -1  # of the contributions
Cell = float | str | bool | list[Any] | None


class Asked(NamedTuple):
    """The options of a request, or of all files."""

    threshold: float | None = None  # from which on the positive of two classes applies; None: the model's
    explain: int = 0  # so many of the largest contributions, or ALL
    of: str = ""  # the text of the class whose score is explained; empty: of the one that is answered
    coverage: float | None = None  # how often a set of labels holds the truth
    by_class: bool = False  # ... for each class
    abstain_below: float | None = (
        None  # no label where its probability, or score, is below; None: the model's
    )
    what_if: bool = False  # the smallest change of one feature that gives another label


class Column(NamedTuple):
    """A column of a file's result, of numbers or of text."""

    name: str
    numbers: bool


Values = Callable[[Any, Any, Any], Sequence[Sequence[Any]]]
"""Of a classifier, a batch and predictions: of each output, JSON a row. There is a row at least."""


class Further(NamedTuple):
    """What each row gets of an output beside its label."""

    key: str  # of JSON
    output: int
    columns: tuple[Column, ...]  # of a table
    values: Values  # what is asked alike of several outputs is found at once, by the very same
    cells: Callable[[Any], Sequence[Cell]]  # of a value, unless it is None: one a column
    most_rows: int = sys.maxsize  # that are asked at once: it may cost more than the answer
