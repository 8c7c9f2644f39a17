"""Which of a file's named columns are the model's features, where the answer's columns are to join them."""

from __future__ import annotations

from collections.abc import Sequence

from thimble.errors import InvalidFile
from thimble.inference.classifier import Classifier
from thimble.inference.features import normal
from thimble.tables import headers
from thimble.tables.answers import column_names


def features(header: Sequence[str], classifier: Classifier) -> dict[int, int]:
    """In which column each feature is; a feature that the model does not use need not be there."""
    there = set(map(normal, header))
    taken = [name for name in column_names(classifier) if normal(name) in there]
    if taken:
        raise InvalidFile(
            f"the file already has {headers.listed(taken)}, which the answers are called: rename them"
        )
    return headers.features(header, classifier)
