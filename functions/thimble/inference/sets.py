"""The set of labels that holds the truth as often as is asked for: split conformal prediction.

A class is in the set where its probability (or score) is at least the threshold that the document keeps for
that coverage. The likeliest class always is, so no set is empty. Sets are of what is shown: no threshold
between two labels, a request's or the document's, changes one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thimble.inference.document import Document
from thimble.inference.head import Head
from thimble.inference.predictions import Scores


def levels(head: Head) -> tuple[float, ...]:
    """The coverages that can be asked for; none where the document keeps no thresholds."""
    return head.conformal.levels if head.conformal else ()


def refusal(document: Document, coverage: float, by_class: bool) -> str:
    """Why there are no sets of this coverage, of all rows or `by_class` of each class; "" where there are. A
    document has thresholds for both or for neither."""
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
    """(n_classes, rows): which classes are in the set of each row, for a coverage that is not refused."""
    known = head.conformal
    assert known is not None
    at, numbers = known.levels.index(coverage), scores.probabilities
    bars = known.by_class[at][:, np.newaxis] if by_class else known.thresholds[at]
    found: NDArray[np.bool_] = numbers >= bars
    found[numbers.argmax(axis=0), np.arange(numbers.shape[1])] = True
    return found
