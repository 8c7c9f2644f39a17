"""What a request can ask for beside labels, and the form of what each row then gets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

ALL = -1  # all contributions
Cell = float | str | bool | list[Any] | None


class Asked(NamedTuple):
    """The options of one request, or of all files."""

    threshold: float | None = None  # the positive of two classes applies from here on; None: the model's own
    explain: int = 0  # number of contributions to list, the largest first; or ALL
    of: str = ""  # text of the class whose score is explained; "" for the predicted class
    coverage: float | None = None  # how often a set of labels holds the true one; None: no sets
    by_class: bool = False  # the coverage holds for the rows of each class
    abstain_below: float | None = None  # no label with a lower probability, or score; None: the model's own
    what_if: bool = False  # find the smallest change of one feature that gives another label


class Column(NamedTuple):
    """A column of a result file."""

    name: str
    numbers: bool  # otherwise text


Values = Callable[[Any, Any, Any], Sequence[Sequence[Any]]]
"""Takes a classifier, a batch of at least one row, and its predictions; returns a JSON value per row for each
output."""


class Further(NamedTuple):
    """A value that each row gets from one output, beside its label."""

    key: str  # in JSON
    output: int
    columns: tuple[Column, ...]  # in a table
    values: Values  # the same object for several outputs: then it is called once for all of them
    cells: Callable[[Any], Sequence[Cell]]  # turns a value that is not None into a cell per column
    most_rows: int = sys.maxsize  # per call of `values`, which may cost more than the prediction
