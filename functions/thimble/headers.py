"""Headers of tables, and which columns are the model's features.

A first record is a header if it names the features, or if no cell of it is a number. With a header and a
model that knows its features' names, columns are matched by name, in any order. Where the model has no names,
its features are the first columns that are not called id. Without a header, they are all the columns, or,
among more columns, exactly those that hold a number in the first record.
"""

from __future__ import annotations

from collections.abc import Sequence

from thimble.classifier import Classifier
from thimble.errors import InvalidFile
from thimble.textcells import is_number

IDENTIFIERS = ("", "id")  # an index that pandas wrote has no name


def named(cells: list[str], classifier: Classifier) -> list[str]:
    """The columns' names: a cell as it is where the model spells it so, else without the blanks around."""
    known = classifier.feature_names or ()
    return [cell if cell in known else cell.strip() for cell in cells]


def is_header(cells: list[str], names: tuple[str, ...] | None) -> bool:
    if not any(map(is_number, cells)):
        return True
    if names is not None:
        found = set(names).intersection(cells)
        return len(found) == len(names) or not all(map(is_number, found))
    numbers = cells[1:] if cells[0] in IDENTIFIERS else cells
    return len(numbers) > 1 and numbers == [str(k) for k in range(len(numbers))]  # as pandas names columns


def features(header: Sequence[str], classifier: Classifier) -> dict[int, int]:
    """In which column each feature is: by name, or without names in the first columns that are no id.

    A feature that the model does not use need not be there.
    """
    if classifier.feature_names is not None:
        return _by_name(
            header, [(k, f.name) for k, f in enumerate(classifier.features) if f.type != "unused"]
        )
    columns = [k for k, name in enumerate(header) if name.lower() not in IDENTIFIERS]
    if len(columns) < classifier.n_features:
        raise InvalidFile(
            f"there are {len(columns)} columns besides an id, and the model takes "
            f"{classifier.n_features}: {listed(header)}"
        )
    return dict(enumerate(columns[: classifier.n_features]))


def _by_name(header: Sequence[str], wanted: list[tuple[int, str]]) -> dict[int, int]:
    missing = [name for _, name in wanted if name not in header]
    if missing:
        raise InvalidFile(f"the header lacks {listed(missing)}; it has {listed(header)}")
    doubled = [name for _, name in wanted if header.count(name) > 1]
    if doubled:
        raise InvalidFile(f"the header has {listed(doubled)} more than once")
    return {k: header.index(name) for k, name in wanted}


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
