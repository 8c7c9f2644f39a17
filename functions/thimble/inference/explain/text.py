"""Which words of a text contribute, and where they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble.inference.arrays import FloatArray
from thimble.inference.batch import Batch
from thimble.inference.document import Document
from thimble.inference.explain.back import Plan


class Token(NamedTuple):
    """A term where it stands in the text that was sent, in characters as Python counts them."""

    text: str
    start: int
    end: int
    contribution: float


def tokens(
    document: Document, plan: Plan, batch: Batch, chosen: NDArray[np.intp], factor: FloatArray
) -> Mapping[int, Sequence[Sequence[Token]]]:
    """Of free texts, by row."""
    return {}
