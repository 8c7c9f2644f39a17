"""Decide whether a table has a header, and which of its columns are the model's features.

The caller may state whether the first record is a header. Otherwise the record itself tells:

- For a model with feature names, a header is a record without a number, or one with such a name that is no
  number.
- For a model without names, a header is a record with words in place of the model's numbers, and data is a
  record in which one of these cells begins like a value.
- Numbers that increase by the same step (0, 1, 2 as pandas names columns; 2019, 2020, 2021) may be either,
  and so may any other record. Then the caller has to state which, because a wrong guess would lose a record.

With a header, a model with names finds its columns by name, in any order and in either Unicode form. A model
without names takes all columns that are not called id, and exactly as many as it has features. Without a
header, the features are all the columns, or, if there are more, exactly those with a number in the first
record.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import pairwise

from thimble import encodings
from thimble.errors import InvalidFile
from thimble.inference.features import Feature, Schema, normal, spelled
from thimble.tables.cells import MISSING, is_number

IDENTIFIERS = ("", "id", "__index_level_0__")  # pandas' index has no name, or in Parquet the last one
SAID = ("present", "absent")
MOST_MEANT = 3  # missing columns for which a similar name is suggested
WHOLE = re.compile("0|[1-9][0-9]{0,17}")
VALUE = re.compile(
    r"""['"]?[+-]?(?:\.?[0-9]|(?:inf|infinity|true|false)$)""", re.IGNORECASE
)  # the beginning of a value, or of what is meant as one


class NoFeatures(InvalidFile):
    """Raised for a header that lacks features. `problem` names them, without repeating the header."""

    def __init__(self, problem: str, header: Sequence[str]) -> None:
        super().__init__(f"{problem}; it has {listed(header)}")
        self.problem = problem


def named(cells: list[str], schema: Schema) -> list[str]:
    """Return the names of the columns: known ones as the model spells them, others without blanks around."""
    known = schema.names or ()
    exact = set(known)
    names = [cell if cell in exact else cell.strip() for cell in cells]
    return spelled(names, known)


def is_header(cells: list[str], schema: Schema, said: str, way: str) -> bool:
    """Return whether a record is a header, as stated or found.

    Raises InvalidFile if it may be either; the error names the `way` to state it.
    """
    if said in SAID:
        return said == "present"
    names = schema.names
    if names is not None and _has_names(cells, names):
        return True
    found = (
        None
        if _counts_up(cells, len(schema.features))
        else names is None and _has_words(cells, schema.features)
    )
    if found is None:
        knowing = "without feature names" if names is None else "that has other feature names"
        raise InvalidFile(
            f"the first record may be a header, or data of a model {knowing}: say which by {way}"
        )
    return found


def _has_names(cells: list[str], names: tuple[str, ...]) -> bool:
    if not any(map(is_number, cells)):
        return True
    found = set(names).intersection(cells)
    return len(found) == len(names) or not all(map(is_number, found))


def _counts_up(cells: list[str], n_features: int) -> bool:
    """Return whether the cells besides an id are a single 0, two whole numbers with a step of one, or more
    whole numbers that increase by the same step.
    """
    others = _besides_id(cells, n_features)
    if not all(map(WHOLE.fullmatch, others)):
        return False
    numbers = list(map(int, others))
    steps = {after - before for before, after in pairwise(numbers)}
    if len(numbers) > 2:
        return len(steps) == 1 and min(steps) > 0
    return numbers == [0] or steps == {1}


def _besides_id(cells: list[str], n_features: int) -> list[str]:
    """Return the cells without ids; all cells if there are as many as features."""
    if len(cells) == n_features:
        return cells
    return [cell for cell in cells if cell.lower() not in IDENTIFIERS]


def _has_words(cells: list[str], features: Sequence[Feature]) -> bool | None:
    """Return whether there are words in place of numbers; None if that cannot be told."""
    mine = _besides_id(cells, len(features))
    if len(mine) == len(features):
        cells = [cell for cell, feature in zip(mine, features, strict=True) if feature.numeric]
    if any(map(VALUE.match, cells)):
        return False
    words = {cell not in MISSING for cell in cells}
    return words.pop() if len(words) == 1 else None


def features(header: Sequence[str], schema: Schema) -> dict[int, int]:
    """Return the column of each feature: by name, or if the model has no names, among the columns that are no
    id.

    A feature that the model does not use may be absent. Raises InvalidFile if a feature is missing, is there
    more than once, or a column has the name of an answer's column.
    """
    there = set(map(normal, header))
    taken = [name for name in schema.answer_columns if normal(name) in there]
    if taken:
        raise InvalidFile(f"the file already has {listed(taken)}, which the answers are called: rename them")
    if schema.names is not None:
        return _by_name(header, [(k, f.name) for k, f in enumerate(schema.features) if f.type != "unused"])
    columns = [k for k, name in enumerate(header) if name.lower() not in IDENTIFIERS]
    if len(columns) != len(schema.features):
        have = "is 1 column" if len(columns) == 1 else f"are {len(columns)} columns"
        raise InvalidFile(
            f"there {have} besides an id, and the model takes {len(schema.features)}, whose names it does "
            "not know: leave only these, or export it with names"
        )
    _refuse_doubled([name for name, times in Counter(header).items() if times > 1])
    return dict(enumerate(columns))


def _by_name(header: Sequence[str], wanted: list[tuple[int, str]]) -> dict[int, int]:
    places = {name: k for k, name in enumerate(header)}
    missing = [name for _, name in wanted if name not in places]
    if missing:
        unread = next(
            (f"; one {encodings.fault(name)}" for name in header if not encodings.is_sound(name)), ""
        )
        unread = unread or _meant(missing, header, {name for _, name in wanted})
        raise NoFeatures(f"the header lacks {listed(missing)}{unread}", header)
    if len(places) < len(header):
        times = Counter(header)
        _refuse_doubled([name for _, name in wanted if times[name] > 1])
    return {k: places[name] for k, name in wanted}


def _meant(missing: Sequence[str], header: Sequence[str], known: Collection[str]) -> str:
    """Return a suggestion of columns that may be meant for the missing ones.

    It gives their numbers, not their names: over HTTP the names may be data.
    """
    from thimble import spelling  # imported only for an error

    others = [name for name in header if name not in known]
    found = [(name, spelling.closest(name, others)) for name in missing[:MOST_MEANT]]
    told = [f'"{name}" by column {header.index(column) + 1}' for name, column in found if column]
    return f" (did you mean {', '.join(told)}?)" if told else ""


def _refuse_doubled(names: list[str]) -> None:
    if names:
        raise InvalidFile(f"the header has {listed(names)} more than once")


def positions(cells: list[str], schema: Schema) -> dict[int, int]:
    """Return the column of each feature in a table without a header, by its first record.

    Raises InvalidFile if the features cannot be told among the cells.
    """
    n = len(schema.features)
    if len(cells) == n:
        return dict(enumerate(range(n)))
    numbers = [k for k, cell in enumerate(cells) if is_number(cell)]
    if len(numbers) == n and all(feature.type == "number" for feature in schema.features):
        return dict(enumerate(numbers))
    raise InvalidFile(
        f"there is no header, and the {n} features cannot be told among the {len(cells)} cells of its "
        f"first record, of which {len(numbers)} are numbers: add a header, or leave only the features"
    )


def listed(names: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(f'"{encodings.printable(name)}"' for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
