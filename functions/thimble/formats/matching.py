"""Which of a table's named columns are the model's features."""

from __future__ import annotations

from collections.abc import Sequence

from thimble.answers import column_names
from thimble.classifier import Classifier
from thimble.errors import InvalidFile

IDENTIFIERS = ("", "id")  # an index that pandas wrote has no name


def features(header: Sequence[str], classifier: Classifier) -> dict[int, int]:
    """In which column each feature is: by name, or without names in the first columns that are no id.

    A feature that the model does not use need not be there.
    """
    _refuse_taken(header, column_names(classifier))
    if classifier.feature_names is not None:
        return _by_name(
            header, [(k, f.name) for k, f in enumerate(classifier.features) if f.type != "unused"]
        )
    columns = [k for k, name in enumerate(header) if name.lower() not in IDENTIFIERS]
    if len(columns) < classifier.n_features:
        raise InvalidFile(
            f"the file has {len(columns)} columns besides an id, and the model takes "
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


def _refuse_taken(header: Sequence[str], new: Sequence[str]) -> None:
    taken = [name for name in new if name in header]
    if taken:
        raise InvalidFile(f"the file already has {listed(taken)}, which the answers are called: rename them")


def listed(names: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
