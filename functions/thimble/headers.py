"""Headers of tables, and which columns are the model's features.

Whether the first record is a header may be said; else it is found. With a model that knows its features'
names it is one if it has them, or if no cell of it is a number. With a model without, it is one if the cells
where numbers belong are words, and none if one of them begins as a value does, or all of them mean that a
value is missing. Everything else, and the numbers 0, 1, 2, ... as pandas names columns, may be either: no
guess is to cost a record, so it has to be said.

With a header and a model that knows its features' names, columns are matched by name, in any order. Where the
model has no names, its features are the columns that are not called id, and there are no others. Without a
header, they are all the columns, or, among more, exactly those that hold a number in the first record.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from thimble.classifier import Classifier
from thimble.errors import InvalidFile
from thimble.features import Feature
from thimble.textcells import MISSING, is_number

IDENTIFIERS = ("", "id", "__index_level_0__")  # pandas' index has no name, or in Parquet the last
SAID = ("present", "absent")
MOST_MEANT = 3  # of the missing columns, for which others are looked at
VALUE = re.compile(
    r"""['"]?[+-]?(?:\.?[0-9]|(?:inf|infinity|true|false)$)""", re.IGNORECASE
)  # or meant as one


def named(cells: list[str], classifier: Classifier) -> list[str]:
    """The columns' names: a cell as it is where the model spells it so, else without the blanks around."""
    known = classifier.feature_names or ()
    return [cell if cell in known else cell.strip() for cell in cells]


def is_header(cells: list[str], classifier: Classifier, said: str, way: str) -> bool:
    """As was said, or as is found; InvalidFile tells the way to say it, where it has to be."""
    if said in SAID:
        return said == "present"
    if classifier.feature_names is not None:
        return _has_names(cells, classifier.feature_names)
    found = _has_words(cells, classifier.features)
    if found is None:
        raise InvalidFile(
            f"the first record may be a header, or data of a model without feature names: say which by {way}"
        )
    return found


def _has_names(cells: list[str], names: tuple[str, ...]) -> bool:
    if not any(map(is_number, cells)):
        return True
    found = set(names).intersection(cells)
    return len(found) == len(names) or not all(map(is_number, found))


def _has_words(cells: list[str], features: Sequence[Feature]) -> bool | None:
    """Where numbers belong; None if that does not tell."""
    others = [cell for cell in cells if cell.lower() not in IDENTIFIERS]
    if others == [str(k) for k in range(len(features))]:
        return None
    mine = cells if len(cells) == len(features) else others
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
    missing = [name for _, name in wanted if name not in header]
    if missing:
        meant = _meant(missing, header, {name for _, name in wanted})
        raise InvalidFile(f"the header lacks {listed(missing)}{meant}; it has {listed(header)}")
    _refuse_doubled([name for _, name in wanted if header.count(name) > 1])
    return {k: header.index(name) for k, name in wanted}


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
    shown = ", ".join(f'"{name}"' for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
