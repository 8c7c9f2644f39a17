"""Headers of tables, and which columns are the model's features.

Whether the first record is a header may be said; else it is found. Numbers that go up by the same step (0, 1,
2 as pandas names columns, 2019, 2020, 2021) may be a header or data. A model that knows its features' names
finds a header where these are, or where no cell is a number. A model without finds one where the cells that
numbers belong in are words, and none where one of them begins as a value does. Everything else, and such
numbers, may be either: no guess is to cost a record, so it has to be said.

With a header and a model that knows its features' names, columns are matched by name, in any order, whichever
Unicode form a name is in. Where the model has no names, its features are the columns that are not called id,
and there are no others. Without a header, they are all the columns, or, among more, exactly those that hold a
number in the first record.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import pairwise

from thimble import encodings
from thimble.errors import InvalidFile
from thimble.inference.classifier import Classifier
from thimble.inference.features import Feature, spelled
from thimble.tables.textcells import is_number
from thimble.tables.values import MISSING

IDENTIFIERS = ("", "id", "__index_level_0__")  # pandas' index has no name, or in Parquet the last
SAID = ("present", "absent")
MOST_MEANT = 3  # of the missing columns, for which others are looked at
WHOLE = re.compile("0|[1-9][0-9]{0,17}")
VALUE = re.compile(
    r"""['"]?[+-]?(?:\.?[0-9]|(?:inf|infinity|true|false)$)""", re.IGNORECASE
)  # or meant as one


def named(cells: list[str], classifier: Classifier) -> list[str]:
    """The columns' names: as the model spells them where it knows them, else without the blanks around."""
    known = classifier.feature_names or ()
    exact = set(known)
    names = [cell if cell in exact else cell.strip() for cell in cells]
    return spelled(names, known)


def is_header(cells: list[str], classifier: Classifier, said: str, way: str) -> bool:
    """As was said, or as is found; InvalidFile tells the way to say it, where it has to be."""
    if said in SAID:
        return said == "present"
    names = classifier.feature_names
    if names is not None and _has_names(cells, names):
        return True
    found = (
        None
        if _counts_up(cells, classifier.n_features)
        else names is None and _has_words(cells, classifier.features)
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
    """Whether the cells that are no id are 0, or whole numbers that go up by the same step; two, by one."""
    others = _besides_id(cells, n_features)
    if not all(map(WHOLE.fullmatch, others)):
        return False
    numbers = list(map(int, others))
    steps = {after - before for before, after in pairwise(numbers)}
    if len(numbers) > 2:
        return len(steps) == 1 and min(steps) > 0
    return numbers == [0] or steps == {1}


def _besides_id(cells: list[str], n_features: int) -> list[str]:
    """The cells without an id's, unless there are no more than the features."""
    if len(cells) == n_features:
        return cells
    return [cell for cell in cells if cell.lower() not in IDENTIFIERS]


def _has_words(cells: list[str], features: Sequence[Feature]) -> bool | None:
    """Where numbers belong; None if that does not tell."""
    mine = _besides_id(cells, len(features))
    if len(mine) == len(features):
        cells = [cell for cell, feature in zip(mine, features, strict=True) if feature.numeric]
    if any(map(VALUE.match, cells)):
        return False
    words = {cell not in MISSING for cell in cells}
    return words.pop() if len(words) == 1 else None


def features(header: Sequence[str], classifier: Classifier) -> dict[int, int]:
    """In which column each feature is: by name, or without names in the columns that are no id.

    A feature that the model does not use need not be there.
    """
    if classifier.feature_names is not None:
        return _by_name(
            header, [(k, f.name) for k, f in enumerate(classifier.features) if f.type != "unused"]
        )
    columns = [k for k, name in enumerate(header) if name.lower() not in IDENTIFIERS]
    if len(columns) != classifier.n_features:
        have = "is 1 column" if len(columns) == 1 else f"are {len(columns)} columns"
        raise InvalidFile(
            f"there {have} besides an id, and the model takes {classifier.n_features}, whose names it does "
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
        raise InvalidFile(f"the header lacks {listed(missing)}{unread}; it has {listed(header)}")
    times = Counter(header)
    _refuse_doubled([name for _, name in wanted if times[name] > 1])
    return {k: places[name] for k, name in wanted}


def _meant(missing: Sequence[str], header: Sequence[str], known: Collection[str]) -> str:
    """Which columns may be meant for what is missing, by their numbers: over HTTP they may be data."""
    from thimble import spelling  # only for an error

    others = [name for name in header if name not in known]
    found = [(name, spelling.closest(name, others)) for name in missing[:MOST_MEANT]]
    told = [f'"{name}" by column {header.index(column) + 1}' for name, column in found if column]
    return f" (did you mean {', '.join(told)}?)" if told else ""


def _refuse_doubled(names: list[str]) -> None:
    if names:
        raise InvalidFile(f"the header has {listed(names)} more than once")


def positions(cells: list[str], classifier: Classifier) -> dict[int, int]:
    """In which column each feature is, if the first record is no header."""
    n = classifier.n_features
    if len(cells) == n:
        return dict(enumerate(range(n)))
    numbers = [k for k, cell in enumerate(cells) if is_number(cell)]
    if len(numbers) == n and all(feature.type == "number" for feature in classifier.features):
        return dict(enumerate(numbers))
    raise InvalidFile(
        f"there is no header, and the {n} features cannot be told among the {len(cells)} cells of its "
        f"first record, of which {len(numbers)} are numbers: add a header, or leave only the features"
    )


def listed(names: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(f'"{encodings.printable(name)}"' for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
