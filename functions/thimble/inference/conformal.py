"""A document's thresholds for sets of labels, by split conformal prediction.

At each level, a class is in the set if its number reaches the threshold. There is one threshold for all rows,
and one per class for coverage within each class.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from thimble.errors import InvalidModel
from thimble.inference.arrays import FloatArray
from thimble.inference.fields import Fields, finite_numbers

KEYS = ("rows", "levels", "thresholds", "by_class")


class Conformal(NamedTuple):
    """The thresholds of one output. They apply to the numbers that are shown: probabilities, or scores."""

    rows: int  # number of calibration rows
    levels: tuple[float, ...]  # such as 0.95, ascending
    thresholds: tuple[float, ...]  # one per level
    by_class: FloatArray  # (levels, classes); -inf where a class had too few rows

    @property
    def card(self) -> dict[str, Any]:
        """What the model card shows, as JSON: the levels, and for each level the classes (indices) that are
        in every set of `by_class`."""
        always = [np.flatnonzero(np.isneginf(row)).tolist() for row in self.by_class]
        return {"rows": self.rows, "levels": list(self.levels), "always": always}


def parse(fields: Fields, n_classes: int) -> Conformal:
    """Read the thresholds of an output. Raises InvalidModel, which says what is wrong with them."""
    fields.require_known(KEYS, "conformal")
    levels = fields.vector("levels")
    _check_levels(levels, fields.at("levels"))
    by_class = fields.items_of_length("by_class", len(levels))
    return Conformal(
        rows=fields.count("rows"),
        levels=tuple(levels.tolist()),
        thresholds=tuple(fields.vector("thresholds", len(levels)).tolist()),
        by_class=np.array(
            [_of_classes(row, f"{fields.at('by_class')}[{i}]", n_classes) for i, row in enumerate(by_class)]
        ),
    )


def _check_levels(levels: FloatArray, path: str) -> None:
    for i, level in enumerate(levels.tolist()):
        if not 0.0 < level < 1.0:
            raise InvalidModel(f"{path}[{i}] is {level:g}; a level is above 0 and below 1")
        if i and level <= levels[i - 1]:
            raise InvalidModel(f"{path}[{i}] is not above the level before it")


def _of_classes(row: object, path: str, n_classes: int) -> FloatArray:
    """Return the thresholds of one level, (n_classes,); null becomes -inf, so the class is in every set."""
    if not isinstance(row, list) or len(row) != n_classes:
        raise InvalidModel(f"{path} is not a list of {n_classes} thresholds, one a class")
    known = [i for i, value in enumerate(row) if value is not None]
    found = np.full(n_classes, -np.inf)
    for i in known:
        found[i] = finite_numbers([row[i]], f"{path}[{i}]")[0]
    return found
