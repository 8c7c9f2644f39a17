"""Sets of labels that hold the true label as often as is asked for, by split conformal prediction.

A class is in the set if its probability (or score) is at least the document's threshold for that coverage.
The likeliest class is always in the set, so no set is empty. Sets depend only on the numbers that are shown:
the decision threshold between two labels, a request's or the document's, does not change them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thimble.inference.document import Document
from thimble.inference.head import Head
from thimble.inference.predictions import Scores


def levels(head: Head) -> tuple[float, ...]:
    """Return the coverages that can be asked for; none if the document has no thresholds."""
    return head.conformal.levels if head.conformal else ()


def refusal(document: Document, coverage: float, by_class: bool) -> str:
    """Return why there are no sets of this coverage, over all rows or, with `by_class`, for each class; "" if
    there are. A document has thresholds for both or for neither."""
    for head in document.heads:
        of = f"the output {head.name}" if len(document.heads) > 1 else "the model"
        if head.multilabel:
            return f"a set holds one true label, and {of} answers with any number of labels"
        if not levels(head):
            return (
                f"{of} has no thresholds for sets: export it again with --calibration and rows with labels "
                "that it was not trained on"
            )
        if coverage not in levels(head):
            known = ", ".join(f"{level:g}" for level in levels(head))
            return f"the coverage is {coverage:g}; {of} has thresholds for {known}"
    return ""


def of(head: Head, scores: Scores, coverage: float, by_class: bool) -> NDArray[np.bool_]:
    """Return which classes are in each row's set, (n_classes, rows). `refusal` must allow the coverage."""
    known = head.conformal
    assert known is not None
    at, numbers = known.levels.index(coverage), scores.probabilities
    bars = known.by_class[at][:, np.newaxis] if by_class else known.thresholds[at]
    found: NDArray[np.bool_] = numbers >= bars
    found[numbers.argmax(axis=0), np.arange(numbers.shape[1])] = True
    return found
